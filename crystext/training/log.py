"""The log of a run: log.jsonl, trackers, a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from crystext.errors import SettingError
from crystext.runtime.files import explain_os_errors, write_text
from crystext.runtime.progress import Progress
from crystext.training.recipe import Recipe

RECIPE_FILE = "recipe.yaml"
"""Of a run: its recipe, with all defaults filled in."""

_TIMED_STEPS = 50
"""Number of steps from which the remaining time is estimated."""

_SHOWN_SCORES = 12
"""Metrics of an evaluation that are shown; the log has all."""


class TrainingLog:
    """`log.jsonl`: one line of metrics per entry, with its step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line.

        Raises:
            RunError: the disk is full, or writing fails otherwise.
        """
        remedy = "free some space and run the same command again, or give another --out"
        with (
            explain_os_errors(self.path, if_full=remedy),
            self.path.open("a", encoding="utf-8") as log,
        ):
            log.write(json.dumps({"step": step, **values}) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Return the lines, without an incomplete one after a kill."""
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

    def truncate_after(self, step: int) -> None:
        """Drop the lines after a step."""
        if not self.path.exists():
            return
        kept = "".join(json.dumps(line) + "\n" for line in self.read() if line["step"] <= step)
        write_text(self.path, kept)


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe with all defaults filled in, completely or not at all."""
    write_text(path, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))


class TrainingProgress(Progress):
    """Shows the progress of a run: a bar on a terminal, lines elsewhere.

    Both show the step, the steps in total, the loss and the time left, from the first step on.
    """

    def __init__(self, console: Console, steps: int) -> None:
        super().__init__(console=console, lines=not console.quiet, transient=False, time_left=False)
        self.steps = steps
        self._recent: deque[tuple[float, int]] = deque(maxlen=_TIMED_STEPS)

    def start(self, step: int) -> None:
        """Record the start time of the next step."""
        self._recent.append((time.monotonic(), step))
        self.update("training", step, self.steps, "first step", due=False)

    def advance(self, step: int, loss: float) -> None:
        """Show the progress in the bar, or in a line from time to time."""
        now = time.monotonic()
        first, since = self._recent[0]
        left = format_duration((self.steps - step) * (now - first) / (step - since))
        self.update(
            "training",
            step,
            self.steps,
            f"loss {loss:.4f}, {left} left",
            f"step {step:,} of {self.steps:,}: training loss {loss:.4f}, {left} left",
            due=True if len(self._recent) == 1 else None,
        )
        self._recent.append((now, step))


def format_duration(seconds: float) -> str:
    """Return a readable duration: `8 s`, `4 min 10 s`, `3 h 05 min`, `2 d 04 h`."""
    whole = max(0, round(seconds))
    for unit, part, size, width in (
        ("d", "h", 3600, 24),
        ("h", "min", 60, 60),
        ("min", "s", 1, 60),
    ):
        if whole >= size * width:
            return f"{whole // (size * width)} {unit} {whole // size % width:02} {part}"
    return f"{whole} s"


def format_scores(scores: Mapping[str, float]) -> str:
    """Return the metrics of an evaluation as a line, the mean loss first."""
    rest = [
        f"{name.removeprefix('loss_')} {score:.4f}"
        for name, score in scores.items()
        if name != "loss_mean"
    ]
    if len(rest) > _SHOWN_SCORES:
        rest[_SHOWN_SCORES:] = [f"{len(rest) - _SHOWN_SCORES} more in log.jsonl"]
    return f"validation loss {scores['loss_mean']:.4f} ({', '.join(rest)})"


def loss_summary(lines: Sequence[Mapping[str, Any]], *, best: bool) -> str:
    """Return a sentence on the losses of a run.

    Args:
        lines: lines of its log. Missing values are left out: a run started by an earlier version
            has no losses before the first step.
        best: whether the weights with the minimum validation loss are kept instead of the last
            ones.
    """
    scored = [line for line in lines if "loss_mean" in line]
    parts = [f"{x['loss_mean']:.4f} before training" for x in scored if x["step"] == 0][:1]
    if after := [line for line in scored if line["step"] > 0]:
        kept = min(after, key=lambda line: float(line["loss_mean"])) if best else after[-1]
        parts.append(f"{kept['loss_mean']:.4f} after {kept['step']:,} steps")
    told = [f"validation loss {', '.join(parts)}"] if parts else []
    trained = [line["train_loss"] for line in lines if "train_loss" in line]
    mean = "mean of the steps since the last line of log.jsonl"
    return "; ".join(told + [f"training loss {loss:.4f} ({mean})" for loss in trained[-1:]])


def check_trackers(names: Sequence[str]) -> None:
    """Reject trackers whose packages are not installed.

    Raises:
        SettingError: listing all of them.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingError(
            f"trackers: {', '.join(missing)} not installed; run `pip install {' '.join(missing)}` "
            "(or `crystext[trackers]`), or remove them from the recipe"
        )


def perplexity_summary(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on the perplexity of each validation text before and after a run.

    A perplexity is exp(mean loss per token); one that rises is of what the model forgets.

    Args:
        lines: lines of its log, see `loss_summary`.
    """
    scored = [line for line in lines if "loss_mean" in line]
    names = [x for x in scored[-1] if x.startswith("loss_") and x != "loss_mean"] if scored else []
    first, last = (scored[0], scored[-1]) if scored else ({}, {})
    parts = [
        f"{name.removeprefix('loss_')} {math.exp(first[name]):.4g} -> {math.exp(last[name]):.4g}"
        for name in names
        if name in first
    ]
    return f"perplexity: {', '.join(parts)}" if parts else ""
