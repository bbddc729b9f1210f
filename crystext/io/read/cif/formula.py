"""The formula of a CIF, and whether its atoms match it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import format_formula, sort_by_electronegativity
from crystext.io.read.cif.elements import ISOTOPES
from crystext.io.read.cif.grammar import CifBlock

_PART = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?")


_MAX_CHARACTERS_SHOWN = 80
"""Maximum characters of a formula in messages."""


class CifFormula(NamedTuple):
    """The formula of a CIF, and the number of units in the cell."""

    text: str
    counts: Mapping[str, float]
    """Counts by element; D and T are added to H."""
    count_errors: Mapping[str, float]
    """Maximum error of each rounded count; 0 for whole numbers."""
    symbols: frozenset[str]
    """Symbols as written, including D and T."""
    units: int
    """`_cell_formula_units_Z`; 0 if it is not given."""


def formula_of(block: CifBlock) -> CifFormula | None:
    """Return the formula of a file; None if it has none that can be counted."""
    text = block.first_value("_chemical_formula_sum")
    parsed = _parse_formula(text)
    if parsed is None:
        return None
    units = block.first_value("_cell_formula_units_z")
    count = int(units) if units.isdecimal() and len(units) < 7 else 0
    shown = text if len(text) <= _MAX_CHARACTERS_SHOWN else text[:_MAX_CHARACTERS_SHOWN] + "..."
    return CifFormula(shown, *parsed, count)


def named_elements(block: CifBlock) -> frozenset[str]:
    """Return the elements of the file's first formula, in any form; empty if there is none."""
    for name in ("sum", "moiety", "structural", "iupac", "analytical"):
        text = block.first_value(f"_chemical_formula_{name}")
        if (parsed := _parse_formula(re.sub(r"[(),\[\]{}]|\d*[+-]", " ", text))) is not None:
            return parsed[2]
    return frozenset()


def _parse_formula(text: str) -> tuple[dict[str, float], dict[str, float], frozenset[str]] | None:
    compact = re.sub(r"[\s_,~'\"]", "", text)
    if not compact or not re.fullmatch(rf"(?:{_PART.pattern})+", compact):
        return None
    counts: dict[str, float] = {}
    errors: dict[str, float] = {}
    written = set()
    for symbol, amount in _PART.findall(compact):
        element = ISOTOPES.get(symbol, symbol)
        if element not in ATOMIC_NUMBERS:
            return None
        count = float(amount or 1)
        if count > 0:
            decimals = len(amount.partition(".")[2])
            counts[element] = counts.get(element, 0.0) + count
            errors[element] = errors.get(element, 0.0) + (0.6 * 10**-decimals if decimals else 0.0)
            written.add(symbol)
    return (counts, errors, frozenset(written)) if counts else None


def element_counts(numbers: Sequence[int]) -> dict[str, int]:
    """Return the number of atoms of each element, in the order of formulas."""
    counts = {SYMBOLS[z - 1]: n for z, n in Counter(numbers).items()}
    return {symbol: counts[symbol] for symbol in sort_by_electronegativity(counts)}


def composition_problem(formula: CifFormula, numbers: Sequence[int]) -> str:
    """Return how a cell's atoms contradict a formula; empty if they do not."""
    atoms = element_counts(numbers)
    if missing := sorted(set(formula.counts) - set(atoms)):
        return (
            f"its formula {formula.text!r} names {', '.join(missing)}, but no site does; expected "
            "a site for every atom. Add the sites, or correct _chemical_formula_sum"
        )
    ratio = _formula_unit_ratio(formula, atoms)
    made = format_formula(atoms)
    if set(atoms) - set(formula.counts) or ratio is None:
        return (
            f"its formula is {formula.text!r}, and its sites make {made} in the cell; expected a "
            "multiple of the formula. Correct _chemical_formula_sum, or the sites or operations"
        )
    if ratio < 1 - 1e-6 or abs(ratio - round(ratio)) > 0.02 * max(1.0, ratio):
        return (
            f"its formula is {formula.text!r}, and its sites make {made} in the cell, {ratio:.3g} "
            "times it; expected a whole number of times. Correct _chemical_formula_sum, or the "
            "sites or operations"
        )
    return ""


def units_problem(formula: CifFormula, numbers: Sequence[int]) -> str:
    """Return how the atoms contradict the number of formula units; empty if they do not.

    Some programs give the formula of the whole cell, and count its smallest units in Z.
    """
    if not formula.units:
        return ""
    atoms = element_counts(numbers)
    ratio = _formula_unit_ratio(formula, atoms) or 0.0
    if abs(ratio - formula.units) < 0.02 * formula.units + 1e-6:
        return ""
    smallest = math.gcd(*atoms.values())
    # pymatgen's smallest unit of an element may be its molecule: F8 is four of F2.
    alike = {smallest, smallest / 2} if len(atoms) == 1 else {smallest}
    if abs(ratio - 1) < 0.02 and formula.units in alike:
        return ""
    return (
        f"its formula is {formula.text!r} with {formula.units} units in the cell, and its sites "
        f"make {format_formula(atoms)}; expected the same. Correct _cell_formula_units_Z, or the "
        "sites or operations"
    )


def _formula_unit_ratio(formula: CifFormula, atoms: Mapping[str, int]) -> float | None:
    """Return the number of formula units of the atoms; None if their ratio is not the formula's."""
    if set(atoms) != set(formula.counts):
        return None
    low, high = 0.0, math.inf
    for symbol, count in formula.counts.items():
        error = formula.count_errors[symbol]
        low = max(low, atoms[symbol] / (count + error))
        high = min(high, atoms[symbol] / (count - error) if count > error else math.inf)
    if low > high * (1 + 1e-9):
        return None
    nearest = round((low + high) / 2) if math.isfinite(high) else 0
    return float(nearest) if low - 1e-9 <= nearest <= high + 1e-9 and nearest else (low + high) / 2
