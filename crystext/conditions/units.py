"""The condition `unit`: each atom of an element has exactly the neighbours that a formula says.

In PO4, each P has four O and nothing else as nearest neighbours. Neighbours are those of CrystalNN
(Pan et al., Inorg. Chem. 60, 1590 (2021)) without oxidation states, the definition of the
structure fingerprints; see `structures.crystal_nn`. An O may belong to two units, as in P2O7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import format_formula, parse_formula
from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Crystal
from crystext.structures.crystal_nn import nearest_neighbours

_EXPECTED = "expected an atom and its nearest neighbours, such as PO4 or TiO6"


def parse_units(value: Any) -> tuple[str, ...]:
    """Return units, each once.

    Args:
        value: "PO4", "PO4 SiO4", or a list of such texts.

    Raises:
        SettingError: one is no formula, has two central atoms, or no neighbours; the message has
            all faults.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple | set | frozenset):
        raise SettingError(f"unit: {value!r}: {_EXPECTED}")
    faults: list[str] = []
    units: dict[str, None] = {}
    for text in (part for x in texts for part in re.split(r"[,;\s]+", str(x)) if part):
        try:
            counts = parse_formula(text)
        except SettingError as error:
            faults.append(str(error))
            continue
        centre, *neighbours = counts
        if counts[centre] != 1 or not neighbours:
            faults.append(f"{text} is not one atom with neighbours: {_EXPECTED}")
            continue
        units[format_formula(counts)] = None
    if faults:
        raise SettingError("unit: " + "; ".join(faults))
    return tuple(units)


def required_elements(units: Sequence[str]) -> list[str]:
    """Return the elements that occur in any case: of several units of one atom, it alone."""
    required: dict[str, set[str]] = {}
    for unit in units:
        centre, *neighbours = parse_formula(unit)
        required[centre] = required.get(centre, set(neighbours)) & set(neighbours)
    return list(dict.fromkeys([*required, *(x for some in required.values() for x in some)]))


def measure_units(units: Sequence[str], crystal: Crystal) -> tuple[str, bool]:
    """Return what is found in place of units, and whether all are as requested.

    Args:
        units: the condition; where several have the same central atom, each atom is in one of them.
        crystal: any.
    """
    wanted = {unit: parse_formula(unit) for unit in units}
    centres = list(dict.fromkeys(next(iter(counts)) for counts in wanted.values()))
    atoms = [i for i, symbol in enumerate(crystal.symbols) if symbol in centres]
    if lacking := [symbol for symbol in centres if symbol not in crystal.symbols]:
        return f"no {', '.join(lacking)}", False
    try:
        neighbours = nearest_neighbours(crystal, atoms)
    except InputError:
        return "no neighbours", False
    found: dict[str, None] = {}
    kept = True
    for atom, numbers in zip(atoms, neighbours, strict=True):
        centre = crystal.symbols[atom]
        counts = _counts(numbers.tolist())
        kept &= any(
            next(iter(unit)) == centre and _without_first(unit) == counts
            for unit in wanted.values()
        )
        found[_describe(centre, counts)] = None
    return " ".join(sorted(found)), kept


def _counts(numbers: Sequence[int]) -> dict[str, int]:
    values, counts = np.unique(np.array(numbers, dtype=np.int64), return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {SYMBOLS[z - 1]: n for z, n in pairs}


def _without_first(unit: dict[str, int]) -> dict[str, int]:
    return dict(list(unit.items())[1:])


def _describe(centre: str, counts: dict[str, int]) -> str:
    """Return an atom with its neighbours as a unit is written; P alone has none."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], ATOMIC_NUMBERS[pair[0]]))
    return centre + format_formula(ordered)
