"""Small sources of documents for corpora, and what is in a corpus."""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import yaml
from tokenizers import Tokenizer

from crystext.corpus.build import build_corpus
from crystext.corpus.packed import PackedCorpus, PackedPart
from crystext.corpus.recipe import TokenizerSettings, load_corpus_recipe
from crystext.corpus.tokenizer import train_tokenizer
from crystext.data.store import write_store
from crystext.data.textbook import textbook_file
from crystext.structures.record import Record
from crystext.text import WYCKOFF, decode

WORDS = "the of a crystal band gap energy oxide structure measured film we show that 0.25 at 300 K"


@cache
def textbook_records() -> list[Record]:
    lines = textbook_file("train").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Record(decode(row["text"], format=WYCKOFF).crystal, {}, row["name"]) for row in rows]


def crystal_store(folder: Path, first: int = 0, last: int = 80) -> str:
    """Write a store of textbook crystals, which are different materials."""
    write_store(folder, {"train": textbook_records()[first:last]})
    return str(folder)


@cache
def tokenizer_folder() -> Path:
    """Return a folder with a small byte-level tokenizer."""
    folder = Path(mkdtemp(prefix="tokenizer"))
    settings = TokenizerSettings(train="bpe", vocabulary=320)
    train_tokenizer([WORDS], folder, settings)
    atexit.register(shutil.rmtree, folder)
    return folder


def sentences(seed: int, words: int) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS.split(), words))


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def papers(path: Path, seed: int, number: int, mean_words: int = 60) -> Path:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 2 * mean_words, number).tolist()
    return write_jsonl(
        path, [{"text": sentences(seed * 10_000 + i, n)} for i, n in enumerate(lengths)]
    )


def write_recipe(path: Path, sources: Mapping[str, Any], **settings: Any) -> Path:
    """Write a recipe in which all sources have one weight, unless it has stages."""
    values = {
        "context_tokens": 64,
        "tokenizer": str(tokenizer_folder()),
        "sources": sources,
        "stages": [{"weights": {name: 1 / len(sources) for name in sources}}],
        **settings,
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def build(
    folder: Path, sources: Mapping[str, Any], *, workers: int = 1, **settings: Any
) -> PackedCorpus:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = load_corpus_recipe(write_recipe(folder / "recipe.yaml", sources, **settings))
    return build_corpus(recipe, folder / "corpus", workers=workers)


def documents(corpus: PackedCorpus, part: PackedPart) -> Iterator[tuple[str, str]]:
    """Yield the source and text of each document that is packed in a part."""
    tokenizer = Tokenizer.from_file(str(corpus.tokenizer / "tokenizer.json"))
    ids: dict[int, list[int]] = {}
    for i in range(len(part)):
        block = part.block(i)
        start = 0
        for length, source in zip(block.document_lengths, block.document_sources, strict=True):
            some = block.ids[start : start + length].tolist()
            start += length
            ended = some[-1] == corpus.end_of_text
            ids.setdefault(source, []).extend(some[:-1] if ended else some)
            if ended:
                yield (
                    corpus.sources[source],
                    tokenizer.decode(ids.pop(source), skip_special_tokens=False),
                )
    unfinished = {name for name, x in corpus.manifest["sources"].items() if x["unfinished"]}
    assert {corpus.sources[source] for source in ids} == (
        unfinished if part is corpus.train else set()
    )


def held_out(corpus: PackedCorpus) -> list[tuple[str, str]]:
    return [x for part in corpus.validation.values() for x in documents(corpus, part)]


def token_sources(corpus: PackedCorpus) -> np.ndarray:
    """Return the source of each training token."""
    rows = []
    for shard in corpus.train.shards:
        lengths = np.diff(shard.spans["end"].astype(np.int64), prepend=0)
        rows.append(np.repeat(shard.spans["source"], lengths))
    return np.concatenate(rows)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a corpus that every build of a recipe writes alike."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("starts.jsonl", "lock", "settings.json")
    }
