"""Fine-tuning on a frozen network: small networks on what it says, all seeds at once.

    inputs (N, T) -> linear -> GELU -> linear -> GELU -> linear -> output (N,)

The inputs are arrays that `inference.pooled_states` made once, so the frozen network is never in
training mode, and many tasks, seeds and checkpoints cost seconds. Labels of numbers are in units of
the standard deviation of the training labels, from their mean, and so are errors; of booleans, the
output is a logit.

The defaults are those of "The Role of Model Architecture and Scale in Predicting Molecular
Properties" (arXiv:2405.00949): two hidden layers of 64, AdamW at 0.01, batches of 64, 7 epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from crystext.errors import InputError
from crystext.metrics.classification import accuracy, roc_auc
from crystext.metrics.regression import mae, r_squared, rmse
from crystext.runtime.schema import StrictModel
from crystext.structures.crystal import Floats

Metric = Callable[[Floats, Floats], float]

_METRICS: Mapping[str, Mapping[str, Metric]] = {
    "number": {"rmse": rmse, "mae": mae, "r_squared": r_squared},
    "boolean": {"roc_auc": roc_auc, "accuracy": lambda y, p: accuracy(y, 1 / (1 + np.exp(-p)))},
}
"""Of a test set, by the kind of the property; errors in standard deviations."""


class FrozenFinetuningSettings(StrictModel):
    """The small networks and their training."""

    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers."""
    epochs: int = Field(7, gt=0)
    learning_rate: float = Field(0.01, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch_records: int = Field(64, gt=0)
    loss: Literal["l1", "l2"] = "l2"
    """Of numbers; that of booleans is the cross entropy."""


class Labelled(NamedTuple):
    """N records of a split."""

    inputs_N_T: NDArray[Any]
    labels_N: Floats
    """In the unit of the property, or 1 and 0; nan where unknown."""

    def usable(self) -> Labelled:
        """Return the records with finite inputs and a finite label."""
        kept = np.isfinite(self.labels_N) & np.isfinite(self.inputs_N_T).all(axis=1)
        return Labelled(self.inputs_N_T[kept], self.labels_N[kept])


@dataclass(frozen=True)
class FrozenFinetuning:
    """The course of S trainings of E epochs each."""

    seeds: tuple[int, ...]
    validation_loss_S_E: Floats
    """After each epoch."""
    test_S_E: Mapping[str, Floats]
    """Metrics of the test records after each epoch, (S, E) by name; errors in standard
    deviations of the training labels."""
    mean: float
    std: float
    """Of the training labels; 0 and 1 of booleans."""
    counts: Mapping[str, int]
    """Records with a label and a text, by split."""

    def best_epochs(self) -> NDArray[np.int64]:
        """Return the epoch with the least validation loss of each seed, (S,), from 0."""
        return np.asarray(self.validation_loss_S_E.argmin(axis=1))


def finetune_on_frozen(
    train: Labelled,
    validation: Labelled,
    test: Labelled,
    kind: Literal["number", "boolean"],
    *,
    seeds: Sequence[int],
    settings: FrozenFinetuningSettings | None = None,
) -> FrozenFinetuning:
    """Train a small network with each seed, and score it after each epoch.

    A seed determines initial weights and the order of records, whatever other seeds there are.

    Args:
        train: what is learned.
        validation: whose loss selects.
        test: what is scored.
        kind: of the property.
        seeds: one or more.
        settings: None takes the published ones.

    Raises:
        InputError: a split has no record with a label and a text, or all training labels are equal.
    """
    settings = settings or FrozenFinetuningSettings()
    splits = {"train": train.usable(), "validation": validation.usable(), "test": test.usable()}
    mean, std = _label_scale(splits, kind)
    scaled = {
        name: (
            torch.from_numpy(np.asarray(split.inputs_N_T, dtype=np.float32)),
            torch.from_numpy(((split.labels_N - mean) / std).astype(np.float32)),
        )
        for name, split in splits.items()
    }
    loss = _loss(kind, settings)
    networks = StackedNetworks(train.inputs_N_T.shape[1], settings.hidden, seeds)
    optimizer = torch.optim.AdamW(
        networks.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    orders = [np.random.default_rng([seed, 1]) for seed in seeds]
    truth = scaled["test"][1].double().numpy()
    losses: list[Floats] = []
    scores: dict[str, list[list[float]]] = {name: [] for name in _METRICS[kind]}
    for _ in range(settings.epochs):
        _train_epoch(networks, optimizer, loss, *scaled["train"], orders, settings.batch_records)
        with torch.no_grad():
            inputs, wanted = scaled["validation"]
            losses.append(loss(networks.of_all(inputs), wanted[None]).mean(1).double().numpy())
            outputs = networks.of_all(scaled["test"][0]).double().numpy()
        for name, metric in _METRICS[kind].items():
            scores[name].append([metric(truth, row) for row in outputs])
    return FrozenFinetuning(
        tuple(seeds),
        np.stack(losses, axis=1),
        {name: np.array(values).T for name, values in scores.items()},
        mean,
        std,
        {name: len(split.labels_N) for name, split in splits.items()},
    )


def _label_scale(splits: Mapping[str, Labelled], kind: str) -> tuple[float, float]:
    """Return mean and standard deviation of the training labels; 0 and 1 of booleans."""
    if empty := [name for name, split in splits.items() if not len(split.labels_N)]:
        raise InputError(f"no {' and no '.join(empty)} record has both a text and a label")
    labels = splits["train"].labels_N
    if labels.min() == labels.max():
        raise InputError(f"all {len(labels)} training labels are {labels[0]:g}; nothing to learn")
    return (float(labels.mean()), float(labels.std())) if kind == "number" else (0.0, 1.0)


class StackedNetworks(nn.Module):
    """S networks of the same sizes, whose matrices are products of stacks (S, in, out)."""

    def __init__(self, inputs: int, hidden: Sequence[int], seeds: Sequence[int]) -> None:
        """Draw the weights of each network from its own seed, as torch's `Linear` does."""
        super().__init__()
        layers = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                layers.append([nn.Linear(*pair) for pair in _pairs(inputs, hidden)])
        stacked = list(zip(*layers, strict=True))
        self.weights = nn.ParameterList(
            nn.Parameter(torch.stack([x.weight.detach().T for x in same])) for same in stacked
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.stack([x.bias.detach()[None] for x in same])) for same in stacked
        )

    def forward(self, inputs_S_B_T: torch.Tensor) -> torch.Tensor:
        """Return the outputs (S, B) of each network for inputs of its own."""
        states = inputs_S_B_T
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            states = torch.baddbmm(bias, nn.functional.gelu(states) if i else states, weight)
        return states[:, :, 0]

    def of_all(self, inputs_N_T: torch.Tensor) -> torch.Tensor:
        """Return the outputs (S, N) of each network for the same inputs."""
        outputs: torch.Tensor = self(inputs_N_T.expand(len(self.weights[0]), -1, -1))
        return outputs


def _pairs(inputs: int, hidden: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip((inputs, *hidden), (*hidden, 1), strict=True))


def _loss(
    kind: str, settings: FrozenFinetuningSettings
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    def errors(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if kind == "boolean":
            return nn.functional.binary_cross_entropy_with_logits(
                outputs, labels.expand_as(outputs), reduction="none"
            )
        difference = outputs - labels
        return difference.abs() if settings.loss == "l1" else difference.square()

    return errors


def _train_epoch(
    networks: StackedNetworks,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    inputs_N_T: torch.Tensor,
    labels_N: torch.Tensor,
    orders: Sequence[np.random.Generator],
    batch_records: int,
) -> None:
    order_S_N = torch.from_numpy(np.stack([rng.permutation(len(labels_N)) for rng in orders]))
    for batch_S_B in order_S_N.split(batch_records, dim=1):
        optimizer.zero_grad()
        # The sum over networks: none has a part in the gradient of another.
        loss(networks(inputs_N_T[batch_S_B]), labels_N[batch_S_B]).mean(1).sum().backward()
        optimizer.step()
