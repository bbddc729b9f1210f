"""The funnel: how many attempts are left after each demand, out of all that were drawn.

The demands down to `novel` add up: each step is of the attempts of the step before. Those about
energies stand for themselves, as papers count them, and only the last three ask for all at once:

    M.S.U.N. = metastable, unique and novel;    S.U.N. = stable, unique and novel

Both are by the energy above the hull alone. Candidates are those of S.U.N. for which the hull has
evidence, at least two compounds of exactly the crystal's elements (`energies.hull.Evidence`).

A demand that nothing is known about has no step. Where energies are known of a part of the
attempts only, `of` is the size of that part, failed attempts in it included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crystext.errors import SettingError, UnavailableError, did_you_mean
from crystext.evaluate.report import FunnelStep
from crystext.metrics.intervals import Proportion

ENERGY_REQUESTED = "energy_asked"
"""Column that is true of the attempts, failed ones included, whose energies were asked for."""


class _Criterion(NamedTuple):
    name: str
    title: str
    columns: tuple[str, ...]
    """All of which have to be true."""
    needs_energies: bool = False


_CRITERIA = (
    _Criterion("drawn", "drawn", ()),
    _Criterion("parsed", "parsed", ("parsed",)),
    _Criterion("structure_valid", "structurally valid", ("structure_valid",)),
    _Criterion("valid", "and composition valid", ("valid",)),
    _Criterion("unique", "and unique", ("valid", "unique")),
    _Criterion("novel", "and novel", ("valid", "unique", "novel")),
    _Criterion("metastable", "metastable", ("metastable",), True),
    _Criterion("stable", "stable", ("stable",), True),
    _Criterion("msun", "metastable, unique and novel", ("metastable", "unique", "novel"), True),
    _Criterion("sun", "stable, unique and novel (S.U.N.)", ("stable", "unique", "novel"), True),
    _Criterion(
        "candidates",
        "of S.U.N., those whose elements the hull knows",
        ("candidate", "unique", "novel"),
        True,
    ),
)


def check_step(step: str) -> _Criterion:
    """Return the demand of a step, or raise `SettingError`."""
    demands = {demand.name: demand for demand in _CRITERIA}
    if step not in demands:
        raise SettingError(
            f"the funnel has no step {step!r}; it has {', '.join(demands)}."
            + did_you_mean(step, demands)
        )
    return demands[step]


def passing_indices(step: str, columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Return the indices of the attempts that meet the demand of a step.

    Args:
        step: its name.
        columns: of `structures.parquet`.

    Raises:
        SettingError: there is no such step.
        UnavailableError: it asks for what was not measured.
    """
    demanded = check_step(step).columns
    values = [columns.get(name, ()) for name in demanded]
    for name, column in zip(demanded, values, strict=True):
        if not any(value is not None for value in column):
            raise UnavailableError(f"which crystals are {step} needs {name}, which is not measured")
    return [i for i, _ in enumerate(columns["index"]) if all(c[i] is True for c in values)]


def funnel(columns: Mapping[str, Sequence[Any]], n_samples: int) -> list[FunnelStep]:
    """Return the steps that can be told.

    Args:
        columns: of `structures.parquet`, with `parsed` and `formula` among them.
        n_samples: how many there are, at least 1.
    """
    steps = []
    asked = columns.get(ENERGY_REQUESTED)
    for demand in _CRITERIA:
        values = [columns.get(name, ()) for name in demand.columns]
        if not all(any(value is not None for value in column) for column in values):
            continue
        judged = range(n_samples)
        if demand.needs_energies and asked is not None:
            judged_of = [i for i in judged if asked[i]]
            kept = [i for i in judged_of if all(column[i] is True for column in values)]
            of = len(judged_of)
        else:
            kept = [i for i in judged if all(column[i] is True for column in values)]
            of = n_samples
        if of == 0:
            continue
        share = Proportion(len(kept), of)
        low, high = share.wilson_interval()
        formulas = {columns["formula"][i] for i in kept} - {None}
        # Their counts are of fewer attempts than those above them.
        part = f", of the {of:,} that were relaxed" if of < n_samples else ", of all drawn"
        steps.append(
            FunnelStep(
                name=demand.name,
                title=demand.title + (part if demand.needs_energies else ""),
                count=len(kept),
                of=of,
                share=share.value,
                low=low,
                high=high,
                unique_formulas=len(formulas),
            )
        )
    return steps
