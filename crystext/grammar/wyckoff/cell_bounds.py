"""Which values a cell parameter may take so that the orbits have room, and how much they have.

Coordinates come before the cell in this text, so it is the cell that keeps atoms apart. Larger is
roomier, so there is a largest cell: one that atoms fill less than any crystal would be. A value is
allowed where it is shown that the parameters behind it can be chosen. The last one follows from
those before it, or is as large as may be; before it, a net of values is tried. Only the first two
lengths of monoclinic cells and all but the last angle of triclinic ones are bounded by less: pairs
of atoms along an axis. Cells of these may turn out to leave no room at all.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from crystext.grammar.cells import CellRules
from crystext.grammar.wyckoff.contact_pairs import contact_terms
from crystext.structures.crystal import Floats
from crystext.structures.distances import (
    Bools,
    keeps_distances,
    least_distances,
    unit_volume_squared,
)
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.cell_parameters import free_parameters
from crystext.text import Format
from crystext.text.formats import MAX_LENGTH

EMPTIEST = 0.06
"""Least share of a cell that the atoms' spheres fill, which have half the least distance to their
like as radius, at a distance scale of `_SCALE`. Of 4,000 crystals of Materials Project with up to
20 atoms 2% fill less: molecules, and sheets far apart. Half of them fill 0.18 or more. With 0.02,
misplaced atoms are kept apart by cells far too large for the others, and the draws' density is 0.9
g/cm^3 too low on the average."""
_SCALE = 0.65

ENOUGH = 1.0 + 1e-6
"""Square of a distance over the square of the least; a hair more, for rounding."""

MOST_OBTUSE = 150.0
"""Degrees. β of a monoclinic cell lies between 90 and this; no crystal of MP-20 val has more than
135 in the standard setting, and with more a shorter c could be chosen."""

_NET = np.append(np.arange(1.0, 12.0), np.arange(12.0, 41.0, 2.0))
"""Å. Lengths that are tried for a parameter to come; each is among the values that a sampler looks
at when that parameter's turn comes."""
_NET_BETA = np.arange(90.0, MOST_OBTUSE + 1, 5.0)

_VOLUME_OF_HEXAGON = np.sqrt(0.75)
_HAIR = 1e-9
_CLOSED = 1e-3
"""Square of the volume of a cell with sides of 1 from which on it surely closes when printed."""
_FAR = 1e15

_POWERS = {1: (3,), 2: (2, 1), 3: (1, 1, 1)}
"""Of the free lengths in the volume of a cell at right angles, by how many are free."""


