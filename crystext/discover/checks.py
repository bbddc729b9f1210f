"""What a crystal must be, before it is relaxed and after: a list of checks, each with its reason.

A check is a function of a crystal that returns why it fails, in a few words, or None. The same list
is applied twice, because relaxing may break what held before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crystext.conditions import Conditions
from crystext.metrics.structure_validity import structure_failure
from crystext.structures.crystal import Crystal
from crystext.structures.distances import shortest_lattice_vector

Check = Callable[[Crystal], str | None]

MIN_DISTANCE = 0.7
"""Å between two atoms; below it, no relaxation starts (`energies.relax`)."""

MIN_VOLUME, MAX_VOLUME = 4.0, 150.0
"""Å^3 per atom; far beyond those of any crystal in the data."""

MAX_VOLUME_CHANGE = 2.0
"""Factor by which a crystal may shrink or grow as it relaxes; beyond it is another crystal than the
one that was drawn, most often a gas or a collapsed cell."""


def first_failure(crystal: Crystal, checks: Sequence[Check]) -> str | None:
    """Return why a crystal fails the first of the checks that it fails, or None."""
    return next((reason for check in checks if (reason := check(crystal)) is not None), None)


def check_structure(crystal: Crystal) -> str | None:
    """Return why the distances or the volume of a crystal are impossible, or None."""
    failure = structure_failure(
        crystal, min_distance=MIN_DISTANCE, min_volume=MIN_VOLUME * len(crystal)
    )
    if failure is not None:
        return failure.value
    volume = crystal.volume / len(crystal)
    return None if volume <= MAX_VOLUME else f"{volume:.0f} Å^3 per atom"


class ConditionCheck:
    """Whether a crystal satisfies the conditions that can be measured in it."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions

    def __call__(self, crystal: Crystal) -> str | None:
        """Return the conditions that it misses, or None."""
        missed = [
            f"{record.name} is {record.actual}, not {record.requested}"
            for record in self.conditions.check(crystal)
            if record.satisfied is False
        ]
        return "; ".join(missed) or None


def missed_conditions(message: str) -> list[str]:
    """Return the names of the conditions in a message of `ConditionCheck`."""
    return [part.partition(" is ")[0] for part in message.split("; ")]


def volume_failure(ratio: float) -> str | None:
    """Return why a change of volume is too large, or None.

    Args:
        ratio: volume after over before.
    """
    if 1 / MAX_VOLUME_CHANGE <= ratio <= MAX_VOLUME_CHANGE:
        return None
    return f"its volume became {ratio:.2f} times as large"


def smallest_distance(crystal: Crystal) -> float:
    """Return the smallest distance of two atoms in Å, images included."""
    own = float(shortest_lattice_vector(crystal.lattice[None])[0])
    if len(crystal) == 1:
        return own
    distances = crystal.structure.distance_matrix
    pairs = distances[~np.eye(len(crystal), dtype=bool)]
    return min(own, float(pairs.min()))
