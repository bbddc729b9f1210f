from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.generation.sampling_run import SamplingRun, default_batch_size
from crystext.inference.types import SamplingSettings

ANY, SALT = Conditions(), Conditions.from_keywords(composition="NaCl")
sizes = st.integers(1, 150)


def campaign(n: int, rows: int, batch_size: int) -> SamplingRun:
    return SamplingRun(
        n, "shipped", SamplingSettings(), conditions=(SALT,) * rows, batch_size=batch_size
    )


@given(n=sizes, rows=st.integers(1, 6), batch_size=sizes, done=st.integers(0, 300))
def test_batches_hold_every_attempt_that_is_missing_each_of_one_request(
    n: int, rows: int, batch_size: int, done: int
) -> None:
    wanted = campaign(n, rows, batch_size)
    batches = wanted.batches(done)
    found = [(i, b.request_index) for b in batches for i in range(b.start, b.start + b.size)]
    assert [i for i, _ in found] == sorted({i for i, _ in found})
    assert {i for i, _ in found} >= set(range(done, wanted.total))
    assert all(request == (i // n if rows > 1 else 0) for i, request in found)
    assert all(1 <= batch.size <= batch_size for batch in batches)


@given(n=sizes, rows=st.integers(1, 6), batch_size=sizes, done=st.integers(0, 300))
def test_a_campaign_goes_on_with_the_batches_it_would_have_drawn(
    n: int, rows: int, batch_size: int, done: int
) -> None:
    wanted = campaign(n, rows, batch_size)
    left = wanted.batches(done)
    assert left == wanted.batches()[len(wanted.batches()) - len(left) :]


@given(n=sizes, more=sizes, batch_size=sizes)
def test_a_larger_number_of_one_request_only_adds_batches(
    n: int, more: int, batch_size: int
) -> None:
    few = campaign(n, 1, batch_size).batches()
    assert campaign(n + more, 1, batch_size).batches()[: len(few)] == few


def test_few_attempts_take_small_batches_and_round_numbers_take_no_more() -> None:
    def drawn(n: int, batch_size: int = 250) -> list[int]:
        return [batch.size for batch in campaign(n, 1, batch_size).batches()]

    assert drawn(1) == drawn(10) == [10]
    assert drawn(100) == [10, 90]
    assert drawn(250) == [10, 90, 150]
    assert drawn(600) == [*drawn(250), 250, 250]
    assert drawn(1200, batch_size=1000) == [10, 90, 150, 250, 500, 1000]
    assert drawn(60, batch_size=50) == [10, 40, 50]
    assert drawn(9, batch_size=4) == [4, 4, 4]
    for n in (10, 100, 250, 1000, 10_000):
        assert sum(drawn(n)) == n


def test_small_first_batches_are_worth_no_process_of_their_own() -> None:
    assert [campaign(n, 1, 250).parallel_units for n in (1, 100, 250, 251, 10_000)] == [
        1,
        1,
        1,
        2,
        40,
    ]
    assert campaign(3, 7, 250).parallel_units == 7
    assert campaign(10_000, 1, 1000).parallel_units == 40
    assert campaign(200, 1, 50).parallel_units == 4


def test_small_models_draw_more_at_a_time(tiny_model: Path, tmp_path: Path) -> None:
    assert default_batch_size("shipped") == default_batch_size(tiny_model) == 1000
    assert default_batch_size("shipped", max_attempts_per_sample=20) == 50
    large = Path(shutil.copytree(tiny_model, tmp_path / "large"))
    with (large / "model.safetensors").open("r+b") as weights:
        weights.truncate(2**30)
    assert default_batch_size(large) == 250


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"n": 0}, "0 crystals"),
        ({"batch_size": 0}, "a batch size of 0"),
        ({"max_attempts_per_sample": 0}, "0 attempts per sample: expected 1 to 1000"),
        ({"conditions": ()}, "no conditions are given"),
        ({"settings": SamplingSettings(guidance=2.0)}, "the prompt has none"),
        ({"max_attempts_per_sample": 2}, "none of them can be checked"),
        (
            {"max_attempts_per_sample": 2, "conditions": (Conditions.from_keywords(band_gap=1),)},
            "none of them can be checked",
        ),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], expected: str) -> None:
    given: dict[str, Any] = {"n": 1, "model": "shipped", "settings": SamplingSettings(), **changes}
    with pytest.raises(SettingError) as refusal:
        SamplingRun(**given)
    assert expected in str(refusal.value)
