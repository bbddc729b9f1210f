"""What a step computes: rows of examples become a batch, and a batch a loss for each target.

    causal            the next token, wherever a row's label is one (`causal_objective`); with
                      rewards, which of its own samples are to be more frequent (`reward`)
    regression_head   a number for each property, by a network and a head (`regression_objective`)
    masked            the tokens that are masked in a text (`text_objective`)
    sequence_to_sequence
                      a text, from the same with masked parts or from another (`text_objective`)

The trainer knows this interface alone: steps, optimizers, checkpoints and evaluation are the same
for all. A further objective is a file with an `Objective` and a line in `trainer.make_objective`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

import torch
from torch import nn

from crystext.models.encoder import InitialEncoder
from crystext.models.initialize import InitialModel
from crystext.models.text_network import InitialTextNetwork
from crystext.training.datasets import TrainingDatasets
from crystext.training.example_stream import TrainingRow

MeanLosses = Callable[[list[TrainingRow]], list[float]]
"""Returns the mean loss per target of each row."""


class Batch(Protocol):
    """Rows as one pass over the network takes them."""

    @property
    def tokens(self) -> int:
        """Number of tokens, without padding."""

    @property
    def targets_K(self) -> torch.Tensor:
        """What is to be predicted, K in all."""

    @property
    def example_index_K(self) -> torch.Tensor:
        """For each target, the index of its row."""

    def to(self, device: torch.device) -> Self:
        """Return a copy on a device."""


class LossModule(nn.Module):
    """A network that returns losses: `forward(batch)` gives one for each target, (K,).

    Wrappers for several processes or sharding wrap this module, so that one forward pass goes from
    tokens to losses.
    """

    network: nn.Module
    bf16: bool


class Objective(ABC):
    """The network of a run, its data, and what it learns from them."""

    initial_model: InitialModel | InitialEncoder | InitialTextNetwork
    """Exactly the parameters of its network that are to be trained require gradients."""
    datasets: TrainingDatasets

    @abstractmethod
    def loss_module(self, device: torch.device, *, bf16: bool) -> LossModule:
        """Return the module that the trainer runs; with `bf16` it multiplies in 16 bits."""

    @abstractmethod
    def batch(self, rows: Sequence[TrainingRow]) -> Batch:
        """Return rows as one pass takes them; never empty (`dummy_rows`)."""

    @abstractmethod
    def dummy_rows(self) -> list[TrainingRow]:
        """Return rows without loss, for a process without rows while others wait for it."""

    def training_losses(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the losses (K,) that training lowers; those of validation have no weights."""
        losses: torch.Tensor = model(batch)
        return losses

    @abstractmethod
    def scores(self, mean_losses: MeanLosses, *, is_main: bool) -> dict[str, float]:
        """Return what an evaluation reports besides the losses, for the network as it is.

        Args:
            mean_losses: of rows, by all processes together.
            is_main: whether this process is the one that reports.
        """

    @abstractmethod
    def save(
        self, folder: Path, state: Mapping[str, torch.Tensor] | None, *, last: bool = True
    ) -> None:
        """Write the model folder, by the main process of a run.

        Args:
            folder: the path.
            state: the weights by name, if they are stored elsewhere than in the network.
            last: whether it is the last action of the run; else training goes on, and the network
                may be left in evaluation mode, but otherwise as it was.
        """
