"""The arrays of a batch of unfinished crystals, shared by both automata of coordinates."""

from __future__ import annotations

from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools


class BatchState:
    """Cells and atoms of B unfinished crystals."""

    lengths: Floats
    """Å: shape (B, 3)."""
    angles: Floats
    """Degrees: shape (B, 3)."""
    numbers: Ints
    """Atomic numbers: shape (B, sites)."""
    positions: Floats
    """Fractional coordinates: shape (B, sites, 3)."""
    _lattice: Floats
    _shortest_lattice_vector: Floats

    def keep(self, rows: Bools | Ints) -> None:
        """Keep these crystals only.

        Args:
            rows: a mask, or row indices in the new order.
        """
        self.lengths, self.angles = self.lengths[rows], self.angles[rows]
        self.numbers, self.positions = self.numbers[rows], self.positions[rows]
        self._lattice = self._lattice[rows]
        self._shortest_lattice_vector = self._shortest_lattice_vector[rows]
