"""Progress of an evaluation's stages, on standard error."""

from __future__ import annotations

import time
from typing import Self

import typer


class EvaluationProgress:
    """A bar a stage on a terminal; a line now and then elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        self._on_terminal = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, object] = {}
        self._last_line_s = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def update(self, title: str, done: int, total: int) -> None:
        """Take how much of a stage is done."""
        if title not in self._tasks:
            self._tasks[title] = self._progress.add_task(title, total=total)
        self._progress.update(self._tasks[title], completed=done, total=total)  # type: ignore[arg-type]
        now = time.monotonic()
        if not self._on_terminal and now - self._last_line_s > 10:
            self._last_line_s = now
            typer.echo(f"{title}: {done}/{total}", err=True)
