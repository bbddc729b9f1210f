from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from crystext.chemistry.elements import SYMBOLS
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import ModelError
from crystext.grammar.any_tokenizer import GrammarProcessor
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.generate import TextGenerator
from crystext.inference.request_grammar import max_characters
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Crystal
from crystext.tasks.crystal_generation import generation_prompt
from crystext.text import FORMATS, PLAIN, DecodeFailure, decode, encode
from crystext.tokenization.encode import completion_ids, prompt_ids
from tests.example_crystals import NACL
from tests.inference.test_coordinate_reader import nearest_over_radii

COMMON = ("H", "Li", "O", "F", "Na", "Cl", "Fe")
SETTINGS = SamplingSettings(seed=5)
UNCONSTRAINED = SamplingSettings(seed=5, constrained=False)
CONSTRAINTS = Constraints(
    max_atoms=2, exclude=tuple(s for s in SYMBOLS if s not in COMMON), min_distance_ratio=0.65
)
ROWS = 6


def asked(prompt: str, **changes: Any) -> Request:
    """Return the request of most tests here, with some constraints changed."""
    return Request(prompt, replace(CONSTRAINTS, **changes))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    loaded = load_model(tiny_model)
    return replace(loaded, network=loaded.network.float())


@pytest.fixture(scope="module")
def prompt(model: LoadedModel) -> str:
    return generation_prompt(model.prompts)


@pytest.fixture(scope="module")
def attempts(model: LoadedModel, prompt: str) -> list[Attempt]:
    return AnyTokenizerSampler(model, SETTINGS).draw(asked(prompt), range(ROWS))


@pytest.fixture(scope="module")
def free_attempts(model: LoadedModel, prompt: str) -> list[Attempt]:
    return AnyTokenizerSampler(model, UNCONSTRAINED).draw(asked(prompt), range(40))


def crystals_of(attempts: list[Attempt]) -> list[Crystal]:
    decoded = [decode(attempt.text).crystal for attempt in attempts]
    crystals = [crystal for crystal in decoded if crystal is not None]
    assert len(crystals) == len(attempts)
    return crystals


def test_every_constrained_text_is_a_crystal_within_its_bounds(attempts: list[Attempt]) -> None:
    assert [attempt.index for attempt in attempts] == list(range(ROWS))
    assert {attempt.failure for attempt in attempts} == {None}
    crystals = crystals_of(attempts)
    assert max(map(len, crystals)) <= CONSTRAINTS.max_atoms
    assert {symbol for crystal in crystals for symbol in crystal.symbols} <= set(COMMON)
    assert min(map(nearest_over_radii, crystals)) >= CONSTRAINTS.min_distance_ratio


def test_temperatures_hold_for_the_fields_they_are_given_for(
    model: LoadedModel, prompt: str
) -> None:
    settings = replace(SETTINGS, temperature=0.0, element_temperature=2.0)
    drawn = AnyTokenizerSampler(model, settings).draw(asked(prompt, max_atoms=1), range(8))
    lines = [x.text.split("\n") for x in drawn]
    assert len({tuple(line[:2]) for line in lines}) == 1
    assert len({line[2] for line in lines}) > 1
    settings = replace(SETTINGS, temperature=0.0, coordinate_temperature=2.0)
    drawn = AnyTokenizerSampler(model, settings).draw(asked(prompt, max_atoms=1), range(8))
    lines = [x.text.split("\n") for x in drawn]
    assert len({tuple(line[:3]) for line in lines}) == 1
    assert len({line[3] for line in lines}) > 1


def test_an_index_has_the_same_text_in_every_batch(
    model: LoadedModel, prompt: str, attempts: list[Attempt]
) -> None:
    sampler = AnyTokenizerSampler(model, SETTINGS)
    parts = sampler.draw(asked(prompt), range(2)) + sampler.draw(asked(prompt), range(2, ROWS))
    assert [x.text for x in parts] == [x.text for x in attempts]


def test_at_temperature_zero_transformers_generates_the_same_text(
    model: LoadedModel, prompt: str
) -> None:
    settings = replace(SETTINGS, temperature=0.0)
    (attempt,) = AnyTokenizerSampler(model, settings).draw(asked(prompt), range(1))
    given = torch.tensor([prompt_ids(model.tokenizer, prompt)])
    automaton = CoordinateAutomaton(model.format, 1, CONSTRAINTS)
    generated = model.network.generate(  # type: ignore[operator]
        given,
        attention_mask=torch.ones_like(given),
        do_sample=False,
        max_new_tokens=200,
        logits_processor=[GrammarProcessor(model.tokenizer, given.shape[1], automaton)],
    )[0, given.shape[1] :]
    assert len(generated) == attempt.tokens
    assert generated[-1] == model.tokenizer.eos_token_id
    assert model.tokenizer.decode(generated[:-1]) == attempt.text


