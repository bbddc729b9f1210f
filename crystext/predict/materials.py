"""Records of what people hold: crystals, structures of other packages, paths, formulas."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from crystext.io.read import as_crystal
from crystext.predict.sources import read_records
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record

if TYPE_CHECKING:
    from crystext.io.read import CrystalSource

    Material: TypeAlias = Record | CrystalSource


def as_records(materials: Material | Iterable[Material]) -> list[Record]:
    """Return the records of one material or of several.

    Args:
        materials: records, crystals, samples, pymatgen Structures, ASE Atoms, formulas such as
            SrTiO3, or paths, each of which gives as many records as the source has structures.

    Raises:
        InputError: an object is none of these, or a source cannot be read.
    """
    if isinstance(materials, str | Path):
        return list(read_records(materials))
    if isinstance(materials, Record):
        return [materials]
    if isinstance(materials, Crystal) or not isinstance(materials, Iterable) or _is_one(materials):
        return [Record(as_crystal(materials))]  # type: ignore[arg-type]
    return [record for material in materials for record in as_records(material)]


def _is_one(materials: object) -> bool:
    """Return whether an iterable is one structure: those of ASE and pymatgen iterate over atoms."""
    from ase import Atoms
    from pymatgen.core.structure import IStructure

    return isinstance(materials, Atoms | IStructure) or hasattr(materials, "crystal")
