"""The condition `atoms_of`: how many atoms of an element a cell has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import format_formula, sort_by_electronegativity, suggest_elements
from crystext.errors import SettingError
from crystext.runtime.validate_numbers import whole_number

ElementCounts = tuple[tuple[str, int, int], ...]
"""Elements, by electronegativity, with the fewest and the most atoms of each in the cell."""

_EXPECTED = "expected an element and a number or a range of atoms, such as Li=4 or Li=2-4"


def parse_element_counts(value: Any) -> ElementCounts:
    """Return numbers of atoms by element.

    Args:
        value: "Li=4", "Li=2-4 P=1", a list of such texts, or {"Li": (2, 4), "P": 1}. A least number
            of 0 allows that the element is missing.

    Raises:
        SettingError: it is something else, or an element does not exist; the message has all
            faults.
    """
    faults: list[str] = []
    counts: dict[str, tuple[int, int]] = {}
    for symbol, ends in _entries(value, faults):
        try:
            fewest, most = _parse_ends(ends)
        except (SettingError, ValueError):
            faults.append(f"{symbol}={'-'.join(map(str, ends))}: {_EXPECTED}")
            continue
        if symbol not in ATOMIC_NUMBERS:
            faults.append(f"no element {symbol!r}; {_EXPECTED}.{suggest_elements(symbol)}")
        elif symbol in counts:
            faults.append(f"{symbol} is given twice; give one range")
        elif most == 0:
            faults.append(f"{symbol}=0 allows none; exclude {symbol} instead")
        elif fewest > most:
            faults.append(f"{symbol}={fewest}-{most} ends below its start; try {most}-{fewest}")
        else:
            counts[symbol] = (fewest, most)
    if faults:
        raise SettingError("atoms_of: " + "; ".join(faults))
    return tuple((symbol, *counts[symbol]) for symbol in sort_by_electronegativity(counts))


def _entries(value: Any, faults: list[str]) -> Iterable[tuple[str, list[Any]]]:
    """Yield elements and the ends of their ranges."""
    if isinstance(value, Mapping):
        for symbol, ends in value.items():
            yield str(symbol), _split(ends)
        return
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple | set | frozenset):
        faults.append(f"{value!r}: {_EXPECTED}")
        return
    for part in (part for text in texts for part in re.split(r"[,;\s]+", str(text)) if part):
        symbol, equals, ends = part.partition("=")
        if equals and ends:
            yield symbol, _split(ends)
        else:
            faults.append(f"{part!r}: {_EXPECTED}")


def _split(ends: Any) -> list[Any]:
    if isinstance(ends, str):
        return re.split(r"\s*[-–]\s*", ends)
    return list(ends) if isinstance(ends, tuple | list) else [ends]


def _parse_ends(ends: list[Any]) -> tuple[int, int]:
    numbers = [whole_number("it", float(end) if isinstance(end, str) else end) for end in ends]
    if len(numbers) not in (1, 2) or min(numbers) < 0:
        raise SettingError(_EXPECTED)
    return numbers[0], numbers[-1]


def format_element_counts(counts: ElementCounts) -> str:
    """Return numbers of atoms as `parse_element_counts` reads them."""
    return " ".join(
        f"{symbol}={fewest}" if fewest == most else f"{symbol}={fewest}-{most}"
        for symbol, fewest, most in counts
    )


def measure_element_counts(counts: ElementCounts, actual: Mapping[str, int]) -> tuple[str, bool]:
    """Return how many atoms of these elements there are, and whether that is as requested."""
    found = " ".join(f"{symbol}={actual.get(symbol, 0)}" for symbol, _, _ in counts)
    return found, all(low <= actual.get(symbol, 0) <= high for symbol, low, high in counts)


def sizes_with_counts(
    counts: ElementCounts, formula: Mapping[str, int], n_atoms: tuple[int, int]
) -> tuple[int, int]:
    """Return the fewest and most atoms of cells of a formula that have these numbers of atoms.

    Raises:
        SettingError: no number of formula units has them.
    """
    fewest, most = n_atoms
    unit = sum(formula.values())
    # Each range allows consecutive numbers of units, so that all together do.
    low, high = -(-fewest // unit), most // unit
    for symbol, least, largest in counts:
        number = formula.get(symbol, 0)
        if number == 0:
            if least > 0:
                raise SettingError(
                    f"atoms_of asks for {symbol}, which {format_formula(formula)} does not have; "
                    "leave it out"
                )
            continue
        low, high = max(low, -(-least // number)), min(high, largest // number)
    if low > high:
        each = " ".join(f"{symbol}={n}" for symbol, n in formula.items())
        raise SettingError(
            f"no number of formula units of {format_formula(formula)} ({each} in each) has "
            f"{format_element_counts(counts)} with {fewest} to {most} atoms; give multiples"
        )
    return low * unit, high * unit
