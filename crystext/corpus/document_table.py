"""All documents of a build, in the order of the sources, their parts and their rows.

A document is known by its position in this order. Tables of a few numbers for each are in memory (a
byte for its status) or mapped (36 bytes for its row); texts and tokens are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.corpus.parts import INDEX_TYPE, Part, open_part, open_signatures, part_path

TRAIN, VALIDATION, EXACT, NEAR, MATERIAL = range(5)
"""What becomes of a document; the last three are reasons for leaving it out."""

Positions = NDArray[np.int64]


class TablePart(NamedTuple):
    """The documents of a part."""

    source: int
    """Index of the source."""
    folder: Path
    number: int
    start: int
    """Position of its first document."""
    documents: int


@dataclass(frozen=True)
class DocumentTable:
    """The documents of all parts."""

    parts: tuple[TablePart, ...]
    ids_type: np.dtype[Any]

    @classmethod
    def of_sources(
        cls, sources: Sequence[tuple[Path, int]], ids_type: np.dtype[Any]
    ) -> DocumentTable:
        """Return the table of sources, given the folder and the number of parts of each."""
        parts = []
        start = 0
        for source, (folder, count) in enumerate(sources):
            for index in range(count):
                size = part_path(folder, index, ".index").stat().st_size
                documents = size // INDEX_TYPE.itemsize
                parts.append(TablePart(source, folder, index, start, documents))
                start += documents
        return cls(tuple(parts), ids_type)

    def __len__(self) -> int:
        return self.parts[-1].start + self.parts[-1].documents if self.parts else 0

    def open(self, part: TablePart) -> Part:
        """Map the files of a part."""
        return open_part(part.folder, part.number, self.ids_type)

    def rows_in_partition(
        self, name: str, partition: int, partitions: int, keep: NDArray[np.bool_]
    ) -> tuple[Positions, NDArray[np.void]]:
        """Return positions and rows of the documents whose number is in a partition.

        Args:
            name: field of `INDEX_TYPE`.
            partition: the number modulo `partitions`.
            partitions: how many there are.
            keep: for each document, whether it takes part.
        """
        positions, rows = [np.zeros(0, np.int64)], [np.zeros(0, INDEX_TYPE)]
        for part in self.parts:
            rows_of_part = self.open(part).rows
            chosen = keep[part.start : part.start + part.documents]
            chosen = chosen & (rows_of_part[name] % np.uint64(partitions) == partition)
            found = np.flatnonzero(chosen)
            positions.append(found + part.start)
            rows.append(rows_of_part[found])
        return np.concatenate(positions), np.concatenate(rows)

    def signatures(self, positions: Positions) -> NDArray[np.uint32]:
        """Return the signatures of documents, in their order."""
        of_part = np.searchsorted(self._starts, positions, side="right") - 1
        rows: NDArray[np.uint32] | None = None
        for k in np.unique(of_part):
            part = self.parts[k]
            found = np.flatnonzero(of_part == k)
            some = open_signatures(part.folder, part.number)[positions[found] - part.start]
            if rows is None:
                rows = np.zeros((len(positions), some.shape[1]), np.uint32)
            rows[found] = some
        assert rows is not None
        return rows

    def part_of(self, position: int) -> TablePart:
        """Return the part that holds a document."""
        return self.parts[int(np.searchsorted(self._starts, position, side="right")) - 1]

    def of_source(self, source: int) -> Iterator[TablePart]:
        """Yield the parts of a source."""
        return (part for part in self.parts if part.source == source)

    @cached_property
    def _starts(self) -> Positions:
        return np.array([part.start for part in self.parts], np.int64)
