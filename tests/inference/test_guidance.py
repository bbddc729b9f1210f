from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.generation.requests import make_request
from crystext.grammar.any_tokenizer import GrammarProcessor
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
from crystext.inference.generate import Sampler
from crystext.inference.types import Request, SamplingSettings
from crystext.models.load import LoadedModel, load_model
from crystext.tokenization.encode import prompt_ids
from tests.inference.test_coordinate_reader import exact_sampler, recomputed

SETTINGS = SamplingSettings(seed=3)
ROWS = 4


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    loaded = load_model(tiny_model)
    return replace(loaded, network=loaded.network.float())


@pytest.fixture(scope="module")
def request_(model: LoadedModel) -> Request:
    asked = Conditions.from_keywords(chemical_system="Na-Cl", space_group=225, density=2.2)
    return make_request(asked, model.prompts, max_atoms=2)


def without_conditions(request: Request) -> Request:
    assert request.unconditional_prompt is not None
    assert request.unconditional_prompt != request.prompt
    return replace(request, prompt=request.unconditional_prompt, unconditional_prompt=None)


def text_sampler(model: LoadedModel, settings: SamplingSettings) -> Sampler:
    return AnyTokenizerSampler(model, settings)


samplers = pytest.mark.parametrize("make", [exact_sampler, text_sampler])


@samplers
def test_guidance_of_one_is_none_and_of_zero_hears_no_conditions(
    model: LoadedModel, request_: Request, make: type
) -> None:
    bare = without_conditions(request_)
    heard = make(model, SETTINGS).draw(replace(request_, unconditional_prompt=None), range(ROWS))
    unheard = make(model, SETTINGS).draw(bare, range(ROWS))
    assert {x.text for x in heard}.isdisjoint(x.text for x in unheard)
    for guidance, expected in ((1.0, heard), (0.0, unheard)):
        drawn = make(model, replace(SETTINGS, guidance=guidance)).draw(request_, range(ROWS))
        assert drawn == expected


@samplers
def test_next_to_zero_and_one_two_prompts_give_the_texts_of_the_one(
    model: LoadedModel, request_: Request, make: type
) -> None:
    for near in (1.0, 0.0):
        one, both = (
            make(model, replace(SETTINGS, guidance=guidance)).draw(request_, range(ROWS))
            for guidance in (near, near + 1e-7)
        )
        assert [x.text for x in one] == [x.text for x in both]
        for x, y in zip(one, both, strict=True):
            assert x.log_probability == pytest.approx(y.log_probability, abs=1e-2)


def test_the_log_probability_is_that_of_the_mixed_logits(
    model: LoadedModel, request_: Request
) -> None:
    drawn = exact_sampler(model, replace(SETTINGS, guidance=2.5)).draw(request_, range(ROWS))
    for attempt in drawn:
        expected, _ = recomputed(model, request_, attempt, guidance=2.5)
        assert attempt.log_probability == pytest.approx(expected, abs=5e-3)


def test_at_temperature_zero_transformers_generates_the_same_text_with_its_own_guidance(
    model: LoadedModel, request_: Request
) -> None:
    settings = replace(SETTINGS, guidance=3.0, temperature=0.0)
    (attempt,) = AnyTokenizerSampler(model, settings).draw(request_, range(1))
    given, without = (
        torch.tensor([prompt_ids(model.tokenizer, prompt)])
        for prompt in (request_.prompt, request_.unconditional_prompt or "")
    )
    automaton = CoordinateAutomaton(model.format, 1, request_.constraints)
    generated = model.network.generate(  # type: ignore[operator]
        given,
        attention_mask=torch.ones_like(given),
        negative_prompt_ids=without,
        negative_prompt_attention_mask=torch.ones_like(without),
        guidance_scale=3.0,
        do_sample=False,
        max_new_tokens=200,
        logits_processor=[GrammarProcessor(model.tokenizer, given.shape[1], automaton)],
    )[0, given.shape[1] :]
    assert model.tokenizer.decode(generated[:-1]) == attempt.text


def test_a_request_without_conditions_is_drawn_as_it_is(
    model: LoadedModel, request_: Request
) -> None:
    bare = without_conditions(request_)
    plain, guided = (
        exact_sampler(model, replace(SETTINGS, guidance=guidance)).draw(bare, range(ROWS))
        for guidance in (1.0, 4.0)
    )
    assert plain == guided


@pytest.mark.parametrize("guidance", [-0.5, 11, float("nan")])
def test_guidance_out_of_range_is_refused(guidance: float) -> None:
    with pytest.raises(SettingError, match="a guidance of"):
        SamplingSettings(guidance=guidance)
