"""Progress of drawing, on standard error."""

from __future__ import annotations

import typer


class SamplingProgress:
    """Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.total, self.crystals, self._start = total, 0, (0, 0.0)
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("drawing"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}, {task.fields[note]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("drawing", total=total, note="loading the model")
        self._last_line_s = 0.0

    def __enter__(self) -> SamplingProgress:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def update(self, done: int, crystals: int) -> None:
        """Take the numbers of attempts and of crystals on disk."""
        import time

        self.crystals, now = crystals, time.monotonic()
        if not self._start[1]:
            self._start, self._last_line_s = (done, now), now
        rate = (done - self._start[0]) / max(now - self._start[1], 1e-9)
        note = f"{rate:.0f}/s, {crystals / max(done, 1):.2%} crystals"
        if done == self._start[0]:
            note = "loading the model"
        self._progress.update(self._task, completed=done, note=note)
        if not self._console.is_terminal and now - self._last_line_s > 10:
            self._last_line_s = now
            typer.echo(f"{done}/{self.total}, {note}", err=True)
