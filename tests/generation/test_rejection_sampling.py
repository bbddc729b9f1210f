from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crystext.conditions import Conditions
from crystext.generation.requests import make_request, temperatures_for_conditions
from crystext.generation.results import Sample
from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.types import Attempt, SamplingSettings
from crystext.models.layout import Temperatures
from crystext.models.load import LoadedModel, load_model
from crystext.text import PLAIN, decode
from tests.inference.test_coordinate_reader import exact_sampler

SETTINGS = SamplingSettings(seed=9)
ASKED = Conditions.from_keywords(chemical_system="Li-O", neutral=True, density=2.0, band_gap=1.0)
"""Each alone is kept now and then by a model that knows nothing, both together seldom."""
ROWS, TRIES = 12, 3

Draw = Callable[[int], list[Attempt]]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


@pytest.fixture(scope="module")
def sampler(model: LoadedModel) -> BatchSampler:
    return exact_sampler(model, SETTINGS)


@pytest.fixture(scope="module")
def draw(model: LoadedModel, sampler: BatchSampler) -> Draw:
    """Draws with up to so many tries."""
    from crystext.generation.rejection_sampling import sample_until_satisfied

    request = make_request(ASKED, model.prompts, max_atoms=4)

    def run(max_tries: int) -> list[Attempt]:
        return sample_until_satisfied(
            sampler, request, ASKED, range(ROWS), fmt=PLAIN, max_attempts_per_sample=max_tries
        )

    return run


@pytest.fixture(scope="module")
def once(draw: Draw) -> list[Attempt]:
    return draw(1)


@pytest.fixture(scope="module")
def tried(draw: Draw) -> list[Attempt]:
    return draw(TRIES)


def kept(attempt: Attempt) -> int:
    return sum(record.satisfied is True for record in attempt.conditions)


def test_the_crystal_whose_conditions_were_checked_is_not_decoded_again(
    once: list[Attempt],
) -> None:
    for attempt in once:
        sample = Sample.from_attempt(attempt, "", 0, PLAIN)
        assert sample.crystal is attempt.checked_crystal
        assert sample.crystal == decode(attempt.text).crystal


def test_each_attempt_counts_what_its_texts_were_refused_for(
    once: list[Attempt], tried: list[Attempt]
) -> None:
    assert not any(attempt.refused for attempt in once)
    for first, last in zip(once, tried, strict=True):
        missed = Counter(dict(last.refused))
        # Each text that was drawn again missed something, and the first one what it missed alone.
        assert missed.total() >= last.attempts - last.satisfied
        assert missed >= Counter(r.name for r in first.conditions if r.satisfied is False)
        assert max(missed.values(), default=0) <= last.attempts - last.satisfied
    assert any(attempt.refused for attempt in tried)


def test_each_attempt_carries_the_verdict_on_its_crystal(once: list[Attempt]) -> None:
    for attempt in once:
        assert attempt.conditions == ASKED.check(decode(attempt.text).crystal)
        assert attempt.satisfied == (kept(attempt) == 3)
    assert {kept(attempt) for attempt in once} >= {1, 2}


def test_what_matches_is_not_drawn_again_and_what_does_not_is(
    once: list[Attempt], tried: list[Attempt]
) -> None:
    assert [x.index for x in tried] == list(range(ROWS))
    for first, last in zip(once, tried, strict=True):
        if first.satisfied:
            assert last == first
        else:
            assert 2 <= last.attempts <= TRIES
            assert last.satisfied or last.attempts == TRIES


def test_a_redraw_is_that_of_its_index_and_number_and_the_best_is_taken(
    model: LoadedModel, sampler: BatchSampler, tried: list[Attempt]
) -> None:
    request = make_request(ASKED, model.prompts, max_atoms=4)
    for attempt in tried:
        drawn = [
            sampler.draw(request, [attempt.index], redraw=number)[0]
            for number in range(attempt.attempts)
        ]
        assert len({x.text for x in drawn}) == len(drawn)
        judged = [
            replace(x, conditions=ASKED.check(decode(x.text).crystal), attempts=attempt.attempts)
            for x in drawn
        ]
        best = max(judged, key=kept)
        assert (attempt.text, kept(attempt)) == (best.text, kept(best))


def test_a_text_that_is_no_crystal_keeps_nothing_and_is_drawn_again(model: LoadedModel) -> None:
    from crystext.generation.rejection_sampling import sample_until_satisfied

    asked = Conditions.from_keywords(n_atoms=1)
    request = make_request(asked, model.prompts, constrained=False)
    free = AnyTokenizerSampler(model, replace(SETTINGS, constrained=False))
    drawn = sample_until_satisfied(
        free, request, asked, range(3), fmt=PLAIN, constrained=False, max_attempts_per_sample=2
    )
    faulty = [x for x in drawn if x.failure is not None]
    assert faulty
    assert {x.attempts for x in faulty} == {2}
    assert {record.satisfied for x in faulty for record in x.conditions} == {False}
    assert not any(x.satisfied for x in faulty)


def test_hot_elements_are_not_for_formulas_that_are_asked_for() -> None:
    hot = Temperatures(0.9, element=1.5, coordinate=0.7)
    formula, system = (
        Conditions.from_keywords(composition="NaCl"),
        Conditions.from_keywords(chemical_system="Na-Cl"),
    )
    assert temperatures_for_conditions(hot, [formula]) == Temperatures(0.9, None, 0.7)
    assert temperatures_for_conditions(hot, [formula, system]) == hot
    assert temperatures_for_conditions(hot, [Conditions()]) == hot


def test_prompts_without_words_for_what_is_seen_to_leave_it_out(model: LoadedModel) -> None:
    lines = {k: v for k, v in model.prompts.conditions.items() if k != "formula"}
    silent = replace(model.prompts, conditions=lines)
    asked = Conditions.from_keywords(composition="NaCl", space_group=225)
    request = make_request(asked, silent)
    assert "Formula" not in request.prompt
    assert "225" in request.prompt
    assert request.constraints.formula == (("Na", 1), ("Cl", 1))
