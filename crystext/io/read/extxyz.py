"""Split an extended XYZ file into frames, each with the name that its comment line gives.

The comment has keys and values, such as `Lattice="4 0 0 0 4 0 0 0 4" name="rock salt" id=mp-22862`.
A key of `NAME_COLUMNS` names the frame, as it names the row of a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from crystext.io.read.parse import MAX_TEXT_BYTES, Piece, decode_text
from crystext.io.read.tables import ID_COLUMNS, NAME_COLUMNS, first_value

_VALUE = re.compile(r"""([^\s=\"']+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+))""")
"""A key and its value, in quotation marks where it has spaces; so no key is looked for in those."""


def extxyz_pieces(open_: Callable[[], BinaryIO], name: str) -> Iterator[Piece]:
    """Yield the frames of a file: a line with the number of atoms, a comment, the atoms.

    Args:
        open_: returns the file as a stream, which is read frame by frame.
        name: with a number, of frames that have no name.
    """
    with open_() as stream:
        for i in range(1, 2**62):
            line = stream.readline(1000)
            while line.isspace():
                line = stream.readline(1000)
            if not line and i > 1:
                return
            count = line.strip()
            frame = f"{name}-{i}"
            if not count.isdigit() or len(count) > 7:
                found = repr(line[:40].decode("latin-1").rstrip("\n"))
                yield Piece(
                    frame,
                    "problem",
                    f"frame {i} starts with {found}; expected the number of its atoms alone on a "
                    "line. Nothing after it can be read",
                )
                return
            lines = [line]
            size = 0
            for _ in range(int(count) + 1):
                lines.append(stream.readline(MAX_TEXT_BYTES))
                size += len(lines[-1])
                if size > MAX_TEXT_BYTES:
                    yield Piece(
                        frame, "problem", f"frame {i} is larger than {MAX_TEXT_BYTES:,} bytes"
                    )
                    return
                if not lines[-1]:
                    yield Piece(frame, "problem", f"the file ends within frame {i}")
                    return
            data = b"".join(lines)
            if b"\0" in data:
                yield Piece(frame, "problem", "it is a binary file; expected text")
                return
            text = decode_text(data)
            values = _comment_values(text.split("\n", 2)[1])
            given = first_value(values, NAME_COLUMNS) or frame
            yield Piece(given, "extxyz", text, id=first_value(values, ID_COLUMNS))


def _comment_values(comment: str) -> dict[str, str]:
    """Return the values of the keys in a comment line."""
    values = {}
    for key, double, single, word in _VALUE.findall(comment):
        values[key] = word or re.sub(r"\\(.)", r"\1", double or single).strip()
    return values
