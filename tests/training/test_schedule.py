from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from crystext.training.recipe_sections import OptimSettings
from crystext.training.schedule import learning_rate


def settings(**changes: Any) -> OptimSettings:
    values = {"learning_rate": 2.0, "steps": 100, "warmup_steps": 10, "batch_tokens": 1}
    return OptimSettings(**(values | changes))


def test_wsd_rises_stays_and_falls_to_zero() -> None:
    optim = settings(schedule="wsd", decay_fraction=0.25)
    rates = [learning_rate(step, 100, optim) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9:75] == [2.0] * 66
    assert rates[100] == 0.0
    falls = [a - b for a, b in pairwise(rates[75:])]
    assert falls == pytest.approx([2.0 / 25] * 25)


def test_cosine_is_that_of_transformers_but_for_the_first_step_which_is_none_there() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=2.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, 10, 100)
    optim = settings(schedule="cosine")
    for step in range(100):
        if step >= 10:
            assert learning_rate(step, 100, optim) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert learning_rate(0, 100, optim) == pytest.approx(0.2)


def test_constant_stays_after_the_warm_up() -> None:
    optim = settings(schedule="constant", warmup_steps=5)
    rates = [learning_rate(step, 100, optim) for step in range(100)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert set(rates[5:]) == {2.0}


@pytest.mark.parametrize("rise", [0.3, 0.5])
def test_one_cycle_is_that_of_torch(rise: float) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=2.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.0, total_steps=100, pct_start=rise)
    optim = settings(schedule="one_cycle", decay_fraction=1 - rise)
    for step in range(100):
        assert learning_rate(step, 100, optim) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        if step < 99:
            theirs.step()


@pytest.mark.parametrize("schedule", ["cosine", "constant", "wsd", "one_cycle"])
def test_a_rate_is_finite_and_never_above_the_highest(schedule: str) -> None:
    for warmup in (0, 1, 200):
        for decay in (0.0, 1.0):
            optim = settings(schedule=schedule, warmup_steps=warmup, decay_fraction=decay)
            for step in range(100):
                rate = learning_rate(step, 100, optim)
                assert math.isfinite(rate)
                assert 0 < rate <= 2.0
