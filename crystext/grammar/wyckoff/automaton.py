"""The state of one crystal that is being written by its symmetry, and what may come next.

    group (element position coordinate*)+ cell

After any sequence of allowed values the text is a crystal of the declared group: its letters exist
there, points hold one orbit, each orbit has the atoms of its position, and elements and numbers of
atoms are as asked for. There is always such a value, but for the cell: orbits may turn out to
leave no cell in which all atoms keep their distance and which is not far too large. The crystal is
`crowded` then, and better drawn again; if it is to be finished all the same, the roomiest value is
the only one allowed.
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from crystext.grammar.fields import END, Field, Kind, value_count
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.cell_bounds import ENOUGH, CellRoom
from crystext.grammar.wyckoff.lookahead import LookAhead, Progress
from crystext.grammar.wyckoff.overlap import apart_from_others, apart_in_orbit, least_share
from crystext.grammar.wyckoff.site_table import Places, places
from crystext.structures.crystal import Floats, Ints, basis_vectors
from crystext.structures.distances import Bools, least_distances
from crystext.structures.wyckoff.cell_parameters import cell_parameters
from crystext.structures.wyckoff.positions import Position
from crystext.text import Format

_WITHIN_WHOLE = np.array([0.0, 0.25, 0.5, 0.75, 0.99])
"""Which values stand for those of a whole part, when it is asked whether one of them is allowed."""


class SymmetricAutomaton:
    """One unfinished crystal."""

    def __init__(self, fmt: Format, ahead: LookAhead, *, settles: bool = False) -> None:
        """Start a crystal.

        Args:
            fmt: the format of its text.
            ahead: what is asked for.
            settles: whether a crowded crystal is finished with the roomiest values.
        """
        self.format, self._ahead, self._settles = fmt, ahead, settles
        self.field = Field(Kind.GROUP, 0, "")
        """The field that comes next; behind the last, an element that can only be the end."""
        self.finished = False
        self.crowded = False
        """Whether no value is allowed, or a finished cell keeps atoms too near."""
        self._scale = ahead.constraints.distance_scale
        self._state: Progress | None = None
        self._places: Places | None = None
        self._numbers: list[int] = []
        self._sites: list[Floats] = []
        self._place = 0
        self._free: list[float] = []
        self._cell: list[float] = []
        self._room: CellRoom | None = None

    def copy(self) -> Self:
        """Return an automaton in the same state that goes its own way."""
        twin = copy.copy(self)
        for name in ("_numbers", "_sites", "_free", "_cell"):
            setattr(twin, name, list(getattr(self, name)))
        return twin

    def allowed(self) -> Bools:
        """Return which values the next field can take: shape (number of values,).

        Of an element's field the value `END` begins the cell. Sets `crowded` where there is none.
        """
        kind = self.field.kind
        if kind is Kind.GROUP:
            return self._ahead.groups
        if kind is Kind.ELEMENT:
            return self._allowed_elements()
        if kind is Kind.POSITION:
            assert self._state is not None
            return self._ahead.positions(self._state)
        values = np.arange(value_count(kind, self.format))
        if kind is Kind.COORDINATE:
            clear = self.clear(values)
            return clear if clear.any() else self._clear(values, 0.0)
        return self._cell_values(values)

    def clear(self, values: Ints) -> Bools:
        """Tell which values of the coordinate at hand leave the orbit room in some cell: (V,)."""
        return self._clear(values, self._scale)

    def allowed_wholes(self) -> Bools:
        """Return which whole parts of the cell parameter at hand lead to an allowed value."""
        wholes = np.arange(value_count(self.field.kind, self.format) // DECIMALS)
        values = np.rint((wholes[:, None] + _WITHIN_WHOLE) * DECIMALS).astype(np.int64)
        allowed = self._cell_values(values.reshape(-1))
        return np.asarray(allowed.reshape(values.shape).any(axis=1))

    def allowed_decimals(self, whole: int) -> Bools:
        """Return which decimals may stand behind a whole part that is allowed."""
        return self._cell_values(whole * DECIMALS + np.arange(DECIMALS))

    def push(self, value: int) -> None:
        """Take an allowed value for the next field."""
        kind = self.field.kind
        if kind is Kind.GROUP:
            self._state, self._places = self._ahead.start(value), places(value)
            self.field = _ELEMENT
        elif kind is Kind.ELEMENT:
            if value == END:
                self._begin_cell()
                return
            self._state = self._ahead.begin(self._progress, value)
            self._numbers.append(value)
            self.field = _POSITION
        elif kind is Kind.POSITION:
            self._place = self._known.by_name[value]
            self._state = self._ahead.put(self._progress, self._place)
            self._next_coordinate()
        elif kind is Kind.COORDINATE:
            self._free.append(value / 10.0**self.format.coordinate_decimals)
            self._next_coordinate()
        else:
            self._cell.append(value / 10.0**self._decimals)
            self._next_parameter()

    def separator_behind(self, value: int) -> str:
        """Return what stands between this value of the next field and the field behind it."""
        kind = self.field.kind
        if kind is Kind.GROUP or (kind is Kind.ELEMENT and value == END):
            return "\n"
        if kind is Kind.POSITION:
            return " " if self._known.all[self._known.by_name[value]].free else "\n"
        if kind is Kind.COORDINATE:
            return " " if len(self._free) + 1 < len(self._position.free) else "\n"
        # Behind the last parameter nothing follows.
        return " "

    @property
    def _progress(self) -> Progress:
        assert self._state is not None, "the space group comes first"
        return self._state

    @property
    def _known(self) -> Places:
        assert self._places is not None, "the space group comes first"
        return self._places

    @property
    def _position(self) -> Position:
        return self._known.all[self._place]

    @property
    def _decimals(self) -> int:
        length = self.field.kind is Kind.LENGTH
        return self.format.length_decimals if length else self.format.angle_decimals

    def _allowed_elements(self) -> Bools:
        if self.finished:
            return _ONLY_THE_END
        return self._ahead.elements(self._progress)

    def _clear(self, values: Ints, scale: float) -> Bools:
        position, number = self._position, self._numbers[-1]
        decimals = self.format.coordinate_decimals
        fractions = values / 10.0**decimals
        table = least_distances(scale) if scale > 0 else np.zeros((119, 119))
        share = least_share(float(table[number, number]), decimals)
        clear = apart_in_orbit(position, self._free, fractions, share)
        if len(self._free) + 1 == len(position.free) and self._sites:
            shares = np.repeat(
                [least_share(float(table[number, z]), decimals) for z in self._numbers[:-1]],
                [len(orbit) for orbit in self._sites],
            )
            taken = np.concatenate(self._sites)
            clear &= apart_from_others(position, self._free, fractions, taken, shares)
        return clear

    def _next_coordinate(self) -> None:
        """Turn to the next free coordinate, or finish the orbit."""
        if len(self._free) < len(self._position.free):
            self.field = _COORDINATES[len(self._free)]
            return
        self._sites.append(self._known.sites(self._place, np.array(self._free)))
        self._free = []
        self.field = _ELEMENT

    def _begin_cell(self) -> None:
        self._room = CellRoom(
            self.format, self._known.space_group, self._sites, self._numbers, self._scale
        )
        self._next_parameter()

    def _next_parameter(self) -> None:
        assert self._room is not None
        names, count = self._room.names, len(self._cell)
        if count < len(names):
            kind = Kind.LENGTH if len(names[count]) == 1 else Kind.ANGLE
            self.field = Field(kind, count % 3, " " if count else "\n")
            return
        self.field, self.finished = _ELEMENT, True
        if self._room.system in ("monoclinic", "triclinic"):
            # Their pairs were looked at among near images only.
            lengths, angles = cell_parameters(self._known.space_group, self._cell)
            lattice = basis_vectors(lengths[None], angles[None])[0]
            self.crowded |= not self._room.keeps_distances(lattice)

    def _cell_values(self, values: Ints) -> Bools:
        """Return which of these values of the cell parameter at hand are allowed: shape (V,)."""
        assert self._room is not None
        numbers = values / 10.0**self._decimals
        room = self._room.room(self._cell, numbers)
        allowed = np.asarray(room >= ENOUGH)
        if not allowed.any():
            self.crowded = True
            if self._settles:
                # Of none that closes, the first that is a length or an angle at all.
                best = room.argmax() if np.isfinite(room).any() else (numbers >= 1).argmax()
                allowed[best] = True
        return allowed


_ELEMENT = Field(Kind.ELEMENT, 0, "\n")
_POSITION = Field(Kind.POSITION, 0, " ")
_COORDINATES = tuple(Field(Kind.COORDINATE, axis, " ") for axis in range(3))

_ONLY_THE_END: Bools = np.arange(119) == END
