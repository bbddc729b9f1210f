"""Write the shards of a part of a corpus; `packed` describes them.

A shard is written under a temporary name and renamed when it is complete, so a build that is killed
loses at most one shard. A build that is continued passes the same tokens again, and a shard that
exists already is not written again: its tokens are only counted.
"""

from __future__ import annotations

import hashlib
from array import array
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from crystext.corpus.packed import IDS_SUFFIX, SPAN_TYPE, SPANS_SUFFIX, shard_path
from crystext.runtime.files import file_digest, replace_atomically


class PartWriter:
    """Writes documents, one after another, as a part of a corpus; a context manager."""

    def __init__(self, folder: Path, ids_type: np.dtype[Any], shard_tokens: int) -> None:
        """Prepare; the folder is made with the first shard.

        Args:
            folder: of the part.
            ids_type: type of the token ids in the files.
            shard_tokens: size of all shards but the last; a multiple of the length of the context.
        """
        self.folder, self.ids_type, self.shard_tokens = folder, ids_type, shard_tokens
        self.shards: list[dict[str, Any]] = []
        """Entries of the manifest for the shards that are complete."""
        # Lists would take ten times the memory, and documents may be short.
        self._ends, self._sources, self._stages = array("I"), array("H"), array("H")
        self._tokens = 0
        self._files = ExitStack()
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._files.__exit__(kind, error, trace)
        elif self._tokens:
            self._finish_shard()

    @property
    def n_tokens(self) -> int:
        """Number of tokens so far."""
        return sum(int(shard["n_tokens"]) for shard in self.shards) + self._tokens

    def append(
        self, ids: NDArray[Any], source: int, stage: int = 0, *, continues: bool = False
    ) -> None:
        """Append a document, or a part of one.

        Args:
            ids: its tokens, with end-of-text where the document ends; not empty.
            source: index of its source.
            stage: index of the stage of the mixture.
            continues: whether it is of the document that the last part was of.
        """
        while len(ids):
            if not self._tokens:
                self._start_shard()
            piece = ids[: self.shard_tokens - self._tokens]
            if self._file is not None:
                data = np.ascontiguousarray(piece, self.ids_type).data
                self._file.write(data)
                self._hash.update(data)
            self._tokens += len(piece)
            if continues and self._ends:
                self._ends[-1] = self._tokens
            else:
                self._ends.append(self._tokens)
                self._sources.append(source)
                self._stages.append(stage)
            continues = False
            if self._tokens == self.shard_tokens:
                self._finish_shard()
            ids = ids[len(piece) :]

    def _start_shard(self) -> None:
        path = shard_path(self.folder, len(self.shards), IDS_SUFFIX)
        if not path.exists():
            partial = self._files.enter_context(replace_atomically(path))
            self._file = self._files.enter_context(partial.open("wb"))
            self._hash = hashlib.sha256()

    def _finish_shard(self) -> None:
        path = shard_path(self.folder, len(self.shards), IDS_SUFFIX)
        spans = shard_path(self.folder, len(self.shards), SPANS_SUFFIX)
        rows = np.empty(len(self._ends), SPAN_TYPE)
        rows["end"], rows["source"], rows["stage"] = self._ends, self._sources, self._stages
        table = rows.tobytes()
        # The tokens get their name last: where they exist, the spans do as well.
        if self._file is not None:
            with replace_atomically(spans) as partial:
                partial.write_bytes(table)
            self._files.close()
            digest = self._hash.hexdigest()
        else:
            digest = file_digest(path)
        self.shards.append(
            {
                "n_tokens": self._tokens,
                "n_spans": len(rows),
                "sha256": digest,
                "spans_sha256": hashlib.sha256(table).hexdigest(),
            }
        )
        for column in (self._ends, self._sources, self._stages):
            del column[:]
        self._tokens, self._file = 0, None
