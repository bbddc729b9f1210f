from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crystext.errors import SettingError
from crystext.generation.infilling.complete import Filler
from crystext.generation.infilling.specify import Blanks
from crystext.grammar.any_tokenizer import TokenTree
from crystext.grammar.completion_token_reader import CompletionSlots
from crystext.grammar.fields import END, Kind
from crystext.grammar.infilling import InfillingAutomaton
from crystext.grammar.token_reader import decimals_after, whole_parts
from crystext.inference.any_tokenizer_sampler import TextSampler
from crystext.inference.coordinate_sampler import SlotSampler
from crystext.inference.element_ranking import Ranker
from crystext.inference.fast_llama import ShortTextLlama
from crystext.inference.types import Attempt, DrawSettings, Request
from crystext.io.read.partial_structures import Sites, sites_of
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Crystal
from crystext.tokenization.encode import completion_ids, prompt_ids
from tests.handmade import SRTIO3, crystal
from tests.strategies import crystals

SITES = sites_of(SRTIO3, ["a", "b", "c", "Ti_x", "Sr_y"])
N_NA_NI = crystal(
    [6.0] * 3, [90] * 3, [("N", [0, 0, 0]), ("Na", [0.5, 0, 0]), ("Ni", [0, 0.5, 0.5])]
)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


@pytest.fixture(scope="module")
def filler(model: LoadedModel) -> Filler:
    return Filler(model, DrawSettings(seed=1))


def assert_given_is_kept(sites: Sites, asked: Blanks, found: Crystal) -> None:
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
    filler: Filler,
    whole: Crystal,
    species: set[int],
    coordinates: set[int],
    cell: bool,
    add: tuple[str, ...],
) -> None:
    here = set(range(len(whole)))
    asked = Blanks(dict.fromkeys(species & here, "?"), coordinates & here, cell, add)
    assume(asked.species or asked.coordinates or cell or add)
    sites = sites_of(whole)
    found = filler.fill(sites, asked, 3)
    assert found.proposals
    for proposal in found.proposals:
        assert_given_is_kept(sites, asked, proposal.crystal)
        added = proposal.crystal.symbols[len(whole) :]
        assert len(added) == {(): 0, ("O",): 1, ("?",): 1, ("2 Cl", "?"): 3}[add]
        assert added.count("Cl") >= 2 * (len(add) == 2)


@pytest.mark.parametrize("ranked", [True, False])
def test_masking_nitrogen_leaves_sodium_and_nickel_alone(filler: Filler, ranked: bool) -> None:
    found = filler.fill(sites_of(N_NA_NI), Blanks({"N": "?"}), 30, ranked=ranked)
    assert len(found.proposals) > 3
    for proposal in found.proposals:
        assert proposal.crystal.symbols[1:] == ["Na", "Ni"]
        assert {change.site for change in proposal.changes} <= {0}


def test_elements_that_are_ranked_are_as_probable_as_those_that_are_drawn(
    model: LoadedModel, filler: Filler
) -> None:
    asked = Blanks({"Ti": "Zr,Hf,Sn,Ge"})
    ranked = filler.fill(SITES, asked)
    drawn = filler.fill(SITES, asked, 60, ranked=False)
    chances = {p.text: p.log_probability for p in ranked.proposals}
    assert sum(np.exp(list(chances.values()))) == pytest.approx(1, abs=1e-3)
    assert list(chances.values()) == sorted(chances.values(), reverse=True)
    for proposal in drawn.proposals:
        assert proposal.log_probability == pytest.approx(chances[proposal.text], abs=0.1)


def test_proposals_come_by_probability_with_what_each_changes(filler: Filler) -> None:
    found = filler.fill(SITES, Blanks({0: "F,S", "Ti_x": "?"}, ["Sr_y"]), 20)
    assert [p.index for p in found.proposals] == list(range(len(found.proposals)))
    for crowded in (False, True):
        chances = [p.log_probability for p in found.proposals if p.crowded == crowded]
        assert chances == sorted(chances, reverse=True)
    assert sum(p.drawn for p in found.proposals) == found.drawn == 20
    assert found.repeated == 20 - len(found.proposals)
    for proposal in found.proposals:
        changes = {(change.what, change.label): change for change in proposal.changes}
        assert changes["element", "a"].old == "O"
        assert changes["element", "a"].new == proposal.crystal.symbols[0]
        assert changes["coordinates", "Sr_y"].new == tuple(proposal.crystal.positions[4].tolist())
        assert proposal.labels[0].startswith(proposal.crystal.symbols[0])
        assert proposal.labels[1:3] == ("b", "c")
        assert proposal.labels[4] == "Sr_y"


def test_the_space_group_is_said_and_kept(filler: Filler) -> None:
    found = filler.fill(SITES, Blanks({"Ti": "?"}), 30, keep=["space_group"], ranked=False)
    assert found.space_group == 221
    # One element for another in its place changes no symmetry, save where it is Sr or O.
    assert {p.space_group for p in found.proposals} == {221}
    strained = filler.fill(SITES, Blanks({0: "F,S,Cl"}), 30, keep=["space_group"])
    assert strained.proposals == ()
    assert strained.dropped == 3
    assert "225" not in strained.prompt
    assert "221" in strained.prompt


