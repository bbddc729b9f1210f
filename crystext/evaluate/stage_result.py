"""The result of a stage: columns with a value per sample, and metrics of all of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crystext.evaluate.report import (
    Histogram,
    LabelCounts,
    LabelKind,
    MetricValue,
    ReportTable,
)
from crystext.metrics.base import Better
from crystext.metrics.intervals import Proportion, mean_interval


@dataclass
class StageResult:
    """Filled by a stage while it runs; written to disk as a whole when it is done.

    A column has one value per sample, in their order: bool, int, float or str, and None where there
    is none, as for a failure. Its name is a column of `structures.parquet`, so it differs from
    those of all other stages, and includes the unit.
    """

    stage: str
    columns: dict[str, Sequence[Any]] = field(default_factory=dict)
    metrics: list[MetricValue] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    label_counts: list[LabelCounts] = field(default_factory=list)
    tables: list[ReportTable] = field(default_factory=list)
    note: str = ""
    """A sentence for display, such as on omitted samples; usually empty."""

    def add_proportion(
        self,
        name: str,
        title: str,
        count: int,
        total: int,
        *,
        better: Better | None = None,
        source: str = "",
        note: str = "",
    ) -> None:
        """Add a proportion with Wilson's interval; without a value where the total is 0."""
        value = low = high = None
        if total:
            measured = Proportion(count, total)
            value, (low, high) = measured.value, measured.wilson_interval()
        self._add(name, title, value, low, high, total, "", better, source, note)

    def add_mean(
        self,
        name: str,
        title: str,
        values: Sequence[float],
        *,
        nonnegative: bool = False,
        unit: str = "",
        better: Better | None = None,
        source: str = "",
        note: str = "",
    ) -> None:
        """Add a mean with its interval; values that are not finite are left out of it.

        The interval of a non-negative quantity, such as a count or a distance, is cut at 0.
        """
        found = mean_interval(values)
        value, low, high = found.value, found.low, found.high
        if nonnegative and low < 0:
            low = 0.0
        self._add(name, title, value, low, high, found.n, unit, better, source, note)

    def add_value(
        self,
        name: str,
        title: str,
        value: float | None,
        *,
        low: float | None = None,
        high: float | None = None,
        total: int | None = None,
        unit: str = "",
        better: Better | None = None,
        source: str = "",
        note: str = "",
    ) -> None:
        """Add any other number."""
        self._add(name, title, value, low, high, total, unit, better, source, note)

    def add_histogram(
        self,
        name: str,
        title: str,
        values: Sequence[float],
        reference: Sequence[float] | None = None,
        *,
        unit: str = "",
        edges: Sequence[float] | None = None,
    ) -> None:
        """Add a histogram, by default with 40 bins between the 1st and 99th percentile.

        Values outside count with the first or the last bin, non-finite values are ignored.
        """
        kept = _finite(values)
        known = None if reference is None else _finite(reference)
        if edges is None:
            both = np.concatenate([kept, kept[:0] if known is None else known])
            if not len(both):
                return
            low, high = np.percentile(both, [1, 99]).tolist()
            if not high > low:
                low, high = low - 0.5, low + 0.5
            edges = np.linspace(low, high, 41).tolist()
        limits = np.asarray(edges, dtype=np.float64)

        def counted(values: Any) -> list[int]:
            inside = np.clip(values, limits[0], limits[-1])
            return np.histogram(inside, limits)[0].tolist()  # type: ignore[no-any-return]

        self.histograms.append(
            Histogram(
                stage=self.stage,
                name=name,
                title=title,
                unit=unit,
                edges=limits.tolist(),
                counts=counted(kept),
                reference_counts=None if known is None else counted(known),
            )
        )

    def add_label_counts(
        self,
        name: str,
        title: str,
        counts: Mapping[str, int],
        reference: Mapping[str, int] | None = None,
        *,
        total: int | None = None,
        reference_total: int | None = None,
        max_labels: int | None = None,
        kind: LabelKind = "text",
    ) -> None:
        """Add how often each label occurs, the most frequent first.

        Args:
            name: of the table, unique within the stage.
            title: for people.
            counts: by label.
            reference: by label, in the reference.
            total: what a count is divided by, if not their sum: the number of crystals, if one may
                have several labels or some labels are left out.
            reference_total: likewise, for the reference.
            max_labels: maximum number of labels; None keeps all.
            kind: the kind of labels.
        """
        both = Counter(counts)
        for label in reference or {}:
            both.setdefault(label, 0)
        labels = [label for label, _ in both.most_common(max_labels)]
        self.label_counts.append(
            LabelCounts(
                stage=self.stage,
                name=name,
                title=title,
                labels=labels,
                counts=[both[label] for label in labels],
                reference_counts=(
                    None if reference is None else [reference.get(label, 0) for label in labels]
                ),
                total=total,
                reference_total=reference_total,
                kind=kind,
            )
        )

    def add_table(
        self,
        name: str,
        title: str,
        header: Sequence[str],
        rows: Iterable[Sequence[str | float | None]],
    ) -> None:
        """Add rows of words and numbers.

        Args:
            name: of the table, unique within the stage.
            title: for people.
            header: titles of the columns.
            rows: a cell for each column; None where there is no value.
        """
        self.tables.append(
            ReportTable(
                stage=self.stage,
                name=name,
                title=title,
                header=list(header),
                rows=[list(row) for row in rows],
            )
        )

    def _add(
        self,
        name: str,
        title: str,
        value: float | None,
        low: float | None,
        high: float | None,
        total: int | None,
        unit: str,
        better: Better | None,
        source: str,
        note: str,
    ) -> None:
        assert all(name != metric.name for metric in self.metrics), f"{name} twice"
        self.metrics.append(
            MetricValue(
                stage=self.stage,
                name=name,
                title=title,
                value=_or_none(value),
                low=_or_none(low),
                high=_or_none(high),
                total=total,
                unit=unit,
                better=better,
                source=source,
                note=note,
            )
        )


def _or_none(value: float | None) -> float | None:
    """Return a finite number or None, as JSON has no others."""
    return None if value is None or not math.isfinite(value) else float(value)


def _finite(values: Sequence[float]) -> Any:
    found = np.asarray(values, dtype=np.float64)
    return found[np.isfinite(found)]
