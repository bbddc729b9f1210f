"""Tokenizers of new networks give texts back, frame them, and follow from the texts alone."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.models.network import read_tokenizer
from crystext.tokenization.encoder_vocabulary import encoder_ids
from crystext.tokenization.new_tokenizers import TokenizerKind, new_tokenizer

TEXTS = ["CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "Na\n0.500 0.500 0.500\nCl", "C[C@H](N)C(=O)O"]
KINDS = get_args(TokenizerKind)
LEARNED = {kind: new_tokenizer(TEXTS, kind, 300) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(alphabet=sorted(set("".join(TEXTS))), max_size=40))
def test_a_text_of_known_characters_comes_back(kind: str, text: str) -> None:
    tokenizer = LEARNED[kind]
    ids = encoder_ids(tokenizer, [text])[0]
    assert ids[0] == tokenizer.cls_token_id
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_tokenizer_and_it_is_saved_whole(
    kind: TokenizerKind, tmp_path: Path
) -> None:
    first, again = LEARNED[kind], new_tokenizer(iter(TEXTS), kind, 300)
    assert first.get_vocab() == again.get_vocab()
    first.save_pretrained(tmp_path)
    read = read_tokenizer(tmp_path)
    for text in (*TEXTS, "an unknown é", "bonds of [NUM] Å"):
        assert read(text).input_ids == first(text).input_ids == again(text).input_ids
    for name in ("pad", "cls", "eos", "mask"):
        assert getattr(read, f"{name}_token_id") == getattr(first, f"{name}_token_id") is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_loses_its_end_but_not_its_last_token(kind: str) -> None:
    tokenizer = LEARNED[kind]
    ids = encoder_ids(tokenizer, [TEXTS[0]], 6)[0]
    assert len(ids) == 6
    assert ids[-1] == tokenizer.eos_token_id


def test_sizes_are_kept() -> None:
    many = ["".join(chr(0x4E00 + i) for i in range(200)), "CCCO"]
    assert len(new_tokenizer(many * 9, "bpe", 300)) == 300
    characters = new_tokenizer(many, "characters", 20)
    assert len(characters) == 20
    assert "C" in characters.get_vocab(), "the most frequent character has no token"
    assert characters.unk_token_id in characters(chr(0x4E00 + 199)).input_ids


def test_the_crystal_vocabulary_has_one_token_for_an_element_and_for_a_number() -> None:
    tokenizer = LEARNED["crystal"]
    assert tokenizer.tokenize("Na") == ["Na"]
    assert len(tokenizer("0.500 0.250").input_ids) == 4
