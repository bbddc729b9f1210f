"""The automaton of completions: the unknown parts of a partial crystal, field by field.

Many completions of one partial crystal advance together. Their fields are those of the unknown
lines, from top to bottom, then those of missing atoms. Given values never change, and they
constrain: a sampled position keeps its distance from every atom with a position by then, including
those given further down, and a sampled element fits the surroundings of its site. A completion
always has a next value: if nothing fits, the emptiest position, or the element with most room, is
the only one.

Limits: distances of given positions in a sampled cell are not enforced, as they follow from the
cell, nor are those of coordinates given after a sampled one on the same line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.batch_state import BatchState
from crystext.grammar.cells import CellRules
from crystext.grammar.fields import END, Field, FieldKind, decimals_of, value_count
from crystext.grammar.free_volume import Surroundings
from crystext.structures.crystal import Crystal, Floats, Ints, basis_vectors, cell_volume
from crystext.structures.distances import (
    Bools,
    image_distances,
    min_distances,
    shortest_lattice_vector,
)
from crystext.text import Format
from crystext.text.partial import PartialCrystal


@dataclass(frozen=True)
class InfillField:
    """A field of a completion: what it holds, and of which site."""

    field: Field
    site: int = -1
    """Index of the site; those of missing atoms follow the given ones. -1 for the cell's."""
    given: float = float("nan")
    """The value if it is given, though not its line; nan if it is to be sampled."""
    may_end: bool = False
    """Whether the completion may end instead of this field."""
    can_hold_value: bool = True
    """Whether it can hold a value; False after the last field."""


_END_FIELD = InfillField(Field(FieldKind.ELEMENT, 0, "\n"), may_end=True, can_hold_value=False)


def infill_fields(partial: PartialCrystal) -> list[InfillField]:
    """Return the fields of a partial crystal's completion; the last one is its end."""
    blanks = list(_unknown_fields(partial))
    least, most = partial.missing_atoms
    for i in range(most):
        site = len(partial) + i
        blanks.append(InfillField(Field(FieldKind.ELEMENT, 0, "\n"), site, may_end=i >= least))
        blanks += _axis_fields(FieldKind.COORDINATE, np.full(3, np.nan), site)
    first = blanks[0]
    blanks[0] = InfillField(Field(first.field.kind, first.field.axis, ""), first.site, first.given)
    return [*blanks, _END_FIELD]


def is_single_element(partial: PartialCrystal) -> bool:
    """Return whether one element completes the partial crystal."""
    first, *others = infill_fields(partial)
    return first.field.kind is FieldKind.ELEMENT and len(others) == 1


def _unknown_fields(partial: PartialCrystal) -> Iterator[InfillField]:
    unknown = partial.unknown
    if unknown.lengths:
        yield from _axis_fields(FieldKind.LENGTH, partial.lengths)
    if unknown.angles:
        yield from _axis_fields(FieldKind.ANGLE, partial.angles)
    nameless = [site for site in partial.text_order if site in unknown.elements]
    # If nothing else is unknown, one answer names the element of all its sites.
    asked = nameless[:1] if partial.is_element_infilling else nameless
    for site in partial.text_order:
        if site in asked:
            yield InfillField(Field(FieldKind.ELEMENT, 0, "\n"), site)
        if site in unknown.positions:
            yield from _axis_fields(FieldKind.COORDINATE, partial.positions[site], site)


def _axis_fields(kind: FieldKind, values: Floats, site: int = -1) -> Iterator[InfillField]:
    for axis, value in enumerate(values.tolist()):
        yield InfillField(Field(kind, axis, " " if axis else "\n"), site, value)


