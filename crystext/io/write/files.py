"""Write crystals to files and folders: formats by name and suffix, atomic writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from crystext.errors import InputError, RunError, SettingError, did_you_mean
from crystext.io.write.cif_text import safe_name
from crystext.io.write.crystal_file_text import TEXT_FORMATS, entry_text
from crystext.io.write.symmetry import DEFAULT_LAYOUT, CrystalEntry, Layout, crystal_entries
from crystext.io.write.tables import Columns, write_csv, write_json, write_parquet
from crystext.runtime.files import explain_os_errors, replace_atomically
from crystext.structures.crystal import Crystal

NamedCrystals = Iterable[tuple[str, Crystal]]
"""Crystals with their names, which become names of files and data blocks, titles and so on."""

_TABLE_WRITERS = {"parquet": write_parquet, "csv": write_csv, "json": write_json}
"""Writers of files with a row or an item for each crystal."""

FILE_FORMATS = ("cif", "poscar", "extxyz", "parquet", "csv", "json")
"""Names of the formats that `write_crystals` writes."""

_FORMAT_BY_SUFFIX = {".cif": "cif", ".vasp": "poscar", ".poscar": "poscar", ".xyz": "extxyz",
                  ".extxyz": "extxyz", ".parquet": "parquet", ".csv": "csv",
                  ".json": "json"}  # fmt: skip

_FORMAT_BY_NAME = {"POSCAR": "poscar", "CONTCAR": "poscar"}

_SUFFIX_IN_FOLDER = {"cif": ".cif", "poscar": ".vasp", "json": ".json"}
"""Formats of folders with one file per crystal, and the suffixes of these files."""


def file_format(name: str | None, out: Path) -> str:
    """Return the requested format, else that of the path's suffix.

    A path without a suffix is a folder of CIFs, and so is a folder that exists.

    Raises:
        SettingError: the format does not exist, or the suffix is unknown.
    """
    if name is None:
        if (meant := _format_of_path(out)) is not None:
            return meant
        if out.suffix and not out.is_dir():
            raise SettingError(
                f"{out} ends in {out.suffix}, and files of crystals end in "
                f"{', '.join(_FORMAT_BY_SUFFIX)}.{did_you_mean(out.suffix, _FORMAT_BY_SUFFIX)} A "
                "folder has no suffix, unless it exists or the format is given"
            )
        return "cif"
    if name not in FILE_FORMATS:
        raise SettingError(
            f"no file format is called {name!r}; there are {', '.join(FILE_FORMATS)}."
            + did_you_mean(name, FILE_FORMATS)
        )
    return name


def _format_of_path(out: Path) -> str | None:
    """Return the format of a path whose name marks it as a single file."""
    if out.name in _FORMAT_BY_NAME and not out.is_dir():
        return _FORMAT_BY_NAME[out.name]
    return _FORMAT_BY_SUFFIX.get(out.suffix.lower())


def _is_one_file(out: Path, to: str) -> bool:
    """Return whether crystals of a format go into one file, not into a folder."""
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
    """Write crystals to one file, or to a folder with a file each; return their number.

    Args:
        crystals: names and crystals. Names need not be unique, nor valid as file names.
        out: a path that ends in `.cif` (one file, a data block each), `.vasp` or `.poscar`, or is
            named `POSCAR` or `CONTCAR` (one crystal), or ends in `.extxyz` or `.xyz` (a frame
            each), `.parquet` or `.csv` (a row each) or `.json` (a list of pymatgen's structures).
            With the formats `cif`, `poscar` and `json`, any other path is a folder, which must be
            empty or new.
        to: one of `FILE_FORMATS`; None takes it from the path, see `file_format`.
        columns: further columns of a table, or properties of pymatgen's structures. The other
            formats ignore them.
        labels: labels of the sites, for CIF and JSON, one sequence for each crystal.
        layout: the cell that is written, and whether CIFs have symmetry operations.
        texts: the text each crystal was read from; one in the Wyckoff format declares the symmetry
            that `layout` requests.
        note: called for each crystal without symmetry, which is written unchanged.

    Raises:
        SettingError: the format does not exist, the suffix is unknown, there are several crystals
            for one POSCAR, or the format cannot hold symmetry operations.
        RunError: the path cannot be written, the disk is full, or the folder is not empty.
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
        SettingError: the format is not a text of one crystal, or cannot hold the layout.
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
    """Refuse a path that `write_crystals` would refuse, before there is anything to write.

    Args:
        out: see `write_crystals`.
        to: see `write_crystals`.

    Raises:
        SettingError: the format does not exist, or the suffix is unknown.
        RunError: the folder is not empty, a folder is at the path of a file or a file at that of a
            folder, or the path may not be written.
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
    """Write texts one after another."""
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
        raise InputError("there are no crystals to write")


def _unique_word(word: str, taken: set[str]) -> str:
    """Return a word that is not in use yet, ignoring case, and add it to those in use."""
    unique, i = word, 1
    while unique.lower() in taken:
        i += 1
        unique = f"{word}-{i}"
    taken.add(unique.lower())
    return unique
