"""Completions that differ only in the last digits of their coordinates, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crystext.generation.infilling.orbit_task import FilledCrystal
from crystext.grammar.wyckoff.completion import Placement

_SMOOTHING = 0.01
"""Fractional; distance s over which the probability of coordinates is summed."""

_SAME_COORDINATES = 0.05
"""Fractional; texts that differ by less, all free coordinates together, are one crystal."""


@dataclass(eq=False)
class Candidate:
    """A completed crystal, its text and how probable it is."""

    filled: FilledCrystal
    text: str
    place: int
    """Index of the part of the task; see `WyckoffTask`."""
    placements: tuple[Placement, ...]
    """The orbits, and the gaps that they fill."""
    times_drawn: int = 0
    score: float = float("nan")
    too_close: bool = False


class Cluster(NamedTuple):
    """Candidates with the same Wyckoff positions and nearly the same coordinates."""

    best: Candidate
    """The one with most probability around it."""
    score: float
    """Log-probability of all of them together."""
    times_drawn: int


def cluster(candidates: Sequence[Candidate]) -> list[Cluster]:
    """Return candidates that differ little together: one crystal, written with other digits.

    Each crystal has many texts, and the probability of one depends on its last digits. So the text
    with the largest sum of p(other) exp(-d^2 / 2 s^2) stands for the cluster, d the distance of the
    free coordinates.
    """
    groups: dict[tuple[object, ...], list[Candidate]] = {}
    for each in candidates:
        orbits = each.filled.wyckoff.orbits
        key = tuple((orbit.atomic_number, orbit.position.name) for orbit in orbits)
        groups.setdefault((each.place, each.too_close, key), []).append(each)
    clusters = []
    for group in groups.values():
        free = np.array(
            [
                np.concatenate([o.free_coordinates for o in each.filled.wyckoff.orbits])
                for each in group
            ]
        )
        cells = np.log(np.array([each.filled.wyckoff.cell for each in group]))
        scores = np.array([each.score for each in group])
        away = free[:, None] - free
        away -= np.rint(away)
        squares = (away**2).sum(axis=2) + ((cells[:, None] - cells) ** 2).sum(axis=2)
        mass = np.logaddexp.reduce(scores[None] - squares / (2 * _SMOOTHING**2), axis=1)
        left = np.ones(len(group), dtype=np.bool_)
        for i in np.argsort(-mass, kind="stable").tolist():
            if left[i]:
                members = left & (squares[i] <= _SAME_COORDINATES**2)
                left &= ~members
                times = sum(group[j].times_drawn for j in np.flatnonzero(members).tolist())
                total = float(np.logaddexp.reduce(scores[members]))
                clusters.append(Cluster(group[i], total, times))
    return clusters
