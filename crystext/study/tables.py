"""Read a study: one row for every checkpoint of every fine-tuning.

    FOLDER/runs.parquet      or runs.jsonl or runs.csv: the rows, see `RunRow`
    FOLDER/losses.parquet    or losses.jsonl or losses.csv: pretraining losses, see `LossRow`; may
                             be missing

Every further column of the runs is a factor, such as architecture, size, data, text or tokenizer,
and holds the cell's level. The published layout of arXiv:2405.00949 is read as well: tables
`ft_version_N/ChemBart_Small_10m.csv`, one for each repeat and cell.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crystext.data.table_rows import open_table
from crystext.errors import InputError
from crystext.runtime.schema import setting_faults
from crystext.structures.crystal import Floats
from crystext.study.study_data import (
    Cell,
    Checkpoint,
    LayoutName,
    LossCurve,
    Study,
    StudyTask,
    ordered_levels,
)

RUNS, LOSSES, GENERATION = "runs", "losses", "generation"
"""Names of the tables, without their suffix."""

SUFFIXES = (".parquet", ".jsonl", ".csv")

_MAX_FAULTS = 10
"""Faults of a table that a message lists."""

_ARCHITECTURES = {"Bart": "BART", "Berta": "RoBERTa", "Llama": "LLaMA"}
_PUBLISHED_NAME = re.compile(r"Chem(Bart|Berta|Llama)_(Small|Medium|Large)_(\d+)m")
_PUBLISHED_METRICS = {"regression": ("RMSE", False), "classification": ("ROC AUC", True)}
_PUBLISHED_COLUMNS = (
    "model_mtr_name", "model_mtr_ep", "dataset_name", "dataset_type", "metric_1", "epoch", "loss",
)  # fmt: skip


class RunRow(BaseModel):
    """A checkpoint of a fine-tuning; every further column is a factor."""

    model_config = ConfigDict(extra="allow", frozen=True)

    cell: str = ""
    """Name of the pretraining. Without it, a cell is known by its factors and its seed."""
    seed: int = 0
    """Of the pretraining."""
    parameters: int | None = Field(None, gt=0)
    """Number of parameters of the pretrained model."""
    repeat: int = 0
    """Number of the fine-tuning, from several with other seeds."""
    task: str = Field(min_length=1)
    pretraining_epoch: float = 0.0
    epoch: float
    """Of fine-tuning."""
    loss: float | None
    """Validation loss, by which a checkpoint is selected; empty where it is not finite."""
    metric: float | None
    """Of the test records."""
    metric_name: str = "metric"
    higher_is_better: bool


class LossRow(BaseModel):
    """A pretraining loss of a cell; of several seeds, `cell` tells which."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cell: str = Field(min_length=1)
    part: str = "validation"
    """`train` or `validation`; or, of targets of crystals, the mean error of those that stand in
    the text and of the others, in units of the error of always saying the mean."""
    epoch: float
    loss: float | None


_Row = TypeVar("_Row", bound=BaseModel)


def read_study(source: Path) -> Study:
    """Read a study, in our layout or in the published one.

    Args:
        source: a folder, or the table of runs itself.

    Raises:
        InputError: there is no study, or its rows have faults; the message lists them.
    """
    tables = [source] if source.is_file() else _named_tables(source, RUNS)
    if len(tables) > 1:
        names = " and ".join(path.name for path in tables)
        raise InputError(f"{source} has {names}; expected one table of runs")
    if tables:
        rows = _checked(tables[0], _table(tables[0]), RunRow)
        curves = _read_losses(tables[0].parent)
        return build_study(rows, str(source), "crystext", curves)
    published = sorted(source.rglob("ft_version_*/*.csv")) if source.is_dir() else []
    if not published:
        raise InputError(
            f"{source} holds no study; expected a table runs.parquet, runs.jsonl or runs.csv, or "
            "the published folders ft_version_0, ft_version_1, ... with their tables"
        )
    rows = [row for path in published for row in _checked(path, _published_rows(path), RunRow)]
    return build_study(rows, str(source), "published")


