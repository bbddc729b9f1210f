"""The numbers of a batch of unfinished crystals, which both automata of coordinates hold."""

from __future__ import annotations

from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools


class BatchState:
    """Cells and atoms of B crystals, as far as they are written."""

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
        """Go on with these crystals only.

        Args:
            rows: a mask, or the rows in the order that they are to have.
        """
        self.lengths, self.angles = self.lengths[rows], self.angles[rows]
        self.numbers, self.positions = self.numbers[rows], self.positions[rows]
        self._lattice = self._lattice[rows]
        self._shortest_lattice_vector = self._shortest_lattice_vector[rows]
