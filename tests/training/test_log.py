"""What a run says of itself while it goes on."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from crystext.training import log
from crystext.training.log import TrainingProgress, format_duration, loss_summary


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(log, "time", clock)
    return clock


def told(clock: Clock, steps: int, seconds: float, *, first: int = 0) -> list[str]:
    """Return the lines of a run whose steps take so many seconds each."""
    file = io.StringIO()
    with TrainingProgress(Console(file=file, width=200), steps) as progress:
        progress.start(first)
        for step in range(first + 1, steps + 1):
            clock.now += seconds
            progress.advance(step, 2.5)
    return file.getvalue().splitlines()


def test_the_first_step_tells_steps_loss_and_time_left(clock: Clock) -> None:
    assert told(clock, 280, 3.0)[0] == "step 1 of 280: training loss 2.5000, 13 min 57 s left"


def test_a_run_that_goes_on_counts_the_time_from_where_it_is(clock: Clock) -> None:
    assert told(clock, 110, 2.0, first=100)[0] == "step 101 of 110: training loss 2.5000, 18 s left"


@pytest.mark.parametrize(("steps", "seconds"), [(40, 0.5), (280, 3.0), (100_000, 0.2), (3, 900.0)])
def test_lines_come_now_and_then(clock: Clock, steps: int, seconds: float) -> None:
    lines = told(clock, steps, seconds)
    assert 1 <= len(lines) <= min(101, 1 + steps * seconds / 10)


def test_a_terminal_shows_a_bar_with_the_same_figures(clock: Clock) -> None:
    file = io.StringIO()
    with TrainingProgress(Console(file=file, width=120, force_terminal=True), 40) as progress:
        progress.start(0)
        clock.now += 1.0
        progress.advance(1, 2.5)
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", file.getvalue())
    assert re.search(r"training .* 1/40 loss 2.5000, 39 s left", shown)
    assert "step 1 of" not in shown


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (187_200, "2 d 04 h"),
    ],
)
def test_a_time_is_written_in_its_two_largest_units(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected


def test_a_summary_tells_of_the_weights_that_are_kept() -> None:
    lines = [
        {"step": 0, "loss_mean": 3.0},
        {"step": 10, "loss_mean": 1.0},
        {"step": 20, "loss_mean": 2.0},
    ]
    start = "validation loss 3.0000 before training, "
    assert loss_summary(lines, best=False) == start + "2.0000 after 20 steps"
    assert loss_summary(lines, best=True) == start + "1.0000 after 10 steps"
    assert loss_summary([], best=True) == ""
