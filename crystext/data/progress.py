"""Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_INTERVAL_S = 30.0
"""Between two lines, where standard error is no terminal."""

StartProgress = Callable[[str, int | None], Callable[..., object]]
"""Begins a stage of so many steps, if that is known; what it returns is told of steps done."""


@contextmanager
def progress_bars(enabled: bool) -> Iterator[StartProgress]:
    """Yield what begins a bar; nothing is printed unless `enabled`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    terminal = enabled and console.is_terminal
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console, disable=not terminal, transient=True,
    )  # fmt: skip

    def begin(name: str, total: int | None) -> Callable[..., object]:
        task = bars.add_task(name, total=total)
        done, last = 0, time.monotonic()

        def advance(steps: int = 1) -> None:
            nonlocal done, last
            done += steps
            bars.advance(task, steps)
            if enabled and not terminal and time.monotonic() - last > LINE_INTERVAL_S:
                last = time.monotonic()
                of = f" of about {total:,}" if total else ""
                console.print(f"{name}: {done:,}{of}", highlight=False)

        return advance

    with bars:
        yield begin