def build_study(
    rows: Sequence[RunRow],
    source: str,
    layout: LayoutName = "crystext",
    pretraining_losses: Sequence[LossCurve] = (),
) -> Study:
    """Return the study of some rows.

    Raises:
        InputError: there are none, or rows contradict each other.
    """
    if not rows:
        raise InputError(f"{source} has no rows; expected one for each checkpoint of each run")
    names = list(dict.fromkeys(name for row in rows for name in (row.model_extra or {})))
    faults: list[str] = []
    cells = _cells(rows, names, faults)
    tasks = _tasks(rows, faults)
    repeats = sorted({row.repeat for row in rows})
    checkpoints = sorted({Checkpoint(row.pretraining_epoch, row.epoch) for row in rows})
    shape = (len(cells), len(repeats), len(tasks), len(checkpoints))
    loss, metric = _fill(rows, shape, [_indices(x) for x in
                         (cells, repeats, tasks, checkpoints)], names, faults)  # fmt: skip
    if faults:
        raise InputError(_listed(f"{source} contradicts itself", faults))
    finite = np.isfinite(loss) & np.isfinite(metric)
    return Study(
        source=source,
        layout=layout,
        factors={
            name: ordered_levels([cell.labels[name] for cell in cells.values()]) for name in names
        },
        cells=tuple(cells.values()),
        tasks=tuple(tasks.values()),
        repeats=tuple(repeats),
        checkpoints=tuple(checkpoints),
        loss_CRTK=np.where(finite, loss, np.nan),
        metric_CRTK=np.where(finite, metric, np.nan),
        n_rows=len(rows),
        n_not_finite=len(rows) - int(finite.sum()),
        pretraining_losses=tuple(pretraining_losses),
    )


def _cell_name(row: RunRow, names: Sequence[str]) -> str:
    labels = " ".join(str((row.model_extra or {}).get(name)) for name in names)
    return row.cell or f"{labels} {row.seed}"


