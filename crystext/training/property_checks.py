"""Checks of property prediction in training: errors on validation records, and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.data.store import Records
from crystext.errors import InputError
from crystext.inference.answer_distribution import AnswerDistribution, calibrate
from crystext.inference.applicability import COMPOSITIONS_FILE, TrainingCompositions
from crystext.inference.property_readout import read_distributions
from crystext.metrics.interval_coverage import INTERVAL_LEVELS
from crystext.models.prediction_settings import PredictionSettings
from crystext.structures.crystal import Floats
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import to_wyckoff_or_none
from crystext.tasks.property_prediction import PropertyPrediction, property_value
from crystext.tasks.representations import get_representation, text_and_problem
from crystext.training.property_task import known_counts
from crystext.training.recipe import Recipe

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from crystext.models.initialize import InitialModel


def make_property_checks(
    recipe: Recipe,
    initial_model: InitialModel,
    task: PropertyPrediction | None,
    data: Mapping[str, Records],
) -> PropertyChecks | None:
    """Return the checks of a run on its validation records; None without a property task."""
    if task is None:
        return None
    return PropertyChecks(recipe, initial_model, task, data)


class PropertyChecks:
    """The validation records of a property task, as texts with their true values."""

    def __init__(
        self,
        recipe: Recipe,
        initial_model: InitialModel,
        task: PropertyPrediction,
        splits: Mapping[str, Records],
    ) -> None:
        """Write the texts of the first records, in the preferred representation of each.

        Args:
            recipe: the run's.
            initial_model: whose tokenizer and prompts are used.
            task: the recipe's.
            splits: the training and validation records.
        """
        self.recipe, self.initial_model, self.task = recipe, initial_model, task
        self._train, data = splits["train"], splits["validation"]
        count = recipe.data.validation_crystals
        forms = [get_representation(name) for name in task.inputs]
        self.texts: list[str] = []
        rows: list[list[float]] = []
        for i in range(min(count, len(data))):
            record: Record = data[i]
            if task.needs_wyckoff and record.crystal is not None and record.wyckoff is None:
                record = replace(record, wyckoff=to_wyckoff_or_none(record.crystal))
            text = next((x for form in forms if (x := text_and_problem(record, form)[0])), "")
            if text:
                self.texts.append(text)
                values = (property_value(s.target, record) for s in task.scales.values())
                rows.append([np.nan if value is None else value for value in values])
        table = np.array(rows, dtype=np.float64).reshape(len(rows), len(task.scales))
        self.true_values: dict[str, Floats] = {
            name: table[:, i] for i, name in enumerate(task.scales)
        }

    def read(self, network: PreTrainedModel | PeftModel) -> dict[str, AnswerDistribution]:
        """Return the distributions of all properties for each text."""
        start = self.initial_model
        return read_distributions(
            network, start.tokenizer, start.prompts, self.task.scales, self.texts
        )

    def errors(self, network: PreTrainedModel | PeftModel) -> dict[str, float]:
        """Return the mean absolute error of each property's median; of a boolean the error rate.

        Returns:
            `mae_NAME`, for properties with known values.
        """
        found = {}
        with torch.inference_mode():
            for name, distribution in self.read(network).items():
                truth = self.true_values[name]
                known = np.isfinite(truth)
                if known.any():
                    error = np.abs(distribution.medians() - truth)[known].mean()
                    found[f"mae_{name}"] = float(error)
        return found

    def settings(self, network: PreTrainedModel | PeftModel) -> PredictionSettings:
        """Return what the model folder says; intervals are calibrated on the validation records."""
        calibration = {
            name: calibrate(distribution, self.true_values[name], INTERVAL_LEVELS)
            for name, distribution in self.read(network).items()
            if not self.task.scales[name].is_boolean
        }
        return PredictionSettings(
            self.task.scales,
            tuple(self.task.inputs),
            calibration,
            known_counts(self.task, self._train),
            self.recipe.generates,
            1 if self.recipe.properties is None else self.recipe.properties.views,
        )

    def write_compositions(self, folder: Path) -> None:
        """Write the training compositions, for the distance of what is predicted from them."""
        records = [self._train[i] for i in range(len(self._train))]
        # Molecules have no composition to compare.
        with suppress(InputError):
            TrainingCompositions.of(records).save(folder / COMPOSITIONS_FILE)
