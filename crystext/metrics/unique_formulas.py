"""Mode collapse: how often a generator repeats a formula.

    unique formulas     = number of different reduced formulas
    most frequent one   = max over formulas f of #{i : f_i = f}

among the crystals of a set. Source of the number: counted from the samples published with Gruver
et al., arXiv:2402.04379, where 3,358 metastable crystals of one model have 643 formulas.

What goes wrong otherwise: validity and stability are highest if a model repeats a few crystals that
it knows, so report each rate of good crystals with the number of different formulas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from crystext.metrics.base import Metric, MetricInput
from crystext.structures.properties import reduced_formula


class FormulaCounts(NamedTuple):
    """Counts of formulas."""

    crystals: int
    unique_formulas: int
    most_frequent: str | None
    """None without crystals; the first of equally frequent ones."""
    most_frequent_count: int


def count_formulas(formulas: Iterable[str]) -> FormulaCounts:
    """Count formulas, given one per crystal."""
    counts = Counter(formulas)
    formula, most = next(iter(counts.most_common(1)), (None, 0))
    return FormulaCounts(counts.total(), len(counts), formula, most)


def _unique_formulas(samples: MetricInput) -> float | None:
    counts = count_formulas(reduced_formula(crystal.numbers) for crystal in samples.crystals)
    # Not a proportion with an interval: it is not a sum over samples.
    return counts.unique_formulas / len(samples.samples) if samples.samples else None


UNIQUE_FORMULAS = Metric(
    name="unique_formulas",
    title="different formulas",
    compute=_unique_formulas,
    better="higher",
    source="counted from the samples of Gruver et al., arXiv:2402.04379",
)