def _cells(rows: Iterable[RunRow], names: Sequence[str], faults: list[str]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    if not names:
        faults.append("no column is a factor; expected one or more, such as architecture")
    for row in rows:
        given = row.model_extra or {}
        lacking = [name for name in names if given.get(name) in (None, "")]
        name = _cell_name(row, names)
        labels = {factor: str(given.get(factor)) for factor in names}
        cell = cells.setdefault(name, Cell(name, labels, row.seed, row.parameters))
        if lacking:
            faults.append(f"the cell {name} has no {', '.join(lacking)}")
        elif cell != Cell(name, labels, row.seed, row.parameters):
            faults.append(
                f"the cell {name} has two levels of a factor, two seeds or two numbers of "
                "parameters; expected one pretraining"
            )
    return cells


def _tasks(rows: Iterable[RunRow], faults: list[str]) -> dict[str, StudyTask]:
    tasks: dict[str, StudyTask] = {}
    for row in rows:
        task = StudyTask(row.task, row.metric_name, row.higher_is_better)
        if tasks.setdefault(row.task, task) != task:
            faults.append(f"the task {row.task} has two metrics; expected one, with one better end")
    return tasks


def _indices(values: Iterable[Any]) -> dict[Any, int]:
    return {value: i for i, value in enumerate(values)}


def _fill(
    rows: Iterable[RunRow],
    shape: tuple[int, int, int, int],
    indices: Sequence[Mapping[Any, int]],
    names: Sequence[str],
    faults: list[str],
) -> tuple[Floats, Floats]:
    """Return losses and metrics of shape (C, R, T, K); a checkpoint that comes twice is a fault."""
    loss, metric = np.full(shape, np.nan), np.full(shape, np.nan)
    seen = np.zeros(shape, dtype=bool)
    of_cell, of_repeat, of_task, of_checkpoint = indices
    for row in rows:
        place = (
            of_cell[_cell_name(row, names)],
            of_repeat[row.repeat],
            of_task[row.task],
            of_checkpoint[Checkpoint(row.pretraining_epoch, row.epoch)],
        )
        if seen[place]:
            faults.append(
                f"{_cell_name(row, names)}, repeat {row.repeat}, {row.task} has two rows of "
                f"pretraining epoch {row.pretraining_epoch:g} and epoch {row.epoch:g}"
            )
        seen[place] = True
        loss[place] = math.nan if row.loss is None else row.loss
        metric[place] = math.nan if row.metric is None else row.metric
    return loss, metric


def _named_tables(folder: Path, name: str) -> list[Path]:
    return [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]


def _table(path: Path) -> list[Mapping[str, Any]]:
    table = open_table(path)
    if table is None:
        raise InputError(f"{path} is not a table of runs; expected {', '.join(SUFFIXES)}")
    # An empty cell of a CSV is a missing one.
    return [
        {name: x for name, x in row.items() if x is not None and x != ""}
        | {name: None for name in ("loss", "metric") if name in row and row[name] in (None, "")}
        for row in table.read(table.columns)
    ]


def _checked(path: Path, rows: Iterable[Mapping[str, Any]], schema: type[_Row]) -> list[_Row]:
    """Return the rows of a table by its schema.

    Raises:
        InputError: with a line for each fault.
    """
    good: list[_Row] = []
    faults: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            good.append(schema.model_validate(row))
        except ValidationError as error:
            faults += [f"row {number}: {fault}" for fault in setting_faults(error, schema)]
    if faults:
        raise InputError(_listed(f"{path} has rows that are not of a study", faults))
    return good


def _listed(message: str, faults: Iterable[str]) -> str:
    faults = list(dict.fromkeys(faults))
    lines = [*faults[:_MAX_FAULTS]]
    if len(faults) > _MAX_FAULTS:
        lines.append(f"and {len(faults) - _MAX_FAULTS:,} more")
    return message + ":" + "".join(f"\n  {line}" for line in lines)


def _read_losses(folder: Path) -> list[LossCurve]:
    points: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for path in _named_tables(folder, LOSSES):
        for row in _checked(path, _table(path), LossRow):
            if row.loss is not None and math.isfinite(row.loss):
                points[row.cell, row.part].append((row.epoch, row.loss))
    return [
        LossCurve(cell, part, *(tuple(x) for x in zip(*sorted(curve), strict=True)))
        for (cell, part), curve in points.items()
    ]


def _published_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a published table under our names.

    Raises:
        InputError: it is another table.
    """
    table = open_table(path)
    columns = [] if table is None else table.columns
    lacking = [name for name in _PUBLISHED_COLUMNS if name not in columns]
    if table is None or lacking:
        raise InputError(
            f"{path} is not a table of the published study: it lacks {', '.join(lacking)}"
        )
    repeat = path.parent.name.removeprefix("ft_version_")
    rows = []
    for number, row in enumerate(table.read(_PUBLISHED_COLUMNS), start=1):
        name = _PUBLISHED_NAME.fullmatch(str(row["model_mtr_name"]))
        metric = _PUBLISHED_METRICS.get(str(row["dataset_type"]))
        if name is None or metric is None:
            raise InputError(
                f"{path}, row {number}: found the model {row['model_mtr_name']!r} and a data set "
                f"of {row['dataset_type']!r}; expected such as ChemBart_Small_10m, and regression "
                "or classification"
            )
        rows.append(
            {
                "architecture": _ARCHITECTURES[name[1]],
                "size": name[2][0],
                "data": f"{name[3]}M",
                "cell": name[0],
                "repeat": repeat,
                "task": row["dataset_name"],
                "pretraining_epoch": row["model_mtr_ep"],
                "epoch": row["epoch"],
                "loss": row["loss"],
                "metric": row["metric_1"],
                "metric_name": metric[0],
                "higher_is_better": metric[1],
            }
        )
    return rows
