"""Contradictions among conditions on elements and charges, told before anything is sampled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import format_formula, parse_formula, sort_by_electronegativity
from crystext.chemistry.oxidation import can_be_neutral, nearest_neutral_formula
from crystext.errors import SettingError


def check_elements(
    composition: str | None,
    chemical_system: Collection[str],
    elements: Collection[str],
    only: Sequence[str],
) -> None:
    """Raise a `SettingError` if a formula, a chemical system and elements contradict each other.

    Args:
        composition: a formula; None for any.
        chemical_system: exactly these elements; empty for any.
        elements: elements that must occur.
        only: elements that may occur; empty for all.
    """
    formula, system = set(parse_formula(composition) if composition else ()), set(chemical_system)
    if formula and system and formula != system:
        raise SettingError(
            f"the formula {composition} is not in the chemical system "
            f"{'-'.join(chemical_system)}; leave the system out, or ask for "
            f"{'-'.join(sort_by_electronegativity(formula))}"
        )
    if only and (more := system - set(only)):
        raise SettingError(
            f"the chemical system has {', '.join(sort_by_electronegativity(more))}, which is "
            f"not among the elements that may occur ({', '.join(only)}); leave only out"
        )
    whole = formula or system
    if whole and (more := set(elements) - whole):
        named = composition or "-".join(chemical_system)
        raise SettingError(
            f"{', '.join(sort_by_electronegativity(more))} cannot occur in {named}; leave it "
            "out, or ask for the chemical system "
            f"{'-'.join(sort_by_electronegativity(whole | more))}"
        )


def check_neutral(formula: str) -> None:
    """Raise a `SettingError` if no oxidation states of a formula balance, by SMACT's table."""
    counts = parse_formula(formula)
    numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
    if can_be_neutral(numbers, tuple(counts.values())):
        return
    near = nearest_neutral_formula(counts, max_atoms=max(20, sum(counts.values())))
    advice = "" if near is None else f"the nearest that can is {format_formula(near)}; or "
    raise SettingError(
        f"the oxidation states of {formula} cannot balance by SMACT's table of 2014; {advice}"
        "ask without neutral"
    )
