from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.corpus.packed import PackedCorpus, ids_type
from crystext.corpus.write_packed import PartWriter
from crystext.errors import InputError

END = 0


def write_corpus(
    folder: Path,
    documents: list[tuple[list[int], int]],
    held_out: dict[str, list[list[int]]],
    *,
    context: int,
    blocks_per_shard: int = 2,
    vocabulary: int = 300,
) -> None:
    """Write a corpus of given documents (ids without end-of-text, source)."""
    kind = ids_type(vocabulary)
    parts: dict[str, Any] = {"validation": {}}
    with PartWriter(folder / "train", kind, context * blocks_per_shard) as writer:
        for ids, source in documents:
            writer.append(np.array([*ids, END]), source)
    parts["train"] = {"shards": writer.shards}
    for name, texts in held_out.items():
        with PartWriter(folder / "validation" / name, kind, context * blocks_per_shard) as writer:
            for ids in texts:
                writer.append(np.array([*ids, END]), 0)
        parts["validation"][name] = {"shards": writer.shards}
    manifest = {
        "format": "crystext corpus",
        "version": 1,
        "context_tokens": context,
        "sources": {"papers": {}, "crystals": {}},
        "tokenizer": {
            "sha256": "0",
            "vocabulary": vocabulary,
            "end_of_text": {"id": END, "token": "<|endoftext|>"},
        },
        "parts": parts,
    }
    (folder / "corpus.json").write_text(json.dumps(manifest))


documents = st.lists(
    st.tuples(st.lists(st.integers(1, 299), max_size=40), st.integers(0, 1)), max_size=30
)


@settings(max_examples=30, deadline=None)
@given(documents=documents, context=st.integers(1, 20), blocks=st.integers(1, 3))
def test_blocks_hold_the_documents_in_order(
    documents: list[tuple[list[int], int]],
    context: int,
    blocks: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, documents, {}, context=context, blocks_per_shard=blocks)
    train = PackedCorpus.open(folder).train
    read = [train.block(i) for i in range(len(train))]
    assert [len(b.ids) for b in read[:-1]] == [context] * (len(read) - 1)
    assert all(sum(b.document_lengths) == len(b.ids) for b in read)
    assert all(min(b.document_lengths) > 0 for b in read)
    # A document is what lies between two end-of-text tokens.
    unpacked: list[tuple[list[int], int]] = []
    text: list[int] = []
    for b in read:
        start = 0
        for length, source in zip(b.document_lengths, b.document_sources, strict=True):
            span = b.ids[start : start + length].tolist()
            assert END not in span[:-1]
            text += span
            if span[-1] == END:
                unpacked.append((text[:-1], source))
                text = []
            start += length
    assert not text
    assert unpacked == documents


def test_attention_stops_at_documents_and_at_the_end_of_a_block(tmp_path: Path) -> None:
    write_corpus(tmp_path, [([1] * 3, 0), ([2] * 9, 1), ([3], 0)], {}, context=8)
    train = PackedCorpus.open(tmp_path).train
    assert [train.block(i).document_lengths for i in range(2)] == [(4, 4), (6, 2)]
    assert [train.block(i).document_sources for i in range(2)] == [(0, 1), (1, 0)]
    with pytest.raises(IndexError):
        train.block(2)


def test_held_out_documents_lie_apart_by_source(tmp_path: Path) -> None:
    write_corpus(tmp_path, [([1], 0)], {"papers": [[5, 6], [7]]}, context=4)
    corpus = PackedCorpus.open(tmp_path)
    assert corpus.validation.keys() == {"papers"}
    assert corpus.validation["papers"].n_tokens == 5
    assert corpus.validation["papers"].block(0).ids.tolist() == [5, 6, END, 7]


def test_a_vocabulary_above_65536_takes_four_bytes_a_token(tmp_path: Path) -> None:
    write_corpus(tmp_path, [([70_000], 0)], {}, context=4, vocabulary=100_000)
    assert PackedCorpus.open(tmp_path).train.block(0).ids.tolist() == [70_000, END]
    assert (tmp_path / "train" / "00000.bin").stat().st_size == 8


def test_the_digest_depends_on_the_tokens(tmp_path: Path) -> None:
    digests = set()
    for name, token in (("one", 1), ("same", 1), ("other", 2)):
        write_corpus(tmp_path / name, [([token], 0)], {}, context=4)
        digests.add(PackedCorpus.open(tmp_path / name).digest)
    assert len(digests) == 2


def test_a_damaged_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a corpus"):
        PackedCorpus.open(tmp_path)
    write_corpus(tmp_path, [([1, 2, 3], 0)], {}, context=4)
    corpus = PackedCorpus.open(tmp_path)
    corpus.verify()
    file = tmp_path / "train" / "00000.bin"
    file.write_bytes(b"\1\0\2\0\2\0\0\0")
    with pytest.raises(InputError, match="checksum"):
        PackedCorpus.open(tmp_path).verify()
    file.write_bytes(b"\1")
    with pytest.raises(InputError, match="has 1 bytes"):
        PackedCorpus.open(tmp_path).train.block(0)
    (tmp_path / "corpus.json").write_text('{"format": "crystext corpus", "version": 1}')
    with pytest.raises(InputError, match="damaged"):
        PackedCorpus.open(tmp_path)
