"""Which crystals are relaxed next.

Texts that passed all checks are ranked by the sum of two ranks, by the energy above the hull that
the shipped predictor expects and by the log-probability per atom. The first of them, four times as
many as will be relaxed, get the first judge's energy of the crystal as it was drawn, which costs
one step of the hundred of a relaxation. Of all that have such an energy, those with the lowest are
relaxed, `ATOM_COST_EV_PER_ATOM` added for each atom, since time grows with their number; at most
`_MAX_PER_FORMULA` of a formula in a round, and none above `MAX_UNRELAXED_EV_PER_ATOM`. The others
wait for later rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from crystext.discover.history import History
from crystext.discover.records import Outcome, SampledText
from crystext.discover.tools import MAX_SECONDS, Report, SearchTools
from crystext.energies.judges import judge_crystals
from crystext.energies.relax import RelaxationLimits
from crystext.predict.base import Predictor
from crystext.runtime.processes import Workers
from crystext.structures.record import Record

ATOM_COST_EV_PER_ATOM = 0.005
"""What an atom more counts when crystals are chosen for relaxation."""

MAX_UNRELAXED_EV_PER_ATOM = 1.0
"""eV/atom above the limit of candidates, beyond which a crystal as drawn is never relaxed."""

SCREENED_PER_RELAXED = 4
"""Crystals that get an energy as drawn, for each that is relaxed."""

PREDICTED = "e_above_hull"
"""The property that the predictor ranks by."""

_MAX_PER_FORMULA = 2


def predict(
    texts: Sequence[SampledText], history: History, predictor: Predictor | None
) -> list[SampledText]:
    """Return the texts, those that passed all checks with their predicted energies."""
    passed = [text for text in texts if text.outcome is Outcome.WAITING]
    if predictor is None or not passed:
        return list(texts)
    records = [Record(history.crystal(text), name=str(text.index)) for text in passed]
    predictions = predictor.predict(records, [PREDICTED])[PREDICTED]
    values = predictions.values if predictions.means is None else predictions.means
    predicted = {
        text.index: float(f"{value:.6g}") if np.isfinite(value) else None
        for text, value in zip(passed, values.tolist(), strict=True)
    }
    return [replace(text, predicted=predicted.get(text.index)) for text in texts]


def rank_by_text(texts: Sequence[SampledText]) -> list[SampledText]:
    """Return texts, the most promising first, by the sum of two ranks.

    The ranks are by predicted energy above the hull, and by log-probability per atom; where no text
    has a prediction, the second alone.
    """
    by_energy = sorted(
        texts, key=lambda x: (np.inf if x.predicted is None else x.predicted, x.index)
    )
    by_text = sorted(texts, key=lambda x: (-x.log_probability_per_atom, x.index))
    ranks: Counter[int] = Counter()
    for order in (
        (by_energy, by_text) if any(x.predicted is not None for x in texts) else (by_text,)
    ):
        ranks.update({text.index: rank for rank, text in enumerate(order)})
    return sorted(texts, key=lambda x: (ranks[x.index], x.index))


def screen(
    waiting: Mapping[int, SampledText],
    history: History,
    tools: SearchTools,
    count: int,
    workers: Workers,
    report: Report,
) -> dict[int, float | None]:
    """Return the energies above the hull of crystals as drawn, of the most promising without."""
    without = [text for index, text in waiting.items() if index not in history.unrelaxed]
    first = {x.index: history.crystal(x) for x in rank_by_text(without)[:count]}
    report("energies before relaxing", 0, len(first))
    limits = RelaxationLimits(steps=0, seconds=MAX_SECONDS)
    results = judge_crystals(tools.judges[0], first, limits, workers=workers)
    return {index: result.above_hull for index, result in results.items()}


def choose(
    waiting: Mapping[int, SampledText],
    unrelaxed: Mapping[int, float | None],
    count: int,
    below: float,
) -> list[SampledText]:
    """Return the texts to relax, the most promising first."""
    ranked = sorted(
        (above + ATOM_COST_EV_PER_ATOM * (text.n_atoms or 0), index)
        for index, text in waiting.items()
        if (above := unrelaxed.get(index)) is not None
        and above <= below + MAX_UNRELAXED_EV_PER_ATOM
    )
    chosen: list[SampledText] = []
    formulas: Counter[str | None] = Counter()
    for _, index in ranked:
        text = waiting[index]
        if len(chosen) < count and formulas[text.formula] < _MAX_PER_FORMULA:
            formulas[text.formula] += 1
            chosen.append(text)
    return chosen
