"""Properties that follow from a crystal or a space group: formula, density, crystal system."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import (
    format_formula,
    parse_composition,
    reduce_counts,
    sort_by_electronegativity,
)
from crystext.errors import InputError
from crystext.structures.crystal import Crystal

_LAST_GROUP_OF_SYSTEM = (
    (2, "triclinic"),
    (15, "monoclinic"),
    (74, "orthorhombic"),
    (142, "tetragonal"),
    (167, "trigonal"),
    (194, "hexagonal"),
    (230, "cubic"),
)


def reduced_formula(composition: NDArray[np.int64] | Crystal | str | Mapping[Any, float]) -> str:
    """Return the formula with the smallest whole counts: LiFePO4.

    Elements are sorted by electronegativity (Pauling), ties by symbol, as in pymatgen's formulas;
    the count 1 is not written.

    Args:
        composition: atomic numbers, a crystal, or a composition: a formula, or elements and their
            counts.

    Raises:
        SettingError: the composition is invalid.
    """
    if isinstance(composition, str | Mapping):
        return format_formula(reduce_counts(parse_composition(composition)))
    numbers = composition.numbers if isinstance(composition, Crystal) else composition
    _, counts = np.unique(numbers, return_counts=True)
    return _formula(numbers, int(np.gcd.reduce(counts)))


def cell_formula(numbers: NDArray[np.int64]) -> str:
    """Return the formula of the whole cell, elements by electronegativity: Li4Fe4P4O16."""
    return _formula(numbers, 1)


def _formula(numbers: NDArray[np.int64], divisor: int) -> str:
    found, counts = np.unique(numbers, return_counts=True)
    amounts = {
        SYMBOLS[z - 1]: n // divisor for z, n in zip(found.tolist(), counts.tolist(), strict=True)
    }
    return format_formula(
        (symbol, amounts[symbol]) for symbol in sort_by_electronegativity(amounts)
    )


def crystal_system(space_group: int) -> str:
    """Return the crystal system of a space-group number, e.g. `cubic` for 225.

    Raises:
        InputError: the number is not in 1..230.
    """
    if not 1 <= space_group <= 230:
        raise InputError(f"no space group has the number {space_group}; expected 1 to 230")
    return next(name for end, name in _LAST_GROUP_OF_SYSTEM if space_group <= end)


def density(crystal: Crystal) -> float:
    """Return the density in g/cm^3, from ASE's standard atomic masses."""
    mass = sum(_atomic_masses()[z] for z in crystal.numbers.tolist())
    return float(mass * 1.66053906660 / crystal.volume)


@cache
def _atomic_masses() -> list[float]:
    from ase.data import atomic_masses

    return [float(m) for m in atomic_masses]


@cache
def space_group_symbols() -> dict[int, str]:
    """Return the short international symbol of each space-group number, e.g. Fm-3m for 225.

    Source: spglib's table, the standard setting of each group.
    """
    import spglib

    types = [spglib.get_spacegroup_type(hall) for hall in range(530, 0, -1)]
    return {kind.number: kind.international_short for kind in types if kind is not None}


def elements_by_electronegativity(crystal: Crystal) -> list[str]:
    """Return the symbols of the elements that occur, by increasing electronegativity."""
    return sort_by_electronegativity({SYMBOLS[z - 1] for z in crystal.numbers.tolist()})


def chemical_system(crystal: Crystal) -> str:
    """Return the elements that occur, by symbol, as the Materials Project writes them: Cl-Na."""
    return "-".join(sorted(elements_by_electronegativity(crystal)))
