"""Write one crystal as POSCAR, extended XYZ or another text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from crystext.io.write.cif_text import entry_cif
from crystext.io.write.decimals import format_decimal
from crystext.io.write.symmetry import CrystalEntry
from crystext.structures.crystal import Crystal

TEXT_FORMATS = ("cif", "poscar", "extxyz", "json")
"""Formats in which each crystal is a separate text."""

_CARTESIAN_DECIMALS = 8
"""Decimals of Å in extended XYZ."""


def entry_text(entry: CrystalEntry, to: str) -> str:
    """Return the text of an entry in one of `TEXT_FORMATS`."""
    if to == "cif":
        return entry_cif(entry)
    if to == "json":
        return json.dumps(structure_dict(entry)) + "\n"
    return (poscar if to == "poscar" else extxyz)(entry.crystal, entry.name)


def poscar(crystal: Crystal, name: str = "crystal") -> str:
    """Return a crystal as a POSCAR (VASP 5). Atoms are in text order: one group per element.

    Vectors and coordinates have ten decimals: VASP detects symmetry to 1e-5, which six decimals of
    rounded vectors come too close to.
    """
    crystal = crystal.in_text_order()
    counts: dict[str, int] = {}
    for symbol in crystal.symbols:
        counts[symbol] = counts.get(symbol, 0) + 1
    lines = [
        single_line(name),
        "1.0",
        *(_format_columns(vector) for vector in crystal.lattice.tolist()),
        " ".join(counts),
        " ".join(map(str, counts.values())),
        "direct",
        *(_format_columns(position) for position in crystal.positions.tolist()),
    ]
    return "\n".join(lines) + "\n"


def extxyz(
    crystal: Crystal, name: str = "crystal", info: Mapping[str, float | bool | str] | None = None
) -> str:
    """Return a crystal as one frame of extended XYZ: Cartesian positions in Å, eight decimals.

    Args:
        crystal: the crystal.
        name: stored as the frame's `name`.
        info: further values of the frame by key, such as `energy`, in eV.
    """
    lattice = " ".join(_format_cartesian(x) for x in crystal.lattice.ravel().tolist())
    further = "".join(f" {key}={_format_value(value)}" for key, value in (info or {}).items())
    lines = [
        str(len(crystal)),
        f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 name="{single_line(name)}"{further} '
        'pbc="T T T"',
    ]
    cartesian = (crystal.positions @ crystal.lattice).tolist()
    for symbol, position in zip(crystal.symbols, cartesian, strict=True):
        lines.append(" ".join((symbol, *map(_format_cartesian, position))))
    return "\n".join(lines) + "\n"


def structure_dict(
    entry: CrystalEntry, properties: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Return a crystal in the layout of pymatgen's `Structure.as_dict`, with all digits.

    Args:
        entry: the crystal to write.
        properties: stored as properties of the structure, together with the name.
    """
    structure = entry.crystal.structure
    for site, label in zip(structure, entry.labels, strict=False):
        site.label = label
    structure.properties = {"name": entry.name, **(properties or {})}
    written: dict[str, object] = structure.as_dict()
    return written


def single_line(name: str) -> str:
    """Return a name that fits on a line, without quotation marks."""
    return re.sub(r'[\s"\\]+', " ", name).strip() or "crystal"


def _format_columns(numbers: list[float]) -> str:
    return " ".join(f"{round(x, 10) + 0.0:16.10f}" for x in numbers)


def _format_cartesian(value: float) -> str:
    return format_decimal(value, _CARTESIAN_DECIMALS)


def _format_value(value: float | bool | str) -> str:
    """Return a value in extended XYZ's notation."""
    if isinstance(value, bool):
        return "T" if value else "F"
    return f'"{single_line(value)}"' if isinstance(value, str) else repr(value)
