from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.data import covalent_radii
from pymatgen.core.structure import Structure

from crystext.chemistry.elements import SYMBOLS
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import ModelError
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.fields import END, FieldKind
from crystext.grammar.token_reader import (
    DECIMALS,
    CoordinateTokenReader,
    allowed_decimals,
    allowed_whole_parts,
)
from crystext.inference.coordinate_reader import CoordinateVocabulary
from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.generate import TextGenerator
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Crystal
from crystext.tasks.crystal_generation import generation_prompt
from crystext.text import PLAIN, decode
from crystext.tokenization.encode import prompt_ids

COMMON = ("H", "Li", "O", "F", "Na", "Cl", "Fe")
SETTINGS = SamplingSettings(seed=1)
CONSTRAINTS = Constraints(
    max_atoms=4, exclude=tuple(s for s in SYMBOLS if s not in COMMON), min_distance_ratio=0.8
)
ROWS = 24


def asked(prompt: str, **changes: Any) -> Request:
    """Return the request of most tests here, with some constraints changed."""
    return Request(prompt, replace(CONSTRAINTS, **changes))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


@pytest.fixture(scope="module")
def prompt(model: LoadedModel) -> str:
    return generation_prompt(model.prompts)


def exact_sampler(model: LoadedModel, settings: SamplingSettings = SETTINGS) -> BatchSampler:
    """Return a sampler that computes in float32, so that next to nothing is left to rounding."""
    sampler = BatchSampler(model, settings, CoordinateVocabulary(model, PLAIN))
    sampler.llama = CpuLlama(model.network, torch.float32)
    return sampler


def crystals_of(attempts: list[Attempt]) -> list[Crystal]:
    decoded = [decode(attempt.text, format=PLAIN) for attempt in attempts]
    assert [d.failure for d in decoded] == [None] * len(attempts)
    return [d.crystal for d in decoded if d.crystal is not None]


def token_ids(model: LoadedModel, text: str) -> list[int]:
    ids: list[int] = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


@pytest.fixture(scope="module")
def attempts(model: LoadedModel, prompt: str) -> list[Attempt]:
    return exact_sampler(model).draw(asked(prompt), range(ROWS))


def nearest_over_radii(crystal: Crystal) -> float:
    """Return the least distance of two atoms, images included, over the sum of their radii."""
    structure = crystal.structure
    ratios = [10.0]
    for site, neighbours in zip(structure, structure.get_all_neighbors(5.0), strict=True):
        for other in neighbours:
            radii = covalent_radii[site.specie.Z] + covalent_radii[other.specie.Z]
            ratios.append(other.nn_distance / radii)
    return min(ratios)


def nearest(structure: Structure) -> float:
    found = [x.nn_distance for row in structure.get_all_neighbors(3.0) for x in row]
    return min(found, default=3.0)


def test_every_text_is_a_crystal_of_the_model_s_format(attempts: list[Attempt]) -> None:
    assert [attempt.index for attempt in attempts] == list(range(ROWS))
    assert {attempt.failure for attempt in attempts} == {None}
    assert len(crystals_of(attempts)) == ROWS
    assert len({attempt.text for attempt in attempts}) == ROWS


def test_no_crystal_has_more_atoms_than_allowed(attempts: list[Attempt]) -> None:
    counts = [len(crystal) for crystal in crystals_of(attempts)]
    assert max(counts) == CONSTRAINTS.max_atoms
    assert min(counts) < CONSTRAINTS.max_atoms


def test_excluded_elements_do_not_occur(model: LoadedModel, prompt: str) -> None:
    only = asked(prompt, exclude=tuple(s for s in SYMBOLS if s not in ("K", "Br")))
    found = {
        s for c in crystals_of(exact_sampler(model).draw(only, range(ROWS))) for s in c.symbols
    }
    assert found == {"K", "Br"}


