"""Where the next texts are drawn: a bandit over the conditions of a search.

An arm is a set of conditions. The first arms are the conditions of the search itself, once for
texts that the model writes freely, and once for known crystals with elements exchanged (see
`exchanges`), as long as there are any. Each formula, space group and number of atoms (of the
relaxed crystal's text) that was seen within `ARM_MARGIN_EV_PER_ATOM` above the limit becomes an arm
that requests it as well. The texts of a round are drawn in batches; for each batch, Thompson
sampling (Thompson, Biometrika 25, 285 (1933)) chooses the arm: of a draw from each arm's
distribution

    θ_a ~ Beta(1 + successes_a, 1 + failures_a)

the largest wins. A crystal that became a candidate is a success of each arm whose conditions it
fulfils, and any other relaxed crystal a failure; a text that is never relaxed because it is
invalid, known, a duplicate or too high in energy as drawn counts as `CHEAP_FAILURE` of a failure,
since it costs about so much less. So
a formula with low energies is drawn more often, and less often once its crystals come again. The
first arms count only the texts that they drew themselves. Of every four batches, at least the
first is of exchanges, and the last is written freely: unseen formulas have no arm, and one of many
arms always seems better than both.

The draws follow from the seed and the number of the round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crystext.conditions import Conditions
from crystext.discover.records import Outcome, RelaxedRecord, SampledText
from crystext.errors import SettingError

ARM_MARGIN_EV_PER_ATOM = 0.05
"""How far above the limit of candidates a crystal may be that makes an arm."""

CHEAP_FAILURE = 0.1
"""Weight of a text that is not relaxed: drawing it took about a tenth of a relaxation."""

FIRST_ARM = "all"
"""Label of the arm of the search's own conditions."""

EXPLORATION = 4
"""Every so many batches, one is of exchanges, and one is written freely."""

_MAX_ARMS = 8
"""Arms of each kind, those with the lowest energies."""


@dataclass(frozen=True)
class Arm:
    """Conditions to draw from."""

    label: str
    conditions: Conditions
    exchanges: bool = False
    """Whether its texts are known crystals with elements exchanged."""


@dataclass
class ArmStatistics:
    """What came of the texts so far, by the labels of arms."""

    successes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failures: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    energies: dict[str, float] = field(default_factory=dict)
    """Lowest energy above the hull, in eV/atom."""
    texts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Texts that the arm drew."""

    def add_text(self, text: SampledText) -> None:
        """Count a text that was drawn."""
        self.texts[text.arm] += 1
        if text.outcome is Outcome.WAITING:
            return
        self.add_hopeless(text)

    def add_hopeless(self, text: SampledText) -> None:
        """Count a text that is never relaxed."""
        for label in {text.arm, *labels_of(text)}:
            self.failures[label] += CHEAP_FAILURE

    def add_relaxed(self, text: SampledText, relaxed: RelaxedRecord) -> None:
        """Count a relaxed crystal."""
        counts = self.successes if relaxed.outcome is Outcome.CANDIDATE else self.failures
        for label in {text.arm, *labels_of(text)}:
            counts[label] += 1
        if (above := relaxed.above_hull) is not None:
            for label in labels_of(text):
                self.energies[label] = min(above, self.energies.get(label, np.inf))


def labels_of(text: SampledText) -> list[str]:
    """Return the labels of the arms that request what a text has."""
    parts = (
        ("formula", text.formula),
        ("space group", text.space_group),
        ("atoms", text.n_atoms),
    )
    return [f"{kind} {value}" for kind, value in parts if value is not None]


def first_arms(targets: Sequence[Conditions]) -> list[Arm]:
    """Return the arms of the conditions of the search itself."""
    if len(targets) == 1:
        return [Arm(FIRST_ARM, targets[0])]
    return [Arm(f"system {'-'.join(x.chemical_system)}", x) for x in targets]


def exchange_arms(targets: Sequence[Conditions]) -> list[Arm]:
    """Return the arms of known crystals with elements exchanged."""
    return [Arm(f"exchange: {arm.label}", arm.conditions, True) for arm in first_arms(targets)]


def narrowed_arms(
    conditions: Conditions, statistics: ArmStatistics, limit: float, infeasible: Iterable[str] = ()
) -> list[Arm]:
    """Return the arms of formulas, space groups and numbers of atoms with low energies.

    Args:
        conditions: of the search; what they fix needs no arm.
        statistics: of the texts so far.
        limit: eV/atom above the hull, of candidates.
        infeasible: labels of arms that the model cannot draw.
    """
    low = sorted(
        (energy, label)
        for label, energy in statistics.energies.items()
        if energy < limit + ARM_MARGIN_EV_PER_ATOM
    )
    arms: list[Arm] = []
    counts: dict[str, int] = defaultdict(int)
    excluded = set(infeasible)
    for _, label in low:
        kind, _, value = label.rpartition(" ")
        if label in excluded or counts[kind] >= _MAX_ARMS:
            continue
        narrowed = _narrow(conditions, kind, value)
        if narrowed is not None:
            counts[kind] += 1
            arms.append(Arm(label, narrowed))
    return arms


def choose_arms(
    first: Sequence[Arm],
    others: Sequence[Arm],
    statistics: ArmStatistics,
    batches: int,
    rng: np.random.Generator,
) -> list[Arm]:
    """Return the arm of each batch of a round, by Thompson sampling.

    Args:
        first: arms of the search's own conditions, of which the model writes freely.
        others: all others.
        statistics: of the texts so far.
        batches: number of batches.
        rng: the only source of randomness.
    """
    exchanges = [arm for arm in others if arm.exchanges]

    def choices(batch: int) -> Sequence[Arm]:
        place = batch % EXPLORATION
        if place == EXPLORATION - 1:
            return first
        return exchanges if place == 0 and exchanges else [*first, *others]

    return [_largest_draw(choices(batch), statistics, rng) for batch in range(batches)]


def _largest_draw(arms: Sequence[Arm], statistics: ArmStatistics, rng: np.random.Generator) -> Arm:
    draws = [
        rng.beta(1 + _count(statistics.successes, arm), 1 + _count(statistics.failures, arm))
        for arm in arms
    ]
    return arms[int(np.argmax(draws))]


def _count(counts: Mapping[str, float], arm: Arm) -> float:
    return counts.get(arm.label, 0.0)


def _narrow(conditions: Conditions, kind: str, value: str) -> Conditions | None:
    """Return the conditions with one more; None if they fix it already, or contradict it."""
    try:
        if kind == "formula" and conditions.composition is None:
            return replace(conditions, chemical_system=(), composition=value)
        if kind == "space group" and conditions.space_group is None:
            return replace(conditions, space_group=int(value))
        if kind == "atoms" and not _fixes_size(conditions):
            return replace(conditions, n_atoms=(int(value), int(value)))
    except SettingError:
        # Such as a formula whose charges cannot balance.
        return None
    return None


def _fixes_size(conditions: Conditions) -> bool:
    return conditions.n_atoms is not None and conditions.n_atoms[0] == conditions.n_atoms[1]
