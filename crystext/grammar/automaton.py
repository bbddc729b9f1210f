"""The state of crystals being written, and which values their next field can take.

Many crystals advance together, field by field; for one crystal, take a batch of one. After any
sequence of allowed values that ends with the end, the values make a crystal: the cell closes, has
volume, and holds at least one and at most `max_atoms` atoms. With a distance scale above zero, no
two atoms and no atom and its image are nearer than `geometry.least_distances` has it, except where
a cell is so crowded that no place is left in the plane of an x already chosen: then the roomiest
place is the only one allowed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crystext.codec import Format
from crystext.crystal import Crystal, Floats, Ints, basis_vectors
from crystext.elements import ATOMIC_NUMBERS
from crystext.grammar.fields import END, Field, Kind, decimals, field_at, value_count
from crystext.grammar.geometry import (
    CONTACT,
    Bools,
    angle_limits,
    blocked_columns,
    clearances,
    least_distances,
    shortest_lattice_vector,
)


class Automaton:
    """A batch of B unfinished crystals, all at the same field."""

    def __init__(
        self,
        fmt: Format,
        batch: int,
        *,
        max_atoms: int,
        distance_scale: float = 0.0,
        exclude: Sequence[str] = (),
    ) -> None:
        """Start crystals at their first field.

        Args:
            fmt: the format their text will have.
            batch: how many.
            max_atoms: most atoms in a cell.
            distance_scale: least distance of two atoms over the sum of their covalent radii; 0
                lets atoms lie anywhere.
            exclude: elements that may not occur.
        """
        self.format, self.max_atoms, self.distance_scale = fmt, max_atoms, distance_scale
        self.place = 0
        """Index of the field that comes next."""
        self.lengths: Floats = np.zeros((batch, 3))
        self.angles: Floats = np.zeros((batch, 3))
        self.numbers: Ints = np.zeros((batch, max_atoms + 1), dtype=np.int64)
        self.positions: Floats = np.zeros((batch, max_atoms + 1, 3))
        self._lattice: Floats = np.zeros((batch, 3, 3))
        self._shortest: Floats = np.zeros(batch)
        self._permitted = np.ones(len(least_distances(0.0)), dtype=np.bool_)
        self._permitted[[ATOMIC_NUMBERS[symbol] for symbol in exclude]] = False

    @property
    def field(self) -> Field:
        """The field that comes next."""
        return field_at(self.place)

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
            return self._allowed_lengths()
        if field.kind is Kind.ANGLE:
            return self._allowed_angles(field.axis)
        if field.kind is Kind.ELEMENT:
            return self._allowed_elements()
        everywhere = np.ones((len(self), value_count(Kind.COORDINATE, self.format)), dtype=np.bool_)
        if field.axis == 0 or self.distance_scale == 0:
            return everywhere
        if field.axis == 1:
            return np.stack([self._rows_with_room(row) for row in range(len(self))])
        return self._free_places()

    def has_room(self, y: Ints) -> Bools:
        """Tell for each crystal whether some z is left for the atom at hand if it takes this y.

        Args:
            y: a value of the second coordinate for each crystal; shape (B,).
        """
        if self.distance_scale == 0:
            return np.ones(len(self), dtype=np.bool_)
        columns = np.stack([self.positions[:, self.atoms - 1, 0], self._fraction(y)], axis=1)
        room: Bools = ~self._blocked(np.arange(len(self)), columns).all(axis=1)
        return room

    def rows_with_room(self, row: int) -> Bools:
        """Return which y leave a z for the atom at hand of one crystal: shape (number of values,).

        True everywhere if none does: the atom then has to take the roomiest place of its plane.
        """
        return self._rows_with_room(row)

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

    def _fraction(self, values: Ints) -> Floats:
        fractions: Floats = values / 10.0**self.format.coordinate_decimals
        return fractions

    def _allowed_lengths(self) -> Bools:
        values = np.arange(value_count(Kind.LENGTH, self.format))
        least = CONTACT if self.distance_scale > 0 else 0.0
        long_enough = (values > 0) & (values >= least * 10**self.format.length_decimals)
        return np.tile(long_enough, (len(self), 1))

    def _allowed_angles(self, axis: int) -> Bools:
        contact = CONTACT if self.distance_scale > 0 else 0.0
        limits = angle_limits(self.lengths, self.angles, axis, contact)
        values = np.arange(value_count(Kind.ANGLE, self.format)) / 10.0 ** decimals(
            Kind.ANGLE, self.format
        )
        within = (values >= limits[:, :1]) & (values <= limits[:, 1:])
        # An interval narrower than the printed step may hold no value: take the nearest then.
        empty = ~within.any(axis=1)
        nearest = np.abs(values - limits[empty].mean(axis=1, keepdims=True)).argmin(axis=1)
        within[np.nonzero(empty)[0], nearest] = True
        return within

    def _allowed_elements(self) -> Bools:
        done = self.atoms
        if done == self.max_atoms:
            ended = np.zeros((len(self), len(self._permitted)), dtype=np.bool_)
            ended[:, END] = True
            return ended
        allowed = np.tile(self._permitted, (len(self), 1))
        allowed[:, END] = done > 0
        if self.distance_scale > 0:
            own = np.diagonal(least_distances(self.distance_scale))
            fits = own <= self._shortest[:, None]
            # In a cell too short for every element, hydrogen has to do for a first atom.
            allowed[:, 1:] &= fits[:, 1:]
            none = ~allowed.any(axis=1)
            allowed[none, 1:] = own[1:] == own[1:][self._permitted[1:]].min()
            allowed[none] &= self._permitted
        return allowed

    def _distances(self, rows: Ints) -> Floats:
        """Return how far the atom at hand has to stay from those before it: shape (rows, atoms)."""
        at_hand = self.atoms - 1
        table = least_distances(self.distance_scale)
        distances: Floats = table[self.numbers[rows, at_hand, None], self.numbers[rows, :at_hand]]
        return distances

    def _blocked(self, rows: Ints, columns: Floats) -> Bools:
        grid = value_count(Kind.COORDINATE, self.format)
        before = self.positions[rows, : self.atoms - 1]
        return blocked_columns(self._lattice[rows], before, self._distances(rows), columns, grid)

    def _rows_with_room(self, row: int) -> Bools:
        grid = value_count(Kind.COORDINATE, self.format)
        x = np.full(grid, self.positions[row, self.atoms - 1, 0])
        columns = np.stack([x, self._fraction(np.arange(grid))], axis=1)
        room: Bools = ~self._blocked(np.full(grid, row), columns).all(axis=1)
        return room if room.any() else np.ones(grid, dtype=np.bool_)

    def _free_places(self) -> Bools:
        at_hand = self.atoms - 1
        free: Bools = ~self._blocked(np.arange(len(self)), self.positions[:, at_hand, :2])
        for row in np.nonzero(~free.any(axis=1))[0].tolist():
            places = np.tile(self.positions[row, at_hand], (free.shape[1], 1))
            places[:, 2] = self._fraction(np.arange(free.shape[1]))
            spare = clearances(
                self._lattice[row],
                self.positions[row, :at_hand],
                self._distances(np.array([row]))[0],
                places,
            )
            free[row, spare.argmax()] = True
        return free
