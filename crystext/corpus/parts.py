"""Encode the documents of one chunk of a source: the part of the build that takes the time.

    000012.ids          token ids of the documents, one after another, each with end-of-text
    000012.index        a row of `INDEX_TYPE` for each
    000012.signatures   MinHash signatures, if near duplicates are searched
    000012.crystals/    of crystals: a store with their structures, to compare them
    000012.json         counts; it is written last, so a part with this file is complete

Each chunk becomes a part, whichever process reads it. Which documents are used is decided later,
when all parts are there (`selection`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.corpus.crystals import CrystalChunk, read_crystal_chunk
from crystext.corpus.documents import Document, Dropped, FileChunk, read_chunk
from crystext.corpus.near_duplicates import SIGNATURE_SIZE, signatures
from crystext.corpus.recipe import SourceSettings
from crystext.corpus.tokenizer import TextEncoder, TokenizerDescription
from crystext.data.store import write_store
from crystext.runtime.files import replace_atomically, write_json
from crystext.structures.record import Record

INDEX_TYPE = np.dtype(
    [("tokens", "<u4"), ("high", "<u8"), ("low", "<u8"), ("split", "<u8"), ("formula", "<u8")]
)
"""Number of tokens with end-of-text; digest of the text, in two halves; a number that decides on
the split; digest of the reduced formula, 0 without one."""

_BATCH_CHARACTERS = 2**20
"""Text that is encoded at once."""

_MAX_EXAMPLES = 3


@dataclass(frozen=True)
class PartSettings:
    """What the parts of one source depend on."""

    folder: Path
    source: SourceSettings
    tokenizer: TokenizerDescription
    seed: int
    signatures: bool
    structures: bool
    """Whether crystals are kept for comparison."""


class PartTask(NamedTuple):
    """A chunk, and the number of its part."""

    number: int
    chunk: FileChunk | CrystalChunk


@dataclass
class _Counts:
    documents: int = 0
    tokens: int = 0
    bytes: int = 0
    truncated: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[str, str, str, int | None]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def drop(self, dropped: Dropped) -> None:
        # What stands in brackets differs between documents.
        reason = dropped.reason.partition(" (")[0]
        self.dropped[reason] += 1
        if self.dropped[reason] <= _MAX_EXAMPLES:
            self.examples.append((reason, dropped.reason, dropped.place, dropped.line))


def part_path(folder: Path, number: int, suffix: str) -> Path:
    """Return the path of a file of a part."""
    return folder / f"{number:06}{suffix}"


def make_part_writer(settings: PartSettings) -> Callable[[PartTask], dict[str, Any]]:
    """Return the function that writes a part, and returns its counts; called in each process."""
    return partial(_write_part, settings, TextEncoder(settings.tokenizer))


def _write_part(settings: PartSettings, encoder: TextEncoder, task: PartTask) -> dict[str, Any]:
    counts = _Counts()
    records: list[Record] = []
    folder = settings.folder
    with ExitStack() as stack:

        def opened(suffix: str) -> BinaryIO:
            path = stack.enter_context(replace_atomically(part_path(folder, task.number, suffix)))
            return stack.enter_context(path.open("wb"))

        ids, index = opened(".ids"), opened(".index")
        signed = opened(".signatures") if settings.signatures else None
        documents = _documents(task.chunk, settings, counts, records)
        for batch in _batches(documents):
            encoded = _encode(batch, encoder, settings.source, counts)
            for row in encoded:
                ids.write(row.data)
            index.write(_index(batch, encoded, settings.seed).tobytes())
            if signed is not None:
                signed.write(signatures([document.text for document in batch]).tobytes())
    if settings.structures:
        write_store(part_path(folder, task.number, ".crystals"), {"train": records})
    about = {**vars(counts), "dropped": dict(counts.dropped)}
    write_json(part_path(folder, task.number, ".json"), about)
    return about


def _documents(
    chunk: FileChunk | CrystalChunk,
    settings: PartSettings,
    counts: _Counts,
    records: list[Record],
) -> Iterator[Document]:
    """Yield the documents of a chunk; count the others, and collect the records of crystals."""
    if isinstance(chunk, CrystalChunk):
        for found in read_crystal_chunk(chunk, settings.source):
            if isinstance(found, Dropped):
                counts.drop(found)
                continue
            document, record = found
            if settings.structures:
                records.append(record)
            yield document
        return
    for read in read_chunk(chunk, settings.source, counts.lines):
        if isinstance(read, Dropped):
            counts.drop(read)
        elif not read.text.strip():
            counts.dropped["empty"] += 1
        else:
            yield read


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encode(
    batch: list[Document], encoder: TextEncoder, source: SourceSettings, counts: _Counts
) -> list[NDArray[Any]]:
    encoded = encoder.encode([document.text for document in batch])
    limit = source.max_document_tokens
    for i, (document, ids) in enumerate(zip(batch, encoded, strict=True)):
        too_long = limit is not None and len(ids) > limit
        if too_long:
            encoded[i] = np.concatenate([ids[: limit - 1], ids[-1:]])  # type: ignore[operator]
        counts.truncated += too_long or document.truncated
    counts.documents += len(batch)
    counts.bytes += sum(len(document.text.encode()) for document in batch)
    counts.tokens += sum(map(len, encoded))
    return encoded


def _index(batch: list[Document], encoded: list[NDArray[Any]], seed: int) -> NDArray[np.void]:
    rows = np.zeros(len(batch), INDEX_TYPE)
    for i, (document, ids) in enumerate(zip(batch, encoded, strict=True)):
        digest = _digest(document)
        rows["tokens"][i] = len(ids)
        rows["high"][i] = int.from_bytes(digest[:8], "little")
        rows["low"][i] = int.from_bytes(digest[8:], "little")
        rows["split"][i] = random_number(_key(document, digest), seed)
        if document.formula is not None:
            rows["formula"][i] = random_number(_key(document, digest), 0)
    return rows


def _digest(document: Document) -> bytes:
    return hashlib.blake2b(document.text.encode(), digest_size=16).digest()


def _key(document: Document, digest: bytes) -> bytes:
    """Return what documents share that are on one side of the split."""
    if document.formula is not None:
        return b"formula " + document.formula.encode()
    return digest if document.id is None else b"id " + document.id.encode()


def random_number(key: bytes, seed: int) -> int:
    """Return a number below 2^64 that looks random, for a key; the same on every machine."""
    salted = hashlib.blake2b(key, digest_size=8, salt=seed.to_bytes(8, "little"))
    return int.from_bytes(salted.digest(), "little")


def is_held_out(document: Document, seed: int, fraction: float) -> bool:
    """Return whether a document is for validation."""
    return random_number(_key(document, _digest(document)), seed) < held_out_below(fraction)


def held_out_below(fraction: float) -> int:
    """Return the number below which documents are held out."""
    return int(fraction * 2**64)


class Part(NamedTuple):
    """The files of a part, mapped into memory."""

    ids: NDArray[Any]
    rows: NDArray[np.void]


def open_part(folder: Path, number: int, kind: np.dtype[Any]) -> Part:
    """Open a part."""
    return Part(_map(part_path(folder, number, ".ids"), kind), open_index(folder, number))


def open_index(folder: Path, number: int) -> NDArray[np.void]:
    """Open the rows of a part."""
    return _map(part_path(folder, number, ".index"), INDEX_TYPE)


def open_signatures(folder: Path, number: int) -> NDArray[np.uint32]:
    """Open the signatures of a part; shape (documents, `SIGNATURE_SIZE`)."""
    path = part_path(folder, number, ".signatures")
    return _map(path, np.dtype("<u4")).reshape(-1, SIGNATURE_SIZE)


def _map(path: Path, kind: np.dtype[Any]) -> NDArray[Any]:
    # An empty file cannot be mapped.
    size = path.stat().st_size
    return np.memmap(path, kind, "r").view(np.ndarray) if size else np.zeros(0, kind)
