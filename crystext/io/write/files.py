"""Where crystals are written: file formats by name and suffix, folders, and whole files only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from crystext.errors import InputError, RunError, SettingError, did_you_mean
from crystext.io.write.cif_text import safe_name
from crystext.io.write.structure_text import TEXT_FORMATS, entry_text
from crystext.io.write.symmetry import DEFAULT_LAYOUT, CrystalEntry, Layout, crystal_entries
from crystext.io.write.tables import Columns, write_csv, write_json, write_parquet
from crystext.runtime.files import explain_os_errors, replace_atomically
from crystext.structures.crystal import Crystal

NamedCrystals = Iterable[tuple[str, Crystal]]
"""Crystals with their names, from which come file names, data blocks, titles and the like."""

_TABLE_WRITERS = {"parquet": write_parquet, "csv": write_csv, "json": write_json}
"""Writers of a file with a row or an item for each crystal."""

FILE_FORMATS = ("cif", "poscar", "extxyz", "parquet", "csv", "json")
"""Names of the formats that `write_crystals` writes."""

_FORMAT_BY_SUFFIX = {".cif": "cif", ".vasp": "poscar", ".poscar": "poscar", ".xyz": "extxyz",
                  ".extxyz": "extxyz", ".parquet": "parquet", ".csv": "csv",
                  ".json": "json"}  # fmt: skip

_FORMAT_BY_NAME = {"POSCAR": "poscar", "CONTCAR": "poscar"}

_SUFFIX_IN_FOLDER = {"cif": ".cif", "poscar": ".vasp", "json": ".json"}
"""Formats that a folder can have a file each of, and how these end."""


def file_format(name: str | None, out: Path) -> str:
    """Return the format asked for, or else the one that a path's name means.

    A path without a suffix is a folder of CIFs, and so is a folder that exists.

    Raises:
        SettingError: no such format, or a suffix that means none.
    """
    if name is None:
        if (meant := _format_of_path(out)) is not None:
            return meant
        if out.suffix and not out.is_dir():
            raise SettingError(
                f"{out} ends in {out.suffix}, and files of crystals end in "
                f"{', '.join(_FORMAT_BY_SUFFIX)}.{did_you_mean(out.suffix, _FORMAT_BY_SUFFIX)} A "
                "folder has no suffix, unless it exists or the format is said"
            )
        return "cif"
    if name not in FILE_FORMATS:
        raise SettingError(
            f"no file format is called {name!r}; there are {', '.join(FILE_FORMATS)}."
            + did_you_mean(name, FILE_FORMATS)
        )
    return name


def _format_of_path(out: Path) -> str | None:
    """Return the format of which a path's name says that it is one file."""
    if out.name in _FORMAT_BY_NAME and not out.is_dir():
        return _FORMAT_BY_NAME[out.name]
    return _FORMAT_BY_SUFFIX.get(out.suffix.lower())


def _is_one_file(out: Path, to: str) -> bool:
    """Tell whether crystals of a format go into one file; else they go into a folder."""
    return to not in _SUFFIX_IN_FOLDER or _format_of_path(out) == to


