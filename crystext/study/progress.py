"""The progress of a study: which cells are complete, run, or have stopped, and what to do next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from filelock import FileLock, Timeout

from crystext.errors import InputError
from crystext.runtime.run_folder import RunFolder
from crystext.runtime.schema import read_yaml
from crystext.runtime.wording import format_count
from crystext.study.run import CELL_LOCK, CELLS, CELLS_FILE, is_complete
from crystext.training.log import TrainingLog

CellState = Literal["complete", "running", "stopped", "waiting"]
"""stopped: begun, and neither complete nor held by a process."""

CELL_STATES: tuple[CellState, ...] = get_args(CellState)


class CellProgress(NamedTuple):
    """Where a cell is."""

    name: str
    state: CellState
    step: int
    steps: int | None
    """Of its pretraining; None before it has begun."""
    loss: float | None
    """The last of validation."""


def study_progress(out: Path) -> list[CellProgress]:
    """Return where the cells of a study are, in the order of the grid.

    Raises:
        InputError: the folder holds no study of `crystext study run`.
        RunError: a file of it is damaged.
    """
    path = out / CELLS_FILE
    if RunFolder(out, "a study").settings() is None or not path.is_file():
        raise InputError(
            f"{out} holds no study; expected the --out of crystext study run, which writes "
            f"{CELLS_FILE}"
        )
    names: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return [_cell_progress(out, name) for name in names]


def next_step(out: Path, cells: list[CellProgress]) -> str:
    """Return a sentence on what to do next."""
    missing = [cell for cell in cells if cell.state != "complete"]
    if not missing:
        return f"all cells are complete: crystext study report {out}"
    left = f"{format_count(len(missing), 'cell')} left"
    if any(cell.state == "running" for cell in missing):
        return f"{left}; the processes that run go on to the others"
    return (
        f"{left}, and no process runs: give the command crystext study run again, with --out "
        f"{out}; it goes on where the cells stopped"
    )


def _cell_progress(out: Path, name: str) -> CellProgress:
    folder = out / CELLS / name
    if not folder.is_dir():
        return CellProgress(name, "waiting", 0, None, None)
    recipe, lines = folder / "recipe.yaml", TrainingLog(folder / "log.jsonl").read()
    steps = None
    if recipe.is_file() and isinstance(document := read_yaml(recipe), dict):
        steps = document.get("optim", {}).get("steps")
    losses = [line["loss_mean"] for line in lines if "loss_mean" in line]
    step = max((int(line["step"]) for line in lines), default=0)
    state: CellState = "complete" if is_complete(out, name) else "stopped"
    if state == "stopped" and _is_held(folder / CELL_LOCK):
        state = "running"
    return CellProgress(name, state, step, steps, losses[-1] if losses else None)


def _is_held(path: Path) -> bool:
    """Return whether a process holds a lock; it is free again at once if none does."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
