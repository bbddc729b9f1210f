"""One piece of a source, a text or a row, to crystals, by the parsers of each kind.

The cell is taken as the file writes it: nothing is reduced to a primitive cell, sorted by symmetry
or shifted. A CIF of a space group is expanded by its operations (see `crystext.read.cif`); other
formats are read by pymatgen and ASE. Knows nothing of files.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crystext.codec import decode
from crystext.crystal import Crystal
from crystext.elements import ATOMIC_NUMBERS
from crystext.errors import InputError
from crystext.read.cif import looks_like_cif, read_cif

if TYPE_CHECKING:
    from ase import Atoms

MAX_TEXT = 8 * 2**20
"""Bytes that the text of one structure may have. Parsers take seconds for a megabyte of noise."""

MAX_OUTPUT = 256 * 2**20
"""Bytes that a trajectory or the output of a calculation may have."""

PYMATGEN_FORMATS = ("cssr", "xsf", "res", "mcsqs")
"""Formats, by pymatgen's names, that are read by pymatgen from a string."""

ASE_FORMATS: dict[str, bool] = {
    **dict.fromkeys(("vasp-xdatcar", "traj"), True),
    **dict.fromkeys(("vasp-xml", "vasp-out", "espresso-out", "abinit-out", "gpaw-out"), False),
    **dict.fromkeys(("abinit-in", "castep-cell", "cfg", "cube", "espresso-in", "gen"), False),
    **dict.fromkeys(("lammps-data", "magres", "siesta-xv", "struct_out", "turbomole"), False),
    **dict.fromkeys(("v-sim", "xsd", "proteindatabank"), False),
}
"""Formats, by ASE's names, that hold periodic structures and are read from a stream; True where
every frame is a structure of its own, False where the last one is what is meant.

ASE knows more; those that need a file on disk, a database or another program are left out.
"""


class Piece(NamedTuple):
    """What one structure, or one trajectory, is to be read from."""

    name: str
    kind: str
    """A key of `_PARSERS`, or `pymatgen:FORMAT`, or `ase:FORMAT`; `problem` for one lost."""
    data: Any
    """Text, bytes or a mapping, as the kind asks for; a sentence where the kind is `problem`."""
    labels: Mapping[str, float] = {}
    id: str = ""
    """What tells a table's row apart, in a source of many files too; empty where nothing does."""
    split: str = ""
    """The split that the source puts it in, in the source's words; empty where it has none."""


class ReadItem(NamedTuple):
    """A structure that was met in a source: a crystal, or why there is none."""

    name: str
    """From the file's name or the row's identifier; no two need differ."""
    crystal: Crystal | None
    problem: str | None
    """One sentence; None where there is a crystal."""
    labels: Mapping[str, float]
    """Those of `properties.LABELS` that the source gives."""
    id: str = ""
    """What tells a table's row apart, in a source of many files too; empty where nothing does."""
    split: str = ""
    """The split that the source puts it in, in the source's words; empty where it has none."""
    notes: tuple[str, ...] = ()
    """Sentences on what is only probable about the crystal, such as deuterium read as hydrogen or
    a file without symmetry read as P1; empty where the file says everything without a doubt."""


class Reading(NamedTuple):
    """A crystal that a parser found, with what is only probable about it."""

    crystal: Crystal
    notes: tuple[str, ...] = ()


