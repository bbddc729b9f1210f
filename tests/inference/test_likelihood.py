"""What a model thinks of a crystal is what transformers computes, told apart by line and site."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from crystext.errors import ModelError, SettingError
from crystext.inference.likelihood import LikelihoodScorer
from crystext.metrics.ipt import increase_in_perplexity, transformed_texts
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Crystal
from crystext.tasks.base import Example
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN, WYCKOFF, encode
from crystext.tokenization.encode import example_ids
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, QUARTZ, SRTIO3
from tests.llm_tokenizers import MAKERS

CRYSTALS = list(EXAMPLE_CRYSTALS.values())


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


@pytest.fixture(scope="module")
def scorer(model: LoadedModel) -> LikelihoodScorer:
    return LikelihoodScorer(model)


@pytest.fixture(scope="module")
def prompt(model: LoadedModel) -> str:
    return generation_prompt(model.prompts)


def test_scores_are_those_of_transformers_on_the_same_ids(
    scorer: LikelihoodScorer, tiny_model: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    prompt = generation_prompt(scorer.model.prompts, {"band_gap": "1.50"})
    # Texts of several lengths in one batch against one at a time.
    for crystal, score in zip(CRYSTALS, scorer.score(CRYSTALS, prompt), strict=True):
        ids, labels = example_ids(tokenizer, Example(prompt, encode(crystal)))
        with torch.inference_mode():
            told = network(input_ids=torch.tensor([ids]), labels=torch.tensor([labels]))
        count = sum(label >= 0 for label in labels)
        assert score.per_token == pytest.approx(-float(told.loss), abs=1e-5)
        assert score.total == pytest.approx(-float(told.loss) * count, rel=1e-5)
        (reading,) = score.readings
        assert len(reading.tokens) == count
        chances = told.logits[0, len(ids) - count - 1 : -1].log_softmax(-1)
        wanted = chances[range(count), labels[-count:]].numpy()
        assert reading.log_probabilities == pytest.approx(wanted, abs=1e-5)


def test_cell_sites_and_end_make_up_the_whole(scorer: LikelihoodScorer, prompt: str) -> None:
    for score in scorer.score(CRYSTALS, prompt):
        parts = score.cell + sum(site.total for site in score.sites) + score.end
        assert parts == pytest.approx(score.total)
        table = score.to_dataframe()
        assert table.log_probability.sum() == pytest.approx(score.total)
        assert table.site.count() == 2 * len(score.crystal)


def test_surprises_are_deviations_from_what_the_model_draws_itself(
    scorer: LikelihoodScorer, tiny_model: Path, prompt: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    (score,) = scorer.score([SRTIO3], prompt)
    ids, _ = example_ids(tokenizer, Example(prompt, encode(SRTIO3)))
    (reading,) = score.readings
    with torch.inference_mode():
        logits = network(input_ids=torch.tensor([ids])).logits[0, -len(reading.tokens) - 1 : -1]
    drawn = torch.distributions.Categorical(logits=logits.double())
    assert reading.expected == pytest.approx(-drawn.entropy().numpy(), abs=1e-4)
    squares = (drawn.probs * drawn.logits**2).sum(-1) - drawn.entropy() ** 2
    assert reading.variances == pytest.approx(squares.numpy(), abs=1e-3)
    first = SRTIO3.text_order().tolist()[0]
    own = np.isin(reading.lines, [2, 3])
    excess = (reading.expected - reading.log_probabilities)[own].sum()
    deviation = np.sqrt(reading.variances[own].sum())
    assert score.surprises[first] == pytest.approx(excess / max(deviation, 0.5))


def test_sites_are_told_in_the_order_in_which_they_were_given(
    scorer: LikelihoodScorer, prompt: str
) -> None:
    assert SRTIO3.symbols != SRTIO3.in_text_order().symbols
    given, ordered = scorer.score([SRTIO3, SRTIO3.in_text_order()], prompt)
    assert [(s.site, s.symbol) for s in given.sites] == list(enumerate(SRTIO3.symbols))
    same = [ordered.sites[SRTIO3.text_order().tolist().index(i)] for i in range(len(SRTIO3))]
    for one, other in zip(given.sites, same, strict=True):
        assert one.symbol == other.symbol
        assert one.element == pytest.approx(other.element, abs=1e-5)
        assert one.coordinates == pytest.approx(other.coordinates, abs=1e-5)


def test_a_score_over_translations_is_the_mean_of_their_readings(
    scorer: LikelihoodScorer, prompt: str
) -> None:
    (score,) = scorer.score([QUARTZ], prompt, translations=4, seed=3)
    texts = transformed_texts(QUARTZ, scorer.model.format, 4, 3)
    assert [reading.text for reading in score.readings] == texts
    assert score.total == pytest.approx(np.mean([reading.total for reading in score.readings]))
    assert sum(s.total for s in score.sites) + score.cell + score.end == pytest.approx(score.total)
    wanted = increase_in_perplexity([r.mean_loss for r in score.readings])
    assert score.increase_in_perplexity == pytest.approx(wanted) != 0
    (again,) = scorer.score([QUARTZ], prompt, translations=4, seed=3)
    assert again.total == score.total


def test_a_score_moves_by_less_than_rounding_with_the_batch_it_is_in(
    scorer: LikelihoodScorer, prompt: str
) -> None:
    (alone,) = scorer.score([NACL], prompt)
    together = scorer.score([NACL, *CRYSTALS, NACL], prompt)
    assert together[-1].total == pytest.approx(alone.total, abs=1e-4)


def test_the_model_that_others_draw_from_stays_as_it_is(
    model: LoadedModel, scorer: LikelihoodScorer
) -> None:
    assert {p.dtype for p in model.network.parameters()} == {torch.bfloat16}


def test_a_crystal_too_large_for_the_model_is_refused(
    scorer: LikelihoodScorer, prompt: str
) -> None:
    many = Crystal(
        np.full(3, 40.0),
        np.full(3, 90.0),
        np.full(100, 11),
        np.random.default_rng(0).random((100, 3)),
    )
    with pytest.raises(ModelError, match=r"has 256 positions; score crystals of fewer atoms"):
        scorer.score([NACL, many], prompt)


def test_a_negative_number_of_translations_is_refused(
    scorer: LikelihoodScorer, prompt: str
) -> None:
    with pytest.raises(SettingError, match="-1 translations"):
        scorer.score([NACL], prompt, translations=-1)


def test_nothing_is_scored_as_nothing(scorer: LikelihoodScorer, prompt: str) -> None:
    assert scorer.score([], prompt) == []


def test_a_text_by_symmetry_is_scored_as_a_whole(scorer: LikelihoodScorer) -> None:
    prompt = generation_prompt(scorer.model.prompts, fmt=WYCKOFF)
    (score,) = scorer.score([QUARTZ], prompt, format=WYCKOFF)
    (reading,) = score.readings
    assert reading.text == encode(QUARTZ, WYCKOFF)
    assert reading.per_line.sum() == pytest.approx(score.total)
    # Group, two orbits, cell, end.
    assert len(reading.per_line) == 5
    assert score.cell == pytest.approx(reading.per_line[3])
    with pytest.raises(SettingError, match="plain format"):
        _ = score.sites
    (many,) = scorer.score([QUARTZ], prompt, format=WYCKOFF, translations=6)
    assert len(many.readings) == 6
    assert many.increase_in_perplexity > 0


@pytest.mark.parametrize("name", ["llama 2", "llama 3", "bytes across fields"])
def test_a_token_counts_for_the_last_line_of_which_it_holds_a_part(name: str) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = MAKERS[name]()
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            max_position_embeddings=1000,
        )
    )
    scorer = LikelihoodScorer(
        LoadedModel(network, tokenizer, load_prompts(), PLAIN, Path("in memory"))
    )
    for score in scorer.score(CRYSTALS, "A crystal:\n"):
        (reading,) = score.readings
        assert reading.text == "".join(reading.tokens) == encode(score.crystal)
        end = 0
        for token, line in zip(reading.tokens[:-1], reading.lines[:-1], strict=True):
            part = token.rstrip("\n") or token
            assert line == reading.text[: end + len(part)].count("\n")
            end += len(token)
        assert reading.lines[-1] == 2 + 2 * len(score.crystal)
