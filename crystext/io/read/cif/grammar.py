"""Parse the text of a CIF to names and values, by gemmi.

Names are compared without case, and the dotted names of DDLm and mmCIF are read as the plain ones:
`_atom_site.fract_x` is `_atom_site_fract_x`. If a text breaks the grammar but has only one reading,
such as an unquoted `P 21/c`, it is repaired first; nothing else is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from crystext.errors import InputError

if TYPE_CHECKING:
    from gemmi import cif

_QUOTES = ("'", '"', ";")

UNKNOWN_VALUES = ("?", ".", "")
"""Placeholders for values that are unknown or do not apply."""

_MAX_REPAIRS = 50
"""Maximum number of lines of a text that are repaired."""

_HEADER = re.compile(r"[ \t]*data_", re.IGNORECASE)
_ANY_HEADER = re.compile(r"^[ \t]*data_", re.IGNORECASE | re.MULTILINE)
_SITE_TAG = re.compile(
    r"^[ \t]*_atom_site[_.](label|type_symbol|fract_|cartn_|wyckoff)", re.IGNORECASE | re.MULTILINE
)
_CELL_TAG = re.compile(r"^[ \t]*_cell[_.]length_a\b", re.IGNORECASE | re.MULTILINE)
_DATA_NAME = re.compile(r"[ \t]*(_\S+)[ \t]+(\S.*?)[ \t]*$")
_TRIPLET_LINE = re.compile(
    r"^(?=[^\n]{5,120}$)(?=[^\n]*[xyzXYZ])[-+xyzXYZ\d./ \t]+(?:,[-+xyzXYZ\d./ \t]+){2}$",
    re.MULTILINE,
)
_NUMBERED = re.compile(r"([ \t]*(?:[-+]?\d+[ \t]+)?)(.*)")
_CHARACTER_REPLACEMENTS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\ufeff": " ",
                             "\u2018": "'", "\u2019": "'", "\x1a": " ", "\x0c": " "})  # fmt: skip


class CifBlock(NamedTuple):
    """The names and values of one data block."""

    items: Mapping[str, list[list[str]]]
    """By name in lower case: the columns of that name, one for each time it occurs."""
    loops: list[dict[str, list[str]]]
    """The loops, each with its columns; categories of one row without a loop are not included."""

    def first_column(self, *names: str) -> list[str]:
        """Return the values of the first of these names that has any; empty if none has.

        Raises:
            InputError: the name occurs twice, with different values.
        """
        for name in names:
            columns = [
                c for c in self.items.get(name, []) if any(v not in UNKNOWN_VALUES for v in c)
            ]
            different = [column for column in columns if column != columns[0]]
            if different:
                raise InputError(
                    f"it gives {name} more than once, as {_format_values(columns[0])} and as "
                    f"{_format_values(different[0])}; expected one of them. Remove the one that "
                    "is wrong"
                )
            if columns:
                return columns[0]
        return []

    def first_value(self, *names: str) -> str:
        """Return the single value of the first of these names that has any; empty if none has."""
        values = {value: None for value in self.first_column(*names) if value not in UNKNOWN_VALUES}
        if len(values) > 1:
            raise InputError(
                f"it gives {names[0]} {len(values)} values, {_format_values(list(values))}; "
                "expected one"
            )
        return next(iter(values), "")


def looks_like_cif(text: str) -> bool:
    """Return whether a text has a CIF's names of a cell and sites; a cheap check."""
    return _CELL_TAG.search(text) is not None and _SITE_TAG.search(text) is not None


def cif_blocks(text: str) -> list[tuple[str, str]]:
    """Return the data blocks of a CIF that list atoms, each with its name and its text.

    Lines within a text field do not start a block.
    """
    lines = text.split("\n")
    outside = _lines_outside_text_fields(lines)
    starts = [i for i in outside if _HEADER.match(lines[i])]
    listing = [i for i in outside if _SITE_TAG.match(lines[i])]
    blocks = []
    for i, start in enumerate(starts):
        end = starts[i + 1] if i + 1 < len(starts) else len(lines)
        if any(start < line < end for line in listing):
            name = lines[start].split(None, 1)[0][len("data_") :]
            blocks.append((name, "\n".join(lines[start:end])))
    return blocks


