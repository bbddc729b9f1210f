"""One piece of a source, a text or a row, to crystals, by the parser of its kind.

The cell is taken as the file writes it: nothing is reduced to a primitive cell, sorted by symmetry
or shifted. A CIF of a space group is expanded by its operations. Knows nothing of files.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from crystext.codec import decode
from crystext.crystal import Crystal
from crystext.elements import ATOMIC_NUMBERS
from crystext.errors import InputError, in_words
from crystext.read.documents import read_jarvis, read_optimade
from crystext.read.libraries import (
    is_binary,
    read_arrays,
    read_ase,
    read_atoms,
    read_extxyz_frame,
    read_pymatgen,
    read_structure,
)
from crystext.read.poscar import looks_like_poscar, read_poscar, read_xdatcar
from crystext.read.reading import Reading

MAX_TEXT = 8 * 2**20
"""Bytes that the text of one structure may have. Parsers take seconds for a megabyte of noise."""

MAX_OUTPUT = 256 * 2**20
"""Bytes that a trajectory or the output of a calculation may have."""

MAX_EXPANDED = 10_000
"""Sites of a CIF times its symmetry operations; pymatgen's time grows with the square of it."""

_DATA = re.compile(r"^[ \t]*data_", re.MULTILINE)
CELL_KEYS = tuple(
    f"_cell_{key}"
    for key in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)
_SITE_KEYS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
_LETTERS = re.compile(r"[A-Za-z]*")


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
            reason = in_words(error, "its contents are not laid out as the format has them")
            return [item(piece.name, None, f"{_label(piece.kind)} cannot be read: {reason}")]
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
    if "_cell_length_a" in text and "_atom_site_" in text and _DATA.search(text):
        return "cif"
    head = text[:2000].split("\n")[:6]
    if len(head) > 1 and head[0].strip().isdigit() and "lattice=" in head[1].lower():
        return "extxyz"
    return "poscar" if looks_like_poscar(head) else None


def cif_blocks(text: str) -> list[tuple[str, str]]:
    """Return the data blocks of a CIF that list atoms, each with its name."""
    starts = [match.start() for match in _DATA.finditer(text)]
    blocks = [text[a:b] for a, b in pairwise([*starts, len(text)])]
    named = [(block.split(None, 1)[0].removeprefix("data_"), block) for block in blocks]
    return [(name, block) for name, block in named if "_atom_site_" in block]


def _label(kind: str) -> str:
    named = {
        "cif": "the CIF",
        "poscar": "the POSCAR",
        "xdatcar": "the XDATCAR",
        "extxyz": "the extxyz frame",
        "jarvis": "the JARVIS entry",
        "optimade": "the OPTIMADE structure",
    }
    return named.get(kind, f"the {kind.rpartition(':')[2]} data")


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


def _cif(text: str, *, lenient: bool = False) -> list[Crystal]:
    """Read one data block with pymatgen.

    Coordinates near 1/3 and the like are rounded to them only where operations of symmetry are
    applied, which needs it; a P1 cell keeps its numbers as written.
    """
    from pymatgen.io.cif import CifBlock, CifParser

    _expect(text, "cif", "a CIF with a data_ block, _cell_length_a and _atom_site_ rows")
    parser = CifParser.from_str(text, frac_tolerance=0.0, check_cif=False)
    block: dict[str, Any] = next(iter(parser.as_dict().values()), {})
    sites = listed_sites(block)
    operations = len(parser.get_symops(CifBlock(block, [], "")))
    if len(sites) * operations > MAX_EXPANDED:
        raise InputError(
            f"it lists {len(sites)} sites and {operations} symmetry operations; their product "
            f"may be {MAX_EXPANDED:,}"
        )
    for i, site in enumerate(sites, start=1):
        check_site(i, site)
    if missing := [key for key in CELL_KEYS if key not in block]:
        raise InputError(f"it lacks {', '.join(missing)}; expected three lengths and three angles")
    if operations > 1:
        parser = CifParser.from_str(text, check_cif=False)
    try:
        (structure,) = parser.parse_structures(primitive=False, on_error="raise")
    except ValueError as error:
        if "Occupancy" not in str(error):
            raise
        raise InputError(
            "a place is occupied more than once: two atoms lie within 1e-4 of the cell's vectors "
            "of each other, or occupancies add up to more than 1"
        ) from None
    if "implicit_hydrogens" in structure.site_properties:
        raise InputError("hydrogen atoms are implied, not placed; expected a site for every atom")
    crystal = Crystal.from_structure(structure)
    declared = set(re.findall(r"[A-Z][a-z]?", str(block.get("_chemical_formula_sum", ""))))
    if missing := sorted((declared & set(ATOMIC_NUMBERS)) - set(crystal.symbols)):
        raise InputError(
            f"its formula names {', '.join(missing)}, but no site does; expected a site for every "
            "atom. Add the sites, or correct _chemical_formula_sum"
        )
    return [crystal]


