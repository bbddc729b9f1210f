"""Run a cell: pretrain, read its networks, fine-tune, have them write, and tell all in rows.

NAME/                     an ordinary training run
NAME/outputs/1.npz, ...   what the network of an epoch says to the records of all tasks
NAME/losses.jsonl         rows of its pretraining losses
NAME/generation.jsonl     rows of what its networks write, if the grid has them write
NAME/runs.jsonl           rows of its fine-tunings; written last
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from crystext.inference.pooled_states import StateReader
from crystext.runtime.files import write_npz, write_text
from crystext.study.cell_recipe import cell_data, cell_recipe, steps_per_epoch
from crystext.study.cells import GridCell
from crystext.study.generation import generation_rows, writes_crystals
from crystext.study.grid import FineTuningSpec, Grid, TaskSpec
from crystext.study.grid_checks import StudyRecords
from crystext.study.metric_rows import METRICS, finite, metric_row
from crystext.study.readable_targets import losses_apart
from crystext.study.study_records import amount
from crystext.study.tables import GENERATION, LOSSES, RUNS
from crystext.study.targets import TargetTable
from crystext.study.task_splits import TaskRecords
from crystext.study.whole_finetuning import whole_rows
from crystext.training.frozen_finetuning import (
    FrozenFinetuning,
    FrozenFinetuningSettings,
    Labelled,
    finetune_on_frozen,
)
from crystext.training.trainer import MODELS_FOLDER, Trainer


def run_cell(
    folder: Path,
    cell: GridCell,
    grid: Grid,
    records: StudyRecords,
    targets: TargetTable | None,
    console: Console,
) -> None:
    """Run a cell, from its last checkpoint if it has one.

    Args:
        folder: of the cell, by its name.
        cell: of the grid.
        grid: of the study.
        records: of the study.
        targets: of pretraining; None of the objective texts.
        console: for progress.

    Raises:
        CrystextError: the training fails, or a task cannot be learned.
    """
    data = cell_data(cell, records.train, records.validation, targets)
    trainer = Trainer(cell_recipe(grid, cell, data.targets), folder, data)
    parameters = sum(x.numel() for x in trainer.initial_model.network.parameters())
    trainer.run(console)
    epoch = steps_per_epoch(grid, cell)
    losses = [
        {"cell": folder.name, "part": part, "epoch": line["step"] / epoch, "loss": line[key]}
        for line in trainer.log.read()
        for part, key in (("validation", "loss_mean"), ("train", "train_loss"))
        if key in line
    ]
    if targets is not None:
        apart = losses_apart(trainer.log.read(), cell.text, targets, len(records.train.records))
        losses += [
            {"cell": folder.name, "part": part, "epoch": step / epoch, "loss": loss}
            for step, part, loss in apart
        ]
    _write_rows(folder / f"{LOSSES}.jsonl", losses)
    models = [
        folder / MODELS_FOLDER / f"step-{(i + 1) * epoch:07}"
        for i in range(grid.pretraining.epochs)
    ]
    told = {**cell.labels, "cell": folder.name, "seed": cell.seed, "parameters": parameters}
    if grid.generation is not None and writes_crystals(cell.text):
        train = records.train.with_text(cell.text)[: amount(cell.data)]
        held_out = records.validation.with_text(cell.text)
        written = generation_rows(models, cell.text, held_out, train, grid.generation, cell.seed)
        _write_rows(folder / f"{GENERATION}.jsonl", [told | row for row in written])
    if grid.fine_tuning.frozen:
        rows = _frozen_rows(folder, models, cell, grid, records)
    else:
        rows = whole_rows(folder, models[-1], cell, grid, records, console)
    _write_rows(folder / f"{RUNS}.jsonl", [told | row for row in rows])


def _frozen_rows(
    folder: Path,
    models: Sequence[Path],
    cell: GridCell,
    grid: Grid,
    records: StudyRecords,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of small networks on what each network says."""
    outputs = [
        _outputs(folder / "outputs" / f"{i + 1}.npz", model, cell, grid, records)
        for i, model in enumerate(models)
    ]
    for name, task in records.tasks.items():
        for i, outputs_UT in enumerate(outputs):
            inputs_NT = outputs_UT[records.task_rows[name]]
            done = _fine_tune(grid.fine_tuning, grid.tasks[name], task, inputs_NT)
            for row in _metric_rows(done, grid.tasks[name].kind):
                yield {"task": name, "pretraining_epoch": i + 1, **row}


def _outputs(
    path: Path, model: Path, cell: GridCell, grid: Grid, records: StudyRecords
) -> NDArray[Any]:
    """Return what a network says to the different records of all tasks, (U, T); read once."""
    if path.exists():
        with np.load(path, allow_pickle=False) as saved:
            return np.asarray(saved["outputs"])
    reader = StateReader(model, inputs=[cell.text], pooling=grid.fine_tuning.pooling)
    states = reader.read(records.task_records.with_text(cell.text))
    found = states.outputs if grid.fine_tuning.reads == "targets" else states.pooled
    path.parent.mkdir(exist_ok=True)
    write_npz(path, outputs=found)
    return found


def _fine_tune(
    given: FineTuningSpec, spec: TaskSpec, task: TaskRecords, inputs_NT: NDArray[Any]
) -> FrozenFinetuning:
    train, validation, test = (Labelled(inputs_NT[part], task.values[part]) for part in task.split)
    return finetune_on_frozen(
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


def _metric_rows(done: FrozenFinetuning, kind: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each repeat and epoch of a fine-tuning."""
    metric_S_E = done.test_S_E[METRICS[kind][0]]
    for repeat, losses in enumerate(done.validation_loss_S_E):
        for i, loss in enumerate(losses):
            row = metric_row(kind, i + 1, finite(loss), finite(metric_S_E[repeat, i]))
            yield {"repeat": repeat, **row}


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
