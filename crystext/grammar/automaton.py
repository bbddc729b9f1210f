"""The state of crystals being written, and which values their next field can take.

Many crystals advance together, field by field; for one crystal, take a batch of one. After any
sequence of allowed values that is terminated by the end, the values make a crystal: the cell
closes, has volume and the requested crystal system, and the atoms have the requested elements and
number. From every state some sequence leads there. With a `min_distance_ratio` above zero no two
atoms, periodic images included, are closer than `distances.min_distances`, except where a cell is
so crowded that the plane of the chosen x has no free position. Then the emptiest position of that
plane is the only one allowed, its y determined to a 50th of the cell.
"""

from __future__ import annotations

import numpy as np

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.batch_state import BatchState
from crystext.grammar.cells import CellRules
from crystext.grammar.composition import CompositionRules
from crystext.grammar.fields import END, Field, FieldKind, decimals_of, field_at, value_count
from crystext.grammar.free_volume import Surroundings
from crystext.structures.crystal import Crystal, Floats, Ints, basis_vectors
from crystext.structures.distances import Bools, min_distances, shortest_lattice_vector
from crystext.text import Format


class CoordinateAutomaton(BatchState):
    """A batch of B unfinished crystals, all at the same field."""

    def __init__(
        self,
        fmt: Format,
        batch: int,
        constraints: Constraints,
    ) -> None:
        """Start crystals at their first field.

        Args:
            fmt: the format their text will have.
            batch: number of crystals.
            constraints: that each crystal satisfies.
        """
        self.format, self.constraints = fmt, constraints
        max_atoms, self.min_distance_ratio = constraints.max_atoms, constraints.min_distance_ratio
        self.field_index = 0
        """Index of the field that comes next."""
        self.lengths = np.zeros((batch, 3))
        self.angles = np.zeros((batch, 3))
        self.numbers = np.zeros((batch, max_atoms + 1), dtype=np.int64)
        self.positions = np.zeros((batch, max_atoms + 1, 3))
        self._lattice = np.zeros((batch, 3, 3))
        self._shortest_lattice_vector = np.zeros(batch)
        self._composition = CompositionRules(constraints)
        system, volume = constraints.crystal_system, self._composition.min_volume
        self._cells = CellRules(fmt, system or "triclinic", self._min_vector_length(), volume)

    @property
    def field(self) -> Field:
        """The field that comes next."""
        return field_at(self.field_index)

    def separator_after(self, value: int) -> str:
        """Return the separator between the next field and the one after it, for any value."""
        return field_at(self.field_index + 1).separator

    @property
    def is_given(self) -> bool:
        """Whether the value of the next field is given; never, in a crystal from scratch."""
        return False

    @property
    def atoms(self) -> int:
        """Number of atoms begun or finished, the same in every crystal of the batch."""
        return max(0, (self.field_index - 6 + 3) // 4)

    def __len__(self) -> int:
        return len(self.lengths)

    def allowed(self) -> Bools:
        """Return which values the next field can take: shape (B, number of values).

        For the last two coordinates this checks every value. `leaves_free_z` checks a single y per
        crystal, which is cheaper when many crystals are sampled.
        """
        field = self.field
        if field.kind is FieldKind.LENGTH:
            return self._cells.allowed_lengths(self.lengths, field.axis)
        if field.kind is FieldKind.ANGLE:
            return self._cells.allowed_angles(self.lengths, self.angles, field.axis)
        if field.kind is FieldKind.ELEMENT:
            return self._allowed_elements()
        everywhere = np.ones((len(self), self._grid_size), dtype=np.bool_)
        if field.axis == 0 or self.min_distance_ratio == 0:
            return everywhere
        if field.axis == 1:
            return np.stack([self.free_y(row) for row in range(len(self))])
        columns = self.positions[:, self.atoms - 1, :2]
        return self._surroundings(np.arange(len(self))).free_z(columns, self._grid_size)

    def leaves_free_z(self, y: Ints, rows: Ints | None = None) -> Bools:
        """Return for each crystal whether the current atom has a free z if it takes this y.

        Args:
            y: a value of the second coordinate for each of these crystals; shape (R,).
            rows: indices of the crystals; None for all.
        """
        if self.min_distance_ratio == 0:
            return np.ones(len(y), dtype=np.bool_)
        rows = np.arange(len(self)) if rows is None else rows
        columns = np.stack(
            [self.positions[rows, self.atoms - 1, 0], self._to_fractional(y)], axis=1
        )
        return self._surroundings(rows).has_free_z(columns, self._grid_size)

    def free_y(self, row: int) -> Bools:
        """Return which y leave the current atom of a crystal a free z: shape (number of values,).

        If none does, only the y of the emptiest position is returned.
        """
        x = float(self.positions[row, self.atoms - 1, 0])
        return self._surroundings(np.array([row])).free_y(0, x, self._grid_size)

    def push(self, values: Ints) -> None:
        """Take a value for the next field of each crystal.

        An element's value must not be the end here: remove crystals that end by `keep` first.
        """
        field = self.field
        if field.kind is FieldKind.LENGTH:
            self.lengths[:, field.axis] = values / 10.0 ** decimals_of(field.kind, self.format)
        elif field.kind is FieldKind.ANGLE:
            self.angles[:, field.axis] = values / 10.0 ** decimals_of(field.kind, self.format)
            if field.axis == 2:
                self._lattice = basis_vectors(self.lengths, self.angles)
                self._shortest_lattice_vector = shortest_lattice_vector(self._lattice)
        elif field.kind is FieldKind.ELEMENT:
            assert (values != END).all(), "crystals that end leave the batch"
            self.numbers[:, self.atoms] = values
        else:
            self.positions[:, self.atoms - 1, field.axis] = self._to_fractional(values)
        self.field_index += 1

    def crystal(self, row: int) -> Crystal:
        """Return one crystal with its complete atoms."""
        whole = max(0, (self.field_index - 6) // 4)
        return Crystal(
            self.lengths[row].copy(),
            self.angles[row].copy(),
            self.numbers[row, :whole].copy(),
            self.positions[row, :whole].copy(),
        )

    def copy(self) -> CoordinateAutomaton:
        """Return an independent automaton in the same state."""
        twin = object.__new__(CoordinateAutomaton)
        twin.__dict__.update(self.__dict__)
        for name in ("lengths", "angles", "numbers", "positions"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def _min_vector_length(self) -> float:
        """Return the least length of a lattice vector, in Å.

        Each required element has to be far enough from its own images, and others as far as they
        are needed for enough atoms.
        """
        if self.min_distance_ratio == 0:
            return 0.0
        own = np.diagonal(min_distances(self.min_distance_ratio))
        return self._composition.min_own_distance(own)

    def _to_fractional(self, values: Ints) -> Floats:
        fractions: Floats = values / 10.0 ** decimals_of(FieldKind.COORDINATE, self.format)
        return fractions

    def _allowed_elements(self) -> Bools:
        fits: Bools | None = None
        volumes: Floats | None = None
        if self.min_distance_ratio > 0:
            own = np.diagonal(min_distances(self.min_distance_ratio))
            fits = np.asarray(own <= self._shortest_lattice_vector[:, None] + 1e-7)
            volumes = np.asarray(np.linalg.det(self._lattice))
        return self._composition.allowed(self.numbers[:, : self.atoms], fits, volumes)

    @property
    def _grid_size(self) -> int:
        return value_count(FieldKind.COORDINATE, self.format)

    def _surroundings(self, rows: Ints) -> Surroundings:
        """Return the atoms from which the current atom has to keep its distance."""
        done = self.atoms - 1
        table = min_distances(self.min_distance_ratio)
        distances = table[self.numbers[rows, done, None], self.numbers[rows, :done]]
        return Surroundings(self._lattice[rows], self.positions[rows, :done], distances)