class CellRoom:
    """The cells in which the orbits of one crystal have room."""

    def __init__(
        self,
        fmt: Format,
        space_group: int,
        sites: list[Floats],
        numbers: list[int],
        scale: float,
    ) -> None:
        """Look at the pairs of atoms.

        Args:
            fmt: gives the decimals of the parameters.
            space_group: of the crystal.
            sites: of each orbit in the conventional cell, the representative first.
            numbers: atomic number of each orbit.
            scale: least distance over the sum of covalent radii; 0 lets all cells that close pass.
        """
        self._format, self._unit = fmt, 10.0**-fmt.length_decimals
        self.system = crystal_system(space_group)
        self.names = free_parameters(space_group)
        self.largest = np.inf
        """Å^3."""
        self._contact = 0.0
        self._terms: Floats | None = None
        if scale > 0:
            table = least_distances(scale)
            self._terms = contact_terms(self.system, sites, numbers, table)
            self._sites, self._scale = np.concatenate(sites), scale
            self._numbers = np.repeat(numbers, [len(orbit) for orbit in sites])
            self._contact = float(np.diagonal(table)[numbers].max())
            spheres = np.pi / 6 * np.diagonal(least_distances(_SCALE)) ** 3
            self.largest = float(spheres[self._numbers].sum()) / EMPTIEST

    def room(self, chosen: list[float], values: Floats) -> Floats:
        """Return the least square of a distance over that which it has to be: shape (V,).

        In the best cell found that has a value; `ENOUGH` or more will do. -inf where there is none
        that closes or is small enough.

        Args:
            chosen: the parameters before this one, Å and degrees.
            values: of this one, in increasing order.
        """
        if self.system == "triclinic":
            return self._triclinic(chosen, values)
        if self.system == "monoclinic":
            return self._monoclinic(chosen, values)
        return self._at_right_angles(chosen, values)

    def keeps_distances(self, lattice: Floats) -> bool:
        """Tell whether no two atoms are too near in a finished cell, all images included.

        Args:
            lattice: basis vectors as rows, Å; shape (3, 3).
        """
        if self._terms is None:
            return True
        return keeps_distances(lattice, self._sites, self._numbers, self._scale)

    def _least(self, *terms: Floats) -> Floats:
        """Return the least of what pairs have, given the terms of g, each of shape (V,)."""
        if self._terms is None:
            return np.full(len(terms[0]), np.inf)
        return np.asarray((self._terms @ np.stack(terms)).min(axis=0))

    def _along(self, axis: int, values: Floats) -> Floats:
        """Return the least of what pairs along one axis have: shape (V,)."""
        if self._terms is None:
            return np.full(len(values), np.inf)
        lie = (abs(np.delete(self._terms, axis, axis=1)) < 1e-9).all(axis=1)
        return np.asarray(self._terms[lie, axis].min() * values**2)

    def _at_right_angles(self, chosen: list[float], values: Floats) -> Floats:
        """Return the room, looking closer where pairs along the axis at hand have enough."""
        room = np.where(values > 0, self._along(len(chosen), values), -np.inf)
        closer = room >= ENOUGH
        if closer.any():
            room[closer] = self._beside_the_longest(chosen, values[closer])
        return room

    def _beside_the_longest(self, chosen: list[float], values: Floats) -> Floats:
        """Return the room in cells whose last length is the longest that the volume allows."""
        powers = _POWERS[len(self.names)]
        largest = self.largest
        if self.system in ("trigonal", "hexagonal"):
            largest /= _VOLUME_OF_HEXAGON
        lengths = [*map(np.array, chosen), values]
        if len(lengths) == len(powers) - 2:
            lengths = [values[:, None], _NET]
        if len(lengths) == len(powers) - 1:
            area = _product(lengths, powers)
            longest = np.minimum(largest / np.maximum(area, _HAIR), MAX_LENGTH - self._unit)
            lengths.append(np.floor(longest / self._unit + 1e-6) * self._unit)
        volume = _product(lengths, powers)
        possible = (volume > 0) & (volume <= largest)
        room = np.full(possible.shape, -np.inf)
        squares = (np.broadcast_to(x, possible.shape)[possible] ** 2 for x in lengths)
        room[possible] = self._least(*squares)
        return np.asarray(room if room.ndim == 1 else room.max(axis=1))

    def _monoclinic(self, chosen: list[float], values: Floats) -> Floats:
        if len(chosen) < 2:
            return np.where(values > 0, self._along(len(chosen), values), -np.inf)
        if len(chosen) == 2:
            beta: Floats = _NET_BETA
            a, b, c = np.array(chosen[0]), np.array(chosen[1]), values[:, None]
        else:
            beta = values
            a, b, c = np.array(chosen).reshape(3)
        radians = np.radians(beta)
        possible = (beta >= 90) & (beta <= MOST_OBTUSE) & (c > 0)
        possible &= a * b * c * np.sin(radians) <= self.largest
        terms = (a**2, b**2, c**2, -2 * a * c * np.cos(radians))
        room = np.full(possible.shape, -np.inf)
        room[possible] = self._least(*(np.broadcast_to(x, room.shape)[possible] for x in terms))
        return np.asarray(room if room.ndim == 1 else room.max(axis=1))

    def _triclinic(self, chosen: list[float], values: Floats) -> Floats:
        if len(chosen) < 3:
            return np.where(
                values >= max(self._contact, 0.01), self._along(len(chosen), values), -np.inf
            )
        closing = self._closing(chosen)
        places = np.rint(values * 10**self._format.angle_decimals).astype(np.int64)
        possible = closing[np.clip(places, 0, len(closing) - 1)] & (places < len(closing))
        if len(chosen) < 5:
            return np.where(possible, np.inf, -np.inf)
        a, b, c = chosen[:3]
        alpha, beta = np.cos(np.radians(chosen[3:]))
        gamma = np.cos(np.radians(values))
        square = np.maximum(unit_volume_squared(alpha, beta, gamma), 0.0)
        volumes = a * b * c * np.sqrt(square)
        # Where all are too large, the smallest is the best; where all have a lattice vector that is
        # too short, the largest of those that close at all.
        other = np.where(square > _CLOSED, -_FAR / np.maximum(volumes, _HAIR), -np.inf)
        other = np.where(possible, -volumes, other)
        possible &= volumes <= self.largest
        known = np.array([a * a, b * b, c * c, 2 * b * c * alpha, 2 * a * c * beta])
        room = np.full(len(values), np.inf)
        if self._terms is not None and possible.any():
            fixed, slope = self._terms[:, :5] @ known, 2 * a * b * self._terms[:, 5]
            # Pairs that are far apart whatever gamma is need no closer look.
            near = fixed - abs(slope) < 2.0
            if near.any():
                room = (fixed[near, None] + slope[near, None] * gamma).min(axis=0)
        return np.where(possible, room, other)

    def _closing(self, chosen: list[float]) -> Bools:
        """Return which values of the next angle leave a cell that closes, by their numbers."""
        lengths, angles = np.array([chosen[:3]]), np.zeros((1, 3))
        angles[0, : len(chosen) - 3] = chosen[3:]
        rules = _rules(self._format, self._contact)
        return np.asarray(rules.allowed_angles(lengths, angles, len(chosen) - 3)[0])


@cache
def _rules(fmt: Format, contact: float) -> CellRules:
    return CellRules(fmt, "triclinic", contact)


def _product(lengths: list[Floats], powers: tuple[int, ...]) -> Floats:
    """Return the product of as many lengths as there are, each to its power in the volume."""
    product = np.asarray(1.0)
    for length, power in zip(lengths, powers, strict=False):
        product = product * length**power
    return product