def write_crystals(
    crystals: NamedCrystals,
    out: str | Path,
    to: str | None = None,
    *,
    columns: Columns | None = None,
    labels: Sequence[Sequence[str]] | None = None,
    layout: Layout = DEFAULT_LAYOUT,
    texts: Sequence[str | None] | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> int:
    """Write crystals to one file, or to a folder with a file each; return how many there were.

    Args:
        crystals: names and crystals. Names need not differ, nor be fit for file names.
        out: a path that ends in `.cif` (one file, a data block each), `.vasp` or `.poscar`, or is
            called `POSCAR` or `CONTCAR` (one crystal), or ends in `.extxyz` or `.xyz` (a frame
            each), `.parquet` or `.csv` (a row each) or `.json` (a list of pymatgen's structures).
            With the formats `cif`, `poscar` and `json`, any other path is a folder, which must be
            empty or new.
        to: one of `FILE_FORMATS`; None takes it from the path, see `file_format`.
        columns: more columns of a table, and properties of pymatgen's structures. The other formats
            have no place for them.
        labels: of the sites, for CIF and JSON, one sequence for each crystal.
        layout: the cell that is written, and whether CIFs have operations of symmetry.
        texts: the text each crystal was read from; one in the Wyckoff format declares the symmetry
            that `layout` asks for.
        note: is told of each crystal in which no symmetry is found; it is written as it is.

    Raises:
        SettingError: no such format, a suffix that means none, several crystals for one POSCAR, or
            operations of symmetry for a format that has no place for them.
        RunError: the place cannot be written, is full, or is a folder that holds something.
        InputError: there is no crystal.
    """
    out = Path(out)
    to = file_format(to, out)
    layout.check(to)
    found = crystal_entries(crystals, layout, labels=labels, texts=texts, note=note)
    with explain_os_errors(out):
        if not _is_one_file(out, to):
            return _write_folder(found, out, to)
        with replace_atomically(out) as partial:
            if to in _TABLE_WRITERS:
                count = _TABLE_WRITERS[to](found, partial, columns or {})
            else:
                count = _write_file(found, partial, to, out)
            _require_crystals(count)
            return count


def crystal_texts(
    crystals: NamedCrystals,
    to: str,
    *,
    layout: Layout = DEFAULT_LAYOUT,
    texts: Sequence[str | None] | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> Iterator[str]:
    """Yield the text of each crystal in one of `TEXT_FORMATS`, as `write_crystals` writes it.

    Raises:
        SettingError: a format that is no text of one crystal, or has no place for what is asked.
    """
    if to not in TEXT_FORMATS:
        raise SettingError(
            f"{to} is not a text that can be printed; name a file with --out, or print "
            f"{', '.join(TEXT_FORMATS)}"
        )
    layout.check(to)
    return (
        entry_text(entry, to) for entry in crystal_entries(crystals, layout, texts=texts, note=note)
    )


def check_output_path(out: str | Path, to: str | None = None) -> None:
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
    if not _is_one_file(out, to):
        _check_folder(out, to)
    elif out.is_dir():
        raise RunError(f"{out} is a folder; expected a file; name another")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise RunError(f"{out} cannot be written; choose a place where you may write")


def _write_file(crystals: Iterator[CrystalEntry], partial: Path, to: str, out: Path) -> int:
    """Write texts behind one another."""
    count = 0
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        taken: set[str] = set()
        for count, entry in enumerate(crystals, start=1):
            if to == "poscar" and count > 1:
                raise SettingError(
                    f"a POSCAR holds one structure, and there are more for {out}; name a folder"
                )
            if to == "cif":
                entry = entry._replace(name=_unique_word(safe_name(entry.name), taken))
            file.write(entry_text(entry, to))
    return count


def _check_folder(out: Path, to: str) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"the folder {out} holds files already; name another, or empty it")
    if out.exists() and not out.is_dir():
        raise RunError(
            f"{out} is a file; expected a folder for {to} files, or a path that ends in "
            f"{_SUFFIX_IN_FOLDER[to]}"
        )


def _write_folder(crystals: Iterator[CrystalEntry], out: Path, to: str) -> int:
    """Write a file for each crystal, by its name."""
    _check_folder(out, to)
    taken: set[str] = set()
    count = 0
    with replace_atomically(out) as partial:
        partial.mkdir()
        for entry in crystals:
            count += 1
            path = partial / (_unique_word(safe_name(entry.name), taken) + _SUFFIX_IN_FOLDER[to])
            path.write_text(entry_text(entry, to), encoding="utf-8", newline="\n")
        _require_crystals(count)
        if out.is_dir():
            out.rmdir()
    return count


def _require_crystals(count: int) -> None:
    if count == 0:
        raise InputError("there is no crystal to write")


def _unique_word(word: str, taken: set[str]) -> str:
    """Return a word that is not taken yet, capitals or not, and take it."""
    unique, i = word, 1
    while unique.lower() in taken:
        i += 1
        unique = f"{word}-{i}"
    taken.add(unique.lower())
    return unique
