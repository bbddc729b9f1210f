"""A few sentences on a crystal, from templates: formula, symmetry, cell, density and properties.

    NaCl has the space group Fm-3m (number 225) and is cubic. Its cell holds Na4Cl4, 8 atoms, in a
    volume of 179.4 Å^3; the density is 2.16 g/cm^3. The lengths of the cell are a = b = c = 5.64 Å,
    its angles alpha = beta = gamma = 90.0°. Formation energy: -2.11 eV/atom. Band gap: 5.00 eV.

So a language model meets the words in which people ask for crystals. Numbers are those of the
record; a property that it lacks is left out. The order of the sentences is always the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from crystext.structures.properties import (
    cell_formula,
    crystal_system,
    density,
    reduced_formula,
    space_group_symbols,
)
from crystext.structures.property_schema import PROPERTIES, is_known
from crystext.structures.record import Record


def prose(record: Record) -> str:
    """Return the sentences on a record's crystal.

    Raises:
        InputError: the record has no crystal, or its space group does not exist.
    """
    crystal = record.require_crystal()
    formula = reduced_formula(crystal)
    sentences = []
    group = _space_group(record)
    if group is None:
        sentences.append(f"{formula} is a crystal.")
    else:
        sentences.append(
            f"{formula} has the space group {space_group_symbols()[group]} (number {group}) and is "
            f"{crystal_system(group)}."
        )
    n_atoms = f"{len(crystal)} atom{'s' if len(crystal) > 1 else ''}"
    sentences.append(
        f"Its cell holds {cell_formula(crystal.numbers)}, {n_atoms}, in a volume of "
        f"{crystal.volume:.1f} Å^3; the density is {density(crystal):.2f} g/cm^3."
    )
    lengths = _equal_values(("a", "b", "c"), [f"{x:.2f} Å" for x in crystal.lengths])
    angles = _equal_values(("alpha", "beta", "gamma"), [f"{x:.1f}°" for x in crystal.angles])
    sentences.append(f"The lengths of the cell are {lengths}, its angles {angles}.")
    for name, value in record.labels.items():
        if name != "space_group" and name in PROPERTIES and is_known(value):
            about = PROPERTIES[name]
            unit = f" {about.unit}" if about.unit else ""
            sentences.append(
                f"{about.title[:1].upper()}{about.title[1:]}: {about.format(value)}{unit}."
            )
    return " ".join(sentences)


def _space_group(record: Record) -> int | None:
    label = record.labels.get("space_group")
    if is_known(label) and not isinstance(label, str):
        return int(label)
    return None if record.wyckoff is None else record.wyckoff.space_group


def _equal_values(names: Sequence[str], values: Sequence[str]) -> str:
    """Return `a = b = 3.00 Å, c = 5.00 Å`."""
    groups: dict[str, list[str]] = {}
    for name, value in zip(names, values, strict=True):
        groups.setdefault(value, []).append(name)
    return ", ".join(f"{' = '.join(group)} = {value}" for value, group in groups.items())
