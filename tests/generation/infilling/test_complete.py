from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import SettingError
from crystext.generation.infilling.complete import Infiller, make_infill_task
from crystext.generation.infilling.specify import InfillSpec
from crystext.grammar.any_tokenizer import TokenTrie
from crystext.grammar.completion_token_reader import CompletionTokenReader
from crystext.grammar.fields import END, FieldKind
from crystext.grammar.infilling import InfillingAutomaton
from crystext.grammar.token_reader import allowed_decimals, allowed_whole_parts
from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
from crystext.inference.coordinate_reader import CoordinateVocabulary
from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.element_ranking import ElementRanker
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.io.read.partial_structures import PartialStructure, partial_structure_of
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Crystal
from crystext.tokenization.encode import completion_ids, prompt_ids
from tests.example_crystals import SRTIO3, crystal
from tests.strategies import crystals

SITES = partial_structure_of(SRTIO3, ["a", "b", "c", "Ti_x", "Sr_y"])
N_NA_NI = crystal(
    [6.0] * 3, [90] * 3, [("N", [0, 0, 0]), ("Na", [0.5, 0, 0]), ("Ni", [0, 0.5, 0.5])]
)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


@pytest.fixture(scope="module")
def filler(model: LoadedModel) -> Infiller:
    return Infiller(model, SamplingSettings(seed=1))


def assert_given_is_kept(sites: PartialStructure, asked: InfillSpec, found: Crystal) -> None:
    """Compare, to the last bit, all that was not asked for."""
    count = len(sites.numbers)
    if not asked.cell:
        assert np.array_equal(found.lengths, sites.lengths)
        assert np.array_equal(found.angles, sites.angles)
    for i in range(count):
        if i not in asked.species:
            assert found.numbers[i] == sites.numbers[i]
        if i not in asked.coordinates:
            assert np.array_equal(found.positions[i], sites.positions[i])


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=crystals(max_atoms=5),
    species=st.sets(st.integers(0, 4)),
    coordinates=st.sets(st.integers(0, 4)),
    cell=st.booleans(),
    add=st.sampled_from([(), ("O",), ("?",), ("2 Cl", "?")]),
)
def test_what_is_given_is_the_same_to_the_last_bit_in_every_proposal(
    filler: Infiller,
    whole: Crystal,
    species: set[int],
    coordinates: set[int],
    cell: bool,
    add: tuple[str, ...],
) -> None:
    here = set(range(len(whole)))
    asked = InfillSpec(dict.fromkeys(species & here, "?"), coordinates & here, cell, add)
    assume(asked.species or asked.coordinates or cell or add)
    sites = partial_structure_of(whole)
    found = filler.infill(sites, asked, 3)
    assert found.results
    for proposal in found.results:
        assert_given_is_kept(sites, asked, proposal.crystal)
        added = proposal.crystal.symbols[len(whole) :]
        assert len(added) == {(): 0, ("O",): 1, ("?",): 1, ("2 Cl", "?"): 3}[add]
        assert added.count("Cl") >= 2 * (len(add) == 2)


@pytest.mark.parametrize("ranked", [True, False])
def test_masking_nitrogen_leaves_sodium_and_nickel_alone(filler: Infiller, ranked: bool) -> None:
    found = filler.infill(partial_structure_of(N_NA_NI), InfillSpec({"N": "?"}), 30, ranked=ranked)
    assert len(found.results) > 3
    for proposal in found.results:
        assert proposal.crystal.symbols[1:] == ["Na", "Ni"]
        assert {change.site for change in proposal.changes} <= {0}


def test_elements_that_are_ranked_are_as_probable_as_those_that_are_drawn(
    model: LoadedModel, filler: Infiller
) -> None:
    asked = InfillSpec({"Ti": "Zr,Hf,Sn,Ge"})
    ranked = filler.infill(SITES, asked)
    drawn = filler.infill(SITES, asked, 60, ranked=False)
    chances = {p.text: p.log_probability for p in ranked.results}
    assert sum(np.exp(list(chances.values()))) == pytest.approx(1, abs=1e-3)
    assert list(chances.values()) == sorted(chances.values(), reverse=True)
    for proposal in drawn.results:
        assert proposal.log_probability == pytest.approx(chances[proposal.text], abs=0.1)


