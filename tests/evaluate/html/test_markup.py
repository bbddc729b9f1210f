from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crystext.evaluate.html.markup import render_html, table, tag
from tests.evaluate.html.html_parser import Node, parse

# A browser replaces nulls and carriage returns, and half a character cannot be written at all.
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"])) | st.sampled_from(
    ["<script>alert(1)</script>", "</style>", '" onload="x', "&lt;&amp;&#39;", "<!--", "]]>"]
)


def written(*children: object) -> Node:
    return parse(render_html(tag("head"), tag("body", *children)))  # type: ignore[arg-type]


@given(TEXTS, TEXTS)
def test_any_text_is_read_back_as_that_text(text: str, other: str) -> None:
    page = written(tag("p", text, tag("b", other), text, title=other))
    (paragraph,) = page.all("p")
    assert paragraph.text() == text + other + text
    assert paragraph.attributes == {"title": other}
    assert [node.tag for node in paragraph.children if isinstance(node, Node)] == ["b"]


def test_first_cells_head_their_rows_and_a_table_says_what_it_is() -> None:
    page = written(table("Masses", ["", "u"], [["H", "1.008"], ["He", tag("td", "4.003")]]))
    assert page.all("caption")[0].text() == "Masses"
    assert [th.attributes["scope"] for th in page.all("th")] == ["col", "col", "row", "row"]
    assert [td.text() for td in page.all("td")] == ["1.008", "4.003"]


def test_what_is_none_leaves_no_trace() -> None:
    (paragraph,) = written(tag("p", None, "x", None, class_=None)).all("p")
    assert paragraph.children == ["x"]
    assert paragraph.attributes == {}
