"""Ids are those of the tokenizer, and only ends of documents are end-of-text tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from crystext.corpus import tokenizer as corpus_tokenizer
from crystext.corpus.pretoken_cache import _RANGES, GPT2_PATTERN, open_cache
from crystext.corpus.recipe import TokenizerSettings
from crystext.corpus.tokenizer import (
    TextEncoder,
    copy_tokenizer,
    describe_tokenizer,
    train_tokenizer,
)
from crystext.errors import ModelError
from tests.corpus.sources import build, crystal_store, documents, papers, tokenizer_folder

TEXTS = [
    "It's the band gap of Ba₂CuO₄–δ: 2.05(3) eV, we'll see; Å, µm and ½.",
    "data_NaCl\n_cell_length_a   5.640000\n  Na  Na1  0.12500  0.25000\n\n",
    "  two  spaces\tand\ttabs \r\n\r\n  Σ x = 3 ≤ 4 \u00a0 \u2009 end ",
]
LLAMA3_LIKE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(pattern: str | None) -> Tokenizer:
    """Return a byte-level BPE tokenizer that cuts by a pattern; None cuts as GPT-2 does."""
    found = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    steps = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), "isolated")]
    found.pre_tokenizer = pre_tokenizers.Sequence([*steps, last]) if steps else last
    found.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    found.train_from_iterator(TEXTS * 5, trainer)
    found.encode_special_tokens = True
    return found


TOKENIZERS = {
    "trained here": Tokenizer.from_file(str(tokenizer_folder() / "tokenizer.json")),
    "GPT-2": byte_level(None),
    "LLaMA-3": byte_level(LLAMA3_LIKE),
}
CACHES = {name: open_cache(x, np.dtype("<u2")) for name, x in TOKENIZERS.items()}
for _tokenizer in TOKENIZERS.values():
    _tokenizer.encode_special_tokens = True

COMMON = [*"aAsSéÅµδΣ05½²₂'.,(-–=≤∞ \t\n\r\x0b\x85\u00a0\u2028\u212b\u2009", "'s", "  ", "\r\n"]
COVERED = [chr(x) for first, last in _RANGES for x in range(first, last + 1)]
text_like = st.lists(
    st.one_of(st.sampled_from([*COMMON, "<|endoftext|>"]), st.sampled_from(COVERED)), max_size=40
).map("".join)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=120, deadline=None)
@given(text=text_like)
def test_cached_words_have_the_ids_of_the_tokenizer(name: str, text: str) -> None:
    cache = CACHES[name]
    assert cache is not None
    ids = cache.encode(text)
    assert ids is not None
    assert ids.tolist() == TOKENIZERS[name].encode(text, add_special_tokens=False).ids


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_texts_beyond_the_tables_have_the_ids_of_the_tokenizer(text: str) -> None:
    ids = CACHES["LLaMA-3"].encode(text)  # type: ignore[union-attr]
    plain = TOKENIZERS["LLaMA-3"].encode(text, add_special_tokens=False).ids
    assert ids is None or ids.tolist() == plain


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_covered_character_has_the_class_that_the_tokenizer_gives_it(name: str) -> None:
    cache = CACHES[name]
    assert cache is not None
    for start in range(0, len(COVERED), 500):
        # Beside letters, digits and signs, so that another class would be another cut.
        text = "".join(f"a{x}b 5{x}5 ,{x}," for x in COVERED[start : start + 500])
        ids = cache.encode(text)
        assert ids is not None
        assert ids.tolist() == TOKENIZERS[name].encode(text, add_special_tokens=False).ids


def test_characters_with_uncertain_classes_are_left_to_the_tokenizer() -> None:
    cache = CACHES["GPT-2"]
    assert cache is not None
    assert [cache.encode(x) for x in ("a\x1cb", "中文", "ſ", "😀")] == [None] * 4


def test_a_full_table_of_words_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crystext.corpus.pretoken_cache._MAX_WORDS", 3)
    cache = open_cache(TOKENIZERS["GPT-2"], np.dtype("<u2"))
    assert cache is not None
    for text in TEXTS:
        ids = cache.encode(text)
        assert ids is not None
        assert ids.tolist() == TOKENIZERS["GPT-2"].encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    "change",
    [
        lambda x: setattr(x, "pre_tokenizer", pre_tokenizers.Metaspace()),
        lambda x: setattr(x, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
        lambda x: x.add_tokens(["NaCl"]),
    ],
    ids=["metaspace", "prefix", "added token"],
)
def test_other_kinds_of_tokenizers_have_no_cache(change: object) -> None:
    other = byte_level(None)
    change(other)  # type: ignore[operator]
    assert open_cache(other, np.dtype("<u2")) is None


def test_the_end_of_text_in_a_text_is_text() -> None:
    encoder = TextEncoder(describe_tokenizer(tokenizer_folder(), None))
    text = "before <|endoftext|> behind"
    (ids,) = encoder.encode([text])
    assert (ids == encoder.about.end_of_text).nonzero()[0].tolist() == [len(ids) - 1]
    assert TOKENIZERS["trained here"].decode(ids[:-1].tolist()) == text


def test_a_word_of_the_vocabulary_that_is_the_end_of_text_is_encoded_otherwise(
    tmp_path: Path,
) -> None:
    vocabulary = {"</s>": 0, "a": 1, "<": 2, "/": 3, "s": 4, ">": 5, "?": 6}
    words = Tokenizer(models.WordLevel(vocabulary, "?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(tmp_path / "tokenizer.json"))
    about = describe_tokenizer(tmp_path, "</s>")
    (ids,) = TextEncoder(about).encode(["a </s> a"])
    assert ids.tolist() == [1, 2, 3, 4, 5, 1, 0]


def test_long_texts_are_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TextEncoder(describe_tokenizer(tokenizer_folder(), None))
    text = "the band gap\n" * 20
    whole = encoder.encode([text, "a"])
    monkeypatch.setattr(corpus_tokenizer, "_MAX_PIECE", 30)
    pieces = encoder.encode([text, "a"])
    assert [x.tolist() for x in whole] == [x.tolist() for x in pieces]


@pytest.mark.parametrize("single_digits", [True, False])
def test_numbers_are_split_into_digits(tmp_path: Path, single_digits: bool) -> None:
    settings = TokenizerSettings(train="bpe", vocabulary=400, single_digits=single_digits)
    about = train_tokenizer(["x 1234"] * 50, tmp_path / "t", settings)
    (ids,) = TextEncoder(about).encode(["x 1234"])
    assert len(ids) == (7 if single_digits else 3)


def test_the_tokenizer_is_trained_on_the_corpus_the_same_every_time(tmp_path: Path) -> None:
    source = {
        "papers": {"jsonl": str(papers(tmp_path / "p.jsonl", 1, 60)), "when_dry": "stop"},
        "crystals": {"crystals": crystal_store(tmp_path / "s", 0, 20), "when_dry": "repeat"},
    }
    settings = {"train": "bpe", "vocabulary": 350, "sample_bytes": 10_000}
    one, two = (build(tmp_path / x, source, tokenizer=settings) for x in "ab")
    assert one.digest == two.digest
    assert one.manifest["tokenizer"]["vocabulary"] == 350
    assert "_cell_length_a" in next(
        text for name, text in documents(one, one.train) if name != "papers"
    )


def test_a_copied_tokenizer_ends_documents_with_its_own_token(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    byte_level(None).save(str(model / "tokenizer.json"))
    with pytest.raises(ModelError, match=r"names no end-of-sequence token.*tokenizer\.end_of_text"):
        copy_tokenizer(model, tmp_path / "a", TokenizerSettings(name=str(model)))
    config = {"eos_token": {"content": "<|endoftext|>"}}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    about = copy_tokenizer(model, tmp_path / "a", TokenizerSettings(name=str(model)))
    assert (about.end_of_text, about.end_of_text_token) == (0, "<|endoftext|>")
    assert sorted(x.name for x in (tmp_path / "a").iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    wrong = TokenizerSettings(name=str(model), end_of_text="</s>")
    with pytest.raises(ModelError, match="has no token '</s>'"):
        copy_tokenizer(model, tmp_path / "b", wrong)


def test_a_folder_without_a_fast_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no tokenizer\.json; expected a fast tokenizer"):
        describe_tokenizer(tmp_path, None)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="is damaged"):
        describe_tokenizer(tmp_path, None)


def test_the_pattern_of_gpt2_is_that_of_the_library() -> None:
    split = byte_level(GPT2_PATTERN)
    plain = byte_level(None)
    for text in TEXTS:
        assert split.encode(text).tokens == plain.encode(text).tokens
