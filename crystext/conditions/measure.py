"""How the conditions are measured in a finished crystal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import parse_formula, sort_by_electronegativity
from crystext.chemistry.oxidation import can_be_neutral
from crystext.conditions.element_counts import measure_element_counts
from crystext.conditions.oxidation import measure_oxidation
from crystext.conditions.units import measure_units
from crystext.structures.crystal import Crystal
from crystext.structures.properties import crystal_system, density, reduced_formula
from crystext.structures.space_groups import find_space_group

if TYPE_CHECKING:
    from crystext.conditions.conditions import Conditions

DENSITY_RELATIVE_TOLERANCE = 0.05
"""Largest relative deviation from the requested density that still satisfies the condition."""


def measure_conditions(
    conditions: Conditions, crystal: Crystal
) -> dict[str, tuple[str | int | float | bool, bool]]:
    """Return the measured value of each condition, and whether it satisfies the condition."""
    formula = reduced_formula(crystal.numbers)
    symbols = set(crystal.symbols)
    shown = " ".join(sort_by_electronegativity(symbols))
    found: dict[str, tuple[Any, bool]] = {
        "composition": (formula, formula == conditions.composition),
        "chemical_system": (
            "-".join(sorted(symbols)),
            symbols == set(conditions.chemical_system),
        ),
        "elements": (shown, symbols >= set(conditions.elements)),
        "only": (shown, symbols <= set(conditions.only)),
        "exclude": (shown, not symbols & set(conditions.exclude)),
    }
    if conditions.n_atoms is not None:
        fewest, most = conditions.n_atoms
        found["n_atoms"] = (len(crystal), fewest <= len(crystal) <= most)
    if conditions.space_group is not None or conditions.crystal_system is not None:
        number = find_space_group(crystal)
        system = None if number is None else crystal_system(number)
        found["space_group"] = (number, number == conditions.space_group)
        found["crystal_system"] = (system, system == conditions.crystal_system)
    if conditions.density is not None:
        value = density(crystal)
        deviation = abs(value - conditions.density)
        near = deviation <= DENSITY_RELATIVE_TOLERANCE * conditions.density
        found["density"] = (round(value, 2), near)
    if conditions.neutral:
        counts = parse_formula(formula)
        numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
        balanced = can_be_neutral(numbers, tuple(counts.values()))
        found["neutral"] = (balanced, balanced)
    actual = Counter(crystal.symbols)
    if conditions.atoms_of:
        found["atoms_of"] = measure_element_counts(conditions.atoms_of, actual)
    if conditions.oxidation:
        found["oxidation"] = measure_oxidation(conditions.oxidation, actual)
    if conditions.unit:
        found["unit"] = measure_units(conditions.unit, crystal)
    return found