class InfillingAutomaton(BatchState):
    """A batch of B completions of one partial crystal, all at the same field."""

    def __init__(
        self, fmt: Format, batch: int, partial: PartialCrystal, constraints: Constraints
    ) -> None:
        """Start completions at their first field.

        Args:
            fmt: the format their text will have.
            batch: how many.
            partial: the crystal to complete; some of it is unknown.
            constraints: minimum distances, and elements that no unknown site may hold. The number
                of atoms is that of the partial crystal.
        """
        self.format, self.partial, self.constraints = fmt, partial, constraints
        self.min_distance_ratio = constraints.min_distance_ratio
        self.fields = infill_fields(partial)
        self.field_index = 0
        """Index of the field that comes next."""
        count = len(partial) + partial.missing_atoms[1]
        self.lengths = np.tile(partial.lengths, (batch, 1))
        self.angles = np.tile(partial.angles, (batch, 1))
        self.numbers = np.zeros((batch, count), dtype=np.int64)
        self.numbers[:, : len(partial)] = partial.numbers
        self.positions = np.full((batch, count, 3), np.nan)
        self.positions[:, : len(partial)] = partial.positions
        self._min_distances = min_distances(self.min_distance_ratio)
        self._permitted = [self._permitted_at(site) for site in range(count)]
        # Minimum distance from a site whose element is still unknown: that from the smallest
        # element that it may hold.
        self._min_distance_to = [
            self._min_distances[:, permitted].min(axis=1) for permitted in self._permitted
        ]
        self._shared_sites = {
            site: group for group in partial.same_element_groups for site in group
        }
        self._cells = self._cell_rules()
        self._lattice = np.zeros((batch, 3, 3))
        self._shortest_lattice_vector = np.zeros(batch)
        self._update_lattice()

    @property
    def field(self) -> Field:
        """The field that comes next."""
        return self.fields[self.field_index].field

    def separator_after(self, value: int) -> str:
        """Return the separator between the next field and the one after it, for any value."""
        return self.fields[min(self.field_index + 1, len(self.fields) - 1)].field.separator

    @property
    def is_given(self) -> bool:
        """Whether the value of the next field is given, though not its line."""
        return not np.isnan(self.fields[self.field_index].given)

    def __len__(self) -> int:
        return len(self.lengths)

    def allowed(self) -> Bools:
        """Return which values the next field can take: shape (B, number of values)."""
        blank, kind = self.fields[self.field_index], self.field.kind
        if self.is_given:
            return np.tile(self._only_nearest(kind, blank.given), (len(self), 1))
        if kind is FieldKind.LENGTH:
            return self._allowed_lengths()
        if kind is FieldKind.ANGLE:
            return self._cells.allowed_angles(self.lengths, self.angles, self.field.axis)
        if kind is FieldKind.ELEMENT:
            return self._allowed_elements(blank)
        if self.field.axis == 0 or self.min_distance_ratio == 0:
            return np.ones((len(self), value_count(kind, self.format)), dtype=np.bool_)
        if self.field.axis == 1:
            return np.stack([self.free_y(row) for row in range(len(self))])
        columns = self.positions[:, blank.site, :2]
        return self._surroundings(np.arange(len(self))).free_z(columns, self._grid_size)

    def leaves_free_z(self, y: Ints, rows: Ints | None = None) -> Bools:
        """Return for each completion whether the current atom has a free z if it takes this y.

        Args:
            y: a value of the second coordinate for each of these completions; shape (R,).
            rows: indices of the completions; None for all.
        """
        rows = np.arange(len(self)) if rows is None else rows
        blank = self.fields[self.field_index]
        if self.is_given:
            return self._only_nearest(FieldKind.COORDINATE, blank.given)[y]
        if self.min_distance_ratio == 0:
            return np.ones(len(y), dtype=np.bool_)
        columns = np.stack([self.positions[rows, blank.site, 0], y / self._grid_size], axis=1)
        return self._surroundings(rows).has_free_z(columns, self._grid_size)

    def free_y(self, row: int) -> Bools:
        """Return which y leave the current atom of a completion a free z: (number of values,).

        If none does, only the y of the emptiest position is returned.
        """
        blank = self.fields[self.field_index]
        if self.is_given:
            return self._only_nearest(FieldKind.COORDINATE, blank.given)
        x = float(self.positions[row, blank.site, 0])
        return self._surroundings(np.array([row])).free_y(0, x, self._grid_size)

    def push(self, values: Ints) -> None:
        """Take a value for the next field of each completion.

        An element's value must not be the end here: remove completions that end by `keep` first.
        """
        blank = self.fields[self.field_index]
        kind, axis, site = self.field.kind, self.field.axis, blank.site
        drawn = values / 10.0 ** decimals_of(kind, self.format)
        if self.is_given:
            # The text is rounded, and given values are not.
            drawn = np.full(len(values), blank.given)
        if kind is FieldKind.LENGTH:
            self.lengths[:, axis] = drawn
        elif kind is FieldKind.ANGLE:
            self.angles[:, axis] = drawn
        elif kind is FieldKind.ELEMENT:
            assert (values != END).all(), "completions that end leave the batch"
            self.numbers[:, self._shared_sites.get(site, (site,))] = values[:, None]
        else:
            self.positions[:, site, axis] = drawn
        self.field_index += 1
        if kind in (FieldKind.LENGTH, FieldKind.ANGLE) and axis == 2:
            self._update_lattice()

    def crystal(self, row: int) -> Crystal:
        """Return one completed crystal, its sites in the order of the partial one.

        Missing atoms come last; those not sampled yet are left out.
        """
        whole = (self.numbers[row] > 0) & ~np.isnan(self.positions[row]).any(axis=1)
        return Crystal(
            self.lengths[row].copy(),
            self.angles[row].copy(),
            self.numbers[row, whole],
            self.positions[row, whole],
        )

    def copy(self) -> InfillingAutomaton:
        """Return an independent automaton in the same state."""
        twin = object.__new__(InfillingAutomaton)
        twin.__dict__.update(self.__dict__)
        for name in ("lengths", "angles", "numbers", "positions"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    @property
    def _grid_size(self) -> int:
        return value_count(FieldKind.COORDINATE, self.format)

    def _only_nearest(self, kind: FieldKind, given: float) -> Bools:
        """Allow only the value nearest to a given number."""
        values = value_count(kind, self.format)
        nearest = round(given * 10 ** decimals_of(kind, self.format))
        only = np.zeros(values, dtype=np.bool_)
        only[
            nearest % values if kind is FieldKind.COORDINATE else min(max(nearest, 0), values - 1)
        ] = True
        return only

    def _permitted_at(self, site: int) -> Bools:
        """Return which elements a site may hold, by atomic number."""
        inside = site < len(self.partial)
        permitted = np.zeros(len(SYMBOLS) + 1, dtype=np.bool_)
        if inside and self.partial.numbers[site]:
            permitted[self.partial.numbers[site]] = True
            return permitted
        named = self.partial.candidates.get(site) if inside else self.partial.missing_candidates
        permitted[[ATOMIC_NUMBERS[symbol] for symbol in named or SYMBOLS]] = True
        permitted[[ATOMIC_NUMBERS[symbol] for symbol in self.constraints.exclude]] = False
        return permitted

    def _cell_rules(self) -> CellRules:
        """Return the rules of the cell: wide enough for each atom whose element is given."""
        named = self.partial.numbers[self.partial.numbers > 0]
        contact = 0.0
        if self.min_distance_ratio > 0 and len(named):
            contact = float(np.diagonal(self._min_distances)[named].max())
        known = self.partial.lengths[~np.isnan(self.partial.lengths)]
        system = None
        if not len(known) and np.isnan(self.partial.angles).all():
            system = self.constraints.crystal_system
        # Given sites may be closer, which sampled values cannot change.
        return CellRules(self.format, system or "triclinic", min([contact, *known.tolist()]))

    def _update_lattice(self) -> None:
        """Set the cell, once all of it is known."""
        if not (np.isnan(self.lengths).any() or np.isnan(self.angles).any()):
            self._lattice = basis_vectors(self.lengths, self.angles)
            self._shortest_lattice_vector = shortest_lattice_vector(self._lattice)

    def _allowed_lengths(self) -> Bools:
        """Return the lengths with which the cell can be wide enough."""
        axis = self.field.axis
        if np.isnan(self.partial.angles).any():
            return self._cells.allowed_lengths(self.lengths, axis)
        # A height of the cell is a length times V / abc over the sine of the opposite angle. No
        # lattice vector is shorter than the smallest height.
        volume = cell_volume(np.ones(3), self.partial.angles)
        least = (
            self._cells.min_vector_length * np.sin(np.radians(self.partial.angles[axis])) / volume
        )
        values = np.arange(value_count(FieldKind.LENGTH, self.format))
        unit = 10 ** decimals_of(FieldKind.LENGTH, self.format)
        allowed = (values > 0) & (values >= least * unit)
        # A cell too flat for any length gets the longest.
        allowed[-1] = True
        return np.tile(allowed, (len(self), 1))

    def _allowed_elements(self, field: InfillField) -> Bools:
        allowed = np.zeros((len(self), len(SYMBOLS) + 1), dtype=np.bool_)
        if field.can_hold_value:
            allowed |= self._elements_that_fit(field.site)
        allowed[:, END] = field.may_end
        return allowed

    def _elements_that_fit(self, site: int) -> Bools:
        """Return the elements that have room at a site, and at those that share its element."""
        group = self._shared_sites.get(site, (site,))
        chosen = self.numbers[:, group].max(axis=1)
        permitted: Bools = np.logical_and.reduce([self._permitted[member] for member in group])
        if chosen.any():
            return np.asarray(np.arange(len(permitted)) == chosen[:, None])
        if self.min_distance_ratio == 0:
            return np.tile(permitted, (len(self), 1))
        own = np.diagonal(self._min_distances)
        spare: Floats = np.minimum.reduce(
            [
                self._shortest_lattice_vector[:, None] - own,
                *(self._clearance_at(member, group) for member in group),
            ]
        )
        # Distances hold to the last digit of sampled values; rounding is not a collision.
        fits = permitted & (spare >= -1e-6)
        lost = np.flatnonzero(~fits.any(axis=1))
        fits[lost, np.where(permitted, spare[lost], -np.inf).argmax(axis=1)] = True
        return fits

    def _clearance_at(self, site: int, group: tuple[int, ...]) -> Floats:
        """Return the margin of each element's distances at a site, Å: shape (B, 119)."""
        spare = np.full((len(self), len(self._min_distances)), np.inf)
        if np.isnan(self.positions[:, site]).any():
            return spare
        others = self._placed_sites(site)
        away = image_distances(self._lattice, self.positions[:, site], self.positions[:, others])
        for column, other in enumerate(others):
            if other in group:
                needed = np.tile(np.diagonal(self._min_distances), (len(self), 1))
            else:
                needed = self._min_distance_from(other)
            spare = np.minimum(spare, away[:, column, None] - needed)
        return spare

    def _min_distance_from(self, other: int) -> Floats:
        """Return the minimum distance of each element from a site, Å: shape (B, 119)."""
        numbers = self.numbers[:, other]
        return np.asarray(
            np.where(
                numbers[:, None] > 0, self._min_distances[numbers], self._min_distance_to[other]
            )
        )

    def _placed_sites(self, site: int) -> list[int]:
        """Return the other sites that have a position by now, the same in all completions."""
        known = ~np.isnan(self.positions[0]).any(axis=1)
        known[site] = False
        return np.flatnonzero(known).tolist()

    def _surroundings(self, rows: Ints) -> Surroundings:
        """Return the atoms from which the current atom has to keep its distance."""
        site = self.fields[self.field_index].site
        others = self._placed_sites(site)
        numbers = self.numbers[rows, site]
        needed = [self._min_distance_from(other)[rows, numbers] for other in others]
        distances = np.stack(needed, axis=1) if others else np.zeros((len(rows), 0))
        return Surroundings(self._lattice[rows], self.positions[rows][:, others], distances)
