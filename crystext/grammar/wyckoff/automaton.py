"""The state of one unfinished crystal in the Wyckoff format, and what may come next.

    group (element position coordinate*)+ cell

After any sequence of allowed values the text is a crystal of the declared group: its letters exist
there, points hold one orbit, each orbit has the atoms of its position, and elements and numbers of
atoms are as requested. Some value is always allowed, except in the cell: the orbits may leave no
cell of reasonable size in which all atoms keep their distances. The crystal is then
`atoms_too_close`, and better sampled again; if it has to be finished all the same, the value with
the most room is the only one allowed.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Self

import numpy as np

from crystext.errors import InputError
from crystext.grammar.fields import END, Field, FieldKind, decimals_of, value_count
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.cell_bounds import MIN_MARGIN, CellBounds
from crystext.grammar.wyckoff.lookahead import Lookahead, LookaheadState
from crystext.grammar.wyckoff.overlap import (
    NewOrbit,
    apart_from_others,
    apart_in_orbit,
    separation_table,
)
from crystext.grammar.wyckoff.site_table import SiteTable, site_table
from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools
from crystext.structures.properties import crystal_system
from crystext.structures.space_groups import SYMPREC, moyo_space_group
from crystext.structures.standardize import find_symmetry
from crystext.structures.wyckoff.cell_parameters import conventional_lattice
from crystext.structures.wyckoff.extra_symmetry import surely_no_extra_symmetry
from crystext.structures.wyckoff.orbits import inverse_primitive_basis, primitive_basis
from crystext.structures.wyckoff.positions import WyckoffPosition
from crystext.text import Format

_PROBED_DECIMALS = np.array([0.0, 0.25, 0.5, 0.75, 0.99])
"""The decimals that are tried to decide whether a whole part has an allowed value."""


class WyckoffAutomaton:
    """One unfinished crystal."""

    def __init__(self, fmt: Format, lookahead: Lookahead, *, always_finish: bool = False) -> None:
        """Start a crystal.

        Args:
            fmt: the format of its text.
            lookahead: of the request's constraints.
            always_finish: whether a crowded crystal is finished with the values that have most
                room.
        """
        self.format, self._lookahead, self._always_finish = fmt, lookahead, always_finish
        self.field = Field(FieldKind.GROUP, 0, "")
        """The field that comes next; after the last, an element that can only be the end."""
        self.finished = False
        self.atoms_too_close = False
        """Whether no value is allowed, or atoms are too close in the finished cell."""
        self._min_distance_ratio = lookahead.constraints.min_distance_ratio
        self._state: LookaheadState | None = None
        self._table: SiteTable | None = None
        self._numbers: list[int] = []
        self._sites: list[Floats] = []
        self._position_indices: list[int] = []
        self._free: list[float] = []
        self._cell: list[float] = []
        self._cell_bounds: CellBounds | None = None
        self._taken: tuple[Floats, Floats] | None = None
        """All sites, and how far the current orbit has to be from each, once they are used."""
        self._coordinate_unit = _unit(FieldKind.COORDINATE, fmt)

    def copy(self) -> Self:
        """Return an independent automaton in the same state."""
        twin = copy.copy(self)
        for name in ("_numbers", "_sites", "_position_indices", "_free", "_cell"):
            setattr(twin, name, list(getattr(self, name)))
        return twin

    def allowed(self) -> Bools:
        """Return which values the next field can take: shape (number of values,).

        In an element field the value `END` begins the cell. Sets `atoms_too_close` if no value is
        allowed.
        """
        kind = self.field.kind
        if kind is FieldKind.GROUP:
            return self._lookahead.space_groups
        if kind is FieldKind.ELEMENT:
            return self._allowed_elements()
        if kind is FieldKind.POSITION:
            assert self._state is not None
            return self._lookahead.allowed_positions(self._state)
        values = np.arange(value_count(kind, self.format))
        if kind is FieldKind.COORDINATE:
            clear = self.fits(values)
            return clear if clear.any() else self._fits(values, 0.0)
        return self._allowed_cell_values(values)

    def fits(self, values: Ints) -> Bools:
        """Return which values of the current coordinate leave the orbit room in some cell: (V,)."""
        return self._fits(values, self._min_distance_ratio)

    def allowed_wholes(self) -> Bools:
        """Return which whole parts of the current cell parameter lead to an allowed value."""
        values = _probed_values(self.field.kind, self.format)
        allowed = self._allowed_cell_values(values)
        return np.asarray(allowed.reshape(-1, len(_PROBED_DECIMALS)).any(axis=1))

    def allowed_decimals(self, whole: int) -> Bools:
        """Return which decimals may follow an allowed whole part."""
        return self._allowed_cell_values(whole * DECIMALS + np.arange(DECIMALS))

    def push(self, value: int) -> None:
        """Take an allowed value for the next field."""
        kind = self.field.kind
        if kind is FieldKind.GROUP:
            self._state, self._table = self._lookahead.start(value), site_table(value)
            self.field = _ELEMENT
        elif kind is FieldKind.ELEMENT:
            if value == END:
                self._begin_cell()
                return
            self._state = self._lookahead.begin_orbit(self._lookahead_state, value)
            self._numbers.append(value)
            self.field = _POSITION
        elif kind is FieldKind.POSITION:
            place = self._site_table.index_of_name[value]
            self._position_indices.append(place)
            self._state = self._lookahead.place_orbit(self._lookahead_state, place)
            self._next_coordinate()
        elif kind is FieldKind.COORDINATE:
            self._free.append(value / self._coordinate_unit)
            self._next_coordinate()
        else:
            self._cell.append(value / _unit(kind, self.format))
            self._next_parameter()

    def surely_has_declared_group(self) -> bool:
        """Return whether the finished crystal has no higher symmetry than it declares, at 0.1 Å.

        If not, the crystal as its text is decoded may still have the group. Most crystals surely
        have no further symmetry; of the others moyo is asked for the cubic ones, for which spglib
        takes 15 ms, and spglib else: there moyo sometimes misses operations that spglib finds.
        """
        table = self._site_table
        group, rows = table.space_group, table.primitive_rows
        own = [
            orbit[rows[place]]
            for orbit, place in zip(self._sites, self._position_indices, strict=True)
        ]
        lattice = conventional_lattice(group, self._cell)
        positions = np.concatenate(own)
        numbers = np.repeat(self._numbers, [len(sites) for sites in own])
        if surely_no_extra_symmetry(group, lattice, positions, numbers, SYMPREC):
            return True
        lattice = primitive_basis(group) @ lattice
        positions = positions @ inverse_primitive_basis(group)
        if crystal_system(group) == "cubic":
            return moyo_space_group(lattice, positions, numbers) == group
        try:
            return int(find_symmetry(lattice, positions, numbers, SYMPREC).number) == group
        except InputError:
            return False

    def separator_after(self, value: int) -> str:
        """Return the separator between this value of the next field and the field after it."""
        kind = self.field.kind
        if kind is FieldKind.GROUP or (kind is FieldKind.ELEMENT and value == END):
            return "\n"
        if kind is FieldKind.POSITION:
            return (
                " "
                if self._site_table.positions[self._site_table.index_of_name[value]].free_axes
                else "\n"
            )
        if kind is FieldKind.COORDINATE:
            return " " if len(self._free) + 1 < len(self._position.free_axes) else "\n"
        # Nothing follows the last parameter.
        return " "

    @property
    def _lookahead_state(self) -> LookaheadState:
        assert self._state is not None, "the space group comes first"
        return self._state

    @property
    def _site_table(self) -> SiteTable:
        assert self._table is not None, "the space group comes first"
        return self._table

    @property
    def _position(self) -> WyckoffPosition:
        return self._site_table.positions[self._position_indices[-1]]

    def _allowed_elements(self) -> Bools:
        if self.finished:
            return _ONLY_END
        return self._lookahead.allowed_elements(self._lookahead_state)

    def new_orbit(self, value: int) -> NewOrbit:
        """Return the orbit with this value of its current coordinate, see `overlap.are_apart`."""
        position, separations = self._position, self._separations(self._min_distance_ratio)
        if self._taken is None:
            sites, sizes = self._sites, [len(orbit) for orbit in self._sites]
            self._taken = (
                np.concatenate(sites) if sites else np.zeros((0, 3)),
                np.repeat(separations[self._numbers[:-1]], sizes),
            )
        return NewOrbit(
            position,
            (*self._free, value / self._coordinate_unit),
            float(separations[self._numbers[-1]]),
            *self._taken,
        )

    def _separations(self, min_distance_ratio: float) -> Floats:
        """Return the minimum separation of the current element from each: shape (119,)."""
        decimals = decimals_of(FieldKind.COORDINATE, self.format)
        row: Floats = separation_table(min_distance_ratio, decimals)[self._numbers[-1]]
        return row

    def _fits(self, values: Ints, min_distance_ratio: float) -> Bools:
        position, separations = self._position, self._separations(min_distance_ratio)
        fractions = values / self._coordinate_unit
        own = float(separations[self._numbers[-1]])
        clear = apart_in_orbit(position, self._free, fractions, own)
        if len(self._free) + 1 == len(position.free_axes) and self._sites:
            shares = np.repeat(
                separations[self._numbers[:-1]], [len(orbit) for orbit in self._sites]
            )
            taken = np.concatenate(self._sites)
            clear &= apart_from_others(position, self._free, fractions, taken, shares)
        return clear

    def _next_coordinate(self) -> None:
        """Advance to the next free coordinate, or finish the orbit."""
        if len(self._free) < len(self._position.free_axes):
            self.field = _COORDINATES[len(self._free)]
            return
        place = self._position_indices[-1]
        self._sites.append(self._site_table.sites(place, np.array(self._free)))
        self._taken = None
        self._free = []
        self.field = _ELEMENT

    def _begin_cell(self) -> None:
        self._cell_bounds = CellBounds(
            self.format,
            self._site_table.space_group,
            self._sites,
            self._numbers,
            self._min_distance_ratio,
        )
        self._next_parameter()

    def _next_parameter(self) -> None:
        assert self._cell_bounds is not None
        names, count = self._cell_bounds.names, len(self._cell)
        if count < len(names):
            kind = FieldKind.LENGTH if len(names[count]) == 1 else FieldKind.ANGLE
            self.field = Field(kind, count % 3, " " if count else "\n")
            return
        self.field, self.finished = _ELEMENT, True
        if self._cell_bounds.system in ("monoclinic", "triclinic"):
            # Only pairs among near images were checked for these.
            lattice = conventional_lattice(self._site_table.space_group, self._cell)
            self.atoms_too_close |= not self._cell_bounds.keeps_distances(lattice)

    def _allowed_cell_values(self, values: Ints) -> Bools:
        """Return which of these values of the current cell parameter are allowed: shape (V,)."""
        assert self._cell_bounds is not None
        numbers = values / _unit(self.field.kind, self.format)
        room = self._cell_bounds.distance_margin(self._cell, numbers)
        allowed = np.asarray(room >= MIN_MARGIN)
        if not allowed.any():
            self.atoms_too_close = True
            if self._always_finish:
                # If no cell closes, the first value that is a valid length or angle.
                best = room.argmax() if np.isfinite(room).any() else (numbers >= 1).argmax()
                allowed[best] = True
        return allowed


@cache
def _unit(kind: FieldKind, fmt: Format) -> float:
    """Return the number of values of a field in one."""
    return 10.0 ** decimals_of(kind, fmt)


@cache
def _probed_values(kind: FieldKind, fmt: Format) -> Ints:
    """Return the values that are tried of each whole part, in order."""
    wholes = np.arange(value_count(kind, fmt) // DECIMALS)
    values: Ints = np.rint((wholes[:, None] + _PROBED_DECIMALS) * DECIMALS).astype(np.int64)
    return values.reshape(-1)


_ELEMENT = Field(FieldKind.ELEMENT, 0, "\n")
_POSITION = Field(FieldKind.POSITION, 0, " ")
_COORDINATES = tuple(Field(FieldKind.COORDINATE, axis, " ") for axis in range(3))

_ONLY_END: Bools = np.arange(119) == END
