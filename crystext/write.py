"""Writes crystals to files that other programs read: CIF, POSCAR, extxyz, Parquet.

Numbers are printed with the fewest digits that give the same number back, so a crystal survives
writing and reading, and the same crystals give the same bytes. What is written appears under its
name only when it is whole.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from crystext.crystal import Crystal
from crystext.elements import SYMBOLS
from crystext.errors import InputError, RunError, SettingError, did_you_mean
from crystext.properties import reduced_formula

Named = Iterable[tuple[str, Crystal]]
"""Crystals with their names, from which come file names, data blocks, titles and the like."""

_BARE = re.compile(r"""[A-Za-z0-9][^\s'"]*""")
"""A word that stands in a CIF as it is."""

ROWS = 1000
"""Crystals in a row group of a Parquet file."""


def cif(crystal: Crystal, name: str = "crystal", labels: Sequence[str] = ()) -> str:
    """Return a crystal as a CIF data block in P1: every atom is listed, as it is.

    Sites are called by the labels given, or else by element and place: Na1, Cl2. Atoms that lie at
    the same place are written, but pymatgen refuses to read them back.
    """
    a, b, c, alpha, beta, gamma = map(_digits, (*crystal.lengths, *crystal.angles))
    counts = _counts(crystal)
    lines = [
        f"data_{_word(name)}",
        "_symmetry_space_group_name_H-M   'P 1'",
        "_symmetry_Int_Tables_number   1",
        f"_cell_length_a   {a}",
        f"_cell_length_b   {b}",
        f"_cell_length_c   {c}",
        f"_cell_angle_alpha   {alpha}",
        f"_cell_angle_beta   {beta}",
        f"_cell_angle_gamma   {gamma}",
        f"_cell_volume   {crystal.volume:.6f}",
        f"_chemical_formula_structural   {reduced_formula(crystal.numbers)}",
        "_chemical_formula_sum   '" + " ".join(f"{s}{n}" for s, n in counts.items()) + "'",
        "loop_",
        " _symmetry_equiv_pos_site_id",
        " _symmetry_equiv_pos_as_xyz",
        "  1  'x, y, z'",
        "loop_",
        " _atom_site_type_symbol",
        " _atom_site_label",
        " _atom_site_symmetry_multiplicity",
        " _atom_site_fract_x",
        " _atom_site_fract_y",
        " _atom_site_fract_z",
        " _atom_site_occupancy",
    ]
    names = labels or [f"{symbol}{i}" for i, symbol in enumerate(crystal.symbols, start=1)]
    for symbol, label, position in zip(
        crystal.symbols, names, crystal.positions.tolist(), strict=True
    ):
        x, y, z = map(_digits, position)
        # What a CIF would have to quote is not kept.
        bare = label if _BARE.fullmatch(label) else _word(label)
        lines.append(f"  {symbol}  {bare}  1  {x}  {y}  {z}  1")
    return "\n".join(lines) + "\n"


def poscar(crystal: Crystal, name: str = "crystal") -> str:
    """Return a crystal as a POSCAR (VASP 5). Atoms are put in text order: one group an element."""
    crystal = crystal.in_text_order()
    counts = _counts(crystal)
    lines = [
        _line(name),
        "1.0",
        *(" ".join(map(_digits, vector)) for vector in crystal.lattice.tolist()),
        " ".join(counts),
        " ".join(map(str, counts.values())),
        "direct",
        *(" ".join(map(_digits, position)) for position in crystal.positions.tolist()),
    ]
    return "\n".join(lines) + "\n"


def extxyz(
    crystal: Crystal, name: str = "crystal", info: Mapping[str, float | bool | str] | None = None
) -> str:
    """Return a crystal as one frame of extended XYZ: Cartesian positions in Å.

    Args:
        crystal: the crystal.
        name: kept as the frame's `name`.
        info: further values of the frame by key, such as its energy in eV as `energy`.
    """
    lattice = " ".join(_digits(x) for x in crystal.lattice.ravel().tolist())
    further = "".join(f" {key}={_value(value)}" for key, value in (info or {}).items())
    lines = [
        str(len(crystal)),
        f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 name="{_line(name)}"{further} '
        'pbc="T T T"',
    ]
    cartesian = (crystal.positions @ crystal.lattice).tolist()
    for symbol, position in zip(crystal.symbols, cartesian, strict=True):
        lines.append(" ".join((symbol, *map(_digits, position))))
    return "\n".join(lines) + "\n"


TEXTS: dict[str, Callable[[Crystal, str], str]] = {"cif": cif, "poscar": poscar, "extxyz": extxyz}
"""Writers of one crystal as text, by format."""

FILE_FORMATS = (*TEXTS, "parquet")
"""Names of the formats that `write_crystals` writes."""

_FILE_SUFFIXES = {".cif": "cif", ".vasp": "poscar", ".poscar": "poscar", ".xyz": "extxyz",
                  ".extxyz": "extxyz", ".parquet": "parquet"}  # fmt: skip

_FILE_NAMES = {"POSCAR": "poscar", "CONTCAR": "poscar"}

_FOLDER_SUFFIXES = {"cif": ".cif", "poscar": ".vasp"}


def file_format(name: str | None, out: Path) -> str:
    """Return the format asked for, or else the one that a path's name means.

    A path without a suffix is a folder of CIFs, and so is a folder that exists.

    Raises:
        SettingError: no such format, or a suffix that means none.
    """
    if name is None:
        if (meant := _meant(out)) is not None:
            return meant
        if out.suffix and not out.is_dir():
            raise SettingError(
                f"{out} ends in {out.suffix}, and files of crystals end in "
                f"{', '.join(_FILE_SUFFIXES)}.{did_you_mean(out.suffix, _FILE_SUFFIXES)} A folder "
                "has no suffix, unless it exists or the format is said"
            )
        return "cif"
    if name not in FILE_FORMATS:
        raise SettingError(
            f"no file format is called {name!r}; there are {', '.join(FILE_FORMATS)}."
            + did_you_mean(name, FILE_FORMATS)
        )
    return name


def _meant(out: Path) -> str | None:
    """Return the format of which a path's name says that it is one file."""
    if out.name in _FILE_NAMES and not out.is_dir():
        return _FILE_NAMES[out.name]
    return _FILE_SUFFIXES.get(out.suffix.lower())


def write_crystals(
    crystals: Named,
    out: str | Path,
    to: str | None = None,
    *,
    columns: Mapping[str, Sequence[object]] | None = None,
    labels: Sequence[Sequence[str]] | None = None,
) -> int:
    """Write crystals to one file, or to a folder with a file each; return how many there were.

    Args:
        crystals: names and crystals. Names need not differ, nor be fit for file names.
        out: a path that ends in `.cif` (one file, a data block each), `.vasp` or `.poscar`, or is
            called `POSCAR` or `CONTCAR` (one crystal), or ends in `.extxyz` or `.xyz` (a frame
            each) or `.parquet` (a row each). With the formats `cif` and `poscar`, any other path is
            a folder, which must be empty or new.
        to: one of `FILE_FORMATS`; None takes it from the path, see `file_format`.
        columns: more columns of a Parquet table: plain values by name, one for each crystal. The
            other formats have no place for them.
        labels: what the sites are called in a CIF, one sequence for each crystal.

    Raises:
        SettingError: no such format, a suffix that means none, or several crystals for one POSCAR.
        RunError: the place cannot be written, is full, or is a folder that holds something.
        InputError: there is no crystal.
    """
    out = Path(out)
    to = file_format(to, out)
    with _explained(out):
        if to == "parquet":
            return _write_parquet(crystals, out, columns or {})
        if to == "extxyz" or _meant(out) == to:
            return _write_file(crystals, out, _writer(to, labels), to)
        return _write_folder(crystals, out, _writer(to, labels), to)


def check_place(out: str | Path, to: str | None = None) -> None:
    """Refuse a place that `write_crystals` would refuse, before there is anything to write.

    Args:
        out: see `write_crystals`.
        to: likewise.

    Raises:
        SettingError: no such format, or a suffix that means none.
        RunError: a folder that holds something, a folder where a file is meant or a file where a
            folder is, or a place where nothing may be written.
    """
    out = Path(out)
    to = file_format(to, out)
    if to in ("parquet", "extxyz") or _meant(out) == to:
        if out.is_dir():
            raise RunError(f"{out} is a folder; expected a file; name another")
    else:
        _check_folder(out, to)
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise RunError(f"{out} cannot be written; choose a place where you may write")


def write_text(text: str, out: str | Path) -> None:
    """Write a text to a file, whole or not at all.

    Raises:
        RunError: the place cannot be written, or is full.
    """
    out = Path(out)
    with _explained(out), _partial(out) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def _writer(to: str, labels: Sequence[Sequence[str]] | None) -> Callable[[Crystal, str], str]:
    """Return what writes one crystal after another."""
    if to != "cif" or labels is None:
        return TEXTS[to]
    left = iter(labels)
    return lambda crystal, name: cif(crystal, name, next(left))


def _write_file(crystals: Named, out: Path, write: Callable[[Crystal, str], str], to: str) -> int:
    count = 0
    with _partial(out) as partial:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            taken: set[str] = set()
            for name, crystal in crystals:
                count += 1
                if to == "poscar" and count > 1:
                    raise SettingError(
                        f"a POSCAR holds one structure, and there are more for {out}; name a folder"
                    )
                file.write(write(crystal, _unique(_word(name), taken) if to == "cif" else name))
        _require(count)
    return count


def _check_folder(out: Path, to: str) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"the folder {out} holds files already; name another, or empty it")
    if out.exists() and not out.is_dir():
        raise RunError(
            f"{out} is a file; expected a folder for {to} files, or a path that ends in "
            f"{_FOLDER_SUFFIXES[to]}"
        )


