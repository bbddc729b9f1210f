"""The funnel: how many samples are left after each criterion, out of all samples.

The criteria down to `novel` add up: each step counts samples of the step before. Those about
energies are independent, as papers count them, and only the last three combine all:

    M.S.U.N. = metastable, unique and novel;    S.U.N. = stable, unique and novel

Both are by the energy above the hull alone. Candidates are those of S.U.N. for which the hull has
evidence, at least two compounds of exactly the crystal's elements (`energies.hull.Evidence`).

Each stage brings its steps (`stages.base.Stage.funnel`). A criterion without any value has no step.
If only a part of the samples has energies, `total` is the size of that part, its failures included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crystext.errors import SettingError, UnavailableError, did_you_mean
from crystext.evaluate.report import FunnelStep
from crystext.evaluate.stages.base import ENERGY_REQUESTED, FunnelCriterion
from crystext.evaluate.stages.registry import loadable_stages
from crystext.metrics.intervals import Proportion


def funnel_criteria() -> list[FunnelCriterion]:
    """Return the criteria of all stages, in the order of the stages."""
    return [
        FunnelCriterion("drawn", "sampled", ()),
        FunnelCriterion("parsed", "parsed", ("parsed",)),
        *(criterion for stage in loadable_stages() for criterion in stage.funnel),
    ]


def check_step(step: str) -> FunnelCriterion:
    """Return the criterion of a step, or raise `SettingError`."""
    criteria = {criterion.name: criterion for criterion in funnel_criteria()}
    if step not in criteria:
        raise SettingError(
            f"unknown funnel step {step!r}; expected {', '.join(criteria)}."
            + did_you_mean(step, criteria)
        )
    return criteria[step]


def passing_indices(step: str, columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Return the indices of the samples that meet the criterion of a step.

    Args:
        step: its name.
        columns: of `structures.parquet`.

    Raises:
        SettingError: the step does not exist.
        UnavailableError: it needs a column that was not measured.
    """
    needed = check_step(step).columns
    values = [columns.get(name, ()) for name in needed]
    for name, column in zip(needed, values, strict=True):
        if not any(value is not None for value in column):
            raise UnavailableError(f"the step {step} needs {name}, which was not measured")
    return [i for i, _ in enumerate(columns["index"]) if all(c[i] is True for c in values)]


def funnel(columns: Mapping[str, Sequence[Any]], n_samples: int) -> list[FunnelStep]:
    """Return the steps whose columns are measured.

    Args:
        columns: of `structures.parquet`, with `parsed` and `formula` among them.
        n_samples: number of samples, at least 1.
    """
    steps = []
    requested = columns.get(ENERGY_REQUESTED)
    for criterion in funnel_criteria():
        values = [columns.get(name, ()) for name in criterion.columns]
        if not all(any(value is not None for value in column) for column in values):
            continue
        judged: Sequence[int] = range(n_samples)
        if criterion.needs_energies and requested is not None:
            judged = [i for i in judged if requested[i]]
        total = len(judged)
        if total == 0:
            continue
        passing = [i for i in judged if all(column[i] is True for column in values)]
        proportion = Proportion(len(passing), total)
        low, high = proportion.wilson_interval()
        formulas = {columns["formula"][i] for i in passing} - {None}
        # Their counts are of fewer samples than those above them.
        part = f", of the {total:,} that were relaxed" if total < n_samples else ", of all samples"
        steps.append(
            FunnelStep(
                name=criterion.name,
                title=criterion.title + (part if criterion.needs_energies else ""),
                count=len(passing),
                total=total,
                proportion=proportion.value,
                low=low,
                high=high,
                unique_formulas=len(formulas),
            )
        )
    return steps