def test_sites_that_symmetry_makes_equal_hold_one_element_where_it_is_kept(
    filler: Filler,
) -> None:
    asked = Blanks(dict.fromkeys(("a", "b", "c"), "F,S,Cl") | {"Ti_x": "Zr,Hf"})
    found = filler.fill(SITES, asked, 20, keep=["space_group"])
    assert found.proposals
    assert found.dropped == 0
    for proposal in found.proposals:
        assert len(set(proposal.crystal.symbols[:3])) == 1
        assert proposal.space_group == 221
    free = filler.fill(SITES, asked, 20)
    assert any(len(set(p.crystal.symbols[:3])) > 1 for p in free.proposals)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["spacegroup"]}, "Did you mean 'space_group'"),
        ({"keep": ["cell"], "asked": Blanks(cell=True)}, "to be found and to be kept"),
        ({"ranked": True, "asked": Blanks(cell=True)}, "elements can be ranked where"),
        ({"n": 0}, "0 completions"),
    ],
)
def test_what_cannot_be_kept_or_ranked_is_refused(
    filler: Filler, options: dict[str, Any], message: str
) -> None:
    asked = options.pop("asked", Blanks({"Ti": "?"}))
    with pytest.raises(SettingError, match=message):
        filler.fill(SITES, asked, **options)


def test_many_structures_are_ranked_as_each_alone(filler: Filler) -> None:
    jobs = [(SITES, Blanks({"Ti": "?"})), (sites_of(N_NA_NI), Blanks({"N": "?"}))] * 2
    together = filler.fill_all(jobs, 5)
    for found, (sites, asked) in zip(together, jobs, strict=True):
        alone = filler.fill(sites, asked, 5)
        assert [p.text for p in found.proposals] == [p.text for p in alone.proposals]
        for one, other in zip(found.proposals, alone.proposals, strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)


EVERYTHING = Blanks({0: "F,S", "Ti": "?"}, ["Sr_y"], True, ["?"])


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
    fields = [blank.field for blank in automaton.blanks]
    slots = CompletionSlots(model.tokenizer, model.format, fields)

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
        place, field, allowed = automaton.place, automaton.field, automaton.allowed()
        for token in slots.forced(place):
            assert ids[step] == token
            step += 1
        first, *second = slots.tokens_at(place)
        if second:
            whole_part = score(first, whole_parts(allowed)[0])
            after = decimals_after(allowed, np.array([whole_part]))[0]
            value = whole_part * 100 + score(second[0], after)
        else:
            free = field.kind is Kind.COORDINATE and field.axis == 1 and not automaton.is_given
            mask = np.ones_like(allowed[0]) if free else allowed[0][: len(first)]
            value = score(first, mask)
        if field.kind is Kind.ELEMENT and value == END:
            assert step == len(ids)
            return total
        automaton.push(np.array([value]))


def test_the_log_probability_is_what_transformers_gives_under_the_same_masks(
    model: LoadedModel, filler: Filler
) -> None:
    request = filler._job(SITES, EVERYTHING, ()).request
    sampler = SlotSampler(model, DrawSettings(seed=3))
    sampler.llama = ShortTextLlama(model.network, torch.float32)
    precise = exact(model)
    for attempt in sampler.draw(request, range(8)):
        expected = recomputed(precise, request, attempt)
        assert attempt.log_probability == pytest.approx(expected, abs=2e-3)


def test_read_character_by_character_the_same_is_given_and_completions_are_crystals(
    model: LoadedModel, filler: Filler
) -> None:
    job = filler._job(SITES, EVERYTHING, ())
    drawn = TextSampler(model, DrawSettings(seed=2)).draw(job.request, range(3))
    for attempt in drawn:
        assert attempt.fault is None
        found = job.partial.complete(attempt.text, model.format).crystal
        assert found is not None
        assert found.symbols[1:3] == ["O", "O"]
        assert found.symbols[0] in ("F", "S")
        assert np.array_equal(found.positions[:4], SRTIO3.positions[:4])


def test_elements_scored_by_their_text_are_those_of_their_token(
    model: LoadedModel, filler: Filler
) -> None:
    request = filler._job(SITES, Blanks({"Ti": "Zr,Hf,N,Na,Ni"}), ()).request
    ranker = Ranker(model)
    by_token = dict(ranker.rank([request])[0])
    ranker._tree = TokenTree(model.tokenizer)
    by_text = dict(ranker.rank([request])[0])
    assert by_token.keys() == by_text.keys() == {"Zr", "Hf", "N", "Na", "Ni"}
    # Letter by letter there are more ways to begin, so that only ratios are the same.
    assert by_text["Zr"] - by_text["Hf"] == pytest.approx(by_token["Zr"] - by_token["Hf"], abs=1e-3)
