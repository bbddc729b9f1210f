"""Run a study: pretrain the cells of a grid, read their checkpoints, fine-tune small networks.

    OUT/settings.json                  the grid and the digests of its tables
    OUT/targets.npz                    targets of the pretraining records, computed once
    OUT/cells/NAME/                    an ordinary training run
    OUT/cells/NAME/outputs/TASK.npz    what its networks say to the records of a task
    OUT/cells/NAME/runs.jsonl          rows of a cell that is complete
    OUT/runs.jsonl, losses.jsonl       rows of all complete cells, for `crystext study report`

Any number of processes share a folder: each cell has a lock. A cell that is killed has no rows; it
goes on from its last checkpoint, and on one CPU its rows are those of an uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from rich.console import Console

from crystext.errors import InUseError, RunError, SettingError
from crystext.inference.pooled_states import StateReader
from crystext.runtime.files import file_digest, write_npz, write_text
from crystext.runtime.run_folder import RunFolder
from crystext.study.cell_recipe import cell_data, cell_recipe, steps_per_epoch
from crystext.study.grid import Grid, GridCell, TaskSpec
from crystext.study.grid_checks import check_grid
from crystext.study.study_records import (
    PretrainingRecords,
    pretraining_pool,
    pretraining_records,
    with_crystals,
)
from crystext.study.tables import LOSSES, RUNS
from crystext.study.targets import TargetTable, compute_targets
from crystext.study.task_splits import TaskRecords, read_task
from crystext.training.frozen_finetuning import (
    FrozenFinetuningSettings,
    Labelled,
    finetune_on_frozen,
)
from crystext.training.trainer import MODELS_FOLDER, Trainer

CELLS = "cells"
_CELL_LOCK = "study.lock"
_METRICS = {"number": ("rmse", "RMSE", False), "boolean": ("roc_auc", "ROC AUC", True)}


@dataclass(frozen=True)
class _Inputs:
    """What all cells of a study share."""

    grid: Grid
    records: PretrainingRecords
    targets: TargetTable
    tasks: Mapping[str, TaskRecords]


def cell_name(index: int, cell: GridCell) -> str:
    """Return the name of a cell: its number from 1, and its levels."""
    levels = (cell.architecture, cell.size, cell.data, cell.text, cell.tokenizer)
    return f"{index + 1:03}-" + "-".join(levels) + f"-seed{cell.seed}"


def chosen_cells(cells: Sequence[GridCell], part: str | None) -> dict[str, GridCell]:
    """Return the cells of a part `I/K` by name: every K-th from the I-th; None is all.

    Raises:
        SettingError: it is no such part.
    """
    first, _, every = (part or "1/1").partition("/")
    if not (first.isdecimal() and every.isdecimal() and 1 <= int(first) <= int(every)):
        raise SettingError(f"--cells {part}: expected I/K, such as 1/2 and 2/2 for two machines")
    return {
        cell_name(i, cell): cell for i, cell in enumerate(cells) if i % int(every) == int(first) - 1
    }


def run_study(
    grid: Grid, data: Path, out: Path, *, part: str | None = None, console: Console | None = None
) -> list[str]:
    """Run the cells of a grid that are not complete; return the names of those still missing.

    Args:
        grid: of any design.
        data: folder of its tables.
        out: folder of the study; several processes may share it.
        part: see `chosen_cells`.
        console: for progress; None is quiet.

    Raises:
        SettingError: the grid has faults; nothing is trained.
        RunError: the folder holds the study of another grid or other tables.
    """
    console = console or Console(quiet=True)
    plan = check_grid(grid, data)
    cells = chosen_cells(plan.cells, part)
    if not grid.fine_tuning.frozen:
        raise SettingError(
            "fine_tuning.frozen is false, and `crystext study run` fine-tunes on frozen networks "
            "alone; give frozen: true, or train each task from cells/NAME/model with `crystext "
            "train`"
        )
    folder = RunFolder(out, "a study")
    folder.check_contents()
    settings = _settings(grid, data)
    folder.check_settings(settings)
    with folder.writing():
        (out / CELLS).mkdir(parents=True, exist_ok=True)
    folder.write_settings(settings)
    folder.check_settings(settings)
    inputs = _read_inputs(grid, data, out)
    for name, cell in cells.items():
        if _is_complete(out, name):
            continue
        try:
            with RunFolder(out / CELLS / name, "a training run", lock_file=_CELL_LOCK).locked():
                # Another process may have completed it in the meantime.
                if not _is_complete(out, name):
                    console.print(f"cell {name}")
                    _run_cell(out / CELLS / name, name, cell, inputs, console)
        except InUseError:
            console.print(f"cell {name} is run by another process")
            continue
        collect_rows(out, plan.cells)
    collect_rows(out, plan.cells)
    return missing_cells(out, plan.cells)


def missing_cells(out: Path, cells: Sequence[GridCell]) -> list[str]:
    """Return the names of the cells without rows."""
    names = [cell_name(i, cell) for i, cell in enumerate(cells)]
    return [name for name in names if not _is_complete(out, name)]


def collect_rows(out: Path, cells: Sequence[GridCell]) -> None:
    """Write the rows of all complete cells, in the order of the grid."""
    with FileLock(out / "rows.lock"):
        names = [cell_name(i, cell) for i, cell in enumerate(cells)]
        done = [out / CELLS / name for name in names if _is_complete(out, name)]
        for table in (LOSSES, RUNS):
            if done:
                texts = [(x / f"{table}.jsonl").read_text(encoding="utf-8") for x in done]
                write_text(out / f"{table}.jsonl", "".join(texts))


def _is_complete(out: Path, name: str) -> bool:
    return (out / CELLS / name / f"{RUNS}.jsonl").exists()


def _settings(grid: Grid, data: Path) -> dict[str, Any]:
    tables = sorted({*grid.data.tables, *(task.table for task in grid.tasks.values())})
    digests = {name: file_digest(data / name) for name in tables if (data / name).is_file()}
    return {"grid": grid.model_dump(mode="json"), "tables": digests}


def _read_inputs(grid: Grid, data: Path, out: Path) -> _Inputs:
    records = pretraining_records(grid, pretraining_pool(grid, data))
    tasks = {name: read_task(name, spec, data) for name, spec in grid.tasks.items()}
    path = out / "targets.npz"
    with FileLock(out / "targets.lock"):
        if path.exists():
            with np.load(path, allow_pickle=False) as saved:
                table = TargetTable(
                    tuple(saved["names"].tolist()),
                    saved["values"],
                    tuple(saved["classes"].tolist()),
                )
        else:
            table = compute_targets(grid.objective, [*records.train, *records.validation])
            write_npz(
                path,
                names=np.array(table.names),
                values=table.values_NT,
                classes=np.array(table.classes),
            )
    return _Inputs(grid, records, table, tasks)


def _run_cell(folder: Path, name: str, cell: GridCell, inputs: _Inputs, console: Console) -> None:
    """Pretrain a cell, read its checkpoints, fine-tune, and write its rows, the runs last."""
    grid = inputs.grid
    data = cell_data(cell, inputs.records.train, inputs.records.validation, inputs.targets)
    trainer = Trainer(cell_recipe(grid, cell, data.targets), folder, data)
    trainer.run(console)
    epoch = steps_per_epoch(grid, cell)
    losses = [
        {"cell": name, "part": part, "epoch": line["step"] / epoch, "loss": line[key]}
        for line in trainer.log.read()
        for part, key in (("validation", "loss_mean"), ("train", "train_loss"))
        if key in line
    ]
    _write_rows(folder / f"{LOSSES}.jsonl", losses)
    rows = []
    for task, records in inputs.tasks.items():
        outputs_ENT = _outputs(folder, task, records, cell, grid)
        for i, outputs_NT in enumerate(outputs_ENT):
            told = {
                **cell.labels, "cell": name, "seed": cell.seed, "parameters": cell.parameters,
                "task": task, "pretraining_epoch": i + 1,
            }  # fmt: skip
            rows += [told | row for row in _fine_tune(grid, grid.tasks[task], records, outputs_NT)]
    _write_rows(folder / f"{RUNS}.jsonl", rows)


def _outputs(
    folder: Path, task: str, records: TaskRecords, cell: GridCell, grid: Grid
) -> np.ndarray[Any, Any]:
    """Return what the network of each epoch says to a task's records, (E, N, T); made once."""
    path = folder / "outputs" / f"{task}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as saved:
            return np.asarray(saved["outputs"])
    found = []
    crystals = with_crystals(records.table.records)
    epoch = steps_per_epoch(grid, cell)
    for i in range(grid.pretraining.epochs):
        model = folder / MODELS_FOLDER / f"step-{(i + 1) * epoch:07}"
        states = StateReader(model, inputs=[cell.text]).read(crystals)
        found.append(states.outputs if grid.fine_tuning.reads == "targets" else states.pooled)
    if not np.isfinite(found[-1]).any():
        raise RunError(f"no record of the task {task} has the text {cell.text}")
    path.parent.mkdir(exist_ok=True)
    write_npz(path, outputs=np.stack(found))
    return np.stack(found)


def _fine_tune(
    grid: Grid, spec: TaskSpec, records: TaskRecords, outputs_NT: np.ndarray[Any, Any]
) -> list[dict[str, Any]]:
    given = grid.fine_tuning
    train, validation, test = (
        Labelled(outputs_NT[part], records.values[part]) for part in records.split
    )
    done = finetune_on_frozen(
        train,
        validation,
        test,
        spec.kind,
        seeds=range(given.repeats),
        settings=FrozenFinetuningSettings(
            hidden=tuple(given.hidden),
            epochs=given.epochs,
            learning_rate=given.learning_rate,
            batch_records=given.batch_records,
        ),
    )
    key, title, higher = _METRICS[spec.kind]
    return [
        {
            "repeat": repeat, "epoch": epoch + 1,
            "loss": _number(done.validation_loss_S_E[repeat, epoch]),
            "metric": _number(done.test_S_E[key][repeat, epoch]),
            "metric_name": title, "higher_is_better": higher,
        }
        for repeat in range(given.repeats)
        for epoch in range(given.epochs)
    ]  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
