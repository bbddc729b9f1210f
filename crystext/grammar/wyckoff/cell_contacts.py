"""Whether a new orbit keeps its distance from other atoms in a known cell."""

from __future__ import annotations

import numpy as np

from crystext.structures.crystal import Floats
from crystext.structures.distances import Bools, min_distances, minkowski_reduce
from crystext.structures.wyckoff.setting import OrbitMap

_STEPS = np.indices((3, 3, 3)).reshape(3, -1).T - 1.0


class CellContacts:
    """The minimum distances of atoms in one cell, which is reduced once."""

    def __init__(self, lattice: Floats, min_distance_ratio: float) -> None:
        """Reduce the cell.

        Args:
            lattice: basis vectors as rows, Å; shape (3, 3).
            min_distance_ratio: see `Constraints`; 0 allows every distance.
        """
        basis = minkowski_reduce(lattice[None])[0]
        self._basis, self._images = basis, _STEPS @ basis
        self._to_basis = lattice @ np.linalg.inv(basis)
        self._shortest = float(np.linalg.norm(basis[0]))
        self._table = min_distances(min_distance_ratio) if min_distance_ratio > 0 else None

    def fits(
        self, map_: OrbitMap, free: Floats, number: int, others: list[tuple[int, Floats]]
    ) -> Bools:
        """Return which orbits of a position keep their distance.

        Args:
            map_: of the position.
            free: free coordinates of each orbit; shape (V, K).
            number: atomic number of the orbit.
            others: element and sites of the atoms that are there.

        Returns:
            Shape (V,).
        """
        if self._table is None:
            return np.ones(len(free), dtype=np.bool_)
        row = self._table[number]
        if self._shortest < row[number]:
            return np.zeros(len(free), dtype=np.bool_)
        sites = map_.offsets + np.einsum("sik,vk->vsi", map_.matrices, free)
        first = sites[:, :1]
        clear: Bools = (self._distances(sites[:, 1:] - first) >= row[number]).all(axis=1)
        for z, there in others:
            if clear.any():
                clear[clear] = (self._distances(there - first[clear]) >= row[z]).all(axis=1)
        return clear

    def _distances(self, away: Floats) -> Floats:
        """Return the lengths of the shortest images of vectors: (V, N, 3) to (V, N)."""
        short = away @ self._to_basis
        short -= np.rint(short)
        images = (short @ self._basis)[:, :, None] + self._images
        return np.asarray(np.sqrt((images**2).sum(axis=3).min(axis=2)))
