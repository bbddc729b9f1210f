"""The sample of a corpus on which a tokenizer is trained: bounded, and the same on every machine.

Each source gives text in proportion to its weight in the corpus: of a source of text, from chunks
at equal distances; of crystals, the first ones. Held-out and repeated documents are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from crystext.corpus.crystals import CrystalChunk, read_crystal_chunk
from crystext.corpus.documents import Document, FileChunk, read_chunk
from crystext.corpus.mix import source_proportions
from crystext.corpus.parts import is_held_out
from crystext.corpus.recipe import CorpusRecipe, SourceSettings
from crystext.corpus.tokenizer import TokenizerDescription, train_tokenizer

_MAX_CHUNKS = 64
"""Chunks of a source of text that are read."""


def train_on_sample(
    chunks: Mapping[str, Iterable[FileChunk | CrystalChunk]], recipe: CorpusRecipe, folder: Path
) -> TokenizerDescription:
    """Train a tokenizer and write it.

    Args:
        chunks: of each source.
        recipe: of the corpus.
        folder: of the tokenizer.
    """
    return train_tokenizer(_sample(chunks, recipe), folder, recipe.tokenizer)


def _sample(
    chunks: Mapping[str, Iterable[FileChunk | CrystalChunk]], recipe: CorpusRecipe
) -> Iterator[str]:
    seen: set[bytes] = set()
    for name, proportion in source_proportions(recipe).items():
        left = int(recipe.tokenizer.sample_bytes * proportion)
        chosen = _spread(chunks[name])
        for k, some in enumerate(chosen):
            # What an earlier chunk lacks, later ones may add.
            limit = left - left * (len(chosen) - k - 1) // (len(chosen) - k)
            for document in _documents(some, recipe.sources[name]):
                if limit <= 0:
                    break
                text = document.text
                digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
                if digest in seen or is_held_out(document, recipe.seed, recipe.validation.fraction):
                    continue
                seen.add(digest)
                # A character has at least one byte.
                piece = text[:limit]
                limit -= (size := len(piece.encode()))
                left -= size
                yield piece


def _spread(
    chunks: Iterable[FileChunk | CrystalChunk],
) -> list[FileChunk | CrystalChunk]:
    iterator = iter(chunks)
    first = next(iterator, None)
    if first is None:
        return []
    if isinstance(first, CrystalChunk):
        # Chunks of crystals hold their data: not all of them fit into memory.
        return [first, *islice(iterator, 3)]
    every = [first, *iterator]
    step = max(1, len(every) // _MAX_CHUNKS)
    return every[::step][:_MAX_CHUNKS]


def _documents(chunk: FileChunk | CrystalChunk, source: SourceSettings) -> Iterator[Document]:
    if isinstance(chunk, CrystalChunk):
        for found in read_crystal_chunk(chunk, source):
            if isinstance(found, tuple) and isinstance(found[0], Document):
                yield found[0]
        return
    for read in read_chunk(chunk, source, {}):
        if isinstance(read, Document) and read.text.strip():
            yield read
