"""Conditions that request the formulas of known crystals, as structure prediction does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crystext.conditions.conditions import Conditions
from crystext.errors import SettingError
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula

_SHOWN = 5

_FROM_CRYSTALS = {
    "composition": "a composition",
    "n_atoms": "a number of atoms",
    "chemical_system": "a chemical system",
}


def formula_conditions(
    crystals: Iterable[tuple[str, Crystal]],
    common: Mapping[str, Any] | None = None,
    *,
    max_atoms: int,
) -> tuple[Conditions, ...]:
    """Return the conditions that request formula and number of atoms of each crystal.

    Args:
        crystals: with their names.
        common: conditions of all, in the spellings of `Conditions.from_keywords`.
        max_atoms: largest number of atoms that is sampled.

    Raises:
        SettingError: a crystal is larger, or a common condition contradicts its formula; the
            message names the first ones. Or the common conditions have a formula or a size.
    """
    given = {name: value for name, value in (common or {}).items() if value is not None}
    if named := [words for name, words in _FROM_CRYSTALS.items() if name in given]:
        raise SettingError(
            f"the formulas are those of crystals, and so are their sizes; leave out what is given "
            f"besides: {', '.join(named)}"
        )
    requested: list[Conditions] = []
    faults: list[str] = []
    for name, crystal in crystals:
        try:
            conditions = Conditions.from_keywords(
                **given, composition=reduced_formula(crystal.numbers), n_atoms=len(crystal)
            )
            conditions.constraints(max_atoms=max_atoms)
        except SettingError as error:
            faults.append(f"{name}: {error}")
        else:
            requested.append(conditions)
    if faults:
        more = len(faults) - _SHOWN
        raise SettingError(
            f"{format_count(len(faults), 'crystal')} cannot be requested:\n  "
            + "\n  ".join(faults[:_SHOWN])
            + (f"\n  and {more:,} more" if more > 0 else "")
        )
    return tuple(requested)