def test_the_log_probability_of_an_unconstrained_text_is_what_transformers_gives(
    model: LoadedModel, prompt: str
) -> None:
    settings = replace(UNCONSTRAINED, temperature=0.0)
    (attempt,) = AnyTokenizerSampler(model, settings).draw(asked(prompt, max_atoms=1), range(1))
    given = torch.tensor([prompt_ids(model.tokenizer, prompt)])
    with torch.no_grad():
        output = model.network.generate(  # type: ignore[operator]
            given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            max_new_tokens=attempt.tokens,
            output_logits=True,
            return_dict_in_generate=True,
        )
    tokens = output.sequences[0, given.shape[1] :]
    expected = sum(
        float(logits[0].double().log_softmax(0)[token])
        for logits, token in zip(output.logits, tokens, strict=True)
    )
    assert attempt.log_probability == pytest.approx(expected, abs=0.05)


def test_what_is_no_crystal_is_kept_with_the_name_of_its_fault(
    free_attempts: list[Attempt],
) -> None:
    assert [attempt.index for attempt in free_attempts] == list(range(40))
    for attempt in free_attempts:
        decoded = decode(attempt.text)
        if attempt.failure is None:
            assert decoded.crystal is not None
        else:
            assert attempt.failure in DecodeFailure.__members__
            assert attempt.failure == (decoded.failure.name if decoded.failure else "TRUNCATED")
    assert sum(attempt.failure is not None for attempt in free_attempts) > 30


def test_a_crystal_in_another_format_than_the_model_s_is_a_fault(
    model: LoadedModel, prompt: str
) -> None:
    text = encode(NACL, PLAIN)
    end = model.tokenizer.eos_token_id
    written = [*completion_ids(model.tokenizer, text), end]
    given = prompt_ids(model.tokenizer, prompt)
    faults = []
    for fmt in (PLAIN, FORMATS["gruver2024-rounded"]):
        sampler = AnyTokenizerSampler(replace(model, format=fmt), UNCONSTRAINED)
        attempt = sampler._attempt(asked(prompt), 0, given, written, 0.0)
        assert attempt.text == text
        faults.append(attempt.failure)
    assert faults == [None, "WRONG_PRECISION"]


def test_a_special_token_amid_a_text_is_seen_in_it(model: LoadedModel, prompt: str) -> None:
    padding = load_model(model.folder)
    with torch.no_grad():
        rows = padding.network.get_input_embeddings().weight
        rows[padding.tokenizer.pad_token_id, -1] += 2.0
    attempts = AnyTokenizerSampler(padding, UNCONSTRAINED).draw(asked(prompt), range(3))
    assert all("<pad>" in attempt.text for attempt in attempts)
    assert all(attempt.failure is not None for attempt in attempts)


def test_a_text_that_finds_no_end_is_cut_off_and_counted(
    model: LoadedModel, free_attempts: list[Attempt]
) -> None:
    most = max_characters(asked(""), PLAIN) + 1
    assert {attempt.tokens <= most for attempt in free_attempts} == {True}
    cut = [attempt for attempt in free_attempts if attempt.tokens == most]
    assert cut
    assert all(attempt.failure is not None for attempt in cut)


def test_the_same_seed_gives_the_same_faults(
    model: LoadedModel, prompt: str, free_attempts: list[Attempt]
) -> None:
    again = AnyTokenizerSampler(model, UNCONSTRAINED).draw(asked(prompt), range(10, 20))
    assert [x.text for x in again] == [x.text for x in free_attempts[10:20]]


def test_a_prompt_without_room_for_a_text_is_refused(model: LoadedModel) -> None:
    with pytest.raises(ModelError, match="256 positions"):
        AnyTokenizerSampler(model, UNCONSTRAINED).draw(asked("x" * 300), range(1))


def test_a_tokenizer_without_an_end_is_refused(tiny_model: Path) -> None:
    endless = load_model(tiny_model)
    endless.tokenizer.eos_token = None
    with pytest.raises(ModelError, match="end-of-sequence"):
        AnyTokenizerSampler(endless, UNCONSTRAINED)


def test_the_slot_sampler_is_taken_where_it_can_be(model: LoadedModel) -> None:
    assert isinstance(TextGenerator(model, SETTINGS).sampler(), BatchSampler)
    assert isinstance(TextGenerator(model, UNCONSTRAINED).sampler(), AnyTokenizerSampler)


def test_a_llama_that_the_slot_sampler_cannot_take_is_drawn_from_all_the_same(
    model: LoadedModel, prompt: str
) -> None:
    config = LlamaConfig(
        vocab_size=len(model.tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        attention_bias=True,
    )
    biased = replace(model, network=LlamaForCausalLM(config).eval())
    sampler = TextGenerator(biased, SETTINGS).sampler()
    assert isinstance(sampler, AnyTokenizerSampler)
    assert len(crystals_of(sampler.draw(asked(prompt, max_atoms=1), range(2)))) == 2
