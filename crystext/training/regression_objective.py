"""The objective `regression_head`: a network and a linear layer learn numbers of texts.

As in LLM-Prop (Rubungo et al., arXiv:2310.14029) and LLM4Mat-Bench (arXiv:2411.00177):

    number    |output - (value - mean) / std|, or its square; mean and std of the training values
    boolean   cross entropy of the logit and 0 or 1

Each known value of a record is a target; one that a record lacks, or that is not finite, is masked:
it is in no mean, and carries no loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from crystext.data.store import Records
from crystext.errors import InputError
from crystext.inference.applicability import COMPOSITIONS_FILE, TrainingCompositions
from crystext.inference.head_readout import pad_rows, read_head
from crystext.metrics.interval_coverage import INTERVAL_LEVELS, residual_quantile
from crystext.models.architectures.regression_head import EncoderWithHead
from crystext.models.encoder import InitialEncoder, initialize_encoder, save_encoder
from crystext.models.prediction_settings import HeadSettings, PredictionSettings
from crystext.structures.crystal import Floats
from crystext.structures.record import Record
from crystext.tasks.property_prediction import PropertyPrediction, property_value
from crystext.text import get_format
from crystext.tokenization.encoder_vocabulary import encoder_ids
from crystext.training.datasets import LENGTH_SAMPLE_SIZE, TrainingDatasets
from crystext.training.example_stream import ExampleStream, TrainingRow
from crystext.training.head_settings import RegressionHeadSettings
from crystext.training.objectives import LossModule, MeanLosses, Objective
from crystext.training.property_task import known_counts
from crystext.training.recipe import PROPERTY_TASK, Recipe
from crystext.training.text_reader import TextReader, tokenizer_and_reader
from crystext.training.training_data import TrainingData

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_LISTED_PROPERTIES = 5
"""Number of properties with masked values that are named."""


class Padded(NamedTuple):
    """Texts of B records, padded at their end, and the values of P properties."""

    ids_B_T: torch.Tensor
    mask_B_T: torch.Tensor
    """1 at tokens, 0 at padding."""
    values_B_P: torch.Tensor
    """In units of the outputs; 0 where unknown."""
    value_index_K: torch.Tensor
    """Of the known values in the flattened (B, P)."""
    targets_K: torch.Tensor
    """Those values."""
    example_index_K: torch.Tensor
    """For each of them, the index of its record."""

    @property
    def tokens(self) -> int:
        """Number of tokens, without padding."""
        return int(self.mask_B_T.sum())

    def to(self, device: torch.device) -> Padded:
        """Return a copy on a device."""
        return Padded(*(x.to(device, non_blocking=True) for x in self))


def pad(rows: Sequence[TrainingRow], padding_token: int) -> Padded:
    """Return rows of token ids and values, nan where unknown, as one batch."""
    ids_B_T, mask_B_T = pad_rows([ids for ids, _ in rows], padding_token)
    values = np.array([row for _, row in rows], dtype=np.float32)
    known = np.flatnonzero(np.isfinite(values))
    return Padded(
        ids_B_T,
        mask_B_T,
        torch.from_numpy(np.nan_to_num(values)),
        torch.from_numpy(known),
        torch.from_numpy(values.ravel()[known]),
        torch.from_numpy(known // values.shape[1]),
    )


class HeadLoss(LossModule):
    """An encoder with a head that returns losses: errors, and cross entropies in nats."""

    network: EncoderWithHead

    def __init__(
        self,
        network: EncoderWithHead,
        is_boolean: Sequence[bool],
        device: torch.device,
        bf16: bool,
        loss: Literal["l1", "l2"] = "l1",
    ) -> None:
        super().__init__()
        self.network, self.bf16, self.loss = network, bf16, loss
        self.is_boolean_P = torch.tensor(is_boolean, device=device)

    def forward(self, batch: Padded) -> torch.Tensor:
        """Return the loss (K,) of each known value."""
        with torch.autocast(batch.ids_B_T.device.type, torch.bfloat16, enabled=self.bf16):
            outputs_B_P = self.network(batch.ids_B_T, batch.mask_B_T)
        values_B_P = batch.values_B_P
        errors_B_P = (outputs_B_P - values_B_P).abs()
        losses_B_P = torch.where(
            self.is_boolean_P,
            nn.functional.binary_cross_entropy_with_logits(
                outputs_B_P, values_B_P, reduction="none"
            ),
            errors_B_P if self.loss == "l1" else errors_B_P.square(),
        )
        return losses_B_P.flatten()[batch.value_index_K]


class LabelledTexts(ExampleStream):
    """The texts of records, and the values of their properties in units of the outputs."""

    data: Records
    cuts_long_texts = True

    def __init__(
        self,
        data: Records,
        reader: TextReader,
        tokenizer: PreTrainedTokenizerBase,
        *,
        translate_probability: float,
        max_tokens: int,
        seed: int,
    ) -> None:
        super().__init__(data, max_tokens=max_tokens, seed=seed)
        self.reader, self.tokenizer = reader, tokenizer
        self.translate_probability = translate_probability

    @property
    def tasks(self) -> list[str]:
        """The task `property` alone."""
        return [PROPERTY_TASK]

    def rows(self, positions: range) -> list[TrainingRow]:
        """Return the rows of the records with a text and a value."""
        found = list(self._labelled_texts(positions))
        ids = encoder_ids(self.tokenizer, [text for text, _ in found], self.max_tokens)
        return [(row, values) for row, (_, values) in zip(ids, found, strict=True)]

    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of the whole texts."""
        texts = [text for text, _ in self._labelled_texts(positions)]
        return [len(row) for row in encoder_ids(self.tokenizer, texts)]

    def _labelled_texts(self, positions: range) -> Iterator[tuple[str, list[float]]]:
        for position in positions:
            index, epoch = self._place(position)
            rng, record = self._rng(index, epoch), self.data[index]
            values = scaled_values(self.reader.task, record)
            if not np.isfinite(values).any():
                continue
            text = self.reader.sampled(record, rng, self.translate_probability)
            if text:
                yield text, values


