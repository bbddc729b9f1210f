"""Templates: any text is shown as that text, and formulas are typeset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from crystext.evaluate.html.template_rendering import (
    Run,
    formula_runs,
    group_runs,
    label_runs,
    render,
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
def test_runs_of_a_formula_are_its_text(text: str) -> None:
    assert "".join(run.text for run in formula_runs(text)) == text
    plain = text.replace("_", "")
    assert group_runs(plain) == ([Run(plain, False)] if plain else [])


@given(st.from_regex(r"([A-Z][a-z]?[0-9]{0,3}){1,4}", fullmatch=True))
def test_numbers_of_a_formula_are_subscripts(formula: str) -> None:
    runs = formula_runs(formula)
    assert "".join(run.text for run in runs) == formula
    assert all(run.is_subscript == any(x.isdigit() for x in run.text) for run in runs)


def test_a_screw_axis_is_a_subscript() -> None:
    runs = [Run("194 P6", False), Run("3", True), Run("/mmc", False)]
    assert label_runs("194 P6_3/mmc", "space_group") == runs
    assert label_runs("a_1", "text") == [Run("a_1", False)]
    assert label_runs("O2", "formula") == [Run("O", False), Run("2", True)]


def test_a_value_that_a_template_lacks_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError):
        render("gallery.html", cards=[])