def _write_folder(crystals: Named, out: Path, write: Callable[[Crystal, str], str], to: str) -> int:
    _check_folder(out, to)
    taken: set[str] = set()
    count = 0
    with _partial(out) as partial:
        partial.mkdir()
        for name, crystal in crystals:
            count += 1
            path = partial / (_unique(_word(name), taken) + _FOLDER_SUFFIXES[to])
            path.write_text(write(crystal, name), encoding="utf-8", newline="\n")
        _require(count)
        if out.is_dir():
            out.rmdir()
    return count


def _write_parquet(crystals: Named, out: Path, columns: Mapping[str, Sequence[object]]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vector = pa.list_(pa.float64())
    schema = pa.schema(
        [
            *(("name", pa.string()), ("cif", pa.string()), ("formula", pa.string())),
            *(("n_atoms", pa.int64()), ("volume", pa.float64())),
            *(("lengths", vector), ("angles", vector)),
            *(("numbers", pa.list_(pa.int64())), ("positions", pa.list_(vector))),
            *((name, pa.array(values).type) for name, values in columns.items()),
        ]
    )
    count = 0
    with _partial(out) as partial:
        with pq.ParquetWriter(partial, schema) as writer:
            for group in _row_groups(crystals):
                for row, place in zip(group, range(count, count + len(group)), strict=True):
                    row |= {name: values[place] for name, values in columns.items()}
                count += len(group)
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
        _require(count)
    return count


def _row_groups(crystals: Named) -> Iterator[list[dict[str, object]]]:
    """Yield the rows of a Parquet table, a row group at a time."""
    iterator = iter(crystals)
    while group := list(islice(iterator, ROWS)):
        yield [
            {
                "name": name,
                "cif": cif(crystal, name),
                "formula": reduced_formula(crystal.numbers),
                "n_atoms": len(crystal),
                "volume": crystal.volume,
                "lengths": crystal.lengths.tolist(),
                "angles": crystal.angles.tolist(),
                "numbers": crystal.numbers.tolist(),
                "positions": crystal.positions.tolist(),
            }
            for name, crystal in group
        ]


def _require(count: int) -> None:
    if count == 0:
        raise InputError("there is no crystal to write")


@contextmanager
def _partial(out: Path) -> Iterator[Path]:
    """Give a path to write under; what is there goes to its real name if all went well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    _remove(partial)
    try:
        yield partial
        partial.replace(out)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn what the system refuses into a message about the place that was to be written."""
    try:
        yield
    except OSError as error:
        remedy = (
            "free some space, or write elsewhere"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "choose a place where you may write"
        )
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RunError(f"{out} cannot be written: {reason}; {remedy}") from None


def _digits(value: float) -> str:
    """Return the shortest decimal number that reads back as the same float, without exponent."""
    return np.format_float_positional(value, trim="0")


def _value(value: float | bool | str) -> str:
    """Return a value as extended XYZ has it."""
    if isinstance(value, bool):
        return "T" if value else "F"
    return f'"{_line(value)}"' if isinstance(value, str) else repr(value)


def _counts(crystal: Crystal) -> dict[str, int]:
    """Return how many atoms of each element there are, elements in the order of their first."""
    numbers, first, counts = np.unique(crystal.numbers, return_index=True, return_counts=True)
    return {SYMBOLS[int(numbers[i]) - 1]: int(counts[i]) for i in np.argsort(first)}


def _word(name: str) -> str:
    """Return a name fit for a file on any system and for a CIF's data block."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._")[:100] or "crystal"


def _line(name: str) -> str:
    return re.sub(r'[\s"\\]+', " ", name).strip() or "crystal"


def _unique(word: str, taken: set[str]) -> str:
    """Return a word that is not taken yet, capitals or not, and take it."""
    unique, i = word, 1
    while unique.lower() in taken:
        i += 1
        unique = f"{word}-{i}"
    taken.add(unique.lower())
    return unique