def parse_block(text: str) -> CifBlock:
    """Return the first data block of a text that lists atoms, or else the first.

    Raises:
        InputError: its grammar is broken, and there is no unique repair.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_CHARACTER_REPLACEMENTS)
    document = _parse_document(text)
    blocks = [_as_block(block) for block in document]
    listing = [b for b in blocks if any(name.startswith("_atom_site_") for name in b.items)]
    if not blocks:
        raise InputError("it holds no data block; expected a CIF")
    return (listing or blocks)[0]


def _as_block(block: cif.Block) -> CifBlock:
    items: dict[str, list[list[str]]] = {}
    loops = []
    for item in block:
        if item.pair is not None:
            name, value = cast("tuple[str, str]", item.pair)
            items.setdefault(_normalize_tag(name), []).append([_unquote(value)])
        elif item.loop is not None:
            width = item.loop.width()
            values = [_unquote(value) for value in item.loop.values]
            columns = {_normalize_tag(n): values[i::width] for i, n in enumerate(item.loop.tags)}
            for name, column in columns.items():
                items.setdefault(name, []).append(column)
            loops.append(columns)
    return CifBlock(items, loops)


def _normalize_tag(name: str) -> str:
    return name.lower().replace(".", "_")


def _unquote(raw: str) -> str:
    if raw[:1] not in _QUOTES:
        return raw
    from gemmi import cif

    return cif.as_string(raw).strip()


def _format_values(values: list[str]) -> str:
    text = ", ".join(values[:3])
    return repr(text if len(text) <= 60 else text[:60] + "...")


def _lines_outside_text_fields(lines: list[str]) -> list[int]:
    found, inside = [], False
    for i, line in enumerate(lines):
        if line.startswith(";"):
            inside = not inside
        elif not inside:
            found.append(i)
    return found


def _parse_document(text: str) -> cif.Document:
    """Parse a text, repairing line by line what gemmi refuses."""
    from gemmi import cif

    if not _ANY_HEADER.search(text):
        text = "data_\n" + text
    text = _TRIPLET_LINE.sub(_quote_operation, text)
    for _ in range(_MAX_REPAIRS):
        try:
            return cif.read_string(text, check_level=0)
        except (ValueError, RuntimeError) as error:
            mended = _replace_non_ascii(text) if not text.isascii() else _repair(text, str(error))
            if mended is None:
                raise InputError(_describe_syntax_error(text, str(error))) from None
            text = mended
    raise InputError(f"its grammar is broken on more than {_MAX_REPAIRS} lines; expected a CIF")


def _quote_operation(line: re.Match[str]) -> str:
    """Quote a symmetry operation with blanks, alone on a line or after a number."""
    number, triplet = _NUMBERED.fullmatch(line[0]).groups()  # type: ignore[union-attr]
    return line[0] if len(triplet.split()) == 1 else f"{number}'{triplet.strip()}'"


_ERROR_POSITION = re.compile(r"string:(\d+):(\d+)")


def _replace_non_ascii(text: str) -> str:
    """Return the text with characters that CIF does not allow replaced by tildes."""
    return re.sub(r"[^\t\n -~]", "~", text)


def _repair(text: str, error: str) -> str | None:
    """Return the text with the line that gemmi refuses repaired; None without a certain repair."""
    if not (place := _ERROR_POSITION.match(error)):
        return None
    lines = text.split("\n")
    number = int(place[1]) - 1
    if number >= len(lines):
        return None
    line = lines[number]
    new = _repair_line(line, error)
    if new is None or new == line:
        return None
    lines[number] = new
    return "\n".join(lines)


def _repair_line(line: str, error: str) -> str | None:
    if _HEADER.match(line) and len(line.split()) > 1:
        return "_".join(line.split())
    if "unterminated" in error and "text field" not in error:
        mark = '"' if 'unterminated "' in error else "'"
        return line.rstrip() + mark
    if match := _DATA_NAME.match(line):
        # The rest of a name's line is its value; several words need quotes.
        value = match[2].strip("'\"")
        if match[2][0] not in "'\"":
            value = re.split(r"\s#", match[2], maxsplit=1)[0].rstrip()
        for mark in ("'", '"'):
            if mark not in value:
                return f"{match[1]} {mark}{value}{mark}"
    return None


def _describe_syntax_error(text: str, error: str) -> str:
    place = _ERROR_POSITION.match(error)
    if not place:
        return f"its CIF grammar is broken: {error.partition(': ')[2] or error}"
    number = int(place[1])
    line = text.split("\n")[number - 1].strip()[:60] if number <= text.count("\n") + 1 else ""
    if "Wrong number of values" in error:
        return (
            f"line {number} starts a loop whose values do not fill its columns; expected a value "
            "for every column of every row. Write ? where one is not known, and quote values with "
            "spaces"
        )
    if "unterminated text field" in error:
        return (
            f"line {number} starts a text field that does not end; expected a line that starts "
            "with a semicolon"
        )
    return (
        f"line {number} breaks the grammar of CIF: {line!r}; expected a name that starts with _ "
        "and its value, quoted if it has spaces"
    )


def loop_rows(block: CifBlock, marker: str) -> Iterator[dict[str, str]]:
    """Yield the rows of the loop, or the single row, that a name belongs to.

    Raises:
        InputError: the loop occurs twice, with different rows.
    """
    tables = [loop for loop in block.loops if marker in loop]
    category = marker.rpartition("_")[0].rpartition("_")[0] + "_"
    if not tables and marker in block.items:
        tables = [{name: columns[0] for name, columns in block.items.items()
                   if name.startswith(category) and len(columns[0]) == 1}]  # fmt: skip
    if any(table != tables[0] for table in tables):
        raise InputError(
            f"it has two loops with {marker}, and they differ; expected one. Remove the one that "
            "is wrong, or give each its own data block"
        )
    for table in tables[:1]:
        for values in zip(*table.values(), strict=True):
            yield dict(zip(table, values, strict=True))
