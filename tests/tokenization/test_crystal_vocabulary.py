from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions
from crystext.tasks.prompts import load_prompts
from crystext.text import encode
from crystext.tokenization.crystal_vocabulary import (
    BOS,
    EOS,
    MASK,
    PAD,
    build_tokenizer,
    element_line,
    vocabulary_pieces,
)
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.strategies import corrupted_texts, texts_of_crystals

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

GOLDEN = Path(__file__).parents[1] / "golden" / "token_ids.json"


@pytest.fixture(scope="module")
def phrases() -> list[str]:
    return load_prompts("default").phrases()


@pytest.fixture(scope="module")
def tokenizer(phrases: list[str]) -> PreTrainedTokenizerFast:
    return build_tokenizer(phrases)


def ids_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def cut(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    tokens: list[str] = tokenizer.convert_ids_to_tokens(ids_of(tokenizer, text))
    return tokens


@settings(max_examples=300)
@given(text=st.text() | texts_of_crystals | corrupted_texts)
@example(text="<0x41><0x0A> <0xFF>")
@example(text="<s></s><pad>")
@example(text="Ünïcödé 晶体 😀\r\n\t\x00")
@example(text="  0.500 .  , 's n't 1.000 180.00 999.99 0.1234 0.12 ٠.٥٠٠")
@example(text="Na\nCl\nNa\n\nNa\n")
def test_joining_the_tokens_of_any_text_gives_the_text_back(
    tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    assert tokenizer.decode(ids_of(tokenizer, text), skip_special_tokens=False) == text


@settings(max_examples=50)
@given(text=st.text(alphabet=[*"<0x41F>sad/", "\n", "?"], max_size=30))
def test_the_names_of_tokens_are_text_when_a_text_spells_them(
    tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    assert tokenizer.decode(ids_of(tokenizer, text), skip_special_tokens=False) == text


@settings(max_examples=60)
@given(text=st.from_regex(r"[0-9]{1,2}\.[0-9]{2}", fullmatch=True))
def test_a_cell_number_is_two_tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    whole, _, decimals = text.partition(".")
    if len(whole) > 1 and whole.startswith("0"):
        return
    for before in ("", " ", "\n"):
        assert cut(tokenizer, before + text) == [f"{before}{whole}.", decimals]


def test_every_coordinate_and_every_element_is_one_token(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    for i in range(1000):
        assert len(ids_of(tokenizer, f"0.{i:03d}")) == len(ids_of(tokenizer, f" 0.{i:03d}")) == 1
    for symbol in (*SYMBOLS, MASK):
        assert cut(tokenizer, f"\n{symbol}\n") == [element_line(symbol)]


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_a_plain_text_takes_twelve_tokens_for_the_cell_and_four_for_an_atom(
    tokenizer: PreTrainedTokenizerFast, name: str
) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    assert len(ids_of(tokenizer, encode(crystal))) == 12 + 4 * len(crystal)


def test_an_angle_of_three_digits_is_two_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert cut(tokenizer, "\n120.00 179.99") == ["\n120.", "00", " 179.", "99"]


def test_the_text_by_symmetry_is_a_token_for_each_thing_it_says(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    text = "152\nSi 3a 0.470\nO 6c 0.413 0.267 0.119\n4.91 15.40"
    assert cut(tokenizer, text) == [
        *("152", "\nSi ", "3a", " 0.470", "\nO ", "6c", " 0.413", " 0.267", " 0.119"),
        *("\n4.", "91", " 15.", "40"),
    ]
    for group in range(1, N_SPACE_GROUPS + 1):
        assert cut(tokenizer, f"{group}\n? 1a\n9.99")[:3] == [str(group), "\n? ", "1a"]
        for position in wyckoff_positions(group).values():
            assert cut(tokenizer, f"Xe {position.name}\n")[-2:] == [position.name, "\n"]


def test_an_element_within_a_line_is_one_token(tokenizer: PreTrainedTokenizerFast) -> None:
    assert cut(tokenizer, "CoNaCl") == ["Co", "Na", "Cl"]


def test_the_prompts_phrases_are_single_tokens(
    tokenizer: PreTrainedTokenizerFast, phrases: list[str]
) -> None:
    assert phrases
    for phrase in phrases:
        assert cut(tokenizer, phrase) == [phrase]
    prompts = load_prompts("default")
    whole = prompts.render("generate", conditions=prompts.condition("space_group", "225"))
    assert cut(tokenizer, whole) == [
        prompts.templates["generate"].partition("{")[0],
        "Space group number: ",
        "225",
        "\n",
        prompts.templates["generate"].rpartition("}")[2],
    ]


def test_token_ids_are_what_they_were_when_models_were_trained(
    tokenizer: PreTrainedTokenizerFast, phrases: list[str]
) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    vocabulary = tokenizer.get_vocab()
    assert len(tokenizer) == len(vocabulary_pieces(phrases)) == golden["size"]
    assert {piece: vocabulary[piece] for piece in golden["ids"]} == golden["ids"]
    for text, ids in golden["texts"].items():
        assert ids_of(tokenizer, text) == ids


def test_ids_follow_the_pieces_without_gap_or_repetition(
    tokenizer: PreTrainedTokenizerFast, phrases: list[str]
) -> None:
    listed = vocabulary_pieces(phrases)
    assert len(set(listed)) == len(listed)
    assert tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))) == listed


def test_special_tokens_are_special(tokenizer: PreTrainedTokenizerFast) -> None:
    assert (tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token) == (PAD, BOS, EOS)
    special = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert special == (0, 1, 2)
    ids = [1, *ids_of(tokenizer, "0.500"), 2, 0, 0]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "0.500"
    assert tokenizer.decode(ids_of(tokenizer, "\té"), skip_special_tokens=True) == "\té"


def test_the_tokenizer_survives_saving_and_loading_by_autotokenizer(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.special_tokens_map == tokenizer.special_tokens_map
    assert loaded.padding_side == "left"
    for text in [
        *map(encode, EXAMPLE_CRYSTALS.values()),
        "An odd text <0x41> é ,  ?\t",
        " 0.5000 .",
    ]:
        ids = ids_of(tokenizer, text)
        assert ids_of(loaded, text) == ids
        assert loaded.decode(ids) == text