def parse(piece: Piece, *, lenient: bool = False) -> list[ReadItem]:
    """Read a piece: one item, or one per frame of a trajectory. Never raises for its data.

    Args:
        piece: what to read.
        lenient: read what contradicts itself where one reading exists, and note the contradiction.
    """

    def item(
        name: str, crystal: Crystal | None, problem: str | None, notes: tuple[str, ...] = ()
    ) -> ReadItem:
        return ReadItem(name, crystal, problem, piece.labels, piece.id, piece.split, notes)

    if piece.kind == "problem":
        return [item(piece.name, None, piece.data)]
    kind, _, format = piece.kind.partition(":")
    arguments = (piece.data, format) if format else (piece.data,)
    options = {"lenient": lenient} if kind in _LENIENT else {}
    with warnings.catch_warnings():
        # What matters of the parsers' warnings is checked below; the rest is no news to a user.
        warnings.simplefilter("ignore")
        try:
            crystals = _PARSERS[kind](*arguments, **options)
        except InputError as error:
            return [item(piece.name, None, str(error))]
        except Exception as error:
            # Parsers of other packages meet broken data with exceptions of any type.
            problem = f"{_label(piece.kind)} cannot be read: {_reason(error)}"
            return [item(piece.name, None, problem)]
    items = []
    for i, crystal in enumerate(crystals, start=1):
        name = piece.name if len(crystals) == 1 else f"{piece.name}-{i}"
        if isinstance(crystal, Reading):
            items.append(item(name, crystal.crystal, None, crystal.notes))
        elif isinstance(crystal, Crystal):
            items.append(item(name, crystal, None))
        else:
            items.append(item(name, None, str(crystal)))
    return items


def kind_of_text(text: str) -> str | None:
    """Return `cif`, `poscar` or `extxyz` if the text looks like one of them, at little cost."""
    if looks_like_cif(text):
        return "cif"
    head = text[:2000].split("\n")[:6]
    if len(head) > 1 and head[0].strip().isdigit() and "lattice=" in head[1].lower():
        return "extxyz"
    if len(head) > 5 and _is_poscar(head):
        return "poscar"
    return None


def _is_poscar(lines: list[str]) -> bool:
    try:
        scale = [float(x) for x in lines[1].split()]
        rows = [[float(x) for x in line.split()[:3]] for line in lines[2:5]]
    except ValueError:
        return False
    return len(scale) in (1, 3) and all(len(row) == 3 for row in rows)


def _label(kind: str) -> str:
    named = {"cif": "the CIF", "poscar": "the POSCAR", "extxyz": "the extxyz frame"}
    return named.get(kind, f"the {kind.rpartition(':')[2]} data")


def _reason(error: Exception) -> str:
    """Return what a parser says is wrong, in one line."""
    cause = error.__cause__ or error
    if isinstance(cause, KeyError):
        return f"{cause} is missing"
    line = next((line.strip() for line in str(cause).splitlines() if line.strip()), "")
    return line[:200] or type(cause).__name__


def _expect(text: str, kind: str, what: str) -> None:
    """Raise unless a text is of the kind: its parser must not be given megabytes of noise."""
    if not text.strip():
        raise InputError(f"it is empty; expected {what}")
    if len(text) > MAX_TEXT:
        raise InputError(
            f"it has {len(text):,} characters; a structure may have {MAX_TEXT:,}. Take out what is "
            "not structure, such as embedded reflections"
        )
    if kind_of_text(text) != kind:
        raise InputError(f"it starts with {text.lstrip()[:40]!r}; expected {what}")


def _cif(text: str, *, lenient: bool = False) -> list[Reading]:
    _expect(text, "cif", "a CIF with a data_ block, _cell_length_a and _atom_site_ rows")
    reading = read_cif(text, lenient=lenient)
    return [Reading(reading.crystal, reading.notes)]


def _poscar(text: str) -> list[Crystal]:
    from pymatgen.io.vasp.inputs import Poscar

    _expect(text, "poscar", "a POSCAR: a title, a scale, three lattice vectors, elements, counts")
    lines = text.split("\n")
    counts = [int(x) for line in lines[5:40] for x in line.split() if x.isdecimal()]
    if sum(len(str(n)) > 7 for n in counts) or max(counts, default=0) > len(lines):
        raise InputError(
            f"it has {len(lines)} lines, yet claims up to {max(counts)} atoms of an element"
        )
    # Without symbols pymatgen would invent elements: H, He, Li, ...
    warnings.filterwarnings("error", message="Elements in POSCAR cannot be determined")
    return [Crystal.from_structure(Poscar.from_str(text, read_velocities=False).structure)]


