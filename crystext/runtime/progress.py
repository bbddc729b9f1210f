"""Progress of long work: a bar on a terminal or in a notebook, occasional lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

_Item = TypeVar("_Item")

LINE_INTERVAL_S = 10.0
"""Minimum time between two lines."""
_MAX_LINES = 100
"""Maximum number of lines per task."""

StartProgress = Callable[[str, int | None], Callable[..., object]]
"""Begins a task of so many steps, None if unknown; returns a function to report steps done."""


class Progress:
    """Shows the progress of tasks on standard error; a context manager."""

    def __init__(
        self,
        *,
        bar: bool | None = None,
        lines: bool = True,
        console: Console | None = None,
        transient: bool = True,
        time_left: bool = True,
    ) -> None:
        """Prepare; nothing is shown before a task begins.

        Args:
            bar: whether to show a bar for each task; None shows it on a terminal or in a notebook.
                A notebook without ipywidgets, which rich needs for bars, gets lines instead.
            lines: whether to print occasional lines if there is no bar.
            console: where to print; None is standard error.
            transient: whether the bars are removed at the end.
            time_left: whether a bar ends with an estimate of the time left.
        """
        from rich import progress
        from rich.console import Console

        self.console = Console(stderr=True) if console is None else console
        if bar is None:
            bar = self.console.is_terminal or self.console.is_jupyter
        if bar and self.console.is_jupyter and find_spec("ipywidgets") is None:
            bar, lines = False, True
        bar = bar and not self.console.quiet
        self._lines = lines and not bar
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[note]}", markup=False),
            *([progress.TimeRemainingColumn()] if time_left else []),
            console=self.console,
            disable=not bar,
            transient=transient,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last_lines: dict[str, tuple[float, int]] = {}

    def __enter__(self) -> Self:
        if not self._bars.disable:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        # Before version 15, rich ends bars that are not shown with an empty line.
        if not self._bars.disable:
            self._bars.stop()

    def update(
        self,
        name: str,
        done: int,
        total: int | None,
        note: str = "",
        line: str | None = None,
        *,
        due: bool | None = None,
    ) -> None:
        """Show the progress of a task.

        Args:
            name: name of the task; its first update begins it.
            done: number of steps done.
            total: total number of steps, if known.
            note: shown after the bar, and in the line.
            line: printed in place of `NAME: DONE of TOTAL, NOTE`.
            due: whether to print a line; None limits the lines per minute and per task.
        """
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, note=note)
            self._last_lines[name] = time.monotonic(), done
        self._bars.update(self._tasks[name], completed=done, total=total, note=note)
        due = self._is_line_due(name, done, total) if due is None else due
        if self._lines and due:
            self._last_lines[name] = time.monotonic(), done
            of = f" of {total:,}" if total else ""
            self.print_line(line or f"{name}: {done:,}{of}{', ' if note else ''}{note}")

    def _is_line_due(self, name: str, done: int, total: int | None) -> bool:
        then, before = self._last_lines[name]
        enough = (total or 0) / _MAX_LINES
        return time.monotonic() - then >= LINE_INTERVAL_S and done - before >= enough

    def begin(self, name: str, total: int | None) -> Callable[..., object]:
        """Begin a task; return a function to call per step, or with the number of steps done."""
        done = 0

        def advance(steps: int = 1) -> None:
            nonlocal done
            done += steps
            self.update(name, done, total)

        self.update(name, 0, total)
        return advance

    def print_line(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def progress_bar(
    description: str, total: int, show: bool | None
) -> Iterator[Callable[[int], None]]:
    """Show one bar; yield a function that takes the number of steps done.

    Args:
        description: shown before the bar.
        total: total number of steps.
        show: see `Progress`.
    """
    with Progress(bar=show, lines=False) as bars:
        bars.update(description, 0, total)
        yield lambda done: bars.update(description, done, total)


def iter_with_progress(
    items: Iterable[_Item], description: str, total: int, show: bool | None
) -> Iterator[_Item]:
    """Yield items under a bar; see `progress_bar`."""
    with progress_bar(description, total, show) as report:
        for done, item in enumerate(items, start=1):
            yield item
            report(done)
