"""The training documents of a source, one after another, in parts that the scheduler may take.

Shuffled documents come in the order of a hash, part by part: the parts of a source in random order,
and the documents of each. So only one part is open at a time; documents far apart in a very large
source are not mixed with each other, except by the order of the parts. A source that is repeated
comes in another order each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.corpus.document_table import TRAIN, VALIDATION, DocumentTable, TablePart
from crystext.corpus.parts import random_number
from crystext.corpus.selection import Status

_ODD_FACTOR = np.uint64(0xD1342543DE82EF95)


class DocumentPart(NamedTuple):
    """A document, or a part of one."""

    ids: NDArray[Any]
    is_first: bool
    is_last: bool


class SourceReader:
    """Reads a source, as often as it is repeated."""

    def __init__(
        self,
        table: DocumentTable,
        status: Status,
        source: int,
        *,
        seed: int,
        shuffle: bool,
        repeat: bool,
    ) -> None:
        """Prepare; nothing is read.

        Args:
            table: all documents.
            status: what becomes of each.
            source: index of the source.
            seed: of the order.
            shuffle: whether documents come in random order.
            repeat: whether the source begins again at its end.
        """
        self._table, self._status, self._source = table, status, source
        self._seed, self._shuffle, self._repeat = seed, shuffle, repeat
        self.epoch = 0
        """Number of times that the source has begun again."""
        self._documents = self._read_epoch()
        self._rest: NDArray[Any] | None = None

    @property
    def is_within_document(self) -> bool:
        """Whether the end of the last document has not been taken."""
        return self._rest is not None

    def next_part(self, max_tokens: int | None) -> DocumentPart | None:
        """Return the next document, or part of one; None at the end of the source.

        Args:
            max_tokens: longer documents are divided into parts of about equal length.
        """
        is_first = self._rest is None
        ids = self._next_document() if self._rest is None else self._rest
        if ids is None:
            return None
        length = len(ids)
        if max_tokens is not None and length > max_tokens:
            length = -(-length // -(-length // max_tokens))
        self._rest = ids[length:] if length < len(ids) else None
        return DocumentPart(ids[:length], is_first, self._rest is None)

    def _next_document(self) -> NDArray[Any] | None:
        ids = next(self._documents, None)
        if ids is None and self._repeat:
            self.epoch += 1
            self._documents = self._read_epoch()
            ids = next(self._documents, None)
        return ids

    def _read_epoch(self) -> Iterator[NDArray[Any]]:
        parts = list(self._table.of_source(self._source))
        if self._shuffle:
            parts.sort(key=self._part_order)
        for part in parts:
            files = self._table.open(part)
            ends = np.cumsum(files.rows["tokens"], dtype=np.int64)
            status = self._status[part.start : part.start + part.documents]
            chosen = np.flatnonzero(status == TRAIN)
            if self._shuffle:
                salt = np.uint64(random_number(b"order", self._seed + self.epoch * 2**32))
                numbers = (files.rows["high"][chosen] ^ salt) * _ODD_FACTOR
                numbers ^= numbers >> np.uint64(31)
                chosen = chosen[np.argsort(numbers * _ODD_FACTOR, kind="stable")]
            for i in chosen.tolist():
                yield files.ids[int(ends[i]) - int(files.rows["tokens"][i]) : int(ends[i])]

    def _part_order(self, part: TablePart) -> int:
        return random_number(f"part {self._source} {part.number} {self.epoch}".encode(), self._seed)


def held_out_documents(table: DocumentTable, status: Status, source: int) -> Iterator[NDArray[Any]]:
    """Yield the held-out documents of a source, in their order."""
    for part in table.of_source(source):
        files = table.open(part)
        ends = np.cumsum(files.rows["tokens"], dtype=np.int64)
        for i in np.flatnonzero(
            status[part.start : part.start + part.documents] == VALIDATION
        ).tolist():
            yield files.ids[int(ends[i]) - int(files.rows["tokens"][i]) : int(ends[i])]
