"""The recipe of a cell: an ordinary training run.

With targets its objective is `regression_head`; of texts alone it is what its architecture learns
from them, the task `representation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crystext.models.settings import TEXT_OBJECTIVES
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property
from crystext.structures.record import Label, Record
from crystext.study.cells import GridCell
from crystext.study.grid import Grid
from crystext.study.networks import network_settings
from crystext.study.study_records import amount
from crystext.study.targets import TargetScale, TargetTable
from crystext.study.written_texts import WrittenRecords, tokenizer_kind
from crystext.training.recipe import Recipe, parse_recipe
from crystext.training.trainer import LOG_EVERY
from crystext.training.training_data import TrainingData

_CHECKPOINTS_OF_AN_EPOCH = 4
"""About. They come when the training loss is logged, which is a mean over the steps since it was
logged last: so a resumed run logs the same."""

_OPERATIONS = 6
"""In training: 2 forward, 4 backward."""


def steps_per_epoch(grid: Grid, cell: GridCell) -> int:
    """Return the steps of an epoch of pretraining, the last batch whole.

    With a given compute it is an equal part of the steps that the compute allows. A token takes 6
    operations for each parameter, and for attention 6 for each layer, entry of a state and token of
    its text (Kaplan et al., arXiv:2001.08361, table 1; training is three times the forward pass).
    """
    training = grid.pretraining
    if training.compute is None:
        return -(-amount(cell.data) // training.batch_sequences)
    attention = cell.sizes.layers * cell.sizes.hidden_size * cell.mean_tokens
    tokens = training.compute / (_OPERATIONS * (cell.parameters + attention))
    return max(1, round(tokens / training.batch_tokens / training.epochs))


def cell_recipe(grid: Grid, cell: GridCell, targets: Mapping[str, Property]) -> Recipe:
    """Return the recipe of a cell; the network of each epoch is kept.

    Dropout is that of the grid in the network and in front of its targets alike.

    Args:
        grid: of the cell.
        cell: to train.
        targets: of pretraining; none of the objective texts.
    """
    training, dropout = grid.pretraining, grid.pretraining.dropout
    rate = dropout[cell.architecture] if isinstance(dropout, Mapping) else dropout
    epoch = steps_per_epoch(grid, cell)
    words = grid.tokenizers[cell.tokenizer]
    network = network_settings(
        cell.architecture, cell.sizes, rate, tokenizer_kind(words), words.vocabulary
    )
    batch = (
        {"batch_sequences": training.batch_sequences}
        if training.compute is None
        else {"batch_tokens": training.batch_tokens}
    )
    values: dict[str, Any] = {
        "seed": cell.seed,
        # All that are held out are scored.
        "data": {"store": grid.data.tables[0], "validation_crystals": amount(cell.data)},
        **_task(grid, cell, targets, rate),
        "translate_probability": 0.0,
        "model": {"new_network": network.model_dump(mode="json")},
        "optim": {
            "learning_rate": training.learning_rate,
            "weight_decay": training.weight_decay,
            "warmup_steps": round(training.warmup_epochs * epoch),
            "steps": training.epochs * epoch,
            **batch,
            "max_tokens": training.max_tokens,
        },
        "precision": "fp32",
        "evaluate_every": epoch,
        "keep_models": "every_evaluation",
        "checkpoint_every": LOG_EVERY * max(1, epoch // _CHECKPOINTS_OF_AN_EPOCH // LOG_EVERY),
    }
    return parse_recipe(values, f"the grid {grid.title!r}")


def _task(
    grid: Grid, cell: GridCell, targets: Mapping[str, Property], rate: float
) -> dict[str, Any]:
    """Return what is learned: properties with targets, else the texts themselves."""
    if grid.objective.targets == "texts":
        return {
            "tasks": {"representation": 1.0},
            "representations": {"inputs": [cell.text], "equivalent_texts": False},
            "objective": TEXT_OBJECTIVES[cell.architecture],
        }
    return {
        "tasks": {"property": 1.0},
        "properties": {
            "targets": {name: {"kind": target.kind} for name, target in targets.items()},
            "inputs": [cell.text],
        },
        "objective": "regression_head",
        "head": {
            "loss": grid.objective.loss,
            "dropout": rate,
            "equivalent_texts": False,
            "pooling": grid.fine_tuning.pooling,
        },
    }


def cell_data(
    cell: GridCell, train: WrittenRecords, validation: WrittenRecords, table: TargetTable | None
) -> TrainingData:
    """Return the records of a cell with their targets as labels.

    A target that does not exist is no label, and so is one that is equal for all training records;
    a category is a truth value for each of its classes.

    Args:
        cell: of a grid.
        train: records of the largest pretraining; the cell learns the first of them.
        validation: records held out.
        table: targets of the training records, then of the validation records; None of texts.
    """
    count = amount(cell.data)
    records = [*train.with_text(cell.text), *validation.with_text(cell.text)]
    n_train = len(train.records)
    if table is None:
        return TrainingData.of_records(records[:count], records[n_train:], {})
    names, kinds, values_NT = _columns(table)
    scale = TargetScale.fit(names, values_NT[:count])
    kept = [i for i, name in enumerate(names) if name not in set(scale.constant)]
    targets = {names[i]: Property(names[i], names[i], kind=kinds[i]) for i in kept}
    labelled = [
        _labelled(record, {names[i]: values[i] for i in kept}, targets)
        for record, values in zip(records, values_NT, strict=True)
    ]
    return TrainingData.of_records(labelled[:count], labelled[n_train:], targets)


def _columns(table: TargetTable) -> tuple[list[str], list[Any], Floats]:
    """Return names, kinds and values (N, T) of targets, a column for each class of a category."""
    names: list[str] = []
    kinds: list[str] = []
    columns: list[Floats] = []
    for name, n_classes, column in zip(table.names, table.classes, table.values_NT.T, strict=True):
        if not n_classes:
            names.append(name)
            kinds.append("number")
            columns.append(column)
        for i in range(n_classes):
            names.append(f"{name}_{i + 1}")
            kinds.append("boolean")
            columns.append(np.where(np.isfinite(column), column == i, np.nan))
    return names, kinds, np.stack(columns, axis=1)


def _labelled(
    record: Record, values: Mapping[str, float], targets: Mapping[str, Property]
) -> Record:
    """Return a record with its targets as labels."""
    labels: dict[str, Label] = {
        name: bool(x) if targets[name].kind == "boolean" else float(x)
        for name, x in values.items()
        if np.isfinite(x)
    }
    return replace(record, labels=labels)
