"""Read crystals by pymatgen and ASE: their formats, their dictionaries, ASE's atoms.

Each parser here returns crystals with notes. `unapplied` first refuses files with information that
their parser ignores.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, HYDROGEN_ISOTOPES
from crystext.errors import InputError, ReadingWarning
from crystext.io.read.reading import Reading, read_with_notes
from crystext.io.read.unapplied import check_fully_parsed
from crystext.structures.crystal import Crystal, isotope_notes, lengths_and_angles

if TYPE_CHECKING:
    from ase import Atoms

PYMATGEN_FORMATS = ("cssr", "xsf", "res", "mcsqs")
"""Formats, by pymatgen's names, that pymatgen reads from a string."""

ASE_FORMATS: dict[str, bool] = {
    "traj": True,
    **dict.fromkeys(("vasp-xml", "vasp-out", "espresso-out", "abinit-out", "gpaw-out"), False),
    **dict.fromkeys(("abinit-in", "castep-cell", "cfg", "cube", "espresso-in", "gen"), False),
    **dict.fromkeys(("lammps-data", "magres", "siesta-xv", "struct_out", "turbomole"), False),
    **dict.fromkeys(("v-sim", "xsd", "proteindatabank"), False),
}
"""Formats, by ASE's names, that hold periodic structures and are read from a stream; True if every
frame is a separate structure, False if only the last one counts.

ASE supports more; those that need a file on disk, a database or another program are left out.
"""

_MASSES = {"D": (1.9, 2.2), "T": (2.9, 3.2)}
"""Ranges of mass in u that identify an isotope of hydrogen."""


def read_pymatgen(text: str, format: str) -> Reading:
    """Read a text of one of `PYMATGEN_FORMATS`."""
    from pymatgen.core.structure import Structure

    notes = check_fully_parsed(format, text)
    found = read_with_notes(Crystal.from_structure, Structure.from_str(text, fmt=format))  # type: ignore[arg-type]
    return found._replace(notes=notes + found.notes)


def read_structure(dictionary: Mapping[str, Any]) -> Reading:
    """Read the dictionary of a pymatgen structure.

    Raises:
        InputError: it does not have the layout of one.
    """
    from pymatgen.core.structure import Structure

    _check_dictionary(dictionary)
    return read_with_notes(Crystal.from_structure, Structure.from_dict(dict(dictionary)))


def _check_dictionary(dictionary: Mapping[str, Any]) -> None:
    lattice, sites = dictionary.get("lattice"), dictionary.get("sites")
    parameters = ("a", "b", "c", "alpha", "beta", "gamma")
    if not isinstance(lattice, dict) or not (
        "matrix" in lattice or all(_is_number(lattice.get(key)) for key in parameters)
    ):
        raise InputError(
            "its lattice is not an object with a matrix of three vectors; expected a structure as "
            "pymatgen's as_dict writes it"
        )
    if "matrix" in lattice and not is_vector_list(lattice["matrix"], 3):
        raise InputError("the matrix of its lattice is not three vectors of three numbers")
    if "matrix" in lattice:
        lengths, angles = lengths_and_angles(np.array(lattice["matrix"], float))
        for key, found in zip(parameters, (*lengths, *angles), strict=True):
            given = lattice.get(key)
            # They follow from the matrix, so only a clearly different cell is a contradiction.
            if _is_number(given) and abs(given - found) > 0.1:
                raise InputError(
                    f"the {key} of its lattice is {given:g}, but that of its matrix {found:.4g}; "
                    "expected the same"
                )
    if not isinstance(sites, list) or not sites:
        raise InputError("it has no list of sites; expected one entry per atom")
    for number, site in enumerate(sites, start=1):
        species = site.get("species") if isinstance(site, dict) else None
        if not isinstance(species, list) or not all(
            isinstance(x, dict)
            and isinstance(x.get("element"), str)
            and _is_number(x.get("occu", 1))
            for x in species
        ):
            raise InputError(
                f"site {number} has no species; expected a list of element and occu, as pymatgen's "
                "as_dict writes it"
            )
        place = site.get("abc", site.get("xyz"))
        if not is_vector_list([place], 1):
            raise InputError(f"site {number} has no coordinates abc or xyz of three numbers")
        for one in species:
            symbol = re.match("[A-Za-z]*", one["element"]).group()  # type: ignore[union-attr]
            if symbol not in ATOMIC_NUMBERS and symbol not in HYDROGEN_ISOTOPES:
                raise InputError(
                    f"site {number} holds {one['element'][:40]!r}, which is not an element"
                )