def scaled_values(task: PropertyPrediction, record: Record) -> list[float]:
    """Return the values of a record in units of the outputs, nan where unknown."""
    found = []
    for scale in task.scales.values():
        value = property_value(scale.target, record)
        if value is None:
            found.append(float("nan"))
        else:
            found.append(value if scale.is_boolean else (value - scale.mean) / scale.std)
    return found


class RegressionObjective(Objective):
    """A network with a head, its labelled texts, and its errors on validation records."""

    initial_model: InitialEncoder

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        property_task: PropertyPrediction,
        device: torch.device,
    ) -> None:
        """Create or load the encoder that a recipe names, and set up its examples.

        Raises:
            CrystextError: the recipe refers to something that does not exist, or no record has a
                text and a value.
        """
        self.recipe, self.task = recipe, property_task
        self.head = recipe.head or RegressionHeadSettings()
        self._train, held_out = data.splits["train"], data.splits["validation"]
        tokenizer, self.reader = tokenizer_and_reader(
            recipe.model, property_task, self.head, self._train
        )
        self._known_counts = known_counts(property_task, self._train)
        self.datasets = replace(
            _make_datasets(recipe, self._train, held_out, self.reader, tokenizer),
            notes=tuple(_masked_values_note(self._known_counts, len(self._train))),
        )
        self.initial_model = initialize_encoder(
            recipe.model,
            tokenizer,
            outputs=len(property_task.scales),
            pooling=self.head.pooling,
            dropout=self.head.dropout,
            max_tokens=recipe.optim.max_tokens,
            seed=recipe.seed,
            device=device,
        )
        count = min(recipe.data.validation_crystals, len(held_out))
        checked = [(self.reader.preferred(held_out[i]), held_out[i]) for i in range(count)]
        self.checked_texts = [text for text, _ in checked if text]
        self.checked_values: dict[str, Floats] = {
            name: np.array(
                [
                    np.nan if (value := property_value(scale.target, record)) is None else value
                    for text, record in checked
                    if text
                ]
            )
            for name, scale in property_task.scales.items()
        }

    def loss_module(self, device: torch.device, *, bf16: bool) -> HeadLoss:
        """See `Objective.loss_module`."""
        booleans = [scale.is_boolean for scale in self.task.scales.values()]
        return HeadLoss(self.initial_model.network, booleans, device, bf16, self.head.loss)

    def batch(self, rows: Sequence[TrainingRow]) -> Padded:
        """Return rows as a padded grid."""
        return pad(rows, self._padding)

    def dummy_rows(self) -> list[TrainingRow]:
        """See `Objective.dummy_rows`."""
        return [([self._padding], [float("nan")] * len(self.task.scales))]

    @property
    def _padding(self) -> int:
        return int(self.initial_model.tokenizer.pad_token_id)

    def scores(self, mean_losses: MeanLosses, *, is_main: bool) -> dict[str, float]:
        """Return the mean absolute error of each property; of a boolean the error rate."""
        found: dict[str, float] = {}
        if not is_main:
            return found
        for name, values in self._predict().items():
            truth = self.checked_values[name]
            known = np.isfinite(truth)
            if self.task.scales[name].is_boolean:
                values = np.round(values)
            if known.any():
                found[f"mae_{name}"] = float(np.abs(values - truth)[known].mean())
        return found

    def save(
        self, folder: Path, state: Mapping[str, torch.Tensor] | None, *, last: bool = True
    ) -> None:
        """Write the folder of an encoder, its intervals calibrated on the validation records."""
        assert state is None, "the recipe's check refuses FSDP"
        start = self.initial_model
        start.network.eval()
        calibration = {
            name: self._half_widths(name, values)
            for name, values in self._predict().items()
            if not self.task.scales[name].is_boolean
        }
        properties = self.recipe.properties
        settings = PredictionSettings(
            self.task.scales,
            tuple(self.task.inputs),
            calibration,
            self._known_counts,
            generates=False,
            views=1 if properties is None else properties.views,
            head=HeadSettings(
                start.network.pooling, self.recipe.optim.max_tokens, self.reader.preparation
            ),
        )
        fmt = get_format(self.recipe.format)
        save_encoder(folder, start.network, start.tokenizer, settings, fmt)
        # Molecules have no composition to compare.
        if self._compositions is not None:
            self._compositions.save(folder / COMPOSITIONS_FILE)

    @cached_property
    def _compositions(self) -> TrainingCompositions | None:
        with suppress(InputError):
            return TrainingCompositions.of([self._train[i] for i in range(len(self._train))])
        return None

    def _predict(self) -> dict[str, Floats]:
        start = self.initial_model
        return read_head(
            start.network,
            start.tokenizer,
            self.task.scales,
            self.checked_texts,
            self.recipe.optim.max_tokens,
        )

    def _half_widths(self, name: str, values: Floats) -> dict[str, float]:
        errors = values - self.checked_values[name]
        errors = errors[np.isfinite(errors)]
        if not len(errors):
            return {}
        return {str(level): residual_quantile(errors, level) for level in INTERVAL_LEVELS}


