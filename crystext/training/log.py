"""What a run tells of itself: log.jsonl, trackers, a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from crystext.errors import SettingError


class Log:
    """`log.jsonl`: one line of figures each, with the step they belong to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line."""
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": step, **values}) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Return the lines, without one that a kill tore."""
        if not self.path.exists():
            return []
        lines = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                values = json.loads(line)
                values["step"] + 0
            except (ValueError, TypeError, KeyError):
                continue
            lines.append(values)
        return lines

    def cut(self, step: int) -> None:
        """Drop what was logged behind a step."""
        if not self.path.exists():
            return
        kept = "".join(json.dumps(line) + "\n" for line in self.read() if line["step"] <= step)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text(kept, encoding="utf-8")
        partial.replace(self.path)


class Teller:
    """Tells a person how far a run is: a bar on a terminal, lines elsewhere."""

    def __init__(self, console: Console, steps: int) -> None:
        self.console, self.steps = console, steps
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        """Show the bar, on a terminal."""
        if self.console.is_terminal and not self.console.quiet:
            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=self.console,
            )
            self._task = self._bar.add_task("", total=self.steps)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def advance(self, step: int, loss: float) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=f"loss {loss:.4f}")

    def line(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers whose packages are not installed.

    Raises:
        SettingError: with all of them.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingError(
            f"trackers: {', '.join(missing)} not installed; run `pip install {' '.join(missing)}` "
            "(or `crystext[trackers]`), or take out of the recipe what is not wanted"
        )
