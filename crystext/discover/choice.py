"""Which crystals are relaxed next.

Texts that passed all checks get the first judge's energy of the crystal as it was drawn, which
costs one step of the fifty or so of a relaxation. Of all that wait, those with the lowest energies
are relaxed, `ATOM_COST_EV_PER_ATOM` added for each atom, since time grows with their number; at
most `_MAX_PER_FORMULA` of a formula in a round, and none above `MAX_UNRELAXED_EV_PER_ATOM`. The
others wait for later rounds.

Neither the log-probability of a text nor the shipped predictor chooses: an answer of either takes
about as long as the judge's energy, which orders crystals better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from crystext.discover.history import History
from crystext.discover.records import SampledText
from crystext.discover.tools import MAX_SECONDS, Report, SearchTools
from crystext.energies.judges import judge_crystals
from crystext.energies.relax import RelaxationLimits
from crystext.runtime.processes import Workers

ATOM_COST_EV_PER_ATOM = 0.005
"""What an atom more counts when crystals are chosen for relaxation."""

MAX_UNRELAXED_EV_PER_ATOM = 0.6
"""eV/atom above the limit of candidates, beyond which a crystal as drawn is never relaxed."""

_MAX_PER_FORMULA = 2


def energies_as_drawn(
    waiting: Mapping[int, SampledText],
    history: History,
    tools: SearchTools,
    workers: Workers,
    report: Report,
) -> dict[int, float | None]:
    """Return the energies above the hull of crystals as drawn, of those that have none yet."""
    crystals = {
        index: history.crystal(text)
        for index, text in waiting.items()
        if index not in history.unrelaxed
    }
    report("energies before relaxing", 0, len(crystals))
    limits = RelaxationLimits(steps=0, seconds=MAX_SECONDS)
    results = judge_crystals(tools.judges[0], crystals, limits, workers=workers)
    return {index: result.above_hull for index, result in results.items()}


def choose(
    waiting: Mapping[int, SampledText],
    unrelaxed: Mapping[int, float | None],
    count: int,
    hopeless_above: float,
) -> list[SampledText]:
    """Return the texts to relax, the most promising first."""
    ranked = sorted(
        (above + ATOM_COST_EV_PER_ATOM * (text.n_atoms or 0), index)
        for index, text in waiting.items()
        if (above := unrelaxed.get(index)) is not None and above <= hopeless_above
    )
    chosen: list[SampledText] = []
    formulas: Counter[str | None] = Counter()
    for _, index in ranked:
        text = waiting[index]
        if len(chosen) < count and formulas[text.formula] < _MAX_PER_FORMULA:
            formulas[text.formula] += 1
            chosen.append(text)
    return chosen
