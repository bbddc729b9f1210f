"""Tables of a report: the funnel, figures by stage, published rows under ours, frequent labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from crystext.evaluate.deviations import departed, lettered
from crystext.evaluate.html.charts import bar
from crystext.evaluate.html.markup import Child, details, table, tag, typeset, typeset_group
from crystext.evaluate.html.numbers import (
    NONE,
    as_published,
    drawn_of,
    fixed,
    interval,
    percent,
    unit,
    whole,
)
from crystext.evaluate.published import Published, Row, measured
from crystext.evaluate.report import Better, Counts, Figure, Report

_ARROWS: dict[Better | None, tuple[str, str]] = {
    "higher": ("↑", "higher is better"),
    "lower": ("↓", "lower is better"),
}

_MATCHES = 200
"""Attempts that are shown with the crystal that they match."""

_SHOWN = 15
"""Labels of a table of counts that are shown at once."""


def funnel(report: Report) -> Element:
    """Return what is left of the attempts after each demand, as bars and as numbers."""
    header: list[Child] = ["", "", "attempts", "of", "share", "95% interval", "different formulas"]
    rows: list[list[Child]] = []
    for step in report.funnel:
        inner = step.unique_formulas / step.of if step.of else 0.0
        drawn = bar(step.share, inner=inner, interval=(step.low, step.high))
        rows.append(
            [
                step.title,
                tag("td", drawn, class_="chart"),
                whole(step.count),
                whole(step.of),
                percent(step.share),
                f"{percent(step.low)} to {percent(step.high)}",
                whole(step.unique_formulas),
            ]
        )
    return table("Attempts that meet each demand", header, rows, class_="funnel")


def figures(report: Report, stage: str) -> Element:
    """Return all figures of a stage."""
    rows: list[list[Child]] = [
        [
            _titled(figure.title, _note(figure)),
            tag("td", fixed(figure.value), class_="value"),
            interval(figure),
            whole(figure.of),
            unit(figure.unit),
            _arrow(figure.better),
            tag("td", figure.source, class_="source"),
        ]
        for figure in report.figures
        if figure.stage == stage
    ]
    header: list[Child] = ["", "value", "95% interval", "of", "unit", "better", "definition"]
    return table(f"Figures of {stage}", header, rows, class_="figures")


def published(report: Report, block: Published) -> Element:
    """Return a block of published rows under ours; what it does not share with us stays empty."""
    header: list[Child] = [
        "",
        *(
            tag("span", column.title, " ", _arrow(column.better))
            for column in block.columns.values()
        ),
    ]
    ours: list[Child] = [tag("span", report.input.path, " ", tag("small", "this report"))]
    shown = [(measured(report, column), column.ours) for column in block.columns.values()]
    letters = lettered(report, [name for figure, name in shown if _is_there(figure)])
    ours += [
        _measured(figure, [letters.get(x, "") for x in departed(report, name)])
        for figure, name in shown
    ]
    rows = [ours, *(_row(row, block) for row in block.rows)]
    found = table(block.title, header, rows, class_="published")
    told = tag(
        "ul",
        *(
            tag(
                "li",
                tag("b", column.title),
                f": {column.of}" + (f"; in {unit(column.unit)}" if column.unit else ""),
                f"; {column.note}" if column.note else None,
                _ours_of(measured(report, column)),
            )
            for column in block.columns.values()
        ),
    )
    source = tag(
        "p",
        "Published: ",
        tag("a", block.paper, href=str(block.address), rel="noreferrer"),
        f", {block.table}; {block.data}. {block.note}",
        class_="source",
    )
    notes = (
        tag("p", tag("sup", letter), f" {departure.text}", class_="source")
        for departure, letter in letters.items()
    )
    exceptions = (
        _exception(row, block)
        for row in block.rows
        if row.note or row.paper is not None or row.table is not None
    )
    terms = details("Denominators", told, class_="terms")
    return tag("div", found, *notes, source, *exceptions, terms)


def counts(found: Counts) -> Element:
    """Return how often each label occurs, as bars with a mark where the reference is."""
    shares = [count / (found.of or sum(found.counts) or 1) for count in found.counts]
    others = found.reference_counts
    whole_of = found.reference_of or sum(others or ()) or 1
    reference = None if others is None else [count / whole_of for count in others]
    top = max([*shares[:_SHOWN], *(reference or [])[:_SHOWN], 1e-9])
    header: list[Child] = ["", "", "drawn", "share"]
    if reference is not None:
        header += ["reference", "share"]
    rows: list[list[Child]] = []
    for i, label in enumerate(found.labels):
        mark = None if reference is None else reference[i]
        row: list[Child] = [
            tag("span", *_SET.get(found.name, _as_it_is)(label)),
            tag("td", bar(shares[i], reference=mark, whole=top), class_="chart"),
            whole(found.counts[i]),
            percent(shares[i]),
        ]
        if others is not None and mark is not None:
            row += [whole(others[i]), percent(mark)]
        rows.append(row)
    box = tag("div", tag("h3", found.title))
    box.append(table(f"{found.title}, the most frequent", header, rows[:_SHOWN], class_="counts"))
    if len(rows) > _SHOWN:
        rest = table(f"{found.title}, all others", header, rows[_SHOWN:], class_="counts")
        box.append(details(f"{len(rows) - _SHOWN} more", rest))
    return box


def training_matches(columns: Mapping[str, Sequence[Any]]) -> Element | None:
    """Return which attempt matches which crystal of the training set; None where none does."""
    known, names = columns.get("training_match", ()), columns.get("name")
    at = [i for i, match in enumerate(known) if match is not None]
    if not at:
        return None
    rows: list[list[Child]] = [
        [
            str(i) if names is None else str(names[i]),
            tag("span", *typeset(str(columns["formula"][i]))),
            str(known[i]),
        ]
        for i in at[:_MATCHES]
    ]
    title = "Attempts that match a crystal of the training set"
    more = len(at) - len(rows)
    note = f"{more:,} more are in structures.parquet, column training_match." if more else None
    found = table(title, ["attempt", "formula", "matches"], rows, class_="matches")
    return details(f"{title}: {len(at):,}", found, tag("p", note, class_="source"))


def _row(row: Row, block: Published) -> list[Child]:
    values = (
        tag("td", as_published(row.values.get(name), column), class_="value")
        for name, column in block.columns.items()
    )
    return [_titled(row.system, ["published"]), *values]


def _exception(row: Row, block: Published) -> Element:
    """Return what is to be said of a row that is of another source, or that needs a word."""
    parts: list[Child] = [tag("b", row.system), ": "]
    if row.paper is not None or row.table is not None or row.address is not None:
        address = str(row.address or block.address)
        parts += [tag("a", row.paper or block.paper, href=address, rel="noreferrer"),
                  f", {row.table or block.table}. "]  # fmt: skip
    return tag("p", *parts, row.note + "." if row.note else None, class_="source")


def _is_there(figure: Figure | None) -> bool:
    return figure is not None and figure.value is not None


def _measured(figure: Figure | None, letters: Sequence[str]) -> Element:
    if figure is None or figure.value is None:
        return tag("td", NONE, class_="value")
    ends = interval(figure) or drawn_of(figure)
    return tag(
        "td",
        tag("b", fixed(figure.value)),
        tag("sup", ", ".join(letters)) if letters else None,
        tag("small", ends) if ends else None,
        class_="value",
    )


def _ours_of(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return ". Here not measured."
    return f". Here: {figure.title}" + (f", of {figure.of:,}." if figure.of else ".")


def _as_it_is(label: str) -> list[Child]:
    return [label]


_SET: dict[str, Callable[[str], list[Child]]] = {
    "formulas": typeset,
    "space_groups": typeset_group,
}
"""How the labels of some counts are set, by the name of the counts."""


def _note(figure: Figure) -> Sequence[Child]:
    """Return a figure's note, which for one of them is a formula."""
    return typeset(figure.note) if figure.name == "most_frequent_formula" else [figure.note]


def _titled(title: str, note: Sequence[Child]) -> Element:
    return tag("span", title, " ", tag("small", *note)) if any(note) else tag("span", title)


def _arrow(better: Better | None) -> Element | None:
    if better is None:
        return None
    arrow, told = _ARROWS[better]
    return tag("abbr", arrow, title=told, aria_label=told)
