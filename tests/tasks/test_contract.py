"""What every task promises, whichever it is: a new one is tested here without a line of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import to_wyckoff
from crystext.tasks import TASKS, Example
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN
from tests.example_crystals import EXAMPLE_CRYSTALS

PROMPTS = load_prompts()
RECORDS = {
    name: Record(
        EXAMPLE_CRYSTALS[name], {"band_gap": 1.8}, name, to_wyckoff(EXAMPLE_CRYSTALS[name])
    )
    for name in ("nacl", "srtio3", "quartz")
}

every_task = pytest.mark.parametrize("name", TASKS)
every_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)


def made(name: str, record: Record, seed: int = 0) -> Example:
    task = TASKS[name]
    return task.make(record, PROMPTS, task.format or PLAIN, np.random.default_rng(seed))


@every_task
def test_a_task_is_registered_by_its_own_name(name: str) -> None:
    assert TASKS[name].name == name


@every_task
@every_record
def test_the_same_random_numbers_make_the_same_example(name: str, record: Record) -> None:
    assert made(name, record) == made(name, record)
    assert len({made(name, record, seed) for seed in range(30)}) > 1 or name == "unconditional"


@every_task
@every_record
def test_the_completion_itself_gets_full_marks(name: str, record: Record) -> None:
    for seed in range(12):
        example = made(name, record, seed)
        assert example.prompt
        assert example.completion
        scores = TASKS[name].score(example, example.completion)
        assert scores == dict.fromkeys(TASKS[name].measures, 1.0), example


@every_task
@every_record
def test_no_answer_counts_as_wrong_in_every_measure(name: str, record: Record) -> None:
    for answer in ("", "no crystal", "9 9 9\n90 90 90"):
        scores = TASKS[name].score(made(name, record), answer)
        assert scores == dict.fromkeys(TASKS[name].measures, 0.0)


@every_task
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_a_damaged_answer_is_scored_without_an_error(
    name: str, seed: int, data: st.DataObject
) -> None:
    example = made(name, RECORDS["srtio3"], seed)
    text = example.completion
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    put = data.draw(st.text("0123456789.- \nSrTiO?e", max_size=6))
    scores = TASKS[name].score(example, text[:start] + put + text[end:])
    assert set(scores) == set(TASKS[name].measures)
    assert set(scores.values()) <= {0.0, 1.0}
