"""Elements of a page. Every text and attribute is escaped when the page is written out.

What a page shows comes from files of others: names, formulas, texts. Elements are built as a tree,
never as strings, so that no such text can become an element.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

Child = Element | str | None
"""None leaves no trace."""


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Element:
    """Return an element.

    Args:
        name: of the element.
        children: elements and texts, in their order.
        attributes: `class_` stands for `class`, `aria_label` for `aria-label`; None is left out,
            and an empty string is written as it is.
    """
    element = Element(name)
    for key, value in attributes.items():
        if value is not None:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            element.set(key.rstrip("_").replace("_", "-"), text)
    return add(element, *children)


def add(element: Element, *children: Child) -> Element:
    """Append to an element, and return it."""
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif child is not None and len(element):
            element[-1].tail = (element[-1].tail or "") + child
        elif child is not None:
            element.text = (element.text or "") + child
    return element


def table(caption: str, header: list[Child], rows: list[list[Child]], **attributes: str) -> Element:
    """Return a table in a box that scrolls where the screen is narrow; first cells head rows.

    Args:
        caption: what the table is, for people and for screen readers.
        header: a cell for each column.
        rows: as many cells each; an element named `td` or `th` is taken as the cell itself.
        attributes: of the table.
    """
    body = [
        tag("tr", _cell(row[0], "th", scope="row"), *(_cell(cell, "td") for cell in row[1:]))
        for row in rows
    ]
    found = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *(_cell(cell, "th", scope="col") for cell in header))),
        tag("tbody", *body),
        **attributes,
    )
    # A box that scrolls has to be reachable by the keyboard.
    return tag("div", found, class_="scroll", tabindex="0", role="group", aria_label=caption)


def _cell(cell: Child, name: str, **attributes: str) -> Element:
    if isinstance(cell, Element) and cell.tag in ("td", "th"):
        return cell
    return tag(name, cell, **attributes)


def typeset_formula(formula: str) -> list[Child]:
    """Return a formula with its numbers as subscripts."""
    runs: list[str] = re.findall(r"\d+|\D+", formula)
    return [tag("sub", run) if run.isdigit() else run for run in runs]


def typeset_group(symbol: str) -> list[Child]:
    """Return a space group's symbol with what follows a _ as a subscript: 194 P6_3/mmc."""
    runs: list[str] = re.findall(r"_\d|[^_]+|_", symbol)
    return [tag("sub", run[1]) if re.fullmatch(r"_\d", run) else run for run in runs]


def details(summary: str, *children: Child, class_: str | None = None) -> Element:
    """Return something that is hidden until it is asked for."""
    return tag("details", tag("summary", summary), *children, class_=class_)


def titled_svg(width: float, height: float, title: str, *children: Child) -> Element:
    """Return a drawing that says in a sentence what it shows.

    Args:
        width: of the drawing's own coordinates; on the page it takes the width there is.
        height: the same.
        title: what a screen reader says of it.
        children: of the drawing.
    """
    svg = tag("svg", viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=title)
    SubElement(svg, "title").text = title
    return add(svg, *children)


def render_html(head: Element, body: Element) -> str:
    """Return a page as text."""
    page = tag("html", head, body, lang="en")
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"
