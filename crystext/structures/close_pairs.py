"""Pairs of atoms that are close for their elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.structures.distances import min_distances, pair_distances


@dataclass(frozen=True)
class Contact:
    """Two atoms that are close for their elements; images included."""

    sites: tuple[int, int]
    """From 0; twice the same for an atom and its own image."""
    symbols: tuple[str, str]
    distance: float
    """Å."""
    ratio: float
    """Over the sum of their covalent radii."""


def iter_contacts(crystal: Crystal) -> Iterator[Contact]:
    """Yield all pairs of atoms, those that are closest for their elements first."""
    distances = pair_distances(crystal.lattice, crystal.positions)
    ratios = distances / min_distances(1.0)[crystal.numbers[:, None], crystal.numbers]
    first, second = np.triu_indices(len(crystal))
    for i in np.argsort(ratios[first, second], kind="stable").tolist():
        a, b = int(first[i]), int(second[i])
        names = crystal.symbols[a], crystal.symbols[b]
        yield Contact((a, b), names, float(distances[a, b]), float(ratios[a, b]))
