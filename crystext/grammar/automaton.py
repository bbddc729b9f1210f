"""The state of crystals being written, and which values their next field can take.

Many crystals advance together, field by field; for one crystal, take a batch of one. After any
sequence of allowed values that ends with the end, the values make a crystal: the cell closes, has
volume and is of the crystal system asked for, and the atoms are of the elements and the number
asked for. From every state some sequence leads there. With a distance scale above zero no
atom is nearer to an image of itself than `geometry.least_distances` has it, and no two atoms are,
save where a cell is so crowded that no place is left in the plane of an x already chosen. Then the
roomiest place of that plane is the only one allowed, its y found to a 50th of the cell.
"""

from __future__ import annotations

import numpy as np

from crystext.conditions.constraints import Constraints
from crystext.grammar.cells import CellRules
from crystext.grammar.composition import Composition
from crystext.grammar.fields import END, Field, Kind, field_at, value_count
from crystext.grammar.free_volume import Surroundings
from crystext.structures.crystal import Crystal, Floats, Ints, basis_vectors
from crystext.structures.distances import Bools, least_distances, shortest_lattice_vector
from crystext.text import Format


class Automaton:
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
            batch: how many.
            constraints: what each of them has to be.
        """
        self.format, self.constraints = fmt, constraints
        max_atoms, self.distance_scale = constraints.max_atoms, constraints.distance_scale
        self.place = 0
        """Index of the field that comes next."""
        self.lengths: Floats = np.zeros((batch, 3))
        self.angles: Floats = np.zeros((batch, 3))
        self.numbers: Ints = np.zeros((batch, max_atoms + 1), dtype=np.int64)
        self.positions: Floats = np.zeros((batch, max_atoms + 1, 3))
        self._lattice: Floats = np.zeros((batch, 3, 3))
        self._shortest: Floats = np.zeros(batch)
        self._composition = Composition(constraints)
        system, volume = constraints.crystal_system, self._composition.least_volume
        self._cells = CellRules(fmt, system or "triclinic", self._contact(), volume)

    @property
    def field(self) -> Field:
        """The field that comes next."""
        return field_at(self.place)

    def separator_behind(self, value: int) -> str:
        """Return what stands between the next field and the one behind it, whatever its value."""
        return field_at(self.place + 1).separator

    @property
    def is_given(self) -> bool:
        """Whether the value of the next field is given; never, in a crystal from scratch."""
        return False

    @property
    def atoms(self) -> int:
        """Number of atoms begun or finished, the same in every crystal of the batch."""
        return max(0, (self.place - 6 + 3) // 4)

    def __len__(self) -> int:
        return len(self.lengths)

    def allowed(self) -> Bools:
        """Return which values the next field can take: shape (B, number of values).

        For the last two coordinates this looks at every value. `has_room` asks about one y a
        crystal only, which is what a sampler of many crystals wants.
        """
        field = self.field
        if field.kind is Kind.LENGTH:
            return self._cells.allowed_lengths(self.lengths, field.axis)
        if field.kind is Kind.ANGLE:
            return self._cells.allowed_angles(self.lengths, self.angles, field.axis)
        if field.kind is Kind.ELEMENT:
            return self._allowed_elements()
        everywhere = np.ones((len(self), self._grid), dtype=np.bool_)
        if field.axis == 0 or self.distance_scale == 0:
            return everywhere
        if field.axis == 1:
            return np.stack([self.rows_with_room(row) for row in range(len(self))])
        columns = self.positions[:, self.atoms - 1, :2]
        return self._surroundings(np.arange(len(self))).z(columns, self._grid)

    def has_room(self, y: Ints, rows: Ints | None = None) -> Bools:
        """Tell for each crystal whether some z is left for the atom at hand if it takes this y.

        Args:
            y: a value of the second coordinate for each crystal asked about; shape (R,).
            rows: these crystals; None asks about all.
        """
        if self.distance_scale == 0:
            return np.ones(len(y), dtype=np.bool_)
        rows = np.arange(len(self)) if rows is None else rows
        columns = np.stack([self.positions[rows, self.atoms - 1, 0], self._fraction(y)], axis=1)
        return self._surroundings(rows).columns(columns, self._grid)

    def rows_with_room(self, row: int) -> Bools:
        """Return which y leave a z for the atom at hand of one crystal: shape (number of values,).

        If none does, that of the roomiest place is the only one.
        """
        x = float(self.positions[row, self.atoms - 1, 0])
        return self._surroundings(np.array([row])).y(0, x, self._grid)

    def push(self, values: Ints) -> None:
        """Take a value for the next field of each crystal.

        An element's value must not be the end here: crystals that end leave by `keep` first.
        """
        field = self.field
        if field.kind is Kind.LENGTH:
            self.lengths[:, field.axis] = values / 10.0**self.format.length_decimals
        elif field.kind is Kind.ANGLE:
            self.angles[:, field.axis] = values / 10.0**self.format.angle_decimals
            if field.axis == 2:
                self._lattice = basis_vectors(self.lengths, self.angles)
                self._shortest = shortest_lattice_vector(self._lattice)
        elif field.kind is Kind.ELEMENT:
            assert (values != END).all(), "crystals that end leave the batch"
            self.numbers[:, self.atoms] = values
        else:
            self.positions[:, self.atoms - 1, field.axis] = self._fraction(values)
        self.place += 1

    def keep(self, rows: Bools | Ints) -> None:
        """Go on with these crystals only: a mask, or their rows in the order they are to have."""
        self.lengths, self.angles = self.lengths[rows], self.angles[rows]
        self.numbers, self.positions = self.numbers[rows], self.positions[rows]
        self._lattice, self._shortest = self._lattice[rows], self._shortest[rows]

    def crystal(self, row: int) -> Crystal:
        """Return one crystal as far as it has whole atoms."""
        whole = max(0, (self.place - 6) // 4)
        return Crystal(
            self.lengths[row].copy(),
            self.angles[row].copy(),
            self.numbers[row, :whole].copy(),
            self.positions[row, :whole].copy(),
        )

    def copy(self) -> Automaton:
        """Return an automaton in the same state that goes its own way."""
        twin = object.__new__(Automaton)
        twin.__dict__.update(self.__dict__)
        for name in ("lengths", "angles", "numbers", "positions"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def _contact(self) -> float:
        """Return the least length of a lattice vector, in Å.

        Each required element has to be far enough from its own images, or at least some element.
        """
        if self.distance_scale == 0:
            return 0.0
        own = np.diagonal(least_distances(self.distance_scale))
        required, permitted = self._composition.required, self._composition.permitted
        return float(own[required].max() if len(required) else own[1:][permitted[1:]].min())

    def _fraction(self, values: Ints) -> Floats:
        fractions: Floats = values / 10.0**self.format.coordinate_decimals
        return fractions

    def _allowed_elements(self) -> Bools:
        fits: Bools | None = None
        volumes: Floats | None = None
        if self.distance_scale > 0:
            own = np.diagonal(least_distances(self.distance_scale))
            fits = np.asarray(own <= self._shortest[:, None] + 1e-7)
            volumes = np.asarray(np.linalg.det(self._lattice))
        return self._composition.allowed(self.numbers[:, : self.atoms], fits, volumes)

    @property
    def _grid(self) -> int:
        return value_count(Kind.COORDINATE, self.format)

    def _surroundings(self, rows: Ints) -> Surroundings:
        """Return what the atom at hand of these crystals has to keep away from."""
        done = self.atoms - 1
        table = least_distances(self.distance_scale)
        distances = table[self.numbers[rows, done, None], self.numbers[rows, :done]]
        return Surroundings(self._lattice[rows], self.positions[rows, :done], distances)
