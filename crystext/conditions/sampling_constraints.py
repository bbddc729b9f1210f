"""The constraints that the grammar enforces on every crystal while it is sampled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from crystext.chemistry.charge_balance import neutral_counts
from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import check_element, format_formula
from crystext.errors import SettingError, did_you_mean
from crystext.runtime.validate_numbers import real_number, whole_number
from crystext.runtime.wording import format_count

MAX_ATOMS = 1000
"""Larger cells are never sampled."""

CRYSTAL_SYSTEMS = (
    "triclinic",
    "monoclinic",
    "orthorhombic",
    "tetragonal",
    "trigonal",
    "hexagonal",
    "cubic",
)
"""The names of the crystal systems."""


@dataclass(frozen=True)
class Constraints:
    """Bounds on a crystal, checked one by one and together, so that some crystal is possible.

    Raises:
        SettingError: a number is out of range, a name does not exist, or bounds exclude each other;
            the message says which, and what would be possible.
    """

    max_atoms: int = 20
    min_distance_ratio: float = 0.0
    """Minimum distance of two atoms over the sum of their covalent radii; 0 turns it off."""
    exclude: tuple[str, ...] = ()
    """Elements that may not occur."""
    min_atoms: int = 1
    require: tuple[str, ...] = ()
    """Each of these elements must occur."""
    only: tuple[str, ...] | None = None
    """The elements that may occur; None allows all."""
    formula: tuple[tuple[str, int], ...] = ()
    """Symbol and count of the elements of a formula unit; a crystal has any whole number of units.
    Empty allows any formula."""
    crystal_system: str | None = None
    """One of `CRYSTAL_SYSTEMS`. The cell is that of a lattice of the system."""
    space_group: int | None = None
    """Number of the space group. Enforced in the Wyckoff format only."""
    counts: tuple[tuple[str, int, int], ...] = ()
    """Symbols with the fewest and most atoms of each element in a crystal. Not with a formula."""
    charges: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Symbols with oxidation states: each element occurs and no other, and the atoms have states
    that sum to zero. Not with a formula."""

    def __post_init__(self) -> None:
        """Check each bound, then all of them together."""
        for name in ("min_atoms", "max_atoms"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        scale = real_number("the least distance of atoms", self.min_distance_ratio)
        object.__setattr__(self, "min_distance_ratio", scale)
        _check_atoms(self.min_atoms, self.max_atoms)
        if not 0 <= self.min_distance_ratio <= 1:
            raise SettingError(
                f"a distance scale of {self.min_distance_ratio:g}: expected 0 (off) to 1 "
                "(covalent spheres that touch)"
            )
        system = self.crystal_system
        if system is not None and system not in CRYSTAL_SYSTEMS:
            raise SettingError(
                f"no crystal system {system!r}; there are {', '.join(CRYSTAL_SYSTEMS)}."
                + did_you_mean(system, CRYSTAL_SYSTEMS)
            )
        for symbol in (*self.exclude, *self.require, *(self.only or ()), *self.formula_elements):
            check_element(symbol)
        self._check_elements()
        if self.formula:
            self._check_formula()
        if self.counts:
            self._check_counts()
        if self.charges and (self.formula or not self.cell_formulas):
            raise SettingError(
                "no numbers of atoms have charges that balance: "
                f"{', '.join(symbol for symbol, _ in self.charges)} in {self.min_atoms} to "
                f"{self.max_atoms} atoms; take other states, or no formula besides"
            )

    @property
    def formula_units(self) -> tuple[int, ...]:
        """The numbers of formula units that fit the bounds on atoms; empty without a formula."""
        if not self.formula:
            return ()
        unit = sum(count for _, count in self.formula)
        return tuple(range(-(-self.min_atoms // unit), self.max_atoms // unit + 1))

    @property
    def formula_elements(self) -> tuple[str, ...]:
        """The elements of the formulas of the cell; empty if any formula is allowed."""
        return self._in_formula or tuple(symbol for symbol, _ in self.charges)

    @cached_property
    def cell_formulas(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of atoms that a cell may have of each of `formula_elements`."""
        if self.formula:
            return tuple(tuple(n * count for _, count in self.formula) for n in self.formula_units)
        if not self.charges:
            return ()
        bounds = {symbol: (fewest, most) for symbol, fewest, most in self.counts}
        ranges = {symbol: bounds.get(symbol, (1, self.max_atoms)) for symbol, _ in self.charges}
        return tuple(neutral_counts(ranges, dict(self.charges), (self.min_atoms, self.max_atoms)))

    @property
    def _in_formula(self) -> tuple[str, ...]:
        return tuple(symbol for symbol, _ in self.formula)

    def _check_elements(self) -> None:
        required = dict.fromkeys((*self.require, *self.formula_elements))
        if both := [symbol for symbol in required if symbol in self.exclude]:
            raise SettingError(
                f"{_list_symbols(both)} both requested and excluded; request other elements, or "
                "exclude others"
            )
        if self.only is not None:
            if outside := [symbol for symbol in required if symbol not in self.only]:
                raise SettingError(
                    f"{_list_symbols(outside)} requested, but not among the elements that may "
                    f"occur ({', '.join(self.only)}); add to these, or ask for others"
                )
            if not set(self.only) - set(self.exclude):
                raise SettingError(
                    "all elements that may occur are excluded; leave at least one of "
                    f"{', '.join(self.only) or 'them'}"
                )
        if len(set(self.exclude)) == len(ATOMIC_NUMBERS):
            raise SettingError("all elements are excluded; leave at least one")
        needed = len(set(self.require))
        if needed > self.max_atoms:
            raise SettingError(
                f"{needed} elements are required in {format_count(self.max_atoms, 'atom')} at "
                f"most; take {max_atoms_hint(needed)}, or fewer elements"
            )

    def _check_counts(self) -> None:
        for symbol, fewest, most in self.counts:
            check_element(symbol)
            if not 0 <= fewest <= most or most < 1:
                raise SettingError(f"{fewest} to {most} atoms of {symbol}: expected a range from 0")
            forbidden = symbol in self.exclude or not (self.only is None or symbol in self.only)
            if forbidden and fewest > 0:
                raise SettingError(
                    f"{fewest} or more atoms of {symbol} are requested, which may not occur; allow "
                    "it, or ask for others"
                )
        if self.formula:
            raise SettingError(
                "numbers of atoms of elements follow from the formula; leave one out"
            )
        # An element that is required without a number has at least one atom.
        ranges = {symbol: (fewest, most) for symbol, fewest, most in self.counts}
        others = [symbol for symbol in self.require if symbol not in ranges]
        needed = sum(fewest for fewest, _ in ranges.values()) + len(others)
        if needed > self.max_atoms:
            raise SettingError(
                f"the elements need {needed} atoms in {format_count(self.max_atoms, 'atom')} at "
                f"most; take {max_atoms_hint(needed)}, or fewer atoms of each"
            )
        permitted = None if self.only is None else set(self.only) - set(self.exclude)
        if permitted is not None and permitted <= ranges.keys():
            largest = sum(ranges[symbol][1] for symbol in permitted)
            if largest < self.min_atoms:
                raise SettingError(
                    f"at least {self.min_atoms} atoms are requested, and the elements have "
                    f"{largest} at most; ask for {largest} or fewer"
                )

    def _check_formula(self) -> None:
        symbols, counts = zip(*self.formula, strict=True)
        written = format_formula(self.formula)
        if min(counts) < 1:
            raise SettingError(f"the formula {written}: expected counts of 1 or more")
        if twice := [symbol for symbol in symbols if symbols.count(symbol) > 1]:
            raise SettingError(f"the formula {written} has {twice[0]} more than once; add them up")
        if beyond := [symbol for symbol in dict.fromkeys(self.require) if symbol not in symbols]:
            raise SettingError(
                f"{_list_symbols(beyond)} requested, but not in the formula {written}; "
                "ask for the formula alone, or for elements alone"
            )
        if self.formula_units:
            return
        unit, low, high = sum(counts), self.min_atoms, self.max_atoms
        below, above = high // unit * unit, -(-low // unit) * unit
        if below == 0 and low == 1:
            raise SettingError(
                f"{written} has {unit} atoms, and a crystal may have {high}; "
                f"take {max_atoms_hint(unit)}"
                + (f", which is above the largest of {MAX_ATOMS}" if unit > MAX_ATOMS else "")
            )
        nearest = " or ".join(str(n) for n in (below, above) if 1 <= n <= MAX_ATOMS)
        asked = f"{low}" if low == high else f"{low} to {high}"
        raise SettingError(
            f"{written} has {unit} atoms, and {asked} is not a multiple of them; take {nearest} "
            "atoms"
        )


def max_atoms_hint(atoms: int) -> str:
    """Return how to set the largest size of a crystal, in Python and on the command line."""
    return f"max_atoms {atoms} (on the command line --max-atoms {atoms})"


def _check_atoms(low: int, high: int) -> None:
    if not 1 <= high <= MAX_ATOMS:
        raise SettingError(f"at most {high} atoms: expected 1 to {MAX_ATOMS}")
    if low < 1:
        raise SettingError(f"at least {low} atoms: expected 1 or more")
    if low > high:
        raise SettingError(
            f"at least {low} atoms and at most {high}; take {max_atoms_hint(low)}, "
            f"or ask for {high} or fewer"
        )


def _list_symbols(symbols: Iterable[str]) -> str:
    names = list(symbols)
    return f"{', '.join(names)} {'are' if len(names) > 1 else 'is'}"
