"""Progress of drawing, on standard error."""

from __future__ import annotations

import typer


class Bar:
    """Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, whole: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.whole, self.crystals, self._start = whole, 0, (0, 0.0)
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("drawing"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}, {task.fields[note]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("drawing", total=whole, note="loading the model")
        self._said = 0.0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, done: int, crystals: int) -> None:
        """Take the numbers of attempts and of crystals on disk."""
        import time

        self.crystals, now = crystals, time.monotonic()
        if not self._start[1]:
            self._start, self._said = (done, now), now
        rate = (done - self._start[0]) / max(now - self._start[1], 1e-9)
        note = f"{rate:.0f}/s, {crystals / max(done, 1):.2%} crystals"
        if done == self._start[0]:
            note = "loading the model"
        self._progress.update(self._task, completed=done, note=note)
        if not self._console.is_terminal and now - self._said > 10:
            self._said = now
            typer.echo(f"{done}/{self.whole}, {note}", err=True)
