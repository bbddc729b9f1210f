"""A built corpus: its files, and their reader.

    corpus.json                      manifest: format, recipe, tokenizer, parts, counts
    tokenizer/                       files of the tokenizer; `tokenizer.json` is among them
    train/00000.bin                  token ids, little-endian uint16 (uint32 where the vocabulary is
                                     larger than 65,536), without a header
    train/00000.spans                a row of 8 bytes for each span, little-endian: where it ends in
                                     this shard (uint32), its source (uint16, an index of the
                                     manifest's `sources`), its stage (uint16)
    train/00001.bin ...
    validation/SOURCE/00000.bin ...  the held-out documents of each source

A part (train, or a validation source) is one row of tokens, split into shards for storage and into
blocks for training. Block i holds tokens i * context_tokens to (i + 1) * context_tokens; the last
one of a part may be shorter. Every shard but the last holds whole blocks.

Every document ends with the end-of-text token, and no other token is one: texts are data, so a text
that contains its name holds ordinary tokens. A document that is longer than the rest of its block
goes on in the next block. There, the continuation counts as a document of its own: attention must
not reach back across the boundary of a block, and positions start at 0 again. The same holds for a
document so long that it had to be divided to keep the ratio of the sources (see `scheduler`): its
parts are separate documents, and only the last one ends with end-of-text. The corpus may end before
its turn comes (`unfinished` in the manifest).

So `Block.document_lengths` is all that attention needs. A token at the end of a document has no
successor within it; a trainer leaves it without a target.

Nothing here is unpickled or evaluated. Files are mapped into memory: a process reads only the
blocks that it uses.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from crystext.errors import InputError
from crystext.runtime.files import file_digest, json_digest

CORPUS_FORMAT: Final = "crystext corpus"
CORPUS_VERSION: Final = 1
MANIFEST_FILE: Final = "corpus.json"
TOKENIZER_FOLDER: Final = "tokenizer"
TRAIN_FOLDER: Final = "train"
VALIDATION_FOLDER: Final = "validation"
IDS_SUFFIX, SPANS_SUFFIX = ".bin", ".spans"

SPAN_TYPE: Final = np.dtype([("end", "<u4"), ("source", "<u2"), ("stage", "<u2")])
"""A document, or the part of one that lies in a shard."""

TokenIds = NDArray[np.uint16] | NDArray[np.uint32]


def ids_type(vocabulary: int) -> np.dtype[Any]:
    """Return the type of stored token ids for a vocabulary of this size."""
    return np.dtype("<u2" if vocabulary <= 2**16 else "<u4")


class Block(NamedTuple):
    """Consecutive tokens of a part, at most `context_tokens`."""

    ids: TokenIds
    """Read-only view of the file, uint16 or uint32; torch needs `ids.astype(numpy.int64)`."""
    document_lengths: tuple[int, ...]
    """Tokens of each document, or of the part of it that lies in this block; the sum is
    `len(ids)`."""
    document_sources: tuple[int, ...]
    """Source of each of these, an index of `PackedCorpus.sources`."""


class Shard(NamedTuple):
    """One pair of files of a part."""

    ids: TokenIds
    spans: NDArray[np.void]


@dataclass(frozen=True)
class PackedPart:
    """The training tokens, or the held-out tokens of one source."""

    folder: Path
    context_tokens: int
    shard_tokens: tuple[int, ...]
    """Number of tokens of each shard."""
    shard_spans: tuple[int, ...]
    """Number of spans of each shard."""
    ids_type: np.dtype[Any]

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return sum(self.shard_tokens)

    def __len__(self) -> int:
        """Return the number of blocks."""
        return -(-self.n_tokens // self.context_tokens)

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """The files, mapped into memory.

        Raises:
            InputError: one is missing, or has another size than the manifest says.
        """
        return tuple(
            Shard(
                _map(self._path(i, IDS_SUFFIX), self.ids_type, tokens),
                _map(self._path(i, SPANS_SUFFIX), SPAN_TYPE, spans),
            )
            for i, (tokens, spans) in enumerate(
                zip(self.shard_tokens, self.shard_spans, strict=True)
            )
        )

    @cached_property
    def _first_tokens(self) -> list[int]:
        return np.cumsum([0, *self.shard_tokens]).tolist()  # type: ignore[no-any-return]

    def block(self, i: int) -> Block:
        """Return block i, 0 <= i < len(part).

        Raises:
            IndexError: there is no such block.
            InputError: see `shards`.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"block {i} of {len(self)}")
        first = i * self.context_tokens
        k = bisect_right(self._first_tokens, first) - 1
        shard, start = self.shards[k], first - self._first_tokens[k]
        ids = shard.ids[start : start + self.context_tokens]
        stop = start + len(ids)
        ends = shard.spans["end"]
        # Not `searchsorted`, which copies this column at every call.
        inside = slice(bisect_right(ends, start), bisect_left(ends, stop) + 1)
        bounds = np.minimum(ends[inside].astype(np.int64), stop)
        lengths = np.diff(bounds, prepend=start)
        return Block(ids, tuple(lengths.tolist()), tuple(shard.spans["source"][inside].tolist()))

    def _path(self, shard: int, suffix: str) -> Path:
        return shard_path(self.folder, shard, suffix)


