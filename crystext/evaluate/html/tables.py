"""Tables of a report: the funnel, figures by stage, published rows under ours, frequent labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from crystext.evaluate.deviations import deviation_letters, deviations_affecting
from crystext.evaluate.html.charts import bar_chart
from crystext.evaluate.html.markup import Child, details, table, tag, typeset_formula, typeset_group
from crystext.evaluate.html.numbers import (
    MISSING,
    denominator_text,
    format_fixed,
    format_integer,
    format_interval,
    format_percent,
    format_published,
    format_unit,
)
from crystext.evaluate.published import PublishedRow, PublishedTable, metric_for_column
from crystext.evaluate.report import Better, LabelCounts, MetricValue, Report

_ARROWS: dict[Better | None, tuple[str, str]] = {
    "higher": ("↑", "higher is better"),
    "lower": ("↓", "lower is better"),
}

_MAX_MATCHES = 200
"""Attempts that are shown with the crystal that they match."""

_MAX_LABELS = 15
"""Labels of a table of counts that are shown at once."""


def funnel_table(report: Report) -> Element:
    """Return what is left of the attempts after each demand, as bars and as numbers."""
    header: list[Child] = ["", "", "attempts", "of", "share", "95% interval", "different formulas"]
    rows: list[list[Child]] = []
    for step in report.funnel:
        inner = step.unique_formulas / step.of if step.of else 0.0
        drawn = bar_chart(step.share, inner=inner, interval=(step.low, step.high))
        rows.append(
            [
                step.title,
                tag("td", drawn, class_="chart"),
                format_integer(step.count),
                format_integer(step.of),
                format_percent(step.share),
                f"{format_percent(step.low)} to {format_percent(step.high)}",
                format_integer(step.unique_formulas),
            ]
        )
    return table("Attempts that meet each demand", header, rows, class_="funnel")


def metrics_table(report: Report, stage: str) -> Element:
    """Return all figures of a stage."""
    rows: list[list[Child]] = [
        [
            _titled(figure.title, _note(figure)),
            tag("td", format_fixed(figure.value), class_="value"),
            format_interval(figure),
            format_integer(figure.of),
            format_unit(figure.unit),
            _arrow(figure.better),
            tag("td", figure.source, class_="source"),
        ]
        for figure in report.figures
        if figure.stage == stage
    ]
    header: list[Child] = ["", "value", "95% interval", "of", "unit", "better", "definition"]
    return table(f"Figures of {stage}", header, rows, class_="figures")


def comparison_table(report: Report, block: PublishedTable) -> Element:
    """Return a block of published rows under ours; what it does not share with us stays empty."""
    header: list[Child] = [
        "",
        *(
            tag("span", column.title, " ", _arrow(column.better))
            for column in block.columns.values()
        ),
    ]
    ours: list[Child] = [tag("span", report.input.path, " ", tag("small", "this report"))]
    shown = [(metric_for_column(report, column), column.ours) for column in block.columns.values()]
    letters = deviation_letters(report, [name for figure, name in shown if _has_value(figure)])
    ours += [
        _value_cell(figure, [letters.get(x, "") for x in deviations_affecting(report, name)])
        for figure, name in shown
    ]
    rows = [ours, *(_published_row(row, block) for row in block.rows)]
    found = table(block.title, header, rows, class_="published")
    told = tag(
        "ul",
        *(
            tag(
                "li",
                tag("b", column.title),
                f": {column.of}" + (f"; in {format_unit(column.unit)}" if column.unit else ""),
                f"; {column.note}" if column.note else None,
                _own_value_text(metric_for_column(report, column)),
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
        _row_note(row, block)
        for row in block.rows
        if row.note or row.paper is not None or row.table is not None
    )
    terms = details("Denominators", told, class_="terms")
    return tag("div", found, *notes, source, *exceptions, terms)


def label_counts_table(label_counts: LabelCounts) -> Element:
    """Return how often each label occurs, as bars with a mark where the reference is."""
    shares = [
        count / (label_counts.of or sum(label_counts.counts) or 1) for count in label_counts.counts
    ]
    others = label_counts.reference_counts
    whole_of = label_counts.reference_of or sum(others or ()) or 1
    reference = None if others is None else [count / whole_of for count in others]
    top = max([*shares[:_MAX_LABELS], *(reference or [])[:_MAX_LABELS], 1e-9])
    header: list[Child] = ["", "", "drawn", "share"]
    if reference is not None:
        header += ["reference", "share"]
    rows: list[list[Child]] = []
    for i, label in enumerate(label_counts.labels):
        mark = None if reference is None else reference[i]
        row: list[Child] = [
            tag("span", *_TYPESETTERS.get(label_counts.name, _unchanged)(label)),
            tag("td", bar_chart(shares[i], reference=mark, full_width=top), class_="chart"),
            format_integer(label_counts.counts[i]),
            format_percent(shares[i]),
        ]
        if others is not None and mark is not None:
            row += [format_integer(others[i]), format_percent(mark)]
        rows.append(row)
    box = tag("div", tag("h3", label_counts.title))
    box.append(
        table(
            f"{label_counts.title}, the most frequent", header, rows[:_MAX_LABELS], class_="counts"
        )
    )
    if len(rows) > _MAX_LABELS:
        rest = table(
            f"{label_counts.title}, all others", header, rows[_MAX_LABELS:], class_="counts"
        )
        box.append(details(f"{len(rows) - _MAX_LABELS} more", rest))
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
            tag("span", *typeset_formula(str(columns["formula"][i]))),
            str(known[i]),
        ]
        for i in at[:_MAX_MATCHES]
    ]
    title = "Attempts that match a crystal of the training set"
    more = len(at) - len(rows)
    note = f"{more:,} more are in structures.parquet, column training_match." if more else None
    found = table(title, ["attempt", "formula", "matches"], rows, class_="matches")
    return details(f"{title}: {len(at):,}", found, tag("p", note, class_="source"))


def _published_row(row: PublishedRow, block: PublishedTable) -> list[Child]:
    values = (
        tag("td", format_published(row.values.get(name), column), class_="value")
        for name, column in block.columns.items()
    )
    return [_titled(row.system, ["published"]), *values]


def _row_note(row: PublishedRow, block: PublishedTable) -> Element:
    """Return what is to be said of a row that is of another source, or that needs a word."""
    parts: list[Child] = [tag("b", row.system), ": "]
    if row.paper is not None or row.table is not None or row.address is not None:
        address = str(row.address or block.address)
        parts += [tag("a", row.paper or block.paper, href=address, rel="noreferrer"),
                  f", {row.table or block.table}. "]  # fmt: skip
    return tag("p", *parts, row.note + "." if row.note else None, class_="source")


def _has_value(metric: MetricValue | None) -> bool:
    return metric is not None and metric.value is not None


def _value_cell(metric: MetricValue | None, letters: Sequence[str]) -> Element:
    if metric is None or metric.value is None:
        return tag("td", MISSING, class_="value")
    ends = format_interval(metric) or denominator_text(metric)
    return tag(
        "td",
        tag("b", format_fixed(metric.value)),
        tag("sup", ", ".join(letters)) if letters else None,
        tag("small", ends) if ends else None,
        class_="value",
    )


def _own_value_text(metric: MetricValue | None) -> str:
    if metric is None or metric.value is None:
        return ". Here not measured."
    return f". Here: {metric.title}" + (f", of {metric.of:,}." if metric.of else ".")


def _unchanged(label: str) -> list[Child]:
    return [label]


_TYPESETTERS: dict[str, Callable[[str], list[Child]]] = {
    "formulas": typeset_formula,
    "space_groups": typeset_group,
}
"""How the labels of some counts are set, by the name of the counts."""


def _note(metric: MetricValue) -> Sequence[Child]:
    """Return a figure's note, which for one of them is a formula."""
    return typeset_formula(metric.note) if metric.name == "most_frequent_formula" else [metric.note]


def _titled(title: str, note: Sequence[Child]) -> Element:
    return tag("span", title, " ", tag("small", *note)) if any(note) else tag("span", title)


def _arrow(better: Better | None) -> Element | None:
    if better is None:
        return None
    arrow, told = _ARROWS[better]
    return tag("abbr", arrow, title=told, aria_label=told)