def _pymatgen(data: bytes, format: str) -> list[Crystal]:
    from pymatgen.core.structure import Structure

    return [Crystal.from_structure(Structure.from_str(as_text(data), fmt=format))]  # type: ignore[arg-type]


def _structure(dictionary: Mapping[str, Any]) -> list[Crystal]:
    from pymatgen.core.structure import Structure

    return [Crystal.from_structure(Structure.from_dict(dict(dictionary)))]


def _frame(text: str) -> list[Crystal]:
    from ase.io import read

    atoms = read(io.StringIO(text), format="extxyz")
    assert not isinstance(atoms, list)
    return [crystal_from_ase(atoms)]


def _text(text: str) -> list[Crystal]:
    decoded = decode(text)
    if decoded.crystal is None:
        assert decoded.fault is not None
        raise InputError(
            f"line {decoded.line} of its text: {decoded.fault.value}; found {decoded.detail}"
        )
    return [decoded.crystal]


def _ase(data: bytes, format: str) -> list[Crystal | InputError]:
    from ase.io import read
    from ase.io.formats import ioformats

    stream = io.BytesIO(data) if ioformats[format].isbinary else io.StringIO(as_text(data))
    frames = read(stream, index=slice(None) if ASE_FORMATS[format] else -1, format=format)
    crystals: list[Crystal | InputError] = []
    for atoms in frames if isinstance(frames, list) else [frames]:
        try:
            crystals.append(crystal_from_ase(atoms))
        except InputError as error:
            crystals.append(error)
    return crystals


def _arrays(row: Mapping[str, Any]) -> list[Crystal]:
    """Take a row of lengths, angles, atomic numbers or symbols, and positions."""
    lengths, angles = (np.asarray(row[key], dtype=np.float64) for key in ("lengths", "angles"))
    elements = list(row["numbers"])
    positions = np.asarray(row["positions"], dtype=np.float64).reshape(-1, 3)
    if lengths.shape != (3,) or angles.shape != (3,):
        raise InputError(
            f"it has {lengths.size} lengths and {angles.size} angles; a cell has three of each"
        )
    if len(elements) != len(positions):
        raise InputError(f"it has {len(elements)} elements and {len(positions)} positions")
    numbers = [ATOMIC_NUMBERS.get(z, 0) if isinstance(z, str) else int(z) for z in elements]
    return [_checked(lengths, angles, numbers, positions, elements)]


def _atoms(row: Mapping[str, Any]) -> list[Crystal]:
    from ase import Atoms

    return [crystal_from_ase(Atoms(row["numbers"], row["positions"], cell=row["cell"]))]


def crystal_from_ase(atoms: Atoms) -> Crystal:
    """Take ASE's atoms; the cell must have three vectors, whatever `pbc` says.

    Raises:
        InputError: there is no cell, or the atoms are no crystal (see `Crystal`).
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
    return _checked(
        parameters[:3], parameters[3:], atoms.numbers.tolist(), positions, atoms.numbers
    )


def _checked(lengths: Any, angles: Any, numbers: list[int], positions: Any, found: Any) -> Crystal:
    for i, z in enumerate(numbers):
        if not 1 <= z <= len(ATOMIC_NUMBERS):
            raise InputError(f"site {i + 1} holds {str(found[i])!r}, which is not an element")
    crystal = Crystal(lengths, angles, np.array(numbers, dtype=np.int64), positions)
    crystal.check()
    return crystal


def as_text(data: bytes) -> str:
    """Decode a text file.

    Raises:
        InputError: it is binary.
    """
    if b"\0" in data:
        raise InputError("it is a binary file; expected text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old CIFs write Å and accents in this encoding, in which any byte means something.
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


_PARSERS: dict[str, Callable[..., list[Any]]] = {
    "cif": _cif,
    "poscar": _poscar,
    "extxyz": _frame,
    "text": _text,
    "pymatgen": _pymatgen,
    "ase": _ase,
    "structure": _structure,
    "arrays": _arrays,
    "atoms": _atoms,
}

_LENIENT = ("cif",)
"""Kinds whose parsers can read on where a file contradicts itself."""
