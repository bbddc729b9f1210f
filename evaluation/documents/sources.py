"""Where figures in documents come from, result files and published rows, and how they look.

A figure is a function that returns Markdown, registered under the name that documents give in a
marker; `evaluation.update_figures` writes what it returns between the marker and the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from crystext.evaluate.report import read_report
from evaluation.result_file import INDEPENDENT, RESULTS, ROOT, current_results

Json = dict[str, Any]

FIGURES: dict[str, Callable[[], str]] = {}
"""All figures, by name."""

TRAINING_LOGS = ROOT / "evaluation" / "shipped_model" / "training_logs"
REPORT = ROOT / "evaluation" / "reports" / "shipped" / "report.json"
PLAIN_WEIGHTS = RESULTS / "2026-11-20_weights-5e89e78"
"""Results of the last weights that knew the plain text alone."""


def figure(name: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Register a function under the name that documents use."""

    def register(function: Callable[[], str]) -> Callable[[], str]:
        assert name not in FIGURES, f"two figures are called {name}"
        FIGURES[name] = function
        return function

    return register


def read(path: Path) -> Json:
    """Read a result file."""
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def current(name: str) -> Json:
    """Read a result of the shipped weights, or else of the newest that have one (see `newest`)."""
    return read(newest(name))


def independent(name: str) -> Json:
    """Read a result in which no weights take part."""
    return read(INDEPENDENT / f"{name}.json")


def newest(name: str, suffix: str = ".json") -> Path:
    """Return the result of the shipped weights, or else of the newest weights that have one."""
    folders = [current_results(), *sorted(RESULTS.glob("*_weights-*"), reverse=True)]
    return next(path for folder in folders if (path := folder / f"{name}{suffix}").is_file())


def whose(path: Path) -> str:
    """Return of which weights a result is, as a sentence says it."""
    shipped = path.parent == current_results()
    digest = path.parent.name.rpartition("-")[2]
    return "the shipped model" if shipped else f"earlier weights ({digest})"


def report_values() -> dict[str, Json]:
    """Return the figures of the report on the shipped model, by `stage.name`."""
    report = read_report(REPORT)
    values: dict[str, Json] = {f"{x.stage}.{x.name}": x.model_dump() for x in report.metrics}
    for step in report.funnel:
        values[f"funnel.{step.name}"] = {**step.model_dump(), "value": step.proportion}
    return values


def published(file: str, system: str) -> Json:
    """Return a published row by its columns."""
    block = yaml.safe_load((ROOT / "evaluation/reference" / file).read_text(encoding="utf-8"))
    (row,) = [row for row in block["rows"] if row["system"] == system]
    found: Json = row["values"]
    return found


def losses(part: int, step: int) -> Json:
    """Return the validation losses of a part of the shipped training at a step."""
    lines = (TRAINING_LOGS / f"part{part:02d}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = map(json.loads, lines)
    # A part that was continued repeats steps; the last line counts.
    found: Json = [row for row in rows if row["step"] == step and "loss_unconditional" in row][-1]
    return found


def named(path: Path) -> str:
    """Return the path of a file as documents name it."""
    return f"`{path.relative_to(ROOT).as_posix()}`"


def made_by(path: Path, module: str) -> str:
    """Return the file of a figure and the command that makes it, in parentheses.

    Where it is not of the weights that ship, it says so.
    """
    earlier = path.parent not in (current_results(), INDEPENDENT)
    whose_weights = "; of earlier weights" if earlier else ""
    return f"({named(path)}, by `python -m evaluation.{module}`{whose_weights})"


def percent(value: float, digits: int = 1) -> str:
    """Return a proportion in percent; with two digits where one would round it to 100."""
    if value >= 1:
        return "100%"
    return f"{value:.{2 if value >= 0.9995 else digits}%}"


def interval(low: float, high: float) -> str:
    """Return the ends of an interval of proportions."""
    return f"{percent(low).removesuffix('%')} to {percent(high)}"


def of(row: Json, total: int) -> str:
    """Return a count as `200 of 200`, or the proportion where it is not of the same size."""
    count = row["count"]
    return f"{count:,} of {total:,}" if count == total else f"{percent(row['share'])} of {total:,}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [_row(header), "|" + "---|" * len(header), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell.strip()} " if cell.strip() else " " for cell in cells) + "|"
