from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import SYMBOLS
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import ModelError
from crystext.grammar.any_tokenizer import GrammarProcessor, TextReader, TokenTrie
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.text import COORDINATE_FORMATS, FORMATS, PLAIN, Format, decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL
from tests.grammar.random_crystals import random_crystals, seeded
from tests.llm_tokenizers import MAKERS, SPECIAL, plain_characters, tokenizer_and_trie, wrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROUNDED = FORMATS["gruver2024-rounded"]
MAX_ATOMS = 3

randoms = st.integers(0, 2**32 - 1).map(seeded)
each_format = pytest.mark.parametrize("fmt", COORDINATE_FORMATS, ids=lambda fmt: fmt.name)


each_tokenizer = pytest.mark.parametrize("name", MAKERS)


def processor(name: str, fmt: Format, **constraints: Any) -> GrammarProcessor:
    tokenizer, tree = tokenizer_and_trie(name)
    automaton = CoordinateAutomaton(fmt, 1, Constraints(max_atoms=MAX_ATOMS, **constraints))
    return GrammarProcessor(tokenizer, 0, automaton, tree)


def allowed(processor: GrammarProcessor, generated: list[int], tokens: int) -> list[int]:
    mask = processor.mask(torch.tensor([generated], dtype=torch.long), tokens)
    return [int(i) for i in mask[0].nonzero().squeeze(1)]


