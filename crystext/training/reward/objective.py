"""A language model learns from the rewards of its own samples: `rewards` in a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from crystext.errors import SettingError
from crystext.tasks.base import Example
from crystext.tasks.property_prediction import PropertyPrediction
from crystext.text import WYCKOFF
from crystext.tokenization.encode import examples_ids
from crystext.training.causal_objective import CausalObjective
from crystext.training.example_stream import Examples, ExampleStream, TrainingRow
from crystext.training.objectives import MeanLosses
from crystext.training.packing import split_micro_batches
from crystext.training.recipe import Recipe
from crystext.training.reward.loss import (
    RewardedBatch,
    RewardLoss,
    SampledTokens,
    SampleLabels,
    rewarded_batch,
)
from crystext.training.reward.samples import (
    RewardedSample,
    read_rewarded_samples,
    sample_weights,
)
from crystext.training.training_data import TrainingData

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RewardedTexts:
    """Texts of samples and their weights, as rows of training."""

    def __init__(
        self,
        samples: Sequence[RewardedSample],
        weights: Sequence[float],
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        self.samples, self.weights, self.tokenizer = samples, weights, tokenizer

    def __len__(self) -> int:
        return len(self.samples)

    def rows(self, indices: Sequence[int]) -> list[TrainingRow]:
        """Return the rows of some samples."""
        texts = [Example(self.samples[i].prompt, self.samples[i].text, WYCKOFF) for i in indices]
        return [
            (ids, SampleLabels(labels, self.weights[i]))
            for i, (ids, labels) in zip(indices, examples_ids(self.tokenizer, texts), strict=True)
        ]


class RewardedExamples(ExampleStream):
    """Samples, and between them the examples of a recipe's tasks."""

    def __init__(self, texts: RewardedTexts, others: Examples, fraction: float) -> None:
        """Set up a stream in which a fraction of the examples are samples."""
        super().__init__(texts, max_tokens=others.max_tokens, seed=others.seed)
        self.texts, self.others, self.fraction = texts, others, fraction

    @property
    def tasks(self) -> list[str]:
        """Those of the recipe."""
        return self.others.tasks

    def rows(self, positions: range) -> list[TrainingRow]:
        """Return the examples at these positions of the stream, without those that are too long."""
        return [row for row in self._rows(positions) if len(row[0]) <= self.max_tokens]

    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of the examples at these positions, including those too long."""
        return [len(ids) for ids, _ in self._rows(positions)]

    def _rows(self, positions: range) -> list[TrainingRow]:
        chosen = [self._rng(*self._place(p)).random() < self.fraction for p in positions]
        samples = [self._place(p)[0] for p, drawn in zip(positions, chosen, strict=True) if drawn]
        found = self.texts.rows(samples)
        for position, drawn in zip(positions, chosen, strict=True):
            if not drawn:
                found += self.others.rows(range(position, position + 1))
        return found


class RewardObjective(CausalObjective):
    """A language model, samples of it with their rewards, and the tasks that it keeps."""

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        property_task: PropertyPrediction | None,
        device: torch.device,
    ) -> None:
        """Load the base and the samples, and weigh these.

        Raises:
            CrystextError: as `CausalObjective`, or the samples or their rewards cannot be read.
        """
        super().__init__(recipe, data, property_task, device)
        assert recipe.rewards is not None, "the trainer asks for this objective only then"
        self.settings = recipe.rewards
        read = read_rewarded_samples(self.settings)
        if len(read.samples) <= self.settings.held_out:
            raise SettingError(
                f"rewards.held_out is {self.settings.held_out:,} of {len(read.samples):,} samples; "
                "give a smaller number"
            )
        weights = sample_weights(read.samples, data.splits, self.settings)
        order = np.random.default_rng(recipe.seed).permutation(len(read.samples))
        held_out, learned = np.split(order, [self.settings.held_out])
        tokenizer = self.initial_model.tokenizer

        def texts(indices: Sequence[int]) -> RewardedTexts:
            chosen = [read.samples[i] for i in indices]
            return RewardedTexts(chosen, [float(weights[i]) for i in indices], tokenizer)

        self.tokens = SampledTokens(tokenizer, read.temperatures)
        self.held_out = texts(held_out.tolist())
        others = cast("Examples", self.datasets.train)
        train = RewardedExamples(texts(learned.tolist()), others, self.settings.fraction)
        notes = (
            f"{len(learned):,} samples are learned by their rewards, {len(held_out):,} are held "
            f"out; {read.left_out:,} are no crystals or have no reward",
        )
        lengths = train.lengths(range(len(self.datasets.lengths)))
        self.datasets = replace(
            self.datasets, train=train, lengths=lengths, notes=(*self.datasets.notes, *notes)
        )

    def loss_module(self, device: torch.device, *, bf16: bool) -> RewardLoss:
        """See `Objective.loss_module`."""
        self._loss = RewardLoss(
            self.initial_model.network,
            device,
            self.tokens,
            divergence_weight=self.settings.divergence_weight,
            bf16=bf16,
        )
        return self._loss

    def batch(self, rows: Sequence[TrainingRow]) -> RewardedBatch:  # type: ignore[override]
        """Return rows as one row without padding."""
        return rewarded_batch(rows, self.tokens)

    def training_losses(self, model: nn.Module, batch: RewardedBatch) -> torch.Tensor:  # type: ignore[override]
        """Return the losses of `RewardLoss`."""
        losses: torch.Tensor = model(batch)
        return losses

    def scores(self, mean_losses: MeanLosses, *, is_main: bool) -> dict[str, float]:
        """Return what the held-out samples say, besides the checks of the recipe.

        `reward_gain` is the mean of (w - 1) log(p / base) in nats: what training raises, and what
        falls again when it learns its samples by heart. `reward_divergence` is the mean of
        log(base / p) over samples of the base.
        """
        found = super().scores(mean_losses, is_main=is_main)
        if is_main:
            gain, divergence = self._held_out_scores()
            found |= {"reward_gain": gain, "reward_divergence": divergence}
        return found

    @torch.no_grad()
    def _held_out_scores(self) -> tuple[float, float]:
        rows = self.held_out.rows(range(len(self.held_out)))
        gain = divergence = 0.0
        for part in split_micro_batches(rows, self.recipe.optim.micro_tokens):
            batch = self.batch(part).to(next(self._loss.network.parameters()).device)
            ratio = self._loss.log_likelihoods(batch) - self._loss.log_likelihoods(batch, base=True)
            gain += float(((batch.weights_K - 1) * ratio).sum())
            divergence -= float(ratio.sum())
        return gain / len(rows), divergence / len(rows)
