"""The lattices of a crystal system, as relations among the parameters of a reduced cell.

A reduced cell of each Bravais type has one of 44 characters: with A = a·a, B = b·b, C = c·c,
D = b·c, E = a·c, F = a·b, the character says which of these are equal and which follow from others.
Cells that satisfy the relations have the symmetry of the type, or a higher one, reduced or not,
since the same changes of basis leave all of them invariant. So the conditions for a reduced cell
are left out here, and conventional cells of most types are covered too.

Source: International Tables for Crystallography A (2006), table 9.2.5.1, by P. M. de Wolff. This
module does not handle text or rounding; `cells` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from crystext.structures.crystal import Floats


@dataclass(frozen=True, eq=False)
class LatticeCharacter:
    """The relations among the six parameters of a cell."""

    number: int
    """Its number in the table; of two that differ in signs only, the first."""
    bravais: str
    """Symbol of the Bravais type, e.g. cF."""
    equal_lengths: tuple[bool, bool]
    """Whether A = B, and whether B = C."""
    scalar_products: tuple[Floats | None, Floats | None, Floats | None]
    """For D, E and F, the coefficients of A, B, D and E that give it; None if it is free."""

    @property
    def equations(self) -> Floats:
        """Return the coefficients of equations in A to F, one per row, each equal to zero."""
        a, b, c, *dots = np.eye(6)
        rows = [a - b] * self.equal_lengths[0] + [b - c] * self.equal_lengths[1]
        for dot, factors in zip(dots, self.scalar_products, strict=True):
            if factors is not None:
                rows.append(dot - factors @ np.stack([a, b, dots[0], dots[1]]))
        return np.array(rows).reshape(-1, 6)

    @property
    def max_volume_ratio(self) -> float:
        """Return V / abc of the cell of equal lengths whose free angles are right ones.

        For at least one of the characters with the same equal lengths it is the greatest V / abc
        of cells of the system, and does not depend on the lengths.
        """
        products = [1.0, 1.0, 0.0, 0.0, 0.0]
        for i, factors in enumerate(self.scalar_products, start=2):
            products[i] = 0.0 if factors is None else float(factors @ np.array(products[:4]))
        d, e, f = products[2:]
        squared = 1 - d * d - e * e - f * f + 2 * d * e * f
        return math.sqrt(max(0.0, squared))

    def is_special_case_of(self, other: LatticeCharacter) -> bool:
        """Return whether each cell of this character satisfies the other's relations too."""
        both = np.concatenate([self.equations, other.equations])
        return bool(np.linalg.matrix_rank(both) == len(self.equations))


def _lattice_character_table() -> tuple[LatticeCharacter, ...]:
    a, b, d, e = np.eye(4)
    zero = 0 * a
    equal, first, last, none = (True, True), (True, False), (False, True), (False, False)
    table: tuple[
        tuple[int, str, tuple[bool, bool], Floats | None, Floats | None, Floats | None], ...
    ] = (
        (1, "cF", equal, a / 2, a / 2, a / 2),
        (2, "hR", equal, None, d, d),
        (3, "cP", equal, zero, zero, zero),
        (5, "cI", equal, -a / 3, -a / 3, -a / 3),
        (6, "tI", equal, None, d, -a - 2 * d),
        (7, "tI", equal, None, -(a + d) / 2, -(a + d) / 2),
        (8, "oI", equal, None, None, -a - d - e),
        (9, "hR", first, a / 2, a / 2, a / 2),
        (10, "mC", first, None, d, None),
        (11, "tP", first, zero, zero, zero),
        (12, "hP", first, zero, zero, -a / 2),
        (13, "oC", first, zero, zero, None),
        (15, "tI", first, -a / 2, -a / 2, zero),
        (16, "oF", first, None, d, -a - 2 * d),
        (17, "mC", first, None, None, -a - d - e),
        (18, "tI", last, a / 4, a / 2, a / 2),
        (19, "oI", last, None, a / 2, a / 2),
        (20, "mC", last, None, None, e),
        (21, "tP", last, zero, zero, zero),
        (22, "hP", last, -b / 2, zero, zero),
        (23, "oC", last, None, zero, zero),
        (24, "hR", last, a / 6 - b / 2, -a / 3, -a / 3),
        (26, "oF", none, a / 4, a / 2, a / 2),
        (27, "mC", none, None, a / 2, a / 2),
        (28, "mC", none, None, a / 2, 2 * d),
        (29, "mC", none, None, 2 * d, a / 2),
        (30, "mC", none, b / 2, None, 2 * e),
        (31, "aP", none, None, None, None),
        (32, "oP", none, zero, zero, zero),
        (33, "mP", none, None, zero, zero),
        (34, "mP", none, zero, None, zero),
        (35, "mP", none, zero, zero, None),
        (36, "oC", none, zero, -a / 2, zero),
        (37, "mC", none, None, -a / 2, zero),
        (38, "oC", none, zero, zero, -a / 2),
        (39, "mC", none, None, zero, -a / 2),
        (40, "oC", none, -b / 2, zero, zero),
        (41, "mC", none, -b / 2, None, zero),
        (42, "oI", none, -b / 2, -a / 2, zero),
        # 2|D + E + F| = A + B and |2D + F| = B, all three negative, solved for E and F.
        (43, "mC", none, None, (b - a) / 2 + d, -b - 2 * d),
    )
    return tuple(
        LatticeCharacter(i, bravais, lengths, (d, e, f)) for i, bravais, lengths, d, e, f in table
    )


_CUBIC = ("cP", "cF", "cI")
_TETRAGONAL = ("tP", "tI", *_CUBIC)
_ORTHORHOMBIC = ("oP", "oC", "oF", "oI", "hP", *_TETRAGONAL)

_BRAVAIS_TYPES: dict[str, tuple[str, ...]] = {
    "triclinic": ("aP",),
    "monoclinic": ("mP", "mC", "hR", *_ORTHORHOMBIC),
    "orthorhombic": _ORTHORHOMBIC,
    "tetragonal": _TETRAGONAL,
    "trigonal": ("hR", "hP", *_CUBIC),
    "hexagonal": ("hP",),
    "cubic": _CUBIC,
}
"""The lattices that a crystal of the system can have: its own, and those of higher symmetry. A
trigonal crystal has a rhombohedral or a hexagonal lattice, and a triclinic crystal any lattice."""


@cache
def lattice_characters(system: str) -> tuple[LatticeCharacter, ...]:
    """Return the characters whose cells a crystal system can have, without special cases.

    Args:
        system: a name of `constraints.CRYSTAL_SYSTEMS`.
    """
    own = [x for x in _lattice_character_table() if x.bravais in _BRAVAIS_TYPES[system]]
    return tuple(
        x for x in own if not any(x.is_special_case_of(other) for other in own if other is not x)
    )
