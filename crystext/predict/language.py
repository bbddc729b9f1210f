"""Prediction by language models: the answers to questions about a text, with their distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystext.errors import ModelError
from crystext.inference.answer_distribution import (
    AnswerDistribution,
    calibrated_interval,
    mixture,
)
from crystext.inference.property_readout import read_distributions
from crystext.metrics.interval_coverage import INTERVAL_LEVELS
from crystext.models.layout import open_model, writes_no_text
from crystext.models.load import LoadedModel, load_model
from crystext.models.prediction_settings import PredictionSettings, read_prediction_settings
from crystext.predict.baselines.fitting import Answers
from crystext.predict.trained import TrainedPredictor
from crystext.runtime.shipped_files import shipped_predictor

if TYPE_CHECKING:
    from crystext.models.layout import ModelFolder

SHIPPED = "shipped"
"""Name of the predictor that comes with the package."""


class LanguagePredictor(TrainedPredictor[LoadedModel, AnswerDistribution]):
    """One or several language models that were trained on the task `property`.

    Several are an ensemble: their distributions are averaged, which lowers the error and widens the
    intervals where the models disagree.
    """

    @classmethod
    def open(cls, *sources: str | Path | ModelFolder) -> LanguagePredictor:
        """Load models: `shipped`, folders that `crystext train` wrote, or names on the Hub.

        Raises:
            ModelError: a model does not exist, is damaged, or predicts nothing.
        """
        return cls([_load(source) for source in sources or (SHIPPED,)])

    def _read(
        self,
        model: LoadedModel,
        settings: PredictionSettings,
        texts: Sequence[tuple[str, str]],
        names: Sequence[str],
    ) -> dict[str, AnswerDistribution]:
        return read_distributions(
            model.network,
            model.tokenizer,
            model.prompts,
            settings.scales,
            [text for _, text in texts],
            names,
        )

    def _answers(self, name: str, readings: Sequence[AnswerDistribution]) -> Answers:
        distribution = mixture(readings)
        if self.properties[name].kind == "boolean":
            # The only other answer is no.
            return Answers(distribution.means())
        calibration = self._calibration(name)
        return Answers(
            distribution.medians(),
            distribution.means(),
            {
                level: calibrated_interval(distribution, level, calibration)
                for level in INTERVAL_LEVELS
            },
            distribution.modes(),
            distribution.expected_ranks(),
        )

    def _calibration(self, name: str) -> Mapping[str, float]:
        """Return the mean calibration of the models."""
        found = [settings.calibration.get(name, {}) for _, settings in self._models]
        return {
            level: float(np.mean([x[level] for x in found]))
            for level in found[0]
            if all(level in x for x in found)
        }


def _load(source: str | Path | ModelFolder) -> tuple[LoadedModel, PredictionSettings]:
    folder = shipped_predictor() if str(source) == SHIPPED else source
    files = open_model(folder)
    if (objective := files.description.objective) != "causal":
        raise writes_no_text(files.path, objective)
    settings = read_prediction_settings(files.path)
    if settings is None:
        raise ModelError(
            f"the model {files.source} predicts no property; train one with `crystext train "
            "regress-shipped`, or leave the model out to take the shipped predictor"
        )
    return load_model(files), settings
