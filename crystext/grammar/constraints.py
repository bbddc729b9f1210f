"""What every crystal that is written has to be, as far as it can be seen to while it is written."""

from __future__ import annotations

from dataclasses import dataclass

from crystext.elements import ATOMIC_NUMBERS
from crystext.errors import SettingError, did_you_mean

MOST_ATOMS = 1000
"""Larger cells are not written."""


@dataclass(frozen=True)
class Constraints:
    """Bounds on a crystal; together they may leave nothing, which `automaton` finds out.

    Raises:
        SettingError: a number out of range or an unknown element.
    """

    max_atoms: int = 20
    distance_scale: float = 0.0
    """Least distance of two atoms over the sum of their covalent radii; 0 lets atoms lie
    anywhere."""
    exclude: tuple[str, ...] = ()
    """Elements that may not occur."""
    min_atoms: int = 1
    require: tuple[str, ...] = ()
    """Elements of which each has to occur."""
    only: tuple[str, ...] | None = None
    """Elements beside which no other may occur."""
    formula: tuple[tuple[str, int], ...] = ()
    """Symbol and count of a reduced formula; any number of formula units that fits is open."""
    crystal_system: str | None = None
    """The cell is one of this system."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.max_atoms <= MOST_ATOMS:
            raise SettingError(f"at most {self.max_atoms} atoms: expected 1 to {MOST_ATOMS}")
        if not 0 <= self.distance_scale <= 1:
            raise SettingError(
                f"a distance scale of {self.distance_scale:g}: expected 0 (off) to 1 "
                "(covalent spheres that touch)"
            )
        for symbol in self.exclude:
            if symbol not in ATOMIC_NUMBERS:
                raise SettingError(f"no element {symbol!r}." + did_you_mean(symbol, ATOMIC_NUMBERS))
        if len(set(self.exclude)) == len(ATOMIC_NUMBERS):
            raise SettingError("all elements are excluded; leave at least one")