def test_proposals_come_by_probability_with_what_each_changes(filler: Infiller) -> None:
    found = filler.infill(SITES, InfillSpec({0: "F,S", "Ti_x": "?"}, ["Sr_y"]), 20)
    assert [p.index for p in found.results] == list(range(len(found.results)))
    for crowded in (False, True):
        chances = [p.log_probability for p in found.results if p.atoms_too_close == crowded]
        assert chances == sorted(chances, reverse=True)
    assert sum(p.times_drawn for p in found.results) == found.texts_drawn == 20
    assert found.duplicates == 20 - len(found.results)
    for proposal in found.results:
        changes = {(change.quantity, change.label): change for change in proposal.changes}
        assert changes["element", "a"].before == "O"
        assert changes["element", "a"].after == proposal.crystal.symbols[0]
        assert changes["coordinates", "Sr_y"].after == tuple(proposal.crystal.positions[4].tolist())
        assert proposal.labels[0].startswith(proposal.crystal.symbols[0])
        assert proposal.labels[1:3] == ("b", "c")
        assert proposal.labels[4] == "Sr_y"


def test_the_space_group_is_said_and_kept(filler: Infiller) -> None:
    found = filler.infill(SITES, InfillSpec({"Ti": "?"}), 30, keep=["space_group"], ranked=False)
    assert found.space_group == 221
    # One element for another in its place changes no symmetry, save where it is Sr or O.
    assert {p.space_group for p in found.results} == {221}
    strained = filler.infill(SITES, InfillSpec({0: "F,S,Cl"}), 30, keep=["space_group"])
    assert strained.results == ()
    assert strained.rejected == 3
    assert "225" not in strained.prompt
    assert "221" in strained.prompt


def test_sites_that_symmetry_makes_equal_hold_one_element_where_it_is_kept(
    filler: Infiller,
) -> None:
    asked = InfillSpec(dict.fromkeys(("a", "b", "c"), "F,S,Cl") | {"Ti_x": "Zr,Hf"})
    found = filler.infill(SITES, asked, 20, keep=["space_group"])
    assert found.results
    assert found.rejected == 0
    for proposal in found.results:
        assert len(set(proposal.crystal.symbols[:3])) == 1
        assert proposal.space_group == 221
    free = filler.infill(SITES, asked, 20)
    assert any(len(set(p.crystal.symbols[:3])) > 1 for p in free.results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["spacegroup"]}, "Did you mean 'space_group'"),
        ({"keep": ["cell"], "asked": InfillSpec(cell=True)}, "both unknown and to be kept"),
        ({"ranked": True, "asked": InfillSpec(cell=True)}, "elements can be ranked only if"),
        ({"n": 0}, "0 completions"),
    ],
)
def test_what_cannot_be_kept_or_ranked_is_refused(
    filler: Infiller, options: dict[str, Any], message: str
) -> None:
    asked = options.pop("asked", InfillSpec({"Ti": "?"}))
    with pytest.raises(SettingError, match=message):
        filler.infill(SITES, asked, **options)


def test_many_structures_are_ranked_as_each_alone(filler: Infiller) -> None:
    jobs = [
        (SITES, InfillSpec({"Ti": "?"})),
        (partial_structure_of(N_NA_NI), InfillSpec({"N": "?"})),
    ] * 2
    together = filler.infill_all(jobs, 5)
    for found, (sites, asked) in zip(together, jobs, strict=True):
        alone = filler.infill(sites, asked, 5)
        assert [p.text for p in found.results] == [p.text for p in alone.results]
        for one, other in zip(found.results, alone.results, strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)


EVERYTHING = InfillSpec({0: "F,S", "Ti": "?"}, ["Sr_y"], True, ["?"])


def exact(model: LoadedModel) -> LoadedModel:
    twin = load_model(model.folder)
    return replace(twin, network=twin.network.float())