def test_atoms_keep_their_distance_images_included(model: LoadedModel, prompt: str) -> None:
    # Small atoms, so that no cell is too crowded for three of them.
    few, free = asked(prompt, max_atoms=3), asked(prompt, max_atoms=3, min_distance_ratio=0.0)
    kept = crystals_of(exact_sampler(model).draw(few, range(60)))
    loose = crystals_of(exact_sampler(model).draw(free, range(60)))
    assert min(map(nearest_over_radii, kept)) >= CONSTRAINTS.min_distance_ratio
    assert min(nearest(crystal.structure) for crystal in kept) >= 0.5 - 1e-9
    # The rule has work to do: without it, a good part of these crystals is too dense.
    assert sum(nearest_over_radii(c) < CONSTRAINTS.min_distance_ratio for c in loose) > 3


def test_atoms_are_written_in_the_order_in_which_they_were_drawn(
    model: LoadedModel, attempts: list[Attempt]
) -> None:
    orders = [crystal.in_text_order() != crystal for crystal in crystals_of(attempts)]
    assert any(orders), "a model of random weights does not know the order of the elements"
    ids = [token_ids(model, attempt.text) for attempt in attempts]
    assert [len(row) + 1 for row in ids] == [attempt.tokens for attempt in attempts]


def logits_behind(model: LoadedModel, prompt: str, ids: list[int]) -> torch.Tensor:
    """Return transformers' logits for each of the tokens behind a prompt: shape (tokens, V)."""
    given = prompt_ids(model.tokenizer, prompt)
    with torch.no_grad():
        logits = model.network(torch.tensor([given + ids])).logits[0, len(given) - 1 : -1]
    return torch.as_tensor(logits).double()


def recomputed(
    model: LoadedModel, request: Request, attempt: Attempt, guidance: float = 1.0
) -> tuple[float, list[bool]]:
    """Score a text from transformers' logits, under the masks of an automaton of its own.

    Returns the log-probability, and for each token whether it was the most probable one that could
    stand there.
    """
    ids = [*token_ids(model, attempt.text), model.tokenizer.eos_token_id]
    logits = logits_behind(model, request.prompt, ids)
    if request.unconditional_prompt is not None:
        without = logits_behind(model, request.unconditional_prompt, ids)
        logits = without + guidance * (logits - without)
    automaton = CoordinateAutomaton(PLAIN, 1, request.constraints)
    slots, step, total, best = CoordinateTokenReader(model.tokenizer), 0, 0.0, []

    def score(tokens: np.ndarray, allowed: np.ndarray, counted: np.ndarray) -> int:
        nonlocal step, total
        (value,) = np.nonzero(tokens == ids[step])[0]
        assert allowed[value], f"token {step} could not stand there"
        row = logits[step][torch.from_numpy(tokens)]
        total += float(
            row.masked_fill(~torch.from_numpy(counted), -torch.inf).log_softmax(0)[value]
        )
        best.append(bool(row[value] == row[torch.from_numpy(allowed)].max()))
        step += 1
        return int(value)

    while True:
        field, allowed = automaton.field, automaton.allowed()
        pieces = slots.tokens(field)
        if len(pieces) == 2:
            whole = score(pieces[0], *[allowed_whole_parts(allowed)[0]] * 2)
            after = allowed_decimals(allowed, np.array([whole]))[0]
            value = whole * DECIMALS + score(pieces[1], after, after)
        else:
            free = field.kind is FieldKind.COORDINATE and field.axis == 1
            counted = np.ones_like(allowed[0]) if free else allowed[0]
            value = score(pieces[0], allowed[0], counted)
        if field.kind is FieldKind.ELEMENT and value == END:
            assert step == len(ids)
            return total, best
        automaton.push(np.array([value]))


def exact_model(model: LoadedModel) -> LoadedModel:
    """Return the model with a network of its own, in float32."""
    twin = load_model(model.folder)
    return replace(twin, network=twin.network.float())


def test_the_log_probability_is_what_transformers_gives_under_the_same_masks(
    model: LoadedModel, prompt: str, attempts: list[Attempt]
) -> None:
    exact = exact_model(model)
    for attempt in attempts[:10]:
        expected, _ = recomputed(exact, asked(prompt), attempt)
        assert attempt.log_probability == pytest.approx(expected, abs=2e-3)


