"""Run a study: pretrain the cells of a grid, read their checkpoints, fine-tune small networks.

    OUT/settings.json                  the grid and the digests of its tables
    OUT/cells.json                     the names of all cells, for `crystext study show`
    OUT/targets.npz                    targets of the pretraining records, computed once
    OUT/cells/NAME/                    an ordinary training run, and the rows of the cell (cell_run)
    OUT/runs.jsonl, losses.jsonl       rows of all complete cells, for `crystext study report`
    OUT/generation.jsonl               the same of what they write, if the grid has them write

Any number of processes share a folder: each cell has a lock. A cell that is killed has no rows; it
goes on from its last checkpoint, and on one CPU its rows are those of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from rich.console import Console

from crystext.errors import InUseError
from crystext.runtime.files import write_json, write_npz, write_text
from crystext.runtime.run_folder import RunFolder
from crystext.study.cell_run import run_cell
from crystext.study.cells import GridCell, cell_name, chosen_cells
from crystext.study.grid import Grid
from crystext.study.grid_checks import check_grid
from crystext.study.study_records import table_digest
from crystext.study.tables import GENERATION, LOSSES, RUNS
from crystext.study.targets import TargetTable, compute_targets

CELLS, CELLS_FILE = "cells", "cells.json"
CELL_LOCK = "study.lock"


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
    folder = RunFolder(out, "a study")
    folder.check_contents()
    settings = _settings(grid, data)
    folder.check_settings(settings)
    with folder.writing():
        (out / CELLS).mkdir(parents=True, exist_ok=True)
    folder.write_settings(settings)
    folder.check_settings(settings)
    records = [*plan.records.train.records, *plan.records.validation.records]
    targets = None if grid.objective.targets == "texts" else _targets(grid, records, out)
    names = [cell_name(i, cell) for i, cell in enumerate(plan.cells)]
    write_json(out / CELLS_FILE, names, shared=True)

    def run_one(name: str) -> None:
        console.print(f"cell {name}")
        run_cell(out / CELLS / name, cells[name], grid, plan.records, targets, console)

    n_run = 1
    while n_run:
        # Cells of a process that was killed in the meantime are free again.
        n_run = sum(_try_cell(out, name, run_one, plan.cells, console) for name in cells)
    collect_rows(out, plan.cells)
    return missing_cells(out, plan.cells)


def _try_cell(
    out: Path,
    name: str,
    run_one: Callable[[str], None],
    cells: Sequence[GridCell],
    console: Console,
) -> bool:
    """Run a cell unless it is complete or another process runs it; return whether it was run."""
    if is_complete(out, name):
        return False
    try:
        with RunFolder(out / CELLS / name, "a training run", lock_file=CELL_LOCK).locked():
            # Another process may have completed it in the meantime.
            if is_complete(out, name):
                return False
            run_one(name)
    except InUseError:
        console.print(f"cell {name} is run by another process")
        return False
    collect_rows(out, cells)
    return True


def missing_cells(out: Path, cells: Sequence[GridCell]) -> list[str]:
    """Return the names of the cells without rows."""
    names = [cell_name(i, cell) for i, cell in enumerate(cells)]
    return [name for name in names if not is_complete(out, name)]


def collect_rows(out: Path, cells: Sequence[GridCell]) -> None:
    """Write the rows of all complete cells, in the order of the grid."""
    with FileLock(out / "rows.lock"):
        names = [cell_name(i, cell) for i, cell in enumerate(cells)]
        done = [out / CELLS / name for name in names if is_complete(out, name)]
        for table in (LOSSES, GENERATION, RUNS):
            paths = [x / f"{table}.jsonl" for x in done]
            texts = [path.read_text(encoding="utf-8") for path in paths if path.exists()]
            if texts:
                write_text(out / f"{table}.jsonl", "".join(texts))


def is_complete(out: Path, name: str) -> bool:
    """Return whether a cell has its rows, which are written last."""
    return (out / CELLS / name / f"{RUNS}.jsonl").exists()


def _settings(grid: Grid, data: Path) -> dict[str, Any]:
    tables = sorted({*grid.data.tables, *(task.table for task in grid.tasks.values())})
    digests = {name: table_digest(data, name) for name in tables}
    return {"grid": grid.model_dump(mode="json"), "tables": digests}


def _targets(grid: Grid, records: Sequence[Any], out: Path) -> TargetTable:
    """Return the targets of records; the first process computes them for all."""
    path = out / "targets.npz"
    with FileLock(out / "targets.lock"):
        if path.exists():
            with np.load(path, allow_pickle=False) as saved:
                return TargetTable(
                    tuple(saved["names"].tolist()),
                    saved["values"],
                    tuple(saved["classes"].tolist()),
                )
        table = compute_targets(grid.objective, records)
        write_npz(
            path,
            names=np.array(table.names),
            values=table.values_NT,
            classes=np.array(table.classes),
        )
    return table