def recomputed(model: LoadedModel, request: Request, attempt: Attempt) -> float:
    """Score a completion from transformers' logits, under the masks of an automaton of its own."""
    assert request.partial is not None
    given_ids = prompt_ids(model.tokenizer, request.prompt)
    ids = [*completion_ids(model.tokenizer, attempt.text), model.tokenizer.eos_token_id]
    with torch.no_grad():
        whole = model.network(torch.tensor([given_ids + ids])).logits[0]
    logits, step, total = whole[len(given_ids) - 1 : -1].double(), 0, 0.0
    automaton = InfillingAutomaton(model.format, 1, request.partial, request.constraints)
    fields = [blank.field for blank in automaton.fields]
    slots = CompletionTokenReader(model.tokenizer, model.format, fields)

    def score(tokens: np.ndarray, allowed: np.ndarray) -> int:
        nonlocal step, total
        (value,) = np.nonzero(tokens == ids[step])[0]
        assert allowed[value]
        row = logits[step][torch.from_numpy(tokens)]
        total += float(
            row.masked_fill(~torch.from_numpy(allowed), -torch.inf).log_softmax(0)[value]
        )
        step += 1
        return int(value)

    while True:
        place, field, allowed = automaton.field_index, automaton.field, automaton.allowed()
        for token in slots.forced_tokens(place):
            assert ids[step] == token
            step += 1
        first, *second = slots.tokens_at(place)
        if second:
            whole_part = score(first, allowed_whole_parts(allowed)[0])
            after = allowed_decimals(allowed, np.array([whole_part]))[0]
            value = whole_part * 100 + score(second[0], after)
        else:
            free = field.kind is FieldKind.COORDINATE and field.axis == 1 and not automaton.is_given
            mask = np.ones_like(allowed[0]) if free else allowed[0][: len(first)]
            value = score(first, mask)
        if field.kind is FieldKind.ELEMENT and value == END:
            assert step == len(ids)
            return total
        automaton.push(np.array([value]))


def test_the_log_probability_is_what_transformers_gives_under_the_same_masks(
    model: LoadedModel, filler: Infiller
) -> None:
    request = filler.request(make_infill_task(SITES, EVERYTHING))
    sampler = BatchSampler(
        model, SamplingSettings(seed=3), CoordinateVocabulary(model, model.format)
    )
    sampler.llama = CpuLlama(model.network, torch.float32)
    precise = exact(model)
    for attempt in sampler.draw(request, range(8)):
        expected = recomputed(precise, request, attempt)
        assert attempt.log_probability == pytest.approx(expected, abs=2e-3)


def test_read_character_by_character_the_same_is_given_and_completions_are_crystals(
    model: LoadedModel, filler: Infiller
) -> None:
    task = make_infill_task(SITES, EVERYTHING)
    drawn = AnyTokenizerSampler(model, SamplingSettings(seed=2)).draw(
        filler.request(task), range(3)
    )
    for attempt in drawn:
        assert attempt.failure is None
        found = task.partial.decode_completion(attempt.text, model.format).crystal
        assert found is not None
        assert found.symbols[1:3] == ["O", "O"]
        assert found.symbols[0] in ("F", "S")
        assert np.array_equal(found.positions[:4], SRTIO3.positions[:4])


def test_elements_scored_by_their_text_are_those_of_their_token(
    model: LoadedModel, filler: Infiller
) -> None:
    request = filler.request(make_infill_task(SITES, InfillSpec({"Ti": "Zr,Hf,N,Na,Ni"})))
    ranker = ElementRanker(model)
    by_token = dict(ranker.rank([request])[0])
    ranker._trie = TokenTrie(model.tokenizer)
    by_text = dict(ranker.rank([request])[0])
    assert by_token.keys() == by_text.keys() == {"Zr", "Hf", "N", "Na", "Ni"}
    # Letter by letter there are more ways to begin, so that only ratios are the same.
    assert by_text["Zr"] - by_text["Hf"] == pytest.approx(by_token["Zr"] - by_token["Hf"], abs=1e-3)


@pytest.mark.parametrize(
    "spec", [InfillSpec(species={"Sr": "?"}, candidates="Ba Ca"), InfillSpec(species={"Sr": "Ba"})]
)
def test_candidates_that_are_all_excluded_are_refused(spec: InfillSpec) -> None:
    constraints = Constraints(exclude=("Ba", "Ca"))
    with pytest.raises(SettingError, match=r"allowed at Sr1 .* are all excluded"):
        make_infill_task(partial_structure_of(SRTIO3), spec, constraints=constraints)
