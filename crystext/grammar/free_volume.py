"""Where there is room for one more atom, in a plane and in a line of the cell: never nowhere.

Many crystals are asked about at once. Where the surroundings leave no place, the roomiest is the
only one; its y is found to a 50th of the cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools, blocked_z, clearances, has_free_z

_SEARCH_GRID = 50
"""Places along each side of the net on which the roomiest place of a plane is looked for."""


class Surroundings(NamedTuple):
    """What one more atom has to keep away from, in each of R crystals."""

    lattice: Floats
    """Basis vectors as rows, Å; shape (R, 3, 3)."""
    positions: Floats
    """Fractional coordinates of the atoms that have a place; shape (R, N, 3)."""
    min_distances: Floats
    """How far to stay from each, Å; shape (R, N)."""

    def clearance(self, row: int, points: Floats) -> Floats:
        """Return how much room there is at points (M, 3) of one crystal, in Å: shape (M,)."""
        if not self.positions.shape[1]:
            return np.full(len(points), np.inf)
        return clearances(self.lattice[row], self.positions[row], self.min_distances[row], points)

    def has_free_z(self, columns: Floats, grid: int) -> Bools:
        """Tell which x and y (R, 2) leave some z: shape (R,)."""
        return has_free_z(*self, columns, grid)

    def free_y(self, row: int, x: float, grid: int) -> Bools:
        """Return which y leave some z in one crystal, given x: shape (grid,)."""
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
