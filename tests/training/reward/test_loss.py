"""The loss of rewarded samples: nothing at the base, and better texts become more probable."""

from __future__ import annotations

from copy import copy
from itertools import pairwise

import numpy as np
import pytest
import torch

from crystext.grammar.wyckoff.token_reader import TokenKind
from crystext.inference.types import SamplingSettings
from crystext.models.load import load_model
from crystext.tasks.base import Example
from crystext.text import WYCKOFF
from crystext.tokenization.encode import example_ids
from crystext.training.example_stream import TrainingRow
from crystext.training.loss import PackedLoss
from crystext.training.packing import pack
from crystext.training.reward.loss import (
    NO_SAMPLE,
    RewardLoss,
    SampledTokens,
    SampleLabels,
    rewarded_batch,
)

CPU = torch.device("cpu")
PROMPT = "Crystal:\n"
TEXTS = (
    "225\nNa 4a\nCl 4b\n5.64",
    "136\nTi 2a\nO 4f 0.305\n4.59 2.96",
    "12\nLi 2a\n4.05 4.05 4.05 90.10",
)
HOT = SamplingSettings(temperature=1.2, element_temperature=1.6, coordinate_temperature=0.2)


def row(text: str, weight: float | None) -> TrainingRow:
    """Return a sample with a weight, or a text that is none."""
    ids, labels = example_ids(load_model().tokenizer, Example(PROMPT, text, WYCKOFF))
    return (ids, labels) if weight is None else (ids, SampleLabels(labels, weight))


@pytest.fixture
def loss() -> RewardLoss:
    model = load_model()
    tokens = SampledTokens(model.tokenizer, HOT)
    network = model.network.float()
    return RewardLoss(network, CPU, tokens, divergence_weight=1.3, bf16=False)


def test_each_token_of_a_text_has_its_kind() -> None:
    tokens = SampledTokens(load_model().tokenizer, HOT)
    batch = rewarded_batch([row(TEXTS[1], 2.0)], tokens)
    names = [None if k == NO_SAMPLE else list(TokenKind)[k].name for k in batch.kinds_K.tolist()]
    orbits = ["ELEMENT", "POSITION", "ELEMENT", "POSITION", "COORDINATE"]
    cell = ["FIRST_WHOLE", "DECIMALS", "WHOLE", "DECIMALS"]
    assert names == ["GROUP", *orbits, *cell, None]  # the end has no choice
    assert batch.weights_K.tolist() == [2.0] * len(names)


def test_a_text_that_is_no_sample_has_weight_one_and_no_kinds() -> None:
    tokens = SampledTokens(load_model().tokenizer, HOT)
    batch = rewarded_batch([row(TEXTS[0], 3.0), row(TEXTS[1], None)], tokens)
    of_second = batch.example_index_K == 1
    assert (batch.kinds_K[of_second] == NO_SAMPLE).all()
    assert (batch.weights_K[of_second] == 1).all()
    assert (batch.weights_K[~of_second] == 3).all()


def test_nothing_is_learned_from_equal_weights(loss: RewardLoss) -> None:
    rows = [row(text, 1.0) for text in TEXTS] + [row(TEXTS[0], None)]
    total = loss.train()(rewarded_batch(rows, loss._tokens)).sum()
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-4)
    gradients = [p.grad.abs().max() for p in loss.parameters() if p.grad is not None]
    assert gradients
    assert float(max(gradients)) < 1e-4


def test_probabilities_of_the_choices_at_a_token_sum_to_one(loss: RewardLoss) -> None:
    logits = torch.randn(5, len(load_model().tokenizer))
    for kind in (NO_SAMPLE, *range(len(TokenKind))):
        assert loss._log_shares(logits, kind).exp().sum(1) == pytest.approx(1, abs=1e-5)


def test_temperatures_are_those_of_the_samples(loss: RewardLoss) -> None:
    logits = torch.randn(1, len(load_model().tokenizer))
    kind = list(TokenKind).index(TokenKind.COORDINATE)
    of_kind = logits[:, loss._choices[TokenKind.COORDINATE]]
    expected = (of_kind / 0.2).softmax(1)
    assert loss._log_shares(logits, kind).exp().numpy() == pytest.approx(expected.numpy(), abs=1e-6)
    position = list(TokenKind).index(TokenKind.POSITION)
    of_kind = logits[:, loss._choices[TokenKind.POSITION]]
    expected = (of_kind / 1.2).softmax(1)
    found = loss._log_shares(logits, position).exp()
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_a_step_makes_the_better_text_more_probable_and_the_worse_one_less(
    loss: RewardLoss,
) -> None:
    batch = rewarded_batch([row(TEXTS[0], 3.0), row(TEXTS[1], 0.2)], loss._tokens)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-4)
    likelihoods = []
    for _ in range(4):
        with torch.no_grad():
            tokens = loss.log_likelihoods(batch)
        likelihoods.append([float(tokens[batch.example_index_K == i].sum()) for i in (0, 1)])
        optimizer.zero_grad()
        loss.train()(batch).sum().backward()
        optimizer.step()
    better, worse = np.array(likelihoods).T
    assert all(b > a for a, b in pairwise(better))
    assert all(b < a for a, b in pairwise(worse))
    with torch.no_grad():
        start = loss.log_likelihoods(batch, base=True)[batch.example_index_K == 0].sum()
    assert float(start) == pytest.approx(better[0], abs=1e-3)  # the base stays as it was


def test_validation_has_the_plain_loss(loss: RewardLoss) -> None:
    rows = [row(text, 2.0) for text in TEXTS]
    with torch.no_grad():
        found = loss.eval()(rewarded_batch(rows, loss._tokens))
        expected = PackedLoss(loss.network, CPU, bf16=False).eval()(pack(rows))
    assert torch.equal(found, expected)


def test_labels_keep_their_weight_between_processes() -> None:
    labels = copy(SampleLabels([1, 2, 3], 2.5))  # by what a worker's queue uses
    assert list(labels) == [1, 2, 3]
    assert labels.weight == 2.5
