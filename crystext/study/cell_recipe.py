"""The recipe of a cell: an ordinary training run of the objective `regression_head`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property
from crystext.structures.record import Label, Record
from crystext.study.grid import Grid, GridCell
from crystext.study.study_records import amount
from crystext.study.targets import TargetScale, TargetTable
from crystext.tasks.representations import get_representation
from crystext.training.recipe import Recipe, parse_recipe
from crystext.training.training_data import TrainingData

_TOKENIZERS = {"byte_bpe": "bpe"}
"""What recipes call tokenizers."""

_CHECKPOINTS_OF_AN_EPOCH = 4


def steps_per_epoch(grid: Grid, cell: GridCell) -> int:
    """Return the steps of an epoch of pretraining, the last batch whole."""
    return -(-amount(cell.data) // grid.pretraining.batch_sequences)


def cell_recipe(grid: Grid, cell: GridCell, targets: Mapping[str, Property]) -> Recipe:
    """Return the recipe of a cell; the network of each epoch is kept.

    Dropout is that of the grid in the network and in front of its targets alike.
    """
    training, dropout = grid.pretraining, grid.pretraining.dropout
    rate = dropout[cell.architecture] if isinstance(dropout, Mapping) else dropout
    epoch = steps_per_epoch(grid, cell)
    amount_of_data = amount(cell.data)
    values: dict[str, Any] = {
        "seed": cell.seed,
        "data": {
            "store": grid.data.tables[0],
            # All that are held out.
            "validation_crystals": amount_of_data,
        },
        "tasks": {"property": 1.0},
        "properties": {
            "targets": {name: {"kind": target.kind} for name, target in targets.items()},
            "inputs": [cell.text],
        },
        "objective": "regression_head",
        "head": {"loss": grid.objective.loss, "dropout": rate, "equivalent_texts": False},
        "translate_probability": 0.0,
        "model": {"new_network": _network(grid, cell, rate)},
        "optim": {
            "learning_rate": training.learning_rate,
            "weight_decay": training.weight_decay,
            "warmup_steps": round(training.warmup_epochs * epoch),
            "steps": training.epochs * epoch,
            "batch_sequences": training.batch_sequences,
            "max_tokens": training.max_tokens,
        },
        "precision": "fp32",
        "evaluate_every": epoch,
        "keep_models": "every_evaluation",
        "checkpoint_every": max(1, epoch // _CHECKPOINTS_OF_AN_EPOCH),
    }
    return parse_recipe(values, f"the grid {grid.title!r}")


def cell_data(
    cell: GridCell,
    train: Sequence[Record],
    validation: Sequence[Record],
    table: TargetTable,
) -> TrainingData:
    """Return the records of a cell with their targets as labels.

    A target that does not exist is no label, and so is one that is equal for all training records;
    a category is a truth value for each of its classes.

    Args:
        cell: of a grid.
        train: records of the largest pretraining; the cell learns the first of them.
        validation: records held out.
        table: targets of the training records, then of the validation records.
    """
    count = amount(cell.data)
    names, kinds, values_NT = _columns(table)
    scale = TargetScale.fit(names, values_NT[:count])
    kept = [i for i, name in enumerate(names) if name not in set(scale.constant)]
    targets = {names[i]: Property(names[i], names[i], kind=kinds[i]) for i in kept}
    records = [*train, *validation]
    labelled = [
        _labelled(record, cell.text, {names[i]: values[i] for i in kept}, targets)
        for record, values in zip(records, values_NT, strict=True)
    ]
    return TrainingData.of_records(labelled[:count], labelled[len(train) :], targets)


def _network(grid: Grid, cell: GridCell, dropout: float) -> dict[str, Any]:
    words, sizes = grid.tokenizers[cell.tokenizer], cell.sizes
    is_bart = cell.architecture == "bart"
    return {
        "architecture": cell.architecture,
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "layers": sizes.layers // 2 if is_bart else sizes.layers,
        "decoder_layers": sizes.layers // 2 if is_bart else None,
        "heads": sizes.heads,
        "dropout": dropout,
        "tokenizer": _TOKENIZERS.get(words.kind, words.kind),
        "vocabulary": words.vocabulary,
    }


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
    record: Record, text: str, values: Mapping[str, float], targets: Mapping[str, Property]
) -> Record:
    """Return a record with its labels, and with its text, which is else written in each epoch."""
    labels: dict[str, Label] = {
        name: bool(x) if targets[name].kind == "boolean" else float(x)
        for name, x in values.items()
        if np.isfinite(x)
    }
    written = get_representation(text).write(record)
    texts = dict(record.texts) if written is None else {**record.texts, text: written}
    return replace(record, labels=labels, texts=texts)