def test_half_precision_changes_a_log_probability_by_little(
    model: LoadedModel, prompt: str
) -> None:
    exact = exact_model(model)
    drawn = TextGenerator(model, SETTINGS).draw(asked(prompt), range(8))
    gaps = [x.log_probability - recomputed(exact, asked(prompt), x)[0] for x in drawn]
    assert max(map(abs, gaps)) < 0.3


def test_at_temperature_zero_each_token_is_the_most_probable_one_allowed(
    model: LoadedModel, prompt: str
) -> None:
    request = asked(prompt, min_distance_ratio=1.0, exclude=())
    first, second = exact_sampler(model, replace(SETTINGS, temperature=0.0)).draw(request, range(2))
    assert first.text == second.text
    _, best = recomputed(exact_model(model), request, first)
    assert all(best)


def test_a_small_top_p_takes_the_most_probable_texts(model: LoadedModel, prompt: str) -> None:
    greedy = exact_sampler(model, replace(SETTINGS, temperature=0.0)).draw(asked(prompt), range(3))
    nucleus = exact_sampler(model, replace(SETTINGS, top_p=1e-6)).draw(asked(prompt), range(3))
    assert [x.text for x in nucleus] == [x.text for x in greedy]


def test_an_index_has_the_same_text_in_every_batch(
    model: LoadedModel, prompt: str, attempts: list[Attempt]
) -> None:
    texts = [attempt.text for attempt in attempts]
    sampler = exact_sampler(model)
    alone = [sampler.draw(asked(prompt), range(i, i + 1))[0].text for i in (0, 7)]
    assert alone == [texts[0], texts[7]]
    assert [x.text for x in sampler.draw(asked(prompt), range(10, 17))] == texts[10:17]


def test_in_half_precision_most_texts_are_the_same_in_every_batch(
    model: LoadedModel, prompt: str
) -> None:
    sampler = BatchSampler(model, SETTINGS, CoordinateVocabulary(model, PLAIN))
    whole = sampler.draw(asked(prompt), range(40))
    parts = [
        x for start in range(0, 40, 8) for x in sampler.draw(asked(prompt), range(start, start + 8))
    ]
    same = sum(x.text == y.text for x, y in zip(whole, parts, strict=True))
    assert same >= 20


def test_another_seed_gives_other_texts(
    model: LoadedModel, prompt: str, attempts: list[Attempt]
) -> None:
    other = exact_sampler(model, replace(SETTINGS, seed=2)).draw(asked(prompt), range(ROWS))
    assert not {x.text for x in other} & {x.text for x in attempts}


def test_more_atoms_than_the_model_has_positions_for_are_refused(
    model: LoadedModel, prompt: str
) -> None:
    with pytest.raises(ModelError, match="256 positions; try fewer atoms"):
        TextGenerator(model, SETTINGS).draw(asked(prompt, max_atoms=1000), range(1))


def test_drawing_leaves_the_model_as_it_was(model: LoadedModel, prompt: str) -> None:
    exact = exact_model(model)
    before = {name: p.clone() for name, p in exact.network.named_parameters()}
    TextGenerator(exact, SETTINGS).draw(asked(prompt), range(2))
    assert exact.network.dtype == torch.float32
    assert all(torch.equal(p, before[name]) for name, p in exact.network.named_parameters())


def test_elements_and_coordinates_can_have_temperatures_of_their_own(
    model: LoadedModel, prompt: str
) -> None:
    free = asked(prompt, min_distance_ratio=0.0)
    cold = exact_sampler(model, replace(SETTINGS, coordinate_temperature=0.0))
    lines = [x.text.split("\n") for x in cold.draw(free, range(ROWS))]
    assert len({line[2] for line in lines}) > 1
    # What came before decides the most probable place.
    assert len({tuple(line[:4]) for line in lines}) == len({tuple(line[:3]) for line in lines})
    hot = exact_sampler(
        model, replace(SETTINGS, coordinate_temperature=1.0, element_temperature=1.0)
    )
    plain = exact_sampler(model)
    assert [x.text for x in hot.draw(free, range(3))] == [
        x.text for x in plain.draw(free, range(3))
    ]
