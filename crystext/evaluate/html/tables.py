"""Rows of the page's tables: published values, counts of labels, matches, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crystext.evaluate.html.charts import Bar, bar_chart
from crystext.evaluate.html.template_rendering import Run, label_runs
from crystext.evaluate.protocol_deviations import deviation_letters, deviations_affecting
from crystext.evaluate.published import PublishedColumn, PublishedTable, metric_for_column
from crystext.evaluate.report import LabelCounts, MetricValue, ProtocolDeviation, Report

Columns = Mapping[str, Sequence[Any]]
"""A value per sample, by name: the columns of `structures.parquet`."""

_MAX_MATCHES = 200
"""Maximum number of samples listed with their matches."""

_MAX_LABELS = 15
"""Number of labels of a table of counts shown at first."""

_N_EXAMPLES = 3
"""Number of samples named for each failure."""


class ComparisonCell(NamedTuple):
    """A metric of the report below the title of a published column."""

    metric: MetricValue | None
    letters: list[str]
    """Marks of the deviations from the protocol that it depends on."""


class Comparison(NamedTuple):
    """A table of published values with the report's above them."""

    block: PublishedTable
    cells: list[ComparisonCell]
    letters: dict[ProtocolDeviation, str]

    @property
    def columns(self) -> list[tuple[PublishedColumn, ComparisonCell]]:
        """Each column with the report's cell."""
        return list(zip(self.block.columns.values(), self.cells, strict=True))


class LabelRow(NamedTuple):
    """A label with its count, and that of the reference."""

    label: list[Run]
    bar: Bar
    n: int
    proportion: float
    reference_n: int
    reference_proportion: float


class LabelTable(NamedTuple):
    """Counts of labels, the most frequent first."""

    title: str
    has_reference: bool
    shown: list[LabelRow]
    rest: list[LabelRow]


class MatchRow(NamedTuple):
    """A sample and the known crystal that it matches."""

    name: str
    formula: str
    match: str


class MatchTable(NamedTuple):
    """Samples that match a known crystal."""

    title: str
    column: str
    n: int
    """All of them."""
    rows: list[MatchRow]


class FailureRow(NamedTuple):
    """A failure with its count and some examples."""

    failure: str
    n: int
    proportion: float
    examples: list[str]


class FailureTable(NamedTuple):
    """Failures of a column by their counts."""

    caption: str
    rows: list[FailureRow]


def compare(report: Report, blocks: Sequence[PublishedTable]) -> list[Comparison]:
    """Return the tables that share metrics with the report, those with most of them first."""

    def shared(block: PublishedTable) -> int:
        return sum(metric_for_column(report, c) is not None for c in block.columns.values())

    return [
        _comparison(report, block)
        for block in sorted(blocks, key=shared, reverse=True)
        if shared(block)
    ]


def _comparison(report: Report, block: PublishedTable) -> Comparison:
    shown = [(metric_for_column(report, c), c.ours) for c in block.columns.values()]
    measured = [name for metric, name in shown if metric is not None and metric.value is not None]
    letters = deviation_letters(report, measured)
    cells = [
        ComparisonCell(metric, [letters[x] for x in deviations_affecting(report, name)])
        if metric is not None and metric.value is not None
        else ComparisonCell(metric, [])
        for metric, name in shown
    ]
    return Comparison(block, cells, letters)


def label_table(counts: LabelCounts) -> LabelTable:
    """Return how often each label occurs, as bars with a mark at the reference."""
    others = counts.reference_counts
    total = counts.total or sum(counts.counts) or 1
    reference_total = counts.reference_total or sum(others or ()) or 1
    proportions = [count / total for count in counts.counts]
    known = None if others is None else [count / reference_total for count in others]
    top = max([*proportions[:_MAX_LABELS], *(known or [])[:_MAX_LABELS], 1e-9])
    rows = [
        LabelRow(
            label_runs(label, counts.kind),
            bar_chart(
                proportions[i], reference=None if known is None else known[i], full_width=top
            ),
            counts.counts[i],
            proportions[i],
            0 if others is None else others[i],
            0.0 if known is None else known[i],
        )
        for i, label in enumerate(counts.labels)
    ]
    return LabelTable(counts.title, known is not None, rows[:_MAX_LABELS], rows[_MAX_LABELS:])


def match_table(columns: Columns, column: str, title: str) -> MatchTable | None:
    """Return the samples with a value in a column; None where there is none."""
    known, names = columns.get(column, ()), columns.get("name")
    at = [i for i, match in enumerate(known) if match is not None]
    rows = [
        MatchRow(
            str(i) if names is None else str(names[i]), str(columns["formula"][i]), str(known[i])
        )
        for i in at[:_MAX_MATCHES]
    ]
    return MatchTable(title, column, len(at), rows) if at else None


def failure_table(columns: Columns, column: str, caption: str) -> FailureTable | None:
    """Return the failures in a column with their counts; None where there is none."""
    values = columns.get(column, ())
    counts = Counter(str(failure) for failure in values if isinstance(failure, str))
    rows = [
        FailureRow(failure, count, count / len(values), _examples(columns, column, failure))
        for failure, count in counts.most_common()
    ]
    return FailureTable(caption, rows) if rows else None


def _examples(columns: Columns, column: str, failure: str) -> list[str]:
    at = [i for i, found in enumerate(columns[column]) if found == failure][:_N_EXAMPLES]
    names = columns.get("name")
    messages = columns.get("message") if column == "failure" else None
    examples = []
    for i in at:
        name = str(i) if names is None else str(names[i])
        message = None if messages is None else messages[i]
        has_message = isinstance(message, str) and message
        examples.append(f"{name}: {message}" if has_message else name)
    return examples