def text_of(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    """Decode behind a prompt, as a text that goes on is decoded."""
    prompt = tokenizer("Na:\n", add_special_tokens=False)["input_ids"]
    before = tokenizer.decode(prompt)
    whole = tokenizer.decode([*prompt, *ids])
    assert isinstance(before, str)
    assert isinstance(whole, str)
    assert whole.startswith(before)
    return whole[len(before) :]


def generate(name: str, fmt: Format, random: Random, **constraints: Any) -> list[int]:
    """Return tokens chosen at random among the allowed ones, up to the end, which is left out."""
    tokenizer, _ = tokenizer_and_trie(name)
    process = processor(name, fmt, **constraints)
    generated: list[int] = []
    while True:
        choice = allowed(process, generated, len(tokenizer))
        assert choice, f"nothing can follow {text_of(tokenizer, generated)!r}"
        # Long tokens are rare among the allowed ones; half of the time they are preferred.
        if random.random() < 0.5:
            longest = max(len(process.trie.texts.get(i, "")) for i in choice)
            choice = [i for i in choice if len(process.trie.texts.get(i, "")) == longest]
        token = random.choice(choice)
        if token == tokenizer.eos_token_id:
            return generated
        generated.append(token)


@each_tokenizer
@given(
    st.sampled_from(COORDINATE_FORMATS),
    randoms,
    st.sampled_from([{}, {"min_distance_ratio": 0.65, "exclude": ("N", "Na", "H")}]),
)
@settings(max_examples=8)
def test_any_allowed_tokens_make_a_crystal_of_the_format(
    name: str, fmt: Format, random: Random, constraints: dict[str, Any]
) -> None:
    tokenizer, _ = tokenizer_and_trie(name)
    text = text_of(tokenizer, generate(name, fmt, random, **constraints))
    decoded = decode(text, format=fmt)
    assert decoded, (text, decoded)
    assert decoded.crystal is not None
    assert 1 <= len(decoded.crystal) <= MAX_ATOMS
    assert not set(decoded.crystal.symbols) & set(constraints.get("exclude", ()))


@each_format
@pytest.mark.parametrize("name", ["bytes across fields", "llama 2"])
def test_any_allowed_tokens_keep_the_formula_and_the_crystal_system(name: str, fmt: Format) -> None:
    asked = {"formula": (("Cs", 1), ("Cl", 2)), "crystal_system": "hexagonal"}
    tokenizer, _ = tokenizer_and_trie(name)
    text = text_of(tokenizer, generate(name, fmt, seeded(1), min_distance_ratio=0.65, **asked))
    crystal = decode(text, format=fmt).crystal
    assert crystal is not None, text
    assert crystal.symbols == ["Cs", "Cl", "Cl"]
    assert sorted(crystal.angles.tolist()) == [90, 90, 120]
    assert len(set(crystal.lengths[crystal.angles == 90].tolist())) == 1


@each_tokenizer
@given(st.sampled_from(COORDINATE_FORMATS), randoms)
@settings(max_examples=2)
def test_a_token_is_allowed_if_and_only_if_its_characters_are(
    name: str, fmt: Format, random: Random
) -> None:
    tokenizer, _ = tokenizer_and_trie(name)
    constraints = {"min_distance_ratio": 0.65, "exclude": ("C", "Cl")}
    generated = generate(name, fmt, random, **constraints)
    process = processor(name, fmt, **constraints)
    start = TextReader.at_start(
        CoordinateAutomaton(fmt, 1, Constraints(max_atoms=MAX_ATOMS, **constraints))
    )
    prompt = tokenizer("Na:\n", add_special_tokens=False)["input_ids"]
    for end in [*random.sample(range(len(generated)), 3), len(generated)]:
        before = text_of(tokenizer, generated[:end])
        reader = start.read(before)
        assert reader is not None
        found = set(allowed(process, generated[:end], len(tokenizer)))
        ends = decode(before, format=fmt).crystal is not None
        assert (tokenizer.eos_token_id in found) == ends
        so_far = [*prompt, *generated[:end]]
        wholes = tokenizer.batch_decode([[*so_far, token] for token in range(len(tokenizer))])
        for token, whole in enumerate(wholes):
            if token in tokenizer.all_special_ids:
                assert token == tokenizer.eos_token_id or token not in found
                continue
            # A byte that is not a character may spoil the one before it as well.
            added = whole.removeprefix(f"Na:\n{before}")
            can_follow = added not in ("", whole) and reader.read(added) is not None
            assert (token in found) == can_follow, (before, added)


@each_tokenizer
@given(st.sampled_from(COORDINATE_FORMATS), randoms)
@settings(max_examples=5)
def test_what_encode_writes_can_be_written_in_any_tokens(
    name: str, fmt: Format, random: Random
) -> None:
    tokenizer, tree = tokenizer_and_trie(name)
    constraints: dict[str, Any] = {"min_distance_ratio": 0.65}
    (crystal,) = random_crystals(
        CoordinateAutomaton(fmt, 1, Constraints(max_atoms=MAX_ATOMS, **constraints)), random
    )
    # The atoms' order decides which comes upon a crowded plane: here it is the order of writing.
    text = encode(crystal, fmt)
    if crystal.in_text_order() != crystal:
        constraints = {}
    process = processor(name, fmt, **constraints)
    by_text: dict[str, int] = {added: token for token, added in tree.texts.items()}
    generated: list[int] = []
    rest = text
    while rest:
        starts = [rest[:n] for n in range(1, len(rest) + 1) if rest[:n] in by_text]
        token = by_text[random.choice(starts)]
        assert token in allowed(process, generated, len(tokenizer)), (text, rest)
        generated.append(token)
        rest = rest[len(tree.texts[token]) :]
    assert text_of(tokenizer, generated) == text
    assert tokenizer.eos_token_id in allowed(process, generated, len(tokenizer))


@each_tokenizer
@each_format
def test_a_known_crystal_can_be_written_in_the_tokenizers_own_tokens(
    name: str, fmt: Format
) -> None:
    tokenizer, tree = tokenizer_and_trie(name)
    prompt = tokenizer("Q", add_special_tokens=False)["input_ids"]
    for crystal in (EXAMPLE_CRYSTALS["iron"], EXAMPLE_CRYSTALS["wurtzite"]):
        automaton = CoordinateAutomaton(
            fmt, 1, Constraints(max_atoms=len(crystal), min_distance_ratio=0.65)
        )
        process = GrammarProcessor(tokenizer, 0, automaton, tree)
        # The published format may print a coordinate as 1, which is not written here.
        text = encode(crystal, fmt).replace("1.00", "0.00")
        ids = tokenizer("Q" + text, add_special_tokens=False)["input_ids"]
        assert ids[: len(prompt)] == prompt
        ids = ids[len(prompt) :]
        for end, token in enumerate([*ids, tokenizer.eos_token_id]):
            assert token in allowed(process, ids[:end], len(tokenizer))
        assert allowed(process, ids, len(tokenizer)) == [tokenizer.eos_token_id]


def reader(fmt: Format, written: str, **constraints: Any) -> TextReader | None:
    return TextReader.at_start(
        CoordinateAutomaton(fmt, 1, Constraints(max_atoms=2, **constraints))
    ).read(written)


CELL = {PLAIN.name: "5.64 5.64 5.64\n90.00 90.00 90.00", ROUNDED.name: "5.6 5.6 5.6\n90 90 90"}


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_element_can_be_written(symbol: str) -> None:
    assert reader(PLAIN, f"{CELL['plain']}\n{symbol}\n0.000 0.000 0.000") is not None


def test_leaving_out_nitrogen_leaves_sodium_alone() -> None:
    start = CELL["plain"] + "\n"
    assert reader(PLAIN, start + "Na\n", exclude=("N",)) is not None
    assert reader(PLAIN, start + "N", exclude=("N",)) is not None
    assert reader(PLAIN, start + "N\n", exclude=("N",)) is None
    with_n = tuple(s for s in SYMBOLS if s.startswith("N") and s != "N")
    assert reader(PLAIN, start + "N\n", exclude=with_n) is not None
    assert reader(PLAIN, start + "Na", exclude=with_n) is None
    assert reader(PLAIN, start + "N", exclude=("N", *with_n)) is None


@pytest.mark.parametrize(
    ("written", "can_be"),
    [
        ("9", True),
        ("90", True),
        ("9 ", False),  # 9 degrees are too few
        ("900", False),
        ("1", True),
        ("1 ", False),
        ("10 ", True),
        ("100 ", True),
        ("09", False),
        ("90.", False),
        ("171", False),
        ("90  ", False),
        ("90\n", False),
    ],
)
def test_whole_degrees_end_where_their_separator_stands(written: str, can_be: bool) -> None:
    assert (reader(ROUNDED, "5.6 5.6 5.6\n" + written) is not None) == can_be


@pytest.mark.parametrize(
    "written",
    [
        " 5",
        "05",
        "0.00 ",
        "-5",
        "100.",
        "5.645",
        "5.64\n",
        CELL["plain"] + "\n\n",
        CELL["plain"] + "\nna",
        CELL["plain"] + "\nNa ",
        CELL["plain"] + "\nNa\n1",
        CELL["plain"] + "\nNa\n0.1234",
        CELL["plain"] + "\nNa\n0.123 0.123 0.123 ",
        "5.64 5.64 5.64\n90.00 90.00 180.00",
        "5.64 5.64 5.64\n60.00 60.00 120.00",
    ],
)
def test_what_is_no_start_of_a_crystal_cannot_be_written(written: str) -> None:
    assert reader(PLAIN, written) is None


@each_format
def test_a_text_may_end_just_where_it_is_a_crystal(fmt: Format) -> None:
    text = encode(NACL, fmt)
    read = TextReader.at_start(CoordinateAutomaton(fmt, 1, Constraints(max_atoms=len(NACL))))
    for end, character in enumerate(text):
        assert read.may_end == (decode(text[:end], format=fmt).crystal is not None)
        after = read.step(character)
        assert after is not None
        read = after
    assert read.may_end
    assert all(read.step(chr(code)) is None for code in range(128)), "it has all its atoms"


@pytest.fixture(scope="module")
def network() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    size = max(len(tokenizer_and_trie(name)[0]) for name in ("bytes across fields", "llama 2"))
    torch.manual_seed(0)
    config = LlamaConfig(
        # Networks are often padded to more tokens than the tokenizer has.
        vocab_size=size + 5,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
    )
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("name", ["bytes across fields", "llama 2"])
@pytest.mark.parametrize(
    "way",
    [
        {"do_sample": False},
        {"do_sample": True, "top_k": 0, "temperature": 3.0},
        {"do_sample": False, "num_beams": 3, "num_return_sequences": 2},
    ],
    ids=["greedy", "sampling", "beams"],
)
def test_all_that_transformers_generates_is_a_crystal(
    network: Any, name: str, way: dict[str, Any]
) -> None:
    tokenizer, tree = tokenizer_and_trie(name)
    given = tokenizer(["A crystal:\n", "One with chlorine:\n"], return_tensors="pt", padding=True)
    width = given["input_ids"].shape[1]
    automaton = CoordinateAutomaton(ROUNDED, 1, Constraints(max_atoms=2, min_distance_ratio=0.65))
    process = GrammarProcessor(tokenizer, width, automaton, tree)
    torch.manual_seed(1)
    for _ in range(2 if way["do_sample"] else 1):  # one processor serves more than one call
        out = network.generate(
            input_ids=given["input_ids"],
            attention_mask=given["attention_mask"],
            logits_processor=[process],
            max_new_tokens=100,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **way,
        )
        assert len(out) == 2 * way.get("num_return_sequences", 1)
        for row in out[:, width:].tolist():
            assert tokenizer.eos_token_id in row
            body = row[: row.index(tokenizer.eos_token_id)]
            decoded = decode(text_of(tokenizer, body), format=ROUNDED)
            assert decoded, decoded


def test_rows_may_change_places_between_calls() -> None:
    tokenizer, _ = tokenizer_and_trie("characters")
    ids = [tokenizer.convert_tokens_to_ids(list(text)) for text in ("5.64 ", "12.3 ")]
    process = processor("characters", PLAIN)
    alone = processor("characters", PLAIN)
    for end, order in ((2, [0, 1]), (3, [1, 0]), (4, [1, 1]), (3, [0, 1])):
        rows = [ids[row][:end] for row in order]
        mask = process.mask(torch.tensor(rows), len(tokenizer))
        for row, generated in zip(mask, rows, strict=True):
            assert row.nonzero().squeeze(1).tolist() == allowed(alone, generated, len(tokenizer))


def test_behind_the_end_there_is_nothing_but_the_end() -> None:
    tokenizer, _ = tokenizer_and_trie("characters")
    process = processor("characters", PLAIN)
    end = tokenizer.eos_token_id
    text = encode(EXAMPLE_CRYSTALS["iron"], PLAIN)
    body = tokenizer.convert_tokens_to_ids(list(text))
    assert end in allowed(process, body, len(tokenizer))
    for behind in ([end], [end, tokenizer.pad_token_id]):
        assert allowed(process, body + behind, len(tokenizer)) == [end]


def test_scores_of_what_can_follow_stay_as_they_are() -> None:
    tokenizer, _ = tokenizer_and_trie("characters")
    process = processor("characters", PLAIN)
    scores = torch.randn(2, len(tokenizer))
    out = process(torch.empty(2, 0, dtype=torch.long), scores)
    digits = tokenizer.convert_tokens_to_ids(list("0123456789"))
    assert (out[:, digits] == scores[:, digits]).all()
    assert torch.isinf(out).sum() == 2 * (len(tokenizer) - len(digits))


@pytest.mark.parametrize("lacking", ["\n", " ", "7", "N", "a"])
def test_a_tokenizer_that_lacks_a_character_is_refused(lacking: str) -> None:
    from tokenizers import Tokenizer, decoders, models

    characters = [*SPECIAL, "\n", *map(chr, range(32, 127)), "77", "Na"]
    vocabulary = {c: i for i, c in enumerate(c for c in characters if c != lacking)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.decoder = decoders.Fuse()
    with pytest.raises(ModelError, match="no token for"):
        TokenTrie(wrapped(tokenizer))


def test_a_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = plain_characters()
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="end-of-sequence"):
        TokenTrie(tokenizer)


def test_special_tokens_are_no_part_of_a_text() -> None:
    from tokenizers import AddedToken

    tokenizer = plain_characters()
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken("0.5", special=True)]})
    token = tokenizer.convert_tokens_to_ids("0.5")
    assert token not in TokenTrie(tokenizer).texts
    assert np.isin(tokenizer.all_special_ids, list(TokenTrie(tokenizer).texts)).sum() == 0
