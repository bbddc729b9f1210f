"""Which values a cell parameter may take so that the orbits have room, and how much room.

Coordinates come before the cell in this text, so the cell keeps atoms apart. Larger cells have more
room, so the volume is bounded: atoms must not fill less of the cell than in any real crystal. A
value is allowed if the remaining parameters can provably be chosen. The last one follows from those
before it, or is as large as allowed; for those before it, a grid of values is tried. Only the first
two lengths of monoclinic cells and all but the last angle of triclinic ones have a weaker bound,
from pairs of atoms along an axis. Cells of these may turn out to leave no room.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from crystext.grammar.cells import CellRules
from crystext.grammar.fields import FieldKind, decimals_of
from crystext.grammar.wyckoff.contact_pairs import MAX_BETA, contact_terms
from crystext.structures.crystal import Floats
from crystext.structures.distances import (
    Bools,
    has_min_distances,
    min_distances,
    unit_volume_squared,
)
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.cell_parameters import free_parameter_names
from crystext.text import Format
from crystext.text.formats import MAX_LENGTH

MIN_PACKING_FRACTION = 0.06
"""Least proportion of a cell filled by the atoms' spheres, with half the minimum distance between
atoms of the element as radius, at a `min_distance_ratio` of `_REFERENCE_DISTANCE_RATIO`. Of 4,000
crystals of Materials Project with up to 20 atoms 2% fill less: molecules, and sheets far apart.
Half of them fill 0.18 or more. With 0.02, misplaced atoms are kept apart by cells far too large for
the others, and the density of samples is 0.9 g/cm^3 too low on average."""
_REFERENCE_DISTANCE_RATIO = 0.65

MIN_MARGIN = 1.0 + 1e-6
"""Square of a distance over the square of the minimum; slightly above 1, for rounding."""

_LENGTH_GRID = np.append(np.arange(1.0, 12.0), np.arange(12.0, 41.0, 2.0))
"""Å. Lengths that are tried for a later parameter; a sampler can choose each of them when it comes
to that parameter."""
_BETA_GRID = np.arange(90.0, MAX_BETA + 1, 5.0)
_GRID_PARTS = 4
"""Parts of a grid that are tried one after another, each for the values that none before suits."""

_MANY_CELLS = 400
"""Cells of which those that are possible are selected before pairs are looked at."""

_HEXAGONAL_VOLUME = np.sqrt(0.75)
_TOLERANCE = 1e-9
_ALONG_AXIS = 1e-8
"""Å^-2. Squares beside an axis, over that of the minimum distance, that count as zero."""
_SURELY_CLOSED = 1e-3
"""Squared volume of a cell with sides of 1 from which it closes in spite of rounding."""
_PENALTY = 1e15

_LENGTH_POWERS = {1: (3,), 2: (2, 1), 3: (1, 1, 1)}
"""Powers of the free lengths in the volume of a right-angled cell, by how many are free."""


class CellBounds:
    """The cells in which the orbits of one crystal have room."""

    def __init__(
        self,
        fmt: Format,
        space_group: int,
        sites: list[Floats],
        numbers: list[int],
        min_distance_ratio: float,
    ) -> None:
        """Compute the pairs of atoms that bound the cell.

        Args:
            fmt: sets the decimals of the parameters.
            space_group: of the crystal.
            sites: of each orbit in the conventional cell, the representative first.
            numbers: atomic number of each orbit.
            min_distance_ratio: minimum distance over the sum of covalent radii; 0 allows every cell
                that closes.
        """
        self._format, self._unit = fmt, 10.0 ** -decimals_of(FieldKind.LENGTH, fmt)
        self.system = crystal_system(space_group)
        self.names = free_parameter_names(space_group)
        self.max_volume = np.inf
        """Å^3."""
        self._min_vector_length = 0.0
        self._pair_terms: Floats | None = None
        self._axis_terms: dict[int, float] = {}
        """The least term of the pairs along an axis."""
        if min_distance_ratio > 0:
            table = min_distances(min_distance_ratio)
            self._pair_terms = contact_terms(self.system, sites, numbers, table)
            self._sites, self._min_distance_ratio = np.concatenate(sites), min_distance_ratio
            self._numbers = np.repeat(numbers, [len(orbit) for orbit in sites])
            self._min_vector_length = float(np.diagonal(table)[numbers].max())
            spheres = np.pi / 6 * np.diagonal(min_distances(_REFERENCE_DISTANCE_RATIO)) ** 3
            self.max_volume = float(spheres[self._numbers].sum()) / MIN_PACKING_FRACTION

    def distance_margin(self, chosen: list[float], values: Floats) -> Floats:
        """Return the least ratio of a squared distance to its squared minimum: shape (V,).

        It is that of the best cell found with each value. Since `MIN_MARGIN` or more suffices, no
        better cell is searched once one is found. -inf if no cell closes or is small enough.

        Args:
            chosen: the parameters before this one, Å and degrees.
            values: of this one, in increasing order.
        """
        if self.system == "triclinic":
            return self._triclinic_margin(chosen, values)
        if self.system == "monoclinic":
            return self._monoclinic_margin(chosen, values)
        return self._right_angled_margin(chosen, values)

    def keeps_distances(self, lattice: Floats) -> bool:
        """Return whether no two atoms are too close in a finished cell, all images included.

        Args:
            lattice: basis vectors as rows, Å; shape (3, 3).
        """
        if self._pair_terms is None:
            return True
        return has_min_distances(lattice, self._sites, self._numbers, self._min_distance_ratio)

    def _pair_margin(self, possible: Bools, *terms: Floats) -> Floats:
        """Return the least margin of all pairs, given the terms of g; -inf where not possible.

        Args:
            possible: which cells are possible, of the shape that the terms broadcast to.
            terms: of g.
        """
        if self._pair_terms is None:
            return np.where(possible, np.inf, -np.inf)
        if possible.size > _MANY_CELLS:
            some = np.empty((len(terms), np.count_nonzero(possible)))
            for row, term in zip(some, terms, strict=True):
                row[:] = np.broadcast_to(term, possible.shape)[possible]
            room = np.full(possible.shape, -np.inf)
            room[possible] = (self._pair_terms @ some).min(axis=0)
            return room
        columns = self._pair_terms.T.reshape(len(terms), -1, *(1,) * possible.ndim)
        margins = columns[0] * terms[0]
        for column, term in zip(columns[1:], terms[1:], strict=True):
            margins = margins + column * term
        return np.where(possible, margins.min(axis=0), -np.inf)

    def _axis_margin(self, axis: int, values: Floats) -> Floats:
        """Return the least margin of pairs along one axis: shape (V,)."""
        if self._pair_terms is None:
            return np.full(len(values), np.inf)
        if axis not in self._axis_terms:
            # Squares alone: with 1e-5 beside the axis, a product is far above a rounding error, and
            # such a pair can make those that lie exactly along the axis redundant.
            beside = np.delete(self._pair_terms[:, :3], axis, axis=1)
            lie = (beside < _ALONG_AXIS).all(axis=1)
            self._axis_terms[axis] = self._pair_terms[lie, axis].min()
        return np.asarray(self._axis_terms[axis] * values**2)

    def _right_angled_margin(self, chosen: list[float], values: Floats) -> Floats:
        """Return the margin; all pairs are checked only if those along the current axis fit."""
        room = np.where(values > 0, self._axis_margin(len(chosen), values), -np.inf)
        closer = room >= MIN_MARGIN
        if closer.any():
            room[closer] = self._max_volume_margin(chosen, values[closer])
        return room

    def _max_volume_margin(self, chosen: list[float], values: Floats) -> Floats:
        """Return the margin in cells whose last length is the longest that the volume allows."""
        powers = _LENGTH_POWERS[len(self.names)]
        largest = self.max_volume
        if self.system in ("trigonal", "hexagonal"):
            largest /= _HEXAGONAL_VOLUME
        lengths = [*map(np.array, chosen), values]
        if len(lengths) == len(powers) - 2:
            return _best_on_grid(
                lambda first, second: self._longest_last_margin([first, second], largest),
                values,
                _LENGTH_GRID,
            )
        return self._longest_last_margin(lengths, largest)

    def _longest_last_margin(self, lengths: list[Floats], largest: float) -> Floats:
        """Return the margin given all lengths, or all but the last: of their common shape."""
        powers = _LENGTH_POWERS[len(self.names)]
        if len(lengths) == len(powers) - 1:
            area = _volume_product(lengths, powers)
            longest = np.minimum(largest / np.maximum(area, _TOLERANCE), MAX_LENGTH - self._unit)
            lengths.append(np.floor(longest / self._unit + 1e-6) * self._unit)
        volume = _volume_product(lengths, powers)
        possible = (volume > 0) & (volume <= largest)
        return self._pair_margin(possible, *(length * length for length in lengths))

    def _monoclinic_margin(self, chosen: list[float], values: Floats) -> Floats:
        if len(chosen) < 2:
            return np.where(values > 0, self._axis_margin(len(chosen), values), -np.inf)
        a, b, *others = map(np.array, chosen)
        if others:
            return self._monoclinic_cell_margin(a, b, others[0], values)
        return _best_on_grid(
            lambda c, beta: self._monoclinic_cell_margin(a, b, c, beta), values, _BETA_GRID
        )

    def _monoclinic_cell_margin(self, a: Floats, b: Floats, c: Floats, beta: Floats) -> Floats:
        """Return the margin of cells; shape of c and beta together."""
        slope = a * c * np.cos(np.radians(beta))
        volume = a * b * c * np.sin(np.radians(beta))
        possible = (beta >= 90) & (beta <= MAX_BETA) & (c > 0) & (volume <= self.max_volume)
        return self._pair_margin(possible, a * a, b * b, c * c, -2 * slope)

    def _triclinic_margin(self, chosen: list[float], values: Floats) -> Floats:
        if len(chosen) < 3:
            return np.where(
                values >= max(self._min_vector_length, 0.01),
                self._axis_margin(len(chosen), values),
                -np.inf,
            )
        places = np.rint(values * 10 ** decimals_of(FieldKind.ANGLE, self._format)).astype(np.int64)
        rules = _cell_rules(self._format, self._min_vector_length)
        possible = rules.can_close(np.array(chosen[:3]), np.array(chosen[3:]), places)
        if len(chosen) < 5:
            return np.where(possible, np.inf, -np.inf)
        a, b, c = chosen[:3]
        alpha, beta = np.cos(np.radians(chosen[3:]))
        gamma = np.cos(np.radians(values))
        square = np.maximum(unit_volume_squared(alpha, beta, gamma), 0.0)
        volumes = a * b * c * np.sqrt(square)
        # If all are too large, the smallest is best; if all have a lattice vector that is too
        # short, the largest of those that close.
        other = np.where(
            square > _SURELY_CLOSED, -_PENALTY / np.maximum(volumes, _TOLERANCE), -np.inf
        )
        other = np.where(possible, -volumes, other)
        possible &= volumes <= self.max_volume
        known = np.array([a * a, b * b, c * c, 2 * b * c * alpha, 2 * a * c * beta])
        room = np.full(len(values), np.inf)
        if self._pair_terms is not None and possible.any():
            fixed, slope = self._pair_terms[:, :5] @ known, 2 * a * b * self._pair_terms[:, 5]
            # Pairs that are far apart for any gamma need no further check.
            near = fixed - abs(slope) < 2.0
            if near.any():
                room = (fixed[near, None] + slope[near, None] * gamma).min(axis=0)
        return np.where(possible, room, other)


@cache
def _cell_rules(fmt: Format, min_vector_length: float) -> CellRules:
    return CellRules(fmt, "triclinic", min_vector_length)


def _best_on_grid(
    margin: Callable[[Floats, Floats], Floats], values: Floats, grid: Floats
) -> Floats:
    """Return the margin of each value with the best point of a grid, or the first that suffices.

    Args:
        margin: of values (V, 1) with points (G,): shape (V, G).
        values: shape (V,).
        grid: points, of which each part holds some from everywhere.
    """
    room, left = np.full(len(values), -np.inf), np.arange(len(values))
    for part in range(_GRID_PARTS):
        found = margin(values[left, None], grid[part::_GRID_PARTS]).max(axis=1)
        room[left] = np.maximum(room[left], found)
        left = left[room[left] < MIN_MARGIN]
        if not len(left):
            break
    return room


def _volume_product(lengths: list[Floats], powers: tuple[int, ...]) -> Floats:
    """Return the product of the lengths, each to its power in the volume."""
    product = np.asarray(1.0)
    for length, power in zip(lengths, powers, strict=False):
        product = product * length**power
    return product