def is_vector_list(value: Any, count: int | None = None) -> bool:
    """Return whether a value is a list of so many lists of three numbers; None takes any number."""
    return (
        isinstance(value, list | tuple)
        and (count is None or len(value) == count)
        and all(isinstance(row, list | tuple) and len(row) == 3 for row in value)
        and all(_is_number(x) for row in value for x in row)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_extxyz_frame(text: str) -> Reading:
    """Read one frame of extxyz."""
    from ase.io import read

    text, notes = _without_isotopes(text)
    atoms = read(io.StringIO(text), format="extxyz")
    assert not isinstance(atoms, list)
    found = read_with_notes(crystal_from_ase, atoms)
    return found._replace(notes=notes + found.notes)


def _without_isotopes(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace the symbols of hydrogen's isotopes, which ASE does not know, by H."""
    lines = text.split("\n")
    if len(lines) < 3:
        return text, ()
    column = 0
    if given := re.search(r"\bProperties=\"?([^\s\"]+)", lines[1], re.IGNORECASE):
        parts = given[1].split(":")
        for name, _, width in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
            if name.lower() in ("species", "element"):
                break
            column += int(width) if width.isdigit() else 0
    symbols: list[tuple[int, str]] = []
    for i, line in enumerate(lines[2:], start=1):
        words = line.split()
        if len(words) > column and words[column] in HYDROGEN_ISOTOPES:
            symbols.append((i, words[column]))
            words[column] = "H"
            lines[i + 1] = " ".join(words)
    return "\n".join(lines) if symbols else text, isotope_notes(symbols)


def read_ase(data: bytes | str, format: str) -> list[Reading | InputError]:
    """Read one of `ASE_FORMATS`: its last structure, or, of a trajectory, each frame."""
    from ase.io import read

    notes = check_fully_parsed(format, data) if isinstance(data, str) else ()
    stream = io.StringIO(data) if isinstance(data, str) else io.BytesIO(data)
    # ASE queries an installed CASTEP for its keywords, unless it accepts any keyword.
    options: Any = {"calculator_args": {"keyword_tolerance": 3}} if format == "castep-cell" else {}
    index = slice(None) if ASE_FORMATS[format] else -1
    frames = read(stream, index=index, format=format, **options)
    found: list[Reading | InputError] = []
    for atoms in frames if isinstance(frames, list) else [frames]:
        try:
            reading = read_with_notes(crystal_from_ase, atoms)
            found.append(reading._replace(notes=notes + reading.notes))
        except InputError as error:
            found.append(error)
    return found


def is_binary(format: str) -> bool:
    """Return whether ASE reads a format from bytes."""
    from ase.io.formats import ioformats

    return bool(ioformats[format].isbinary)


def crystal_from_ase(atoms: Atoms) -> Crystal:
    """Convert ASE's atoms; the cell must have three vectors, whatever `pbc` says.

    Hydrogen with the mass of an isotope is read as hydrogen, with a `ReadingWarning`.

    Raises:
        InputError: there is no cell, or the atoms are not a crystal (see `Crystal`).
    """
    if atoms.cell.rank < 3:
        raise InputError(
            "it has no periodic cell in three dimensions; expected three lattice vectors, which "
            'extxyz writes as Lattice="..."'
        )
    positions = atoms.cell.scaled_positions(atoms.positions)
    if np.linalg.det(atoms.cell.array) < 0:
        positions = -positions
    parameters = np.asarray(atoms.cell.cellpar(), dtype=np.float64)
    crystal = checked_crystal(
        parameters[:3], parameters[3:], atoms.numbers.tolist(), positions, atoms.numbers
    )
    for note in isotope_notes(_isotopes(atoms)):
        warnings.warn(note, ReadingWarning, stacklevel=2)
    return crystal


def _isotopes(atoms: Atoms) -> list[tuple[int, str]]:
    if not atoms.has("masses"):
        return []
    each = zip(atoms.numbers.tolist(), atoms.get_masses().tolist(), strict=True)
    return [(i, isotope_of(z, mass)) for i, (z, mass) in enumerate(each, start=1)]


def isotope_of(number: int, mass: float) -> str:
    """Return the symbol of the hydrogen isotope with this mass in u; empty if there is none.

    ASE and OPTIMADE have no symbols for isotopes: their deuterium is hydrogen of another mass.
    """
    if number != 1:
        return ""
    return next((s for s, (low, high) in _MASSES.items() if low < mass < high), "")


def read_arrays(row: Mapping[str, Any]) -> Reading:
    """Read a row of lengths, angles, atomic numbers or symbols, and positions.

    Raises:
        InputError: they do not make a crystal.
    """
    arrays = {}
    for key in ("lengths", "angles", "positions"):
        try:
            arrays[key] = np.asarray(row[key], dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"its {key} are not lists of numbers") from None
    lengths, angles, positions = arrays.values()
    if lengths.shape != (3,) or angles.shape != (3,):
        raise InputError(
            f"it has {lengths.size} lengths and {angles.size} angles; a cell has three of each"
        )
    if positions.size % 3:
        raise InputError(f"it has {positions.size} coordinates; expected three for each atom")
    positions = positions.reshape(-1, 3)
    if not isinstance(row["numbers"], list | tuple | np.ndarray):
        raise InputError(
            "its elements are not a list; expected an atomic number or symbol per atom"
        )
    elements = list(row["numbers"])
    if len(elements) != len(positions):
        raise InputError(f"it has {len(elements)} elements and {len(positions)} positions")
    numbers = [_atomic_number(i, element) for i, element in enumerate(elements, start=1)]
    symbols = [(i, z) for i, z in enumerate(elements, start=1) if isinstance(z, str)]
    crystal = checked_crystal(lengths, angles, numbers, positions, elements)
    return Reading(crystal, isotope_notes(symbols))


def _atomic_number(site: int, element: Any) -> int:
    if isinstance(element, str):
        return HYDROGEN_ISOTOPES.get(element) or ATOMIC_NUMBERS.get(element, 0)
    try:
        if int(element) == element:
            return int(element)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"site {site} holds {str(element)[:40]!r}, which is not an element")


def read_atoms(row: Mapping[str, Any]) -> Reading:
    """Read a row of an ASE database."""
    from ase import Atoms

    return read_with_notes(
        crystal_from_ase,
        Atoms(row["numbers"], row["positions"], cell=row["cell"], masses=row.get("masses")),
    )


def checked_crystal(
    lengths: Any, angles: Any, numbers: list[int], positions: Any, labels: Any
) -> Crystal:
    """Return the crystal, or raise an error that names the site that is not an element."""
    for i, z in enumerate(numbers):
        if not 1 <= z <= len(ATOMIC_NUMBERS):
            raise InputError(f"site {i + 1} holds {str(labels[i])!r}, which is not an element")
    crystal = Crystal(lengths, angles, np.array(numbers, dtype=np.int64), positions)
    crystal.check()
    return crystal
