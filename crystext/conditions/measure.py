"""How the conditions are measured in a finished crystal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import parse_formula, sort_by_electronegativity
from crystext.chemistry.oxidation import can_be_neutral
from crystext.conditions.element_counts import measure_element_counts
from crystext.conditions.oxidation import measure_oxidation
from crystext.conditions.units import measure_units
from crystext.structures.crystal import Crystal
from crystext.structures.properties import crystal_system, density, reduced_formula
from crystext.structures.space_groups import find_space_group

DENSITY_RELATIVE_TOLERANCE = 0.05
"""Largest relative deviation from the requested density that still satisfies the condition."""

Measured = tuple[Any, bool]
"""What was found, as a plain value, and whether that satisfies the condition."""


def measure_conditions(requested: Mapping[str, Any], crystal: Crystal) -> dict[str, Measured]:
    """Return what is found in a crystal for each condition, and whether it is satisfied.

    Args:
        requested: values by the names of conditions, as `Conditions` holds them. Those that cannot
            be measured in a crystal are left out of the answer.
        crystal: the crystal.
    """
    found = {}
    for name, wanted in requested.items():
        measured = _measure_elements(name, wanted, crystal)
        if measured is None:
            measured = _measure_structure(name, wanted, crystal)
        if measured is not None:
            found[name] = measured
    return found


def _measure_elements(name: str, wanted: Any, crystal: Crystal) -> Measured | None:
    """Return what is found for a condition on elements and their numbers; None for another."""
    symbols = set(crystal.symbols)
    shown = " ".join(sort_by_electronegativity(symbols))
    match name:
        case "composition":
            formula = reduced_formula(crystal.numbers)
            return formula, formula == wanted
        case "chemical_system":
            return "-".join(sorted(symbols)), symbols == set(wanted)
        case "elements":
            return shown, symbols >= set(wanted)
        case "only":
            return shown, symbols <= set(wanted)
        case "exclude":
            return shown, not symbols & set(wanted)
        case "atoms_of":
            return measure_element_counts(wanted, Counter(crystal.symbols))
        case "oxidation":
            return measure_oxidation(wanted, Counter(crystal.symbols))
        case "neutral":
            counts = parse_formula(reduced_formula(crystal.numbers))
            numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
            balanced = can_be_neutral(numbers, tuple(counts.values()))
            return balanced, balanced
    return None


def _measure_structure(name: str, wanted: Any, crystal: Crystal) -> Measured | None:
    """Return what is found for a condition on the structure; None for another."""
    match name:
        case "n_atoms":
            fewest, most = wanted
            return len(crystal), fewest <= len(crystal) <= most
        case "space_group":
            number = find_space_group(crystal)
            return number, number == wanted
        case "crystal_system":
            number = find_space_group(crystal)
            system = None if number is None else crystal_system(number)
            return system, system == wanted
        case "density":
            value = density(crystal)
            deviation = abs(value - wanted)
            return round(value, 2), deviation <= DENSITY_RELATIVE_TOLERANCE * wanted
        case "unit":
            return measure_units(wanted, crystal)
    return None
