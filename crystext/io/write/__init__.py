"""Write crystals to files that other programs read: CIF, POSCAR, extxyz, Parquet, CSV, JSON.

`decimals` formats numbers, `cif_text` writes CIF and `crystal_file_text` the other texts of one
crystal. `symmetry` finds the conventional cell and the orbits of a symmetrised CIF. `tables` writes
rows, and `files` writes everything to disk atomically: a file gets its name only when it is
complete, and the same crystals give the same bytes.
"""

from __future__ import annotations

from crystext.io.write.cif_text import cif, symmetrized_cif
from crystext.io.write.crystal_file_text import TEXT_FORMATS, extxyz, poscar
from crystext.io.write.files import (
    FILE_FORMATS,
    check_output_path,
    crystal_texts,
    file_format,
    write_crystals,
)
from crystext.io.write.symmetry import DEFAULT_LAYOUT, Layout

__all__ = [
    "DEFAULT_LAYOUT",
    "FILE_FORMATS",
    "TEXT_FORMATS",
    "Layout",
    "check_output_path",
    "cif",
    "crystal_texts",
    "extxyz",
    "file_format",
    "poscar",
    "symmetrized_cif",
    "write_crystals",
]
