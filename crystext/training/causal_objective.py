"""The objective `causal`: a language model learns the next token of each completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from crystext.errors import SettingError
from crystext.models.architectures.network_families import new_text_network
from crystext.models.architectures.residual_dropout import add_residual_dropout
from crystext.models.initialize import InitialModel, initialize_model
from crystext.models.load import save_model
from crystext.models.prediction_vocabulary import extend_for_prediction
from crystext.tasks.prompts import load_prompts
from crystext.tasks.property_prediction import PropertyPrediction
from crystext.text import get_format
from crystext.tokenization.encoder_vocabulary import encoder_ids
from crystext.training.example_stream import Examples, TrainingRow
from crystext.training.loss import PackedLoss, base_network
from crystext.training.number_weighting import NumberWeights
from crystext.training.objectives import Batch, MeanLosses, Objective
from crystext.training.packed_attention import standard_attention
from crystext.training.packing import Packed, dummy_rows, pack
from crystext.training.property_checks import make_property_checks
from crystext.training.recipe import Recipe
from crystext.training.record_datasets import make_datasets
from crystext.training.representation_texts import RepresentationReader
from crystext.training.sample_checks import sampled_validity, validation_ipt
from crystext.training.training_data import TrainingData

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class CausalObjective(Objective):
    """A language model, its examples, and checks by sampling and prediction."""

    initial_model: InitialModel

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        property_task: PropertyPrediction | None,
        device: torch.device,
    ) -> None:
        """Create or load the network that a recipe names, and set up its examples.

        Raises:
            CrystextError: the recipe refers to something that does not exist, or gives no batch.
        """
        self.recipe = recipe
        texts = None
        if recipe.representations is not None:
            texts = RepresentationReader(recipe, data.splits["train"])
        self.initial_model = _initialize_model(recipe, data, property_task, texts, device)
        if texts is not None:
            _check_tokenizer(texts.tokenizer, self.initial_model)
            self.datasets = texts.datasets(recipe, data.splits, _text_row)
        elif data.texts is not None:
            self.datasets = data.texts.datasets(recipe, self.initial_model.tokenizer)
        else:
            self.datasets = make_datasets(recipe, data.splits, self.initial_model, property_task)
        self.property_checks = make_property_checks(
            recipe, self.initial_model, property_task, data.splits
        )
        if recipe.dropout:
            add_residual_dropout(base_network(self.initial_model.network), recipe.dropout)
        self.number_weights = (
            None
            if recipe.number_weight == 1
            else NumberWeights(self.initial_model.tokenizer, recipe.number_weight, device)
        )

    def loss_module(self, device: torch.device, *, bf16: bool) -> PackedLoss:
        """See `Objective.loss_module`."""
        return PackedLoss(self.initial_model.network, device, bf16=bf16)

    def batch(self, rows: Sequence[TrainingRow]) -> Packed:
        """Return rows as one row without padding."""
        return pack(rows)

    def dummy_rows(self) -> list[TrainingRow]:
        """See `Objective.dummy_rows`."""
        # Any token will do.
        return dummy_rows(int(self.initial_model.tokenizer.eos_token_id))

    def training_losses(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the losses, those of numbers with the recipe's weight."""
        losses_K = super().training_losses(model, batch)
        if self.number_weights is None:
            return losses_K
        return losses_K * self.number_weights(cast("Packed", batch))

    def scores(self, mean_losses: MeanLosses, *, is_main: bool) -> dict[str, float]:
        """Return the checks of the recipe: translation, samples, errors of properties."""
        recipe, checks, found = self.recipe, self.recipe.sample_checks, {}
        if checks.ipt_crystals:
            examples = next(iter(self.datasets.validation.values()))
            assert isinstance(examples, Examples)
            found["ipt"] = validation_ipt(mean_losses, examples, checks)
        if checks.sampled_crystals and is_main:
            found |= sampled_validity(
                self.initial_model, checks, recipe.temperatures(), recipe.sample_format_object()
            )
        if self.property_checks is not None and is_main:
            network = self.initial_model.network
            with standard_attention(base_network(network)):
                found |= self.property_checks.errors(network)
        return found

    def save(
        self, folder: Path, state: Mapping[str, torch.Tensor] | None, *, last: bool = True
    ) -> None:
        """Write a model folder, or an adapter folder; in 32 bits while training goes on."""
        recipe, start = self.recipe, self.initial_model
        network = base_network(start.network)
        network.config.use_cache = True
        # A small predictor that was trained in 32 bits loses accuracy in 16.
        is_small = not recipe.generates and recipe.precision != "bf16"
        if last and state is None and start.base is None and not is_small:
            network.bfloat16()
        with standard_attention(network):
            prediction = None
            if self.property_checks is not None:
                prediction = self.property_checks.settings(start.network.eval())
            save_model(
                folder,
                start.network,
                start.tokenizer,
                start.prompts,
                start.format,
                base=start.base,
                temperatures=recipe.temperatures(),
                sample_format=recipe.sample_format_object(),
                state=state,
                prediction=prediction,
                generates=recipe.generates,
            )
            if self.property_checks is not None:
                self.property_checks.write_compositions(folder)
        network.config.use_cache = last


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase, model: InitialModel) -> None:
    """Refuse a base that would never learn where a text ends, or lacks tokens of texts."""
    ends = encoder_ids(tokenizer, ["C"])[0][-1] == tokenizer.eos_token_id
    if not ends or len(tokenizer) != len(model.tokenizer):
        raise SettingError(
            "model.base: its tokenizer puts no end-of-text token behind a text, or has none for "
            "lengths and angles; give a base that learned the task representation, or "
            "model.new_network"
        )


def _text_row(ids: list[int], answer: list[int], rng: np.random.Generator) -> TrainingRow:
    return ids, ids


def _initialize_model(
    recipe: Recipe,
    data: TrainingData,
    task: PropertyPrediction | None,
    texts: RepresentationReader | None,
    device: torch.device,
) -> InitialModel:
    """Create or load the network that a recipe names, with the vocabulary that its task needs."""
    prompts = None if recipe.prompts is None else load_prompts(recipe.prompts)
    fmt, sizes = get_format(recipe.format), recipe.model.new_network
    if sizes is not None:
        assert texts is not None, "the recipe's check requires it"
        tokenizer, most = texts.tokenizer, recipe.optim.max_tokens
        network = new_text_network(tokenizer, sizes, most, recipe.seed)
        network.to(device)  # type: ignore[arg-type]
        return InitialModel(network.train(), tokenizer, prompts or load_prompts(), fmt, None)
    model = initialize_model(
        recipe.model,
        prompts,
        fmt,
        max_tokens=recipe.optim.max_tokens,
        seed=recipe.seed,
        device=device,
        compute_dtype=torch.bfloat16 if recipe.precision == "bf16" else torch.float32,
        tokenizer_folder=None if data.texts is None else data.texts.tokenizer_folder,
    )
    return model if task is None else extend_for_prediction(model, task.scales, recipe.seed)