def listed_sites(block: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the rows of a block's table of sites; a block with one site may do without a loop."""
    columns = {
        key: block[f"_atom_site_{key}"] for key in _SITE_KEYS if f"_atom_site_{key}" in block
    }
    listed = {k: [v] if isinstance(v, str) else v for k, v in columns.items()}
    return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def check_site(number: int, site: Mapping[str, str]) -> None:
    """Refuse a site that is no whole element, or whose type pymatgen would drop or misread.

    It drops OH, and takes Vac for V. Labels, which stand in for types that are not given, may go
    on after the element, as in `Ow1`. Sites are named here, in the order of the file.
    """
    label = site.get("label", "")
    symbol = site.get("type_symbol", label)
    letters = _LETTERS.match(symbol).group()  # type: ignore[union-attr]
    where = f"site {number} ({label})" if label else f"site {number}"
    if letters in ("D", "T"):
        raise InputError(f"{where} is the isotope {letters}; the text knows elements: write H")
    loose = "type_symbol" not in site and not letters.lower().startswith(("oh", "wat", "vac"))
    begins = {letters[:2].title(), letters[:1].upper()} if loose else {letters.title()}
    if not begins & ATOMIC_NUMBERS.keys():
        raise InputError(f"{where} is of type {symbol!r}, which is not an element")
    for axis in "xyz":
        value = cif_number(site.get(f"fract_{axis}", ""))
        if not math.isfinite(value):
            found = site.get(f"fract_{axis}", "nothing")
            raise InputError(f"{where} has a coordinate {axis} that is not finite: {found}")
    occupancy = cif_number(site.get("occupancy", "1"))
    if occupancy < 1 - 1e-6:
        raise InputError(
            f"{where} is disordered (occupied by {letters} {occupancy:g}); expected one whole "
            "element per site. Try an ordered approximation, e.g. pymatgen's "
            "OrderDisorderedStructureTransformation"
        )


def element_of(site: Mapping[str, str]) -> str:
    """Return the symbol of a site that `check_site` let pass."""
    letters = _LETTERS.match(site.get("type_symbol", site.get("label", ""))).group()  # type: ignore[union-attr]
    pair = letters[:2].title()
    return pair if pair in ATOMIC_NUMBERS else letters[:1].upper()


def cif_number(text: str) -> float:
    """Return a number of a CIF, which may bear its uncertainty: 0.25(3); nan where it is none."""
    try:
        return float(text.partition("(")[0])
    except ValueError:
        return math.nan


def _poscar(text: str, *, lenient: bool = False) -> list[Reading]:
    if len(text) > MAX_TEXT:
        raise InputError(f"it has {len(text):,} characters; a structure may have {MAX_TEXT:,}")
    return [read_poscar(text, lenient=lenient)]


def _pymatgen(data: bytes, format: str) -> list[Reading]:
    return [read_pymatgen(as_text(data), format)]


def _structure(dictionary: Mapping[str, Any]) -> list[Reading]:
    return [read_structure(dictionary)]


def _frame(text: str) -> list[Reading]:
    return [read_extxyz_frame(text)]


def _text(text: str) -> list[Crystal]:
    decoded = decode(text)
    if decoded.crystal is None:
        assert decoded.fault is not None
        raise InputError(
            f"line {decoded.line} of its text: {decoded.fault.value}; found {decoded.detail}"
        )
    return [decoded.crystal]


def _ase(data: bytes, format: str) -> list[Reading | InputError]:
    return read_ase(data if is_binary(format) else as_text(data), format)


def _arrays(row: Mapping[str, Any]) -> list[Reading]:
    return [read_arrays(row)]


def _atoms(row: Mapping[str, Any]) -> list[Reading]:
    return [read_atoms(row)]


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
    "xdatcar": read_xdatcar,
    "extxyz": _frame,
    "text": _text,
    "pymatgen": _pymatgen,
    "ase": _ase,
    "structure": _structure,
    "arrays": _arrays,
    "atoms": _atoms,
    "jarvis": lambda atoms: [read_jarvis(atoms)],
    "optimade": lambda attributes: [read_optimade(attributes)],
}

_LENIENT = ("cif", "poscar")
"""Kinds whose parsers can read on where a file contradicts itself."""
