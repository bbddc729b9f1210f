"""Free positions for one more atom given x or (x, y); falls back to the emptiest one.

Handles a batch of crystals. If no position is free, the emptiest one is the only one allowed; its y
is determined to a 50th of the cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools, blocked_z, clearances, has_free_z

_SEARCH_GRID = 50
"""Points along each side of the grid on which the emptiest position of a plane is searched."""


class Surroundings(NamedTuple):
    """The atoms from which one more atom has to keep its distance, in each of R crystals."""

    lattice: Floats
    """Basis vectors as rows, Å; shape (R, 3, 3)."""
    positions: Floats
    """Fractional coordinates of the atoms that have a position; shape (R, N, 3)."""
    min_distances: Floats
    """Minimum distance from each, Å; shape (R, N)."""

    def clearance(self, row: int, points: Floats) -> Floats:
        """Return the clearance at points (M, 3) of one crystal, in Å: shape (M,)."""
        if not self.positions.shape[1]:
            return np.full(len(points), np.inf)
        return clearances(self.lattice[row], self.positions[row], self.min_distances[row], points)

    def has_free_z(self, columns: Floats, grid: int) -> Bools:
        """Return which x and y (R, 2) have a free z: shape (R,)."""
        return has_free_z(*self, columns, grid)

    def free_y(self, row: int, x: float, grid: int) -> Bools:
        """Return which y have a free z in one crystal, given x: shape (grid,)."""
        columns = np.stack([np.full(grid, x), np.arange(grid) / grid], axis=1)
        same = np.full(grid, row)
        room = has_free_z(
            self.lattice[same], self.positions[same], self.min_distances[same], columns, grid
        )
        if not room.any():
            net: Ints = np.arange(0, grid, max(1, grid // _SEARCH_GRID))
            y, z = np.repeat(net, len(net)), np.tile(net, len(net))
            places = np.stack([np.full(len(y), x), y / grid, z / grid], axis=1)
            room[y[self.clearance(row, places).argmax()]] = True
        return room

    def free_z(self, columns: Floats, grid: int) -> Bools:
        """Return which z are free, given x and y (R, 2): shape (R, grid)."""
        free: Bools = ~blocked_z(*self, columns, grid)
        for row in np.flatnonzero(~free.any(axis=1)).tolist():
            x, y = columns[row].tolist()
            places = np.stack([np.full(grid, x), np.full(grid, y), np.arange(grid) / grid], axis=1)
            free[row, self.clearance(row, places).argmax()] = True
        return free
