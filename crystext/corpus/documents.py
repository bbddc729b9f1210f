"""Read documents from JSON lines and text files, in chunks that processes share.

A chunk is some 32 MB: a part of a large file, or several small files. It depends on the files only,
so that the same files give the same chunks on every machine. A compressed file is one chunk, as it
can be read from its beginning only. Whatever cannot be read is reported with its place.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from crystext.corpus.recipe import SourceSettings
from crystext.errors import InputError, SettingError, describe_error
from crystext.io.read.folders import walk_files
from crystext.structures.properties import reduced_formula

CHUNK_BYTES = 2**25

MAX_DOCUMENT_BYTES = 2**26
"""Longer JSON lines are not read, and longer texts lose their end."""

_SUFFIXES = {
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "text": (".txt", ".text", ".md", ".tex"),
}
_BLOCK_BYTES = 2**20
_MAX_BREAK = 1000
"""Characters of the longest break between documents that is found for certain."""
_PARAGRAPHS = r"\n[ \t\r]*\n\s*"


class Document(NamedTuple):
    """A text and what decides on which side of the split it is."""

    text: str
    id: str | None = None
    """Documents of one id are on one side; None: documents of one text."""
    formula: str | None = None
    """Reduced formula of the material that it is about; it takes the place of the id."""
    truncated: bool = False
    """Whether it lost its end because of its size."""


class Dropped(NamedTuple):
    """A document that cannot be read."""

    reason: str
    """A phrase by which they are counted."""
    place: str
    """A file, and the line in it."""
    line: int | None = None
    """The line within the segment; it follows the place in messages."""


class Segment(NamedTuple):
    """A file, or the lines of it that begin between two positions."""

    path: Path
    start: int = 0
    stop: int | None = None
    """None: the end of the file."""


class FileChunk(NamedTuple):
    """What one process reads at a time."""

    segments: tuple[Segment, ...]


def source_files(name: str, source: SourceSettings) -> list[tuple[Path, int]]:
    """Return the files of a source of text with their sizes, in the order of reading.

    Raises:
        SettingError: a path is missing, or a folder has no such file.
        InputError: a file or folder cannot be opened.
    """
    suffixes = _SUFFIXES[source.kind]
    files: list[Path] = []
    for given in source.paths:
        path = Path(given)
        if not path.exists():
            raise SettingError(f"sources.{name}: no file or folder {given}; check the path")
        if path.is_file():
            files.append(path)
            continue
        inside = []
        for file, error in walk_files(path):
            if error is not None:
                raise InputError(f"sources.{name}: {file} cannot be read: {error.strerror}")
            if file.name.removesuffix(".gz").endswith(suffixes):
                inside.append(file)
        if not inside:
            raise SettingError(
                f"sources.{name}: the folder {given} has no file that ends in "
                f"{', '.join(suffixes)}, or in one of these and .gz"
            )
        files += inside
    return [(path, _readable_size(name, path)) for path in files]


def _readable_size(name: str, path: Path) -> int:
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise InputError(f"sources.{name}: {path} cannot be read: {error.strerror}") from None


def plan_chunks(source: SourceSettings, files: list[tuple[Path, int]]) -> Iterator[FileChunk]:
    """Yield the chunks of a source of text."""
    small: list[Segment] = []
    size = 0
    for path, length in files:
        divisible = source.kind == "jsonl" and path.suffix != ".gz"
        if length >= CHUNK_BYTES or path.suffix == ".gz":
            if small:
                yield FileChunk(tuple(small))
                small, size = [], 0
            if divisible:
                for start in range(0, length, CHUNK_BYTES):
                    yield FileChunk((Segment(path, start, start + CHUNK_BYTES),))
            else:
                yield FileChunk((Segment(path),))
            continue
        small.append(Segment(path))
        size += length
        if size >= CHUNK_BYTES:
            yield FileChunk(tuple(small))
            small, size = [], 0
    if small:
        yield FileChunk(tuple(small))


def read_chunk(
    chunk: FileChunk, source: SourceSettings, lines: dict[str, int]
) -> Iterator[Document | Dropped]:
    """Yield the documents of a chunk.

    Args:
        chunk: of `plan_chunks`.
        source: its source.
        lines: takes the number of lines read of each file; JSON lines only.
    """
    for segment in chunk.segments:
        try:
            with closing(_open(segment.path)) as file:
                if source.kind == "jsonl":
                    yield from _json_documents(file, segment, source, lines)
                elif source.document_break == "file":
                    yield _whole_text(file, segment.path)
                else:
                    yield from _divided_text(file, segment.path, source.document_break)
        except (OSError, EOFError, zlib.error) as error:
            reason = "the file is damaged" if segment.path.suffix == ".gz" else "cannot be read"
            yield Dropped(f"{reason} ({describe_error(error, 'it ends early')})", str(segment.path))


def _open(path: Path) -> BinaryIO:
    file = path.open("rb")
    return io.BufferedReader(gzip.GzipFile(fileobj=file)) if path.suffix == ".gz" else file


def _json_documents(
    file: BinaryIO, segment: Segment, source: SourceSettings, lines: dict[str, int]
) -> Iterator[Document | Dropped]:
    place = str(segment.path)
    position = segment.start
    if position:
        # The line that reaches over the start belongs to the chunk before.
        file.seek(position - 1)
        position += _read_line(file)[1] - 1
    lines[place] = 0
    while segment.stop is None or position < segment.stop:
        line, length = _read_line(file)
        if not length:
            return
        position += length
        lines[place] += 1
        if line is None:
            yield Dropped(f"longer than {MAX_DOCUMENT_BYTES:,} bytes", place, lines[place])
        elif line.strip():
            found = _json_document(line, source)
            yield Dropped(found, place, lines[place]) if isinstance(found, str) else found


def _read_line(file: BinaryIO) -> tuple[bytes | None, int]:
    """Return the next line and its length; None for one that is too long."""
    line = file.readline(MAX_DOCUMENT_BYTES)
    length = len(line)
    if length < MAX_DOCUMENT_BYTES or line.endswith(b"\n"):
        return line, length
    while rest := file.readline(_BLOCK_BYTES):
        length += len(rest)
        if rest.endswith(b"\n"):
            break
    return None, length


def _json_document(line: bytes, source: SourceSettings) -> Document | str:
    """Return a document, or why there is none."""
    try:
        row = json.loads(line)
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(row, dict):
        return "not a JSON object"
    text = row.get(source.field)
    if not isinstance(text, str):
        return f"no text under {source.field!r}"
    # JSON can escape half of a surrogate pair, which no tokenizer accepts.
    if not text.isascii() and any("\ud800" <= x <= "\udfff" for x in text):
        return "not valid Unicode"
    if source.formula_field is not None:
        return _with_formula(text, row.get(source.formula_field), source)
    if source.id_field is not None:
        found = row.get(source.id_field)
        if not isinstance(found, str | int):
            return f"no id under {source.id_field!r}"
        return Document(text, id=str(found))
    return Document(text)


def _with_formula(text: str, formula: Any, source: SourceSettings) -> Document | str:
    try:
        return Document(text, formula=reduced_formula(formula))
    except (SettingError, TypeError, AttributeError):
        return f"no formula under {source.formula_field!r}"


def _whole_text(file: BinaryIO, path: Path) -> Document | Dropped:
    data = file.read(MAX_DOCUMENT_BYTES + 1)
    truncated = len(data) > MAX_DOCUMENT_BYTES
    decoded = _decoded(data[:MAX_DOCUMENT_BYTES], truncated)
    if decoded is None:
        return Dropped("not UTF-8", str(path))
    return Document(decoded, truncated=truncated)


def _decoded(data: bytes, cut: bool) -> str | None:
    """Return UTF-8 as a text with plain line ends; None if it is not valid.

    Args:
        data: the bytes.
        cut: whether the last character may be incomplete.
    """
    try:
        text, _ = codecs.utf_8_decode(data.removeprefix(codecs.BOM_UTF8), "strict", not cut)
    except UnicodeDecodeError:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _divided_text(file: BinaryIO, path: Path, document_break: str) -> Iterator[Document | Dropped]:
    """Yield what stands between breaks, reading a block at a time."""
    pattern = re.compile(_PARAGRAPHS if document_break == "blank_lines" else document_break)
    utf_8 = codecs.getincrementaldecoder("utf-8-sig")()
    decoder = io.IncrementalNewlineDecoder(utf_8, translate=True)
    waiting = ""
    while True:
        block = file.read(_BLOCK_BYTES)
        try:
            waiting += decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            yield Dropped("not UTF-8, from some place on", str(path))
            return
        start = 0
        for found in pattern.finditer(waiting):
            # A break at the end of what is read may go on in the next block.
            if block and found.end() > len(waiting) - _MAX_BREAK:
                break
            yield Document(waiting[start : found.start()])
            start = found.end()
        waiting = waiting[start:]
        if not block:
            yield Document(waiting)
            return
        if len(waiting) > MAX_DOCUMENT_BYTES:
            yield Document(waiting[:MAX_DOCUMENT_BYTES], truncated=True)
            waiting = ""
