"""Templates: any text is shown as that text, and formulas are typeset."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from crystext.evaluate.html.environment import (
    render,
    typeset_formula,
    typeset_group,
    typeset_label,
)
from tests.evaluate.html.html_parser import Node, parse

# A browser replaces nulls and carriage returns, and half a character cannot be written at all.
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"])) | st.sampled_from(
    ["<script>alert(1)</script>", "</style>", '" onload="x', "&lt;&amp;&#39;", "<!--", "]]>"]
)


def card(text: str) -> Node:
    shown = {
        "formula": text, "group": text, "facts": [text], "data": text, "name": text, "text": text,
        "legend": [(text, text)],
    }  # fmt: skip
    return parse(render("gallery.html", introduction=text, cards=[shown]))


@given(TEXTS)
def test_any_text_is_read_back_as_that_text(text: str) -> None:
    page = card(text)
    (canvas,) = page.all("canvas")
    assert canvas.attributes["data-crystal"] == text
    assert [node.text() for node in page.all("pre")] == [text]
    assert page.all("p")[0].text() == text
    assert page.all("summary")[0].text() == f"Text of {text}"
    names = {"p", "div", "article", "canvas", "h3", "span", "i", "details", "summary", "pre", "sub"}
    elements = [node for node in page._all() if node.tag != "page"]
    assert {node.tag for node in elements} <= names


@given(TEXTS)
def test_a_typeset_formula_is_escaped_text(text: str) -> None:
    for typeset in (typeset_formula(text), typeset_group(text)):
        parsed = parse(str(typeset))
        assert {node.tag for node in parsed._all()} <= {"page", "sub"}
    assert parse(str(typeset_formula(text))).text() == text


@given(st.from_regex(r"([A-Z][a-z]?[0-9]{0,3}){1,4}", fullmatch=True))
def test_numbers_of_a_formula_are_subscripts(formula: str) -> None:
    parsed = parse(str(typeset_formula(formula)))
    assert parsed.text() == formula
    assert all(not any(x.isdigit() for x in c) for c in parsed.children if isinstance(c, str))


def test_a_screw_axis_is_a_subscript() -> None:
    assert typeset_label("194 P6_3/mmc", "space_group") == "194 P6<sub>3</sub>/mmc"
    assert typeset_label("a_1", "text") == "a_1"
    assert unescape(str(typeset_label("O2 & <b>", "formula"))) == "O<sub>2</sub> & <b>"


def test_a_value_that_a_template_lacks_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError):
        render("gallery.html", cards=[])
