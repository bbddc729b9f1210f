"""Fine-tuning whole networks: an ordinary training run for each task and repeat.

    NAME/finetuned/TASK-REPEAT/    a run of the objective regression_head, whose base is the last
                                   network of the pretraining

The head is linear, and all weights are trained. The network of each epoch is kept, so that it has a
validation loss and a metric of the test records, in the units of `training.frozen_finetuning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from crystext.inference.pooled_states import StateReader
from crystext.metrics.classification import roc_auc
from crystext.metrics.regression import rmse
from crystext.models.prediction_settings import read_prediction_settings
from crystext.study.cells import GridCell
from crystext.study.grid import Grid
from crystext.study.grid_checks import StudyRecords
from crystext.study.metric_rows import finite, metric_row
from crystext.training.recipe import Recipe, parse_recipe
from crystext.training.trainer import MODELS_FOLDER, Trainer
from crystext.training.training_data import TrainingData

FINETUNED = "finetuned"
"""Folder of a cell's fine-tunings."""


def whole_rows(
    folder: Path, base: Path, cell: GridCell, grid: Grid, records: StudyRecords, console: Console
) -> Iterator[dict[str, Any]]:
    """Yield a row for each task, repeat and epoch; a run goes on from its last checkpoint.

    Args:
        folder: of the cell.
        base: the pretrained network.
        cell: of the grid.
        grid: of the study.
        records: of the study.
        console: for progress.

    Raises:
        CrystextError: a training fails.
    """
    for name in records.tasks:
        for repeat in range(grid.fine_tuning.repeats):
            run = folder / FINETUNED / f"{name}-{repeat}"
            for row in _rows_of_run(run, base, cell, grid, records, name, repeat, console):
                yield {
                    "task": name, "pretraining_epoch": grid.pretraining.epochs,
                    "repeat": repeat, **row,
                }  # fmt: skip


def _rows_of_run(
    run: Path,
    base: Path,
    cell: GridCell,
    grid: Grid,
    records: StudyRecords,
    name: str,
    repeat: int,
    console: Console,
) -> Iterator[dict[str, Any]]:
    spec, task = grid.tasks[name], records.tasks[name]
    written = records.task_records.with_text(cell.text)
    # The labels are those of this task; a record may have a part in several.
    labelled = [
        replace(record, texts=written[row].texts)
        for record, row in zip(task.table.records, records.task_rows[name].tolist(), strict=True)
    ]
    train, validation, test = ([labelled[i] for i in part.tolist()] for part in task.split)
    data = TrainingData.of_records(train, validation, task.table.targets)
    epoch = -(-len(train) // grid.fine_tuning.batch_records)
    recipe = _recipe(grid, cell, name, base, repeat, epoch, len(validation))
    trainer = Trainer(recipe, run, data)
    trainer.run(console)
    losses = {x["step"]: x["loss_mean"] for x in trainer.log.read() if "loss_mean" in x}
    truth = task.values[task.split.test]
    for i in range(grid.fine_tuning.epochs):
        step = (i + 1) * epoch
        model = run / MODELS_FOLDER / f"step-{step:07}"
        outputs = StateReader(model).read(test).outputs[:, 0].astype(np.float64)
        kept = np.isfinite(outputs)
        if spec.kind == "boolean":
            metric = roc_auc(truth[kept], outputs[kept])
        else:
            settings = read_prediction_settings(model)
            assert settings is not None, "the model was just saved"
            scale = settings.scales[spec.target]
            metric = rmse((truth[kept] - scale.mean) / scale.std, outputs[kept])
        yield metric_row(spec.kind, i + 1, finite(losses[step]), finite(metric))


def _recipe(
    grid: Grid, cell: GridCell, name: str, base: Path, repeat: int, epoch: int, held_out: int
) -> Recipe:
    given, spec, dropout = grid.fine_tuning, grid.tasks[name], grid.pretraining.dropout
    values: dict[str, Any] = {
        "seed": repeat,
        "data": {"store": spec.table, "validation_crystals": held_out},
        "tasks": {"property": 1.0},
        "properties": {"targets": {spec.target: {"kind": spec.kind}}, "inputs": [cell.text]},
        "objective": "regression_head",
        "head": {
            "loss": "l2",
            "dropout": dropout[cell.architecture] if isinstance(dropout, dict) else dropout,
            "equivalent_texts": False,
            "pooling": given.pooling,
        },
        "translate_probability": 0.0,
        "model": {"base": str(base)},
        "optim": {
            "learning_rate": given.learning_rate,
            "weight_decay": grid.pretraining.weight_decay,
            "warmup_steps": epoch // 2,
            "steps": given.epochs * epoch,
            "batch_sequences": given.batch_records,
            "max_tokens": grid.pretraining.max_tokens,
        },
        "precision": "fp32",
        "evaluate_every": epoch,
        "keep_models": "every_evaluation",
        "checkpoint_every": epoch,
    }
    return parse_recipe(values, f"the grid {grid.title!r}")