def shard_path(folder: Path, shard: int, suffix: str) -> Path:
    """Return the path of a file of a shard."""
    return folder / f"{shard:05}{suffix}"


def _map(path: Path, kind: np.dtype[Any], length: int) -> NDArray[Any]:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; build the corpus again"
        ) from None
    if size != length * kind.itemsize:
        raise InputError(
            f"{path} is damaged: it has {size:,} bytes, {MANIFEST_FILE} says "
            f"{length * kind.itemsize:,}; build the corpus again"
        )
    # An empty file cannot be mapped.
    return np.memmap(path, kind, "r").view(np.ndarray) if size else np.zeros(0, kind)


@dataclass(frozen=True)
class PackedCorpus:
    """A built corpus, opened for reading."""

    folder: Path
    manifest: Mapping[str, Any]
    """The contents of `corpus.json`."""
    train: PackedPart
    validation: Mapping[str, PackedPart]
    """By source; a source of which nothing was held out is missing."""

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the corpus in a folder; nothing is read but the manifest.

        Raises:
            InputError: there is none, it is not complete, or another version wrote it.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        try:
            vocabulary = int(manifest["tokenizer"]["vocabulary"])
            parts = manifest["parts"]

            def part(path: Path, about: Mapping[str, Any]) -> PackedPart:
                return PackedPart(
                    path,
                    int(manifest["context_tokens"]),
                    tuple(int(shard["n_tokens"]) for shard in about["shards"]),
                    tuple(int(shard["n_spans"]) for shard in about["shards"]),
                    ids_type(vocabulary),
                )

            return cls(
                folder,
                manifest,
                part(folder / TRAIN_FOLDER, parts["train"]),
                {
                    name: part(folder / VALIDATION_FOLDER / name, about)
                    for name, about in parts["validation"].items()
                },
            )
        except (LookupError, TypeError, ValueError, AttributeError):
            raise InputError(
                f"{folder / MANIFEST_FILE} is damaged: it is not the manifest of a corpus; build "
                "the corpus again"
            ) from None

    @property
    def context_tokens(self) -> int:
        """Maximum number of tokens of a block."""
        return self.train.context_tokens

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in the order of the recipe."""
        return tuple(self.manifest["sources"])

    @property
    def tokenizer(self) -> Path:
        """Folder of the tokenizer."""
        return self.folder / TOKENIZER_FOLDER

    @property
    def end_of_text(self) -> int:
        """Id of the token that ends every document."""
        return int(self.manifest["tokenizer"]["end_of_text"]["id"])

    @property
    def digest(self) -> str:
        """SHA-256 of what training depends on: tokenizer, length of the context, all tokens."""
        about = self.manifest
        return json_digest([about["tokenizer"]["sha256"], self.context_tokens, about["parts"]])

    def verify(self) -> None:
        """Compare all files with their checksums; this reads the whole corpus.

        Raises:
            InputError: a file is missing or differs.
        """
        parts = self.manifest["parts"]
        for part, about in (
            (self.train, parts["train"]),
            *((part, parts["validation"][name]) for name, part in self.validation.items()),
        ):
            _ = part.shards
            for i, shard in enumerate(about["shards"]):
                for suffix, key in ((IDS_SUFFIX, "sha256"), (SPANS_SUFFIX, "spans_sha256")):
                    path = shard_path(part.folder, i, suffix)
                    if file_digest(path) != shard[key]:
                        raise InputError(
                            f"{path} is damaged: its checksum is not the one in {MANIFEST_FILE}; "
                            "build the corpus again"
                        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a corpus.

    Raises:
        InputError: there is none, it is damaged, or another version wrote it.
    """
    path = folder / MANIFEST_FILE
    make = "build one with `crystext corpus build RECIPE.yaml --out DIR`"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is not a corpus: it has no {MANIFEST_FILE}; {make}") from None
    except (OSError, ValueError):
        raise InputError(f"{path} cannot be read, or is not JSON; {make}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != CORPUS_FORMAT:
        raise InputError(f"{path} is not the manifest of a corpus; {make}")
    if manifest.get("version") != CORPUS_VERSION:
        raise InputError(
            f"{folder} is a corpus of version {manifest.get('version')}; this crystext reads "
            f"version {CORPUS_VERSION}. Build it again"
        )
    return manifest
