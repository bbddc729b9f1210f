"""Losses on validation crystals, by task, and per text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from crystext.training.examples import ExampleStream, TrainingRow
from crystext.training.objectives import Objective
from crystext.training.packing import split_micro_batches

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class ValidationScorer:
    """A model, and the number of tokens it processes at once."""

    model: nn.Module
    """The objective's loss module, or its wrapper by accelerate."""
    accelerator: Accelerator
    objective: Objective
    micro_tokens: int

    def micro_batches(self, rows: list[TrainingRow]) -> list[list[TrainingRow]]:
        """Split this process's rows; every process gets the same number of parts, some empty.

        Weights that are shared over processes are gathered in each pass, by all of them together.
        """
        parts = split_micro_batches(rows, self.micro_tokens)
        counts = self.accelerator.gather(torch.tensor([len(parts)], device=self.accelerator.device))
        most = max(1, int(counts.max()))
        return parts + [self.objective.dummy_rows()] * (most - len(parts))

    @torch.no_grad()
    def mean_loss(self, rows: list[TrainingRow]) -> float:
        """Return the mean loss per target over the rows of all processes.

        At least one process must have a row: an empty loss would look like a perfect one.
        """
        sums = torch.zeros(2, dtype=torch.float32, device=self.accelerator.device)
        for part in self.micro_batches(rows):
            losses = self.model(self.objective.batch(part).to(self.accelerator.device))
            sums += torch.stack([losses.sum(), torch.tensor(float(len(losses))).to(sums)])
        total, count = self.accelerator.reduce(sums, "sum").tolist()
        return float(total / count)

    @torch.no_grad()
    def mean_losses(self, rows: list[TrainingRow]) -> list[float]:
        """Return the mean loss per target of each row of this process."""
        device = self.accelerator.device
        means: dict[int, float] = {}
        # Rows are matched by identity, because splitting reorders them.
        places = {id(row): i for i, row in enumerate(rows)}
        for part in self.micro_batches(rows):
            packed = self.objective.batch(part).to(device)
            losses = self.model(packed).float()
            zeros = torch.zeros(len(part), device=device)
            sums = zeros.index_add(0, packed.example_index_K, losses)
            counts = zeros.index_add(0, packed.example_index_K, torch.ones_like(losses))
            for row, mean in zip(part, (sums / counts).tolist(), strict=True):
                if id(row) in places:
                    means[places[id(row)]] = mean
        return [means[i] for i in range(len(rows))]


def validation_losses(
    scorer: ValidationScorer, datasets: Mapping[str, ExampleStream], crystals: int
) -> dict[str, float]:
    """Return the loss of each dataset over its first examples, as `loss_NAME`.

    Args:
        scorer: the model.
        datasets: examples by the name of what they test. They are the same at every call, and each
            has at least one.
        crystals: number of crystals, over all processes.
    """
    accelerator = scorer.accelerator
    first, step = accelerator.process_index, accelerator.num_processes
    return {
        f"loss_{name}": scorer.mean_loss(
            examples.rows(range(first, min(crystals, len(examples.data)), step))
        )
        for name, examples in datasets.items()
    }


def mean_task_loss(losses: Mapping[str, float], tasks: Iterable[str]) -> float:
    """Return the mean of the tasks' losses: the criterion of early stopping."""
    values: Sequence[float] = [losses[f"loss_{task}"] for task in tasks]
    return sum(values) / len(values)
