"""Read crystals from files, folders, zips and tables.

    CIF                                     `cif`, by gemmi's grammar and symmetry
    POSCAR/CONTCAR                          `poscar`, by VASP's rules
    cssr, xsf, res, mcsqs                   pymatgen
    extxyz and further formats              ASE; `extxyz` splits frames and names them
    csv, parquet                            a column `cif` (or `poscar`, `structure`), or arrays:
                                            `lengths` (Å), `angles` (degrees), `numbers`, and
                                            `frac_coords` or `positions`, fractional both
    json, jsonl                             one structure, or rows of them, or POSCAR strings;
                                            entries of JARVIS, responses of OPTIMADE and of the
                                            Materials Project
    db                                      an ASE database
    a zip, a folder                         any of these; a zip is not unpacked to disk
    outputs of crystext                     of `sample` and of `relax`; see `crystext_outputs`

A structure that cannot be read becomes a record with a failure, and reading continues. Assumptions
made while reading are notes of the record; functions that return a single crystal issue them as a
`ReadingWarning`. Files are data: no parser runs code, unpickles or calls another program, and sizes
are bounded.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from crystext.errors import InputError, ReadingWarning
from crystext.io.read.parse import parse_piece
from crystext.io.read.pymatgen_and_ase import crystal_from_ase
from crystext.io.read.sources import pieces
from crystext.runtime.validate_numbers import describe_type
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

__all__ = [
    "as_crystal",
    "as_crystals",
    "no_row_error",
    "nothing_readable_error",
    "read_crystal",
    "read_crystals",
    "require_path",
]

_MAX_PROBLEMS_SHOWN = 10
"""Maximum number of failures listed if no structure can be read."""


def read_crystals(
    source: str | Path, *, where: Mapping[str, str] | None = None, lenient: bool = False
) -> Generator[Record, None, None]:
    """Yield every structure of a source, one after another, in a fixed order.

    Args:
        source: a file, a folder (searched recursively, names sorted) or a zip.
        where: for tables, the value that each of these columns must have.
        lenient: read files that contradict themselves, with a note, where one reading exists,
            instead of refusing them.

    Raises:
        InputError: the source is missing, its format is unknown, or nothing in it can be read.
        SettingError: `where` names a column that does not exist.
    """
    return _read_items(require_path(source), where or {}, lenient)


def read_crystal(source: str | Path, *, lenient: bool = False) -> Crystal:
    """Read the single structure of a source.

    Assumptions made while reading are issued as a `ReadingWarning`.

    Args:
        source: a file, or a folder or zip with one file.
        lenient: see `read_crystals`.

    Raises:
        InputError: the source holds no structure or several, or it is not a crystal.
    """
    with closing(read_crystals(source, lenient=lenient)) as items:
        item, other = next(items), next(items, None)
    if other is not None:
        raise InputError(
            f"{source} holds more than one structure; expected exactly one. Give a file that holds "
            "only one"
        )
    assert item.crystal is not None
    for note in item.notes:
        warnings.warn(f"{source}: {note}", ReadingWarning, stacklevel=2)
    return item.crystal


class HasCrystal(Protocol):
    """An object with a crystal: a `Sample` or an `InfillResult`, for instance."""

    @property
    def crystal(self) -> Crystal | None:
        """The crystal; None if there is none."""


if TYPE_CHECKING:
    CrystalSource: TypeAlias = Crystal | Structure | Atoms | HasCrystal | str | Path
    """Whatever `as_crystal` takes."""


def as_crystal(source: CrystalSource) -> Crystal:
    """Convert an object or a file to a crystal.

    Assumptions made while reading are issued as a `ReadingWarning`.

    Args:
        source: a `Crystal`, a `Sample` or `InfillResult`, pymatgen's `Structure`, ASE's `Atoms`, or
            the path of a file that holds one structure.

    Raises:
        InputError: it is none of these, or does not hold a crystal.
    """
    if isinstance(source, Crystal):
        return source
    if isinstance(source, str | Path):
        return read_crystal(source)
    held = getattr(source, "crystal", source)
    if isinstance(held, Crystal):
        return held
    if held is None:
        raise InputError(f"{source!r} holds no crystal; take one whose crystal is not None")
    from ase import Atoms
    from pymatgen.core.structure import IStructure

    if isinstance(source, IStructure):
        return Crystal.from_structure(source)
    if isinstance(source, Atoms):
        return crystal_from_ase(source)
    raise InputError(
        f"{describe_type(source)} is not a crystal; expected a crystext Crystal, Sample or "
        "InfillResult, a pymatgen Structure, an ASE Atoms or the path of a file"
    )


def as_crystals(sources: Iterable[CrystalSource] | str | Path) -> list[Crystal]:
    """Convert several objects or files to crystals, each as `as_crystal` does; a path is one.

    Raises:
        InputError: one cannot be converted, or there are not several.
    """
    if isinstance(sources, str | Path):
        return [as_crystal(sources)]
    if not isinstance(sources, Iterable):
        raise InputError(f"{describe_type(sources)} is given; expected a list of crystals")
    return [as_crystal(source) for source in sources]


def require_path(source: str | Path) -> Path:
    """Return the path of a source, or raise `InputError` if it does not exist."""
    if not str(source).strip():
        raise InputError("an empty name is given; expected a file or folder")
    if "\n" in str(source):
        first = str(source).strip().partition("\n")[0]
        raise InputError(
            f"the text {first[:60]!r}... is given; expected the path of a file. Write the text "
            "into a file, or give an object, such as a pymatgen Structure"
        )
    path = Path(source)
    try:
        exists = path.exists()
    except OSError:  # Longer than a name can be.
        exists = False
    if not exists:
        raise InputError(f"no file or folder {str(path)[:200]}; check the path")
    return path


def nothing_readable_error(source: Path, problems: list[Record]) -> InputError:
    """Return an error that says why nothing in a source could be read."""
    if not problems:
        return InputError(f"{source} holds no structure")
    first = problems[0]
    if len(problems) == 1:
        return InputError(f"{source}: {first.message}")
    reasons = dict.fromkeys(str(item.message) for item in problems)
    if len(reasons) == 1:
        return InputError(
            f"none of the {len(problems):,} structures in {source} can be read; the first, "
            f"{first.name}: {first.message}"
        )
    shown = "".join(f"\n  {item.name}: {item.message}" for item in problems[:_MAX_PROBLEMS_SHOWN])
    more = len(problems) - _MAX_PROBLEMS_SHOWN
    rest = f"\n  and {more:,} more" if more > 0 else ""
    return InputError(
        f"none of the {len(problems):,} structures in {source} can be read:{shown}{rest}"
    )


def no_row_error(source: Path, where: Mapping[str, str]) -> InputError:
    """Return an error that says that no row of a table meets the conditions."""
    wanted = " and ".join(f"{column}={value}" for column, value in where.items())
    return InputError(f"no row of {source} has {wanted}")


def _read_items(
    source: Path, where: Mapping[str, str], lenient: bool
) -> Generator[Record, None, None]:
    # Failures are held back until a crystal is found: without one, they become the error.
    problems: list[Record] = []
    found = False
    try:
        for piece in pieces(source, where):
            for item in parse_piece(piece, lenient=lenient):
                if item.crystal is None and not found:
                    problems.append(item)
                    continue
                if not found:
                    found = True
                    yield from problems
                yield item
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    if not found and where and not problems:
        raise no_row_error(source, where)
    if not found:
        raise nothing_readable_error(source, problems)
