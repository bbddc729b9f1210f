"""A format from outside the package brings a token reader; the batch engine does the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.fields import FieldKind
from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.generate import VOCABULARIES, TextGenerator
from crystext.inference.text_batch import Step, TextBatch
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Ints
from crystext.tasks.crystal_generation import generation_prompt
from crystext.text import PLAIN, Format
from crystext.tokenization.encode import prompt_ids

SETTINGS = SamplingSettings(seed=3)
COUNTDOWN = replace(PLAIN, name="countdown")
ROWS = 40


class Countdown:
    """Texts of decimals, each below the one before; those that begin odd are started anew."""

    max_tokens, extra_draws, max_redrawn_fields = 100, 0, 0

    def __init__(self, ids: Ints, count: int, final: bool) -> None:
        self.ids, self.final = ids, final
        self.last: Ints = np.full(count, 100)
        self.first: Ints | None = None

    def choose(self, batch: TextBatch) -> Step:
        allowed = np.arange(100) < self.last[:, None]
        self.chosen = batch.draw(FieldKind.LENGTH, batch.logits(self.ids), allowed)
        if self.first is None:
            self.first = self.chosen
        return Step(self.ids[self.chosen], self.chosen == 0)

    def take(self, rows: Ints | None) -> None:
        assert self.first is not None
        order = np.arange(len(self.chosen)) if rows is None else rows
        self.last, self.first = self.chosen[order], self.first[order]

    def accepts(self, row: int, text: str) -> bool:
        assert self.first is not None
        assert int(text[:2]) == self.first[row], "a row stays with its text"
        return self.final or self.first[row] % 2 == 0


class CountdownVocabulary:
    """The two-digit tokens of the crystal vocabulary."""

    def __init__(self, model: LoadedModel, fmt: Format) -> None:
        known = model.tokenizer.get_vocab()
        self.ids = np.array([known[f"{i:02d}"] for i in range(100)])

    @staticmethod
    def fits(model: LoadedModel, fmt: Format) -> bool:
        return fmt == COUNTDOWN

    def start(self, request: Request, count: int, *, final: bool) -> Countdown:
        return Countdown(self.ids, count, final)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


@pytest.fixture(scope="module")
def request_(model: LoadedModel) -> Request:
    return Request(generation_prompt(model.prompts), Constraints())


def draw(model: LoadedModel, request: Request, indices: Sequence[int]) -> list[Attempt]:
    sampler = BatchSampler(model, SETTINGS, CountdownVocabulary(model, PLAIN))
    sampler.llama = CpuLlama(model.network, torch.float32)
    return sampler.draw(request, indices)


@pytest.fixture(scope="module")
def attempts(model: LoadedModel, request_: Request) -> list[Attempt]:
    return draw(model, request_, range(ROWS))


def values_of(attempt: Attempt) -> list[int]:
    return [int(attempt.text[i : i + 2]) for i in range(0, len(attempt.text), 2)]


def test_each_text_follows_its_reader_and_ends_by_itself(attempts: list[Attempt]) -> None:
    assert [attempt.index for attempt in attempts] == list(range(ROWS))
    for attempt in attempts:
        values = values_of(attempt)
        assert values == sorted(set(values), reverse=True)
        assert values[-1] == 0
        assert attempt.tokens == len(values) + 1
    assert len({attempt.tokens for attempt in attempts}) > 3


def test_texts_that_the_reader_does_not_accept_are_started_anew(attempts: list[Attempt]) -> None:
    assert all(values_of(attempt)[0] % 2 == 0 for attempt in attempts)


def test_a_text_does_not_depend_on_the_others_of_its_batch(
    model: LoadedModel, request_: Request, attempts: list[Attempt]
) -> None:
    assert draw(model, request_, [7, 3]) == [attempts[7], attempts[3]]


def test_the_log_probability_is_that_of_the_tokens_among_the_allowed_ones(
    model: LoadedModel, request_: Request, attempts: list[Attempt]
) -> None:
    ids = CountdownVocabulary(model, PLAIN).ids
    prompt = prompt_ids(model.tokenizer, request_.prompt)
    for attempt in attempts[:5]:
        values, total = values_of(attempt), 0.0
        text = torch.tensor([[*prompt, *ids[values]]])
        with torch.inference_mode():
            logits = model.network(input_ids=text).logits[0, len(prompt) - 1 : -1].float()
        for row, before, value in zip(logits, [100, *values], values, strict=False):
            total += float(row[ids[:before]].log_softmax(dim=0)[value])
        assert attempt.log_probability == pytest.approx(total, abs=0.05)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution that brings the vocabulary, as pip lays it out."""
    about = tmp_path / "countdown-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: countdown\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        f"[crystext.vocabularies]\ncountdown = {__name__}:CountdownVocabulary\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    # What is installed is looked up once.
    VOCABULARIES.__dict__.pop("_plugins", None)
    yield
    VOCABULARIES.__dict__.pop("_plugins", None)


@pytest.mark.usefixtures("plugin")
def test_a_plugin_adds_a_vocabulary_and_its_format_is_sampled_by_the_batch_engine(
    model: LoadedModel, request_: Request
) -> None:
    own = replace(model, format=COUNTDOWN)
    drawn = TextGenerator(own, SETTINGS).draw(request_, range(4))
    assert [values_of(attempt)[-1] for attempt in drawn] == [0] * 4
