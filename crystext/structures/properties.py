"""What a crystal can be asked to have, and how a prompt writes it.

Some properties follow from the crystal; the others are labels that a data set may or may not
carry. A label that is missing is left out of prompts, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
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
from crystext.structures.property_schema import LABELS, format_property_number

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
    """Return the formula with the smallest whole counts, as the field writes it: LiFePO4.

    Elements stand by increasing electronegativity (Pauling), ties by symbol, and 1 is not written:
    the order of pymatgen's formulas.

    Args:
        composition: atomic numbers, a crystal, or a composition: a formula, or elements and their
            counts.

    Raises:
        SettingError: it is a composition that makes no sense.
    """
    if isinstance(composition, str | Mapping):
        return format_formula(reduce_counts(parse_composition(composition)))
    numbers = composition.numbers if isinstance(composition, Crystal) else composition
    _, counts = np.unique(numbers, return_counts=True)
    return _formula(numbers, int(np.gcd.reduce(counts)))


def cell_formula(numbers: NDArray[np.int64]) -> str:
    """Return the formula of all atoms there are, elements by electronegativity: Li4Fe4P4O16."""
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
    """Return the short international symbol of each space-group number, e.g. Fm-3m of 225.

    Source: spglib's table, the standard setting of each group.
    """
    import spglib

    types = [spglib.get_spacegroup_type(hall) for hall in range(530, 0, -1)]
    return {kind.number: kind.international_short for kind in types if kind is not None}


def _elements(crystal: Crystal) -> list[str]:
    return sort_by_electronegativity({SYMBOLS[z - 1] for z in crystal.numbers.tolist()})


_FORMATTERS: dict[str, Callable[[Crystal, Mapping[str, float]], str | None]] = {
    "formula": lambda crystal, labels: reduced_formula(crystal.numbers),
    "elements": lambda crystal, labels: " ".join(_elements(crystal)),
    "chemical_system": lambda crystal, labels: "-".join(sorted(_elements(crystal))),
    "space_group": lambda crystal, labels: _format_label("space_group", labels),
    "space_group_symbol": lambda crystal, labels: (
        space_group_symbols()[int(labels["space_group"])]
        if _is_known(labels.get("space_group"))
        else None
    ),
    "crystal_system": lambda crystal, labels: (
        crystal_system(int(labels["space_group"])) if _is_known(labels.get("space_group")) else None
    ),
    "n_atoms": lambda crystal, labels: str(len(crystal)),
    "density": lambda crystal, labels: format_property_number("density", density(crystal)),
    "formation_energy": lambda crystal, labels: _format_label("formation_energy", labels),
    "band_gap": lambda crystal, labels: _format_label("band_gap", labels),
    "e_above_hull": lambda crystal, labels: _format_label("e_above_hull", labels),
}

PROPERTIES = tuple(_FORMATTERS)
"""Names of the properties that a prompt can ask for."""


_LABEL_OF = {"space_group_symbol": "space_group", "crystal_system": "space_group"} | dict(
    zip(LABELS, LABELS, strict=True)
)
"""The label from which a property follows, for those that do not follow from the crystal."""


def available_properties(labels: Mapping[str, float]) -> list[str]:
    """Return the names of the properties that a crystal with these labels has."""
    return [
        name
        for name in PROPERTIES
        if name not in _LABEL_OF or _is_known(labels.get(_LABEL_OF[name]))
    ]


def format_properties(
    crystal: Crystal, labels: Mapping[str, float], names: Iterable[str] | None = None
) -> dict[str, str]:
    """Return properties of a crystal as prompts write them.

    Args:
        crystal: the crystal.
        labels: values of `LABELS`; missing and nan ones are left out.
        names: some of `available_properties`; None is all of them.
    """
    written = {
        name: _FORMATTERS[name](crystal, labels)
        for name in (available_properties(labels) if names is None else names)
    }
    return {name: text for name, text in written.items() if text is not None}


def _is_known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _format_label(name: str, labels: Mapping[str, float]) -> str | None:
    return format_property_number(name, labels[name]) if _is_known(labels.get(name)) else None
