"""Progress of long work, where nobody looks and on a terminal."""

from __future__ import annotations

import io
import warnings
from importlib.util import find_spec

import pytest
from rich.console import Console

from crystext.runtime import progress
from crystext.runtime.progress import Progress


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=100), out


def test_lines_are_neither_many_in_a_minute_nor_many_in_a_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    shown, out = console(terminal=False)
    with Progress(console=shown) as bars:
        for done in range(2001):
            now = done
            bars.update("relaxing", done, 2000, "slow")
    lines = out.getvalue().splitlines()
    assert lines[0] == "relaxing: 20 of 2,000, slow"
    assert len(lines) == 100


def test_a_bar_takes_the_place_of_lines_on_a_terminal() -> None:
    shown, out = console(terminal=True)
    with Progress(console=shown, transient=False) as bars:
        advance = bars.begin("reading", 4)
        advance()
        advance(3)
    assert "reading" in out.getvalue()
    assert "4/4" in out.getvalue()


def test_nothing_is_shown_where_nothing_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.0)
    for terminal in (False, True):
        shown, out = console(terminal)
        with Progress(console=shown, bar=False, lines=False) as bars:
            bars.begin("reading", 2)(2)
        assert out.getvalue() == ""


@pytest.mark.skipif(find_spec("ipywidgets") is not None, reason="bars work with ipywidgets")
def test_a_notebook_without_widgets_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich's bars need ipywidgets there, and warn at every refresh where they are missing."""
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.0)
    # It prints as HTML there, which IPython displays.
    shown = Console(force_jupyter=True, width=100)
    with warnings.catch_warnings(), shown.capture() as printed:
        warnings.simplefilter("error")
        with Progress(bar=True, lines=False, console=shown) as bars:
            bars.begin("reading", 2)(2)
    assert "reading: 2 of 2" in printed.get()
