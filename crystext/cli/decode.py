"""`crystext decode`: text to structure files."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crystext.cli.command import Command
from crystext.cli.crystal_output import (
    FORMAT_NAMES,
    Conventional,
    Symmetrized,
    print_left_out,
    print_note,
)
from crystext.errors import InputError, SettingError

if TYPE_CHECKING:
    from crystext.structures.crystal import Crystal

_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"
_TRIPLE = rf"[ \t]*{_NUMBER}(?:[ \t]*[,; \t][ \t]*{_NUMBER}){{2}}[ \t]*"
_ORBIT = r"[ \t]*[A-Za-z]{1,2}[,; \t]+[0-9]{1,3}[a-zA](?![A-Za-z0-9])"
_CRYSTAL_START = re.compile(
    rf"^(?:{_TRIPLE}\n\s*{_TRIPLE}$|[ \t]*[1-9][0-9]{{0,2}}[ \t]*\n\s*{_ORBIT})", re.MULTILINE
)
"""A cell, or a space group and an orbit."""
_CIF = re.compile(r"\A\s*data_|_cell_length", re.IGNORECASE)


def decode(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="File with texts of crystals, or - for standard input.",
            show_default=False,
        ),
    ],
    strict: Annotated[
        bool,
        typer.Option(
            "--strict/--lenient",
            help="Accept only the exact format, or also surrounding prose and irregular numbers.",
        ),
    ] = True,
    format: Annotated[
        str | None,
        typer.Option(help="Text format of all texts.", show_default="any"),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help=f"Format of the structure files: {FORMAT_NAMES}.",
            show_default="by the name of --out, else cif",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File (.cif, .vasp, .extxyz, .parquet, .csv, .json) or folder to write instead of "
            "standard output.",
            show_default=False,
        ),
    ] = None,
    symmetrized: Symmetrized = False,
    conventional: Conventional = False,
) -> None:
    """Read crystals from text and write them as structures.

    Texts are separated by blank lines, or given as one JSON object per line with a text and
    optionally a name. With --lenient, a document with one crystal is one text, including its blank
    lines. Texts that are not crystals are left out, and listed on standard error with the line
    where decoding stopped, and with their number; the exit status is 0 if any text is a crystal,
    else 2.
    """
    from crystext.io.write import (
        Layout,
        check_output_path,
        crystal_texts,
        file_format,
        write_crystals,
    )
    from crystext.text import decode as decode_text
    from crystext.text import get_format

    fmt = None if format is None else get_format(format)
    kind, layout = file_format(to, out or Path()), Layout(symmetrized, conventional)
    layout.check(kind)
    if out is None:
        crystal_texts([], kind)
    else:
        check_output_path(out, kind)
    crystals, faults, read = [], [], []
    document = _read_document(source)
    texts = _split_texts(document, strict)
    for name, text in texts:
        decoded = decode_text(text, format=fmt, strict=strict)
        if decoded.crystal is not None:
            crystals.append((_name_with_formula(name, decoded.crystal), decoded.crystal))
            read.append(text)
            if decoded.repairs:
                typer.echo(f"crystext: {name}: repaired: {', '.join(decoded.repairs)}", err=True)
        else:
            assert decoded.failure is not None
            faults.append(
                f"{name}: {decoded.failure.name}, line {decoded.line}: {decoded.failure.value}; "
                f"found {decoded.detail}"
            )
    if not crystals:
        if _CIF.search(document):
            name = "standard input" if source == "-" else source
            raise InputError(
                f"{name} is a CIF; expected texts of crystals. "
                "Use crystext encode, which reads CIFs"
            )
        hint = " Try --lenient." if strict else ""
        if len(faults) == 1:
            raise InputError(f"{faults[0]}.{hint}")
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise InputError(f"none of the {len(faults)} texts is a crystal.{hint}{listed}")
    for fault in faults:
        typer.echo(f"crystext: {fault}", err=True)
    if faults:
        print_left_out(len(faults), len(texts), "text")
    if out is not None:
        write_crystals(crystals, out, kind, layout=layout, texts=read, note=print_note)
        return
    if kind == "poscar" and len(crystals) > 1:
        raise SettingError(
            f"a POSCAR holds one structure, and there are {len(crystals)}; name a folder with --out"
        )
    for text in crystal_texts(crystals, kind, layout=layout, texts=read, note=print_note):
        typer.echo(text, nl=False)


def _name_with_formula(name: str, crystal: Crystal) -> str:
    """Return a name with the formula appended if it is only a number: text-3-SrTiO3."""
    from crystext.structures.properties import reduced_formula

    if not re.fullmatch(r"(text-)?[0-9]+", name):
        return name
    number = f"{int(name):06d}" if name.isdecimal() and len(name) < 10 else name
    return f"{number}-{reduced_formula(crystal.numbers)}"


def _read_document(source: str) -> str:
    if source == "-":
        data = sys.stdin.buffer.read()
    else:
        try:
            data = Path(source).read_bytes()
        except FileNotFoundError:
            raise InputError(
                f"no file {source}; check the path, or give - for standard input"
            ) from None
        except IsADirectoryError:
            raise InputError(f"{source} is a folder; expected a file of texts") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{source} is not UTF-8 text; expected what `crystext encode` writes"
        ) from None
    if not text.strip():
        raise InputError(f"{source} is empty; expected what `crystext encode` writes")
    return text.replace("\r\n", "\n")


def _split_texts(document: str, strict: bool) -> list[tuple[str, str]]:
    """Split a document into texts, each with a name."""
    if document.lstrip().startswith("{"):
        lines = enumerate(document.split("\n"), start=1)
        return [_from_json(line, i) for i, line in lines if line.strip()]
    # The newline that ends a file belongs to the file, not to the text.
    document = re.sub(r"\s*\n\Z", "", document)
    if not strict and len(_CRYSTAL_START.findall(document)) < 2:
        return [("text-1", document)]
    parts = _BLANK_LINES.split(document.lstrip("\n"))
    return [(f"text-{i}", part) for i, part in enumerate(parts, start=1)]


def _from_json(line: str, number: int) -> tuple[str, str]:
    try:
        item: Any = json.loads(line)
        text = item["text"]
        name = item.get("name", item.get("index"))
    except (ValueError, TypeError, KeyError, RecursionError):
        text = name = None
    if not isinstance(text, str):
        raise InputError(
            f"line {number} is not a JSON object with a text; found {line[:40]!r}, expected "
            '{"name": ..., "text": ...}'
        )
    return f"text-{number}" if name is None else str(name), text


COMMAND = Command(decode, "Read crystals from text, write structure files.")