def _masked_values_note(counts: Mapping[str, int], records: int) -> Iterator[str]:
    """Yield a sentence on the values that are masked, if there are any."""
    missing = {name: records - count for name, count in counts.items() if count < records}
    if missing:
        most = sorted(missing.items(), key=lambda pair: -pair[1])[:_LISTED_PROPERTIES]
        listed = ", ".join(f"{name} {count:,}" for name, count in most)
        yield (
            f"{len(missing)} of {len(counts)} properties have values that are unknown or not "
            f"finite, of {records:,} training records: {listed}"
            + (", ..." if len(missing) > len(most) else "")
            + ". They are masked"
        )


def _make_datasets(
    recipe: Recipe,
    train: Records,
    held_out: Records,
    reader: TextReader,
    tokenizer: PreTrainedTokenizerBase,
) -> TrainingDatasets:
    def stream(data: Records, translate_probability: float, seed: int) -> LabelledTexts:
        return LabelledTexts(
            data,
            reader,
            tokenizer,
            translate_probability=translate_probability,
            max_tokens=recipe.optim.max_tokens,
            seed=seed,
        )

    first = stream(train, recipe.translate_probability, recipe.seed)
    lengths = first.lengths(range(LENGTH_SAMPLE_SIZE))
    if not lengths:
        raise _no_text_error("training", train, reader)
    second = stream(held_out, 0.0, 0)
    if not second.lengths(range(min(recipe.data.validation_crystals, len(held_out)))):
        raise _no_text_error("validation", held_out, reader)
    return TrainingDatasets(first, {PROPERTY_TASK: second}, lengths, [])


def _no_text_error(split: str, data: Records, reader: TextReader) -> InputError:
    names, inputs = ", ".join(reader.task.scales), " or ".join(reader.task.inputs)
    return InputError(
        f"none of the {len(data):,} {split} records has both a text ({inputs}) and a value of "
        f"{names}; give other properties.inputs, or check the columns of the data"
    )
