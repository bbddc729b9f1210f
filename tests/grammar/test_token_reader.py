from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import ModelError
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.fields import END, Field, FieldKind, field_at, value_count, value_texts
from crystext.grammar.token_reader import (
    DECIMALS,
    CoordinateTokenReader,
    allowed_decimals,
    allowed_whole_parts,
    has_crystal_vocabulary,
)
from crystext.structures.crystal import Crystal
from crystext.tasks.prompts import load_prompts
from crystext.text import FORMATS, PLAIN, encode
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.grammar.random_crystals import random_crystals, seeded
from tests.grammar.test_fields import values_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(load_prompts().phrases())


@pytest.fixture(scope="module")
def slots(tokenizer: PreTrainedTokenizerFast) -> CoordinateTokenReader:
    return CoordinateTokenReader(tokenizer)


def spelt(slots: CoordinateTokenReader, field: Field, value: int) -> list[int]:
    """Return the token ids of a value, as a sampler comes to them."""
    tokens = slots.tokens(field)
    if len(tokens) == 1:
        return [int(tokens[0][value])]
    return [int(tokens[0][value // DECIMALS]), int(tokens[1][value % DECIMALS])]


def ids_of(slots: CoordinateTokenReader, crystal: Crystal) -> list[int]:
    values = enumerate(values_of(crystal, PLAIN))
    return [token for place, value in values for token in spelt(slots, field_at(place), value)]


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_slots_spell_what_encode_writes_in_the_tokenizers_own_tokens(
    name: str, tokenizer: PreTrainedTokenizerFast, slots: CoordinateTokenReader
) -> None:
    ids = ids_of(slots, EXAMPLE_CRYSTALS[name])
    text = encode(EXAMPLE_CRYSTALS[name], PLAIN)
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids[:-1]) == text
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids[:-1]


@given(st.integers(0, 2**32 - 1).map(seeded))
@settings(max_examples=15)
def test_whatever_is_drawn_slots_spell_its_text(random: Random) -> None:
    tokenizer = build_tokenizer()
    slots = CoordinateTokenReader(tokenizer)
    for crystal in random_crystals(CoordinateAutomaton(PLAIN, 5, Constraints(max_atoms=4)), random):
        text = encode(crystal, PLAIN)
        ids = ids_of(slots, crystal)
        assert tokenizer.decode(ids[:-1]) == text
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids[:-1]


@pytest.mark.parametrize("place", range(10))
def test_every_value_of_every_field_has_the_tokens_of_its_text(
    place: int, tokenizer: PreTrainedTokenizerFast, slots: CoordinateTokenReader
) -> None:
    field = field_at(place)
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    for value, text in enumerate(value_texts(field.kind, PLAIN)):
        written = "".join(pieces[token] for token in spelt(slots, field, value))
        if field.kind is not FieldKind.ELEMENT:
            # The newline before an atom's coordinates belongs to its element's token.
            separator = (
                "" if field.kind is FieldKind.COORDINATE and field.axis == 0 else field.separator
            )
            assert written == separator + text
        elif value != END:
            assert written == f"\n{text}\n"
        else:
            assert written == tokenizer.eos_token


@pytest.mark.parametrize("kind", [FieldKind.LENGTH, FieldKind.ANGLE])
def test_whole_part_and_decimals_lead_to_the_allowed_values_and_to_no_other(
    kind: FieldKind,
) -> None:
    rng = np.random.default_rng(0)
    count = value_count(kind, PLAIN)
    allowed = rng.random((4, count)) < 2 / DECIMALS
    texts = value_texts(kind, PLAIN)
    wholes = allowed_whole_parts(allowed)
    for row, allowed_row in enumerate(allowed):
        expected = {texts[value] for value in np.nonzero(allowed_row)[0].tolist()}
        found = set()
        for whole in np.nonzero(wholes[row])[0].tolist():
            chosen = np.full(4, whole)
            decimals = np.nonzero(allowed_decimals(allowed, chosen)[row])[0].tolist()
            assert decimals, "a whole part that leads nowhere"
            found |= {f"{whole}.{decimal:02d}" for decimal in decimals}
        assert found == expected


def test_a_tokenizer_with_the_small_vocabulary_is_told_from_another(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    other = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE({"a": 0, "</s>": 1}, [])),
        eos_token="</s>",  # noqa: S106
    )
    assert has_crystal_vocabulary(tokenizer, PLAIN)
    assert not has_crystal_vocabulary(other, PLAIN)
    assert not has_crystal_vocabulary(tokenizer, FORMATS["gruver2024"])
    with pytest.raises(ModelError, match="no token '00'"):
        CoordinateTokenReader(other)
