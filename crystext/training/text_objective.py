"""The objectives `masked` and `sequence_to_sequence`: a network learns texts without labels.

    masked                 BERT and RoBERTa: tokens that are masked in a text
    sequence_to_sequence   BART: the text of which parts are masked, or another one of the record

A run gives a base to fine-tune with the objective `regression_head`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch

from crystext.inference.text_to_text import written_ids
from crystext.models.settings import TextObjective
from crystext.models.text_network import (
    InitialTextNetwork,
    initialize_text_network,
    save_text_network,
)
from crystext.text import get_format
from crystext.training.example_stream import TrainingRow
from crystext.training.masking import MaskVocabulary, mask_parts, mask_tokens
from crystext.training.objective_checks import REPRESENTATION_TASK
from crystext.training.objectives import MeanLosses, Objective
from crystext.training.recipe import Recipe
from crystext.training.representation_settings import RepresentationSettings
from crystext.training.representation_texts import MakeRow, RepresentationReader
from crystext.training.text_losses import PaddedTexts, TokenLoss, pad_masked, pad_written
from crystext.training.training_data import TrainingData

_MASKED_FRACTION = {"masked": 0.15, "sequence_to_sequence": 0.3}
"""Sources: see `RepresentationSettings.masked_fraction`."""

_WRITTEN_ANSWERS = 256
"""Number of validation records whose answers are written at each evaluation."""


class PretrainingObjective(Objective):
    """A network with outputs for tokens, and the texts of records."""

    initial_model: InitialTextNetwork

    def __init__(self, recipe: Recipe, data: TrainingData, device: torch.device) -> None:
        """Create or load the network that a recipe names, and set up its examples.

        Raises:
            CrystextError: the recipe refers to something that does not exist, or no record has a
                text that is short enough.
        """
        self.recipe = recipe
        assert recipe.representations is not None, "the recipe's check requires it"
        self.name = cast("TextObjective", recipe.objective)
        texts = RepresentationReader(recipe, data.splits["train"])
        make_row = _row_maker(recipe.representations, self.name, texts)
        self.datasets = texts.datasets(recipe, data.splits, make_row)
        self.initial_model = initialize_text_network(
            recipe.model,
            texts.tokenizer,
            self.name,
            max_tokens=recipe.optim.max_tokens,
            seed=recipe.seed,
            device=device,
        )

    def loss_module(self, device: torch.device, *, bf16: bool) -> TokenLoss:
        """See `Objective.loss_module`."""
        return TokenLoss(self.initial_model.network, bf16=bf16)

    def batch(self, rows: Sequence[TrainingRow]) -> PaddedTexts:
        """Return rows as a padded grid."""
        if self.name == "masked":
            return pad_masked(rows, self._padding)
        start = int(self.initial_model.network.config.decoder_start_token_id)
        return pad_written(rows, self._padding, start)

    def dummy_rows(self) -> list[TrainingRow]:
        """See `Objective.dummy_rows`."""
        return [([self._padding], [])]

    @property
    def _padding(self) -> int:
        return int(self.initial_model.tokenizer.pad_token_id)

    def scores(self, mean_losses: MeanLosses, *, is_main: bool) -> dict[str, float]:
        """Return the proportion of answers that are written exactly, if there are answers."""
        settings, recipe = self.recipe.representations, self.recipe
        if not is_main or settings is None or settings.answer is None:
            return {}
        examples = self.datasets.validation[REPRESENTATION_TASK]
        count = min(_WRITTEN_ANSWERS, recipe.data.validation_crystals, len(examples.data))
        rows = examples.rows(range(count))
        network, most = self.initial_model.network, recipe.optim.max_tokens
        written = written_ids(network, [ids for ids, _ in rows], self._padding, most)
        right = [ids == list(answer) for ids, (_, answer) in zip(written, rows, strict=True)]
        return {f"exact_{settings.answer}": sum(right) / max(1, len(right))}

    def save(
        self, folder: Path, state: Mapping[str, torch.Tensor] | None, *, last: bool = True
    ) -> None:
        """Write the folder of a network."""
        assert state is None, "the recipe's check refuses FSDP"
        start = self.initial_model
        fmt = get_format(self.recipe.format)
        save_text_network(folder, start.network, start.tokenizer, self.name, fmt)


def _row_maker(
    settings: RepresentationSettings, objective: TextObjective, texts: RepresentationReader
) -> MakeRow:
    if settings.answer is not None:
        return _answered_row
    vocabulary = MaskVocabulary.of(texts.tokenizer)
    fraction = settings.masked_fraction or _MASKED_FRACTION[objective]
    if objective == "masked":
        return partial(_masked_row, vocabulary, fraction)
    return partial(_restored_row, vocabulary, fraction, settings.mean_span)


def _answered_row(ids: list[int], answer: list[int], rng: np.random.Generator) -> TrainingRow:
    return ids, answer


def _masked_row(
    vocabulary: MaskVocabulary,
    fraction: float,
    ids: list[int],
    answer: list[int],
    rng: np.random.Generator,
) -> TrainingRow:
    return mask_tokens(ids, vocabulary, fraction, rng)


def _restored_row(
    vocabulary: MaskVocabulary,
    fraction: float,
    mean_span: float,
    ids: list[int],
    answer: list[int],
    rng: np.random.Generator,
) -> TrainingRow:
    return mask_parts(ids, vocabulary, fraction, mean_span, rng), answer
