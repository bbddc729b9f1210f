"""Tables of a report: the funnel, figures by stage, published rows under ours, frequent labels."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from crystext.evaluate.departures import lettered, marks
from crystext.evaluate.page.charts import bar
from crystext.evaluate.page.markup import Child, details, table, tag
from crystext.evaluate.page.numbers import (
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
            _titled(figure.title, figure.note),
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
    shown = [(measured(report, c), marks(report, c.ours)) for c in block.columns.values()]
    ours += [_measured(figure, letters) for figure, letters in shown]
    marked = {x for figure, letters in shown if _is_there(figure) for x in letters}
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
    departed = (
        tag("p", tag("sup", letter), f" {departure.text}", class_="source")
        for letter, departure in lettered(report)
        if letter in marked
    )
    exceptions = (
        _exception(row, block)
        for row in block.rows
        if row.note or row.paper is not None or row.table is not None
    )
    terms = details("Denominators", told, class_="terms")
    return tag("div", found, *departed, source, *exceptions, terms)


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
            label,
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


def _row(row: Row, block: Published) -> list[Child]:
    values = (
        tag("td", as_published(row.values.get(name), column), class_="value")
        for name, column in block.columns.items()
    )
    return [_titled(row.system, "published"), *values]


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


def _titled(title: str, note: str) -> Element:
    return tag("span", title, " " if note else None, tag("small", note) if note else None)


def _arrow(better: Better | None) -> Element | None:
    if better is None:
        return None
    arrow, told = _ARROWS[better]
    return tag("abbr", arrow, title=told, aria_label=told)
