"""Which values the next cell parameter can take, given crystal system and minimum size.

The parameter is free, or it follows from those before it. Those are known to their printed
decimals, so the few values are allowed that it may be printed as. A value is allowed only if the
remaining angles can be chosen, shown by one choice: dependent angles as they follow, and free ones
such that the cell has the greatest volume.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from crystext.grammar.fields import FieldKind, decimals_of, value_count
from crystext.grammar.lattices import LatticeCharacter, lattice_characters
from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import (
    MAX_ANGLE,
    MIN_ANGLE,
    Bools,
    images_are_apart,
    unit_volume_squared,
)
from crystext.text import Format

_BLOCK_SIZE = 1 << 16
"""Number of cells checked together: bounds the memory."""

_TOLERANCE = 1e-9
"""Relative rounding error of a volume."""

_MAX_ANGLE_REACH = 3
"""Degrees. Where the parameters before an angle leave it more uncertain than this, the cause is not
rounding alone: they do not form a cell."""


class CellRules:
    """Constraints on the cells of a batch."""

    def __init__(
        self, fmt: Format, system: str, min_vector_length: float, min_volume: float = 0.0
    ) -> None:
        """Set the rules.

        Args:
            fmt: the format of the text.
            system: crystal system; triclinic admits every cell.
            min_vector_length: Å, minimum length of every lattice vector; 0 for none.
            min_volume: Å^3, minimum volume; 0 for none.
        """
        self.format, self.min_vector_length, self.min_volume = fmt, min_vector_length, min_volume
        self.characters = lattice_characters(system)
        self._values_per_degree = 10 ** decimals_of(FieldKind.ANGLE, fmt)
        self._max_volume_ratio: dict[tuple[bool, bool], float] = {}
        """Greatest V / abc of cells, by which lengths are equal: a and b, b and c."""
        for character in self.characters:
            known = self._max_volume_ratio.get(character.equal_lengths, 0.0)
            self._max_volume_ratio[character.equal_lengths] = max(known, character.max_volume_ratio)

    def allowed_lengths(self, lengths: Floats, axis: int) -> Bools:
        """Return which values the next length can take: shape (B, values).

        A right-angled cell, or one with 120 degrees between equal lengths, always remains possible.

        Args:
            lengths: Å; shape (B, 3), of which the first `axis` are chosen.
            axis: index of the next length.
        """
        unit = 10 ** decimals_of(FieldKind.LENGTH, self.format)
        values = np.arange(value_count(FieldKind.LENGTH, self.format))
        long_enough = (values > 0) & (values >= self.min_vector_length * unit)
        allowed = np.zeros((len(lengths), len(values)), dtype=np.bool_)
        for equal, openness in self._max_volume_ratio.items():
            fitting = np.nonzero(~_lengths_differ(equal, lengths, axis))[0]
            tied = (False, *equal)
            volume = np.tile(values / unit, (len(fitting), 1)) * openness
            for other in range(3):
                if other < axis:
                    volume *= lengths[fitting, other, None]
                elif other > axis:
                    # A later length equals this one, or is the longest that can be written.
                    volume *= (
                        values / unit if all(tied[axis + 1 : other + 1]) else values[-1] / unit
                    )
            marked = volume >= self.min_volume * (1 - _TOLERANCE)
            if tied[axis]:
                before = np.rint(lengths[fitting, axis - 1] * unit).astype(np.int64)
                marked &= values == before[:, None]
            allowed[fitting] |= marked
        return np.asarray(allowed & long_enough)

    def allowed_angles(self, lengths: Floats, angles: Floats, axis: int) -> Bools:
        """Return which values the next angle can take: shape (B, values).

        Args:
            lengths: Å; shape (B, 3).
            angles: degrees; shape (B, 3), of which the first `axis` are chosen.
            axis: index of the next angle.
        """
        allowed = np.zeros(
            (len(lengths), value_count(FieldKind.ANGLE, self.format)), dtype=np.bool_
        )
        settled = np.zeros(len(lengths), dtype=np.bool_)
        for character in sorted(self.characters, key=lambda x: not _is_least_restrictive(x, axis)):
            fitting = ~settled & ~_lengths_differ(character.equal_lengths, lengths, 3)
            for earlier in range(axis):
                fitting &= self._is_consistent(character, lengths, angles, earlier)
            for rows in _blocks(np.nonzero(fitting)[0], allowed.shape[1]):
                self._mark_allowed(character, lengths[rows], angles[rows], axis, rows, allowed)
            if _is_least_restrictive(character, axis):
                settled |= fitting
        return allowed

    def can_close(self, lengths: Floats, angles: Floats, values: Ints) -> Bools:
        """Return which of some values the next angle of one cell without symmetry can take.

        The same as those values of `allowed_angles`, at the cost of these alone.

        Args:
            lengths: Å; shape (3,).
            angles: degrees; those before this one.
            values: of this one; shape (V,).
        """
        (character,) = self.characters
        lowest, highest = (int(x * self._values_per_degree) for x in (MIN_ANGLE, MAX_ANGLE))
        printed = np.rint(angles * self._values_per_degree).astype(np.int64)
        cosines = [self._cosines(value[None, None]) for value in printed]
        cosines.append(self._cosines(np.clip(values, lowest, highest))[None])
        closes = self._can_close(character, lengths[None, None], cosines)
        closes = np.broadcast_to(closes, (1, len(values)))[0]
        return np.asarray(closes & (values >= lowest) & (values <= highest))

    def _mark_allowed(
        self,
        character: LatticeCharacter,
        lengths: Floats,
        angles: Floats,
        axis: int,
        rows: Ints,
        allowed: Bools,
    ) -> None:
        """Mark for these rows the values that cells of one lattice character can take next."""
        lowest, highest = (
            int(MIN_ANGLE * self._values_per_degree),
            int(MAX_ANGLE * self._values_per_degree),
        )
        if character.scalar_products[axis] is None:
            values = np.arange(lowest, highest + 1)[None]
            near = np.ones((1, 1), dtype=np.bool_)
        else:
            centre, reach = self._printed_angle(character, lengths, angles, axis)
            widest = int(reach.max() + 0.5)
            values = np.rint(centre).astype(np.int64)[:, None] + np.arange(-widest, widest + 1)
            near = _is_near(values, centre[:, None], reach[:, None])
            near &= (values >= lowest) & (values <= highest)
            values = np.clip(values, lowest, highest)
        cosines: list[Floats] = [
            self._cosines(np.rint(angles[:, i, None] * self._values_per_degree).astype(np.int64))
            for i in range(axis)
        ]
        cosines.append(self._cosines(values))
        apart = near & self._can_close(character, lengths[:, None], cosines)
        row, place = np.nonzero(apart)
        values = np.broadcast_to(values, apart.shape)
        allowed[rows[row], values[row, place]] = True

    def _can_close(
        self, character: LatticeCharacter, lengths: Floats, cosines: list[Floats]
    ) -> Bools:
        """Return whether cells can be completed, by trying those of the greatest volume.

        Args:
            character: the lattice character of the cells.
            lengths: shape (R, 1, 3).
            cosines: of the angles so far, each broadcastable to (R, V).
        """
        cosines = list(cosines)
        closes = np.ones((1, 1), dtype=np.bool_)
        while len(cosines) < 3:
            cosine = (
                _tied_cosine(character, lengths, cosines)
                if character.scalar_products[len(cosines)] is not None
                else _max_volume_cosine(character, lengths, cosines)
            )
            printed = np.rint(
                np.degrees(np.arccos(np.clip(cosine, -1, 1))) * self._values_per_degree
            )
            closes = closes & (printed >= MIN_ANGLE * self._values_per_degree)
            closes = closes & (printed <= MAX_ANGLE * self._values_per_degree)
            cosines.append(self._cosines(printed.astype(np.int64)))
        alpha, beta, gamma = cosines
        if self.min_volume > 0:
            least = self.min_volume * (1 - _TOLERANCE) / lengths.prod(axis=-1)
            closes = closes & (unit_volume_squared(alpha, beta, gamma) >= least * least)
        return closes & images_are_apart(lengths, alpha, beta, gamma, self.min_vector_length)

    def _cosines(self, values: Ints) -> Floats:
        return np.asarray(_cosine_table(self._values_per_degree)[values])

    def _is_consistent(
        self, character: LatticeCharacter, lengths: Floats, angles: Floats, axis: int
    ) -> Bools:
        """Return whether a chosen angle follows from the parameters before it."""
        if character.scalar_products[axis] is None:
            return np.ones(len(lengths), dtype=np.bool_)
        centre, reach = self._printed_angle(character, lengths, angles, axis)
        chosen = np.rint(angles[:, axis] * self._values_per_degree)
        return _is_near(chosen, centre, reach)

    def _printed_angle(
        self, character: LatticeCharacter, lengths: Floats, angles: Floats, axis: int
    ) -> tuple[Floats, Floats]:
        """Return the dependent angle, and its uncertainty from rounding, in units of a value.

        A printed number stands for all numbers within half a unit. To first order, the angle's
        uncertainty is the sum of what half a unit of each number before it contributes.
        """
        unit = 10 ** decimals_of(FieldKind.LENGTH, self.format)

        def angle(shifts: tuple[float, ...]) -> Floats:
            abc = lengths + 0.5 * np.array(shifts[:3]) / unit
            if character.equal_lengths[0]:
                abc[:, 1] = abc[:, 0]
            if character.equal_lengths[1]:
                abc[:, 2] = abc[:, 1]
            shifted = (
                angles[:, :axis] + 0.5 * np.array(shifts[3 : 3 + axis]) / self._values_per_degree
            )
            cosine = _tied_cosine(character, abc, list(np.cos(np.radians(shifted)).T))
            return np.asarray(
                np.degrees(np.arccos(np.clip(cosine, -1, 1))) * self._values_per_degree
            )

        centre = angle((0.0,) * 5)
        moved = sum(
            np.maximum(abs(angle(step) - centre), abs(angle(back) - centre))
            for step, back in zip(_STEPS, _STEPS_BACK, strict=True)
        )
        return centre, np.minimum(0.5 + moved, _MAX_ANGLE_REACH * self._values_per_degree)


_STEPS = tuple(tuple(float(i == j) for j in range(5)) for i in range(5))
_STEPS_BACK = tuple(tuple(-x for x in step) for step in _STEPS)
"""Unit shifts of three lengths and two angles, one at a time."""


def _lengths_differ(equal: tuple[bool, bool], lengths: Floats, count: int) -> Bools:
    """Return where lengths that must be equal differ: a and b, b and c; shape (B, 3) to (B,).

    Only the first `count` lengths are compared.
    """
    differ = np.zeros(len(lengths), dtype=np.bool_)
    for first in range(count - 1):
        if equal[first]:
            differ |= lengths[:, first] != lengths[:, first + 1]
    return differ


def _is_least_restrictive(character: LatticeCharacter, axis: int) -> bool:
    """Return whether no other character can allow an angle more values.

    This holds if the angle is free and all later ones can be chosen as if free: they are free, or
    are right angles where these give the greatest volume, as they do beside another right angle.
    """
    if character.scalar_products[axis] is not None:
        return False
    right = [dot is not None and not dot.any() for dot in character.scalar_products]
    behind = [character.scalar_products[i] is None or right[i] for i in range(axis + 1, 3)]
    return all(behind) and (axis != 1 or character.scalar_products[2] is None or right[0])


def _is_near(values: Ints | Floats, centre: Floats, reach: Floats) -> Bools:
    """Return which values the angle may be printed as; its nearest value always is one."""
    return np.asarray((abs(values - centre) < reach - 1e-6) | (values == np.rint(centre)))


def _scalar_products(lengths: Floats, cosines: list[Floats]) -> tuple[Floats, ...]:
    """Return A, B, D and E; D and E are zero where their cosines are not given."""
    a, b, c = np.moveaxis(lengths, -1, 0)
    zero = np.zeros_like(a)
    d = b * c * cosines[0] if cosines else zero
    e = a * c * cosines[1] if len(cosines) > 1 else zero
    return a * a, b * b, d, e


def _tied_cosine(character: LatticeCharacter, lengths: Floats, cosines: list[Floats]) -> Floats:
    """Return the cosine of the next angle, which follows from the parameters before it."""
    axis = len(cosines)
    factors = character.scalar_products[axis]
    assert factors is not None, "the angle is free"
    first, second = [(1, 2), (0, 2), (0, 1)][axis]
    dot = sum(
        factor * value
        for factor, value in zip(factors, _scalar_products(lengths, cosines), strict=True)
    )
    return np.asarray(dot / (lengths[..., first] * lengths[..., second]))


def _max_volume_cosine(
    character: LatticeCharacter, lengths: Floats, cosines: list[Floats]
) -> Floats:
    """Return the cosine of a free angle that gives the cell its greatest volume.

    The squared volume is ABC + 2DEF - AD² - BE² - CF². For gamma, F = DE/C. For beta with gamma
    free too, E = 0. For beta with F = p + qE, where p holds what does not depend on E, it is
    E = p(D - qC) / (B - 2qD + q²C), whose denominator is the square of b - q c.
    """
    if len(cosines) == 2:
        return np.asarray(cosines[0] * cosines[1])
    factors = character.scalar_products[2]
    if factors is None:
        return np.zeros((1, 1))
    a, b, d, _ = _scalar_products(lengths, cosines)
    c, q = lengths[..., 2] ** 2, factors[3]
    p = factors[0] * a + factors[1] * b + factors[2] * d
    e = p * (d - q * c) / (b - 2 * q * d + q * q * c)
    return np.asarray(e / (lengths[..., 0] * lengths[..., 2]))


def _blocks(rows: Ints, width: int) -> Iterator[Ints]:
    size = max(1, _BLOCK_SIZE // width)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@cache
def _cosine_table(degree: int) -> Floats:
    """Return the cosine of each value of an angle with this many values per degree."""
    return np.asarray(np.cos(np.radians(np.arange(180 * degree + 1) / degree)))
