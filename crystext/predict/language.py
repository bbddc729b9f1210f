"""Prediction by language models: the answers to questions about a text, with their distribution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystext.errors import ModelError, SettingError, did_you_mean
from crystext.inference.answer_distribution import (
    AnswerDistribution,
    calibrated_interval,
    mixture,
)
from crystext.inference.applicability import (
    COMPOSITIONS_FILE,
    Applicability,
    TrainingCompositions,
)
from crystext.inference.property_readout import read_distributions
from crystext.metrics.interval_coverage import INTERVAL_LEVELS
from crystext.models.layout import open_model
from crystext.models.load import LoadedModel, load_model
from crystext.models.prediction_settings import PredictionSettings, read_prediction_settings
from crystext.predict.base import Predictions, Predictor
from crystext.predict.materials import as_records
from crystext.predict.prediction_table import prediction_table
from crystext.runtime.shipped_files import shipped_predictor
from crystext.structures.record import Record
from crystext.tasks.representations import preferred_text

if TYPE_CHECKING:
    import pandas as pd

    from crystext.models.layout import ModelFolder
    from crystext.predict.materials import Material

SHIPPED = "shipped"
"""Name of the predictor that comes with the package."""

_CHUNK = 2_000
"""Records whose texts are held at once."""


class LanguagePredictor(Predictor):
    """One or several language models that were trained on the task `property`.

    Several are an ensemble: their distributions are averaged, which lowers the error and widens the
    intervals where the models disagree.
    """

    def __init__(self, models: Sequence[tuple[LoadedModel, PredictionSettings]]) -> None:
        """Take models that predict the same properties.

        Raises:
            ModelError: the models predict different properties.
        """
        self._models = list(models)
        self._compositions: TrainingCompositions | None = None
        first = self._models[0][1]
        self.properties, self.inputs, self.views = first.properties, first.inputs, first.views
        for model, settings in self._models[1:]:
            if settings.properties.keys() != self.properties.keys():
                raise ModelError(
                    f"{model.folder} predicts {', '.join(settings.properties)}, and "
                    f"{self._models[0][0].folder} {', '.join(self.properties)}; an ensemble needs "
                    "models of the same properties"
                )

    @classmethod
    def open(cls, *sources: str | Path | ModelFolder) -> LanguagePredictor:
        """Load models: `shipped`, folders that `crystext train` wrote, or names on the Hub.

        Raises:
            ModelError: a model does not exist, is damaged, or predicts nothing.
        """
        return cls([_load(source) for source in sources or (SHIPPED,)])

    def predict(
        self,
        records: Sequence[Record],
        properties: Sequence[str] | None = None,
        *,
        views: int | None = None,
        seed: int = 0,
    ) -> dict[str, Predictions]:
        """Predict properties; see `Predictor.predict`.

        Args:
            records: each is read in the first of the model's representations that it has.
            properties: some of `properties`; None is all.
            views: number of equivalent texts of each crystal or molecule whose distributions are
                averaged, the first as it is described and the others random; 1 takes that alone,
                and None what the model's recipe says.
            seed: of the equivalent texts.
        """
        names = self._check_names(properties)
        texts, problems = self._texts(records, None)
        answered = [i for i, text in enumerate(texts) if text]
        parts = [self._distributions([texts[i] for i in answered], names)]
        rng = np.random.default_rng(seed)
        for _ in range((views or self.views) - 1):
            other, _ = self._texts([records[i] for i in answered], rng)
            parts.append(self._distributions(other, names))
        return {
            name: self._predictions(
                name, mixture([part[name] for part in parts]), answered, problems
            )
            for name in names
        }

    def table(
        self,
        materials: Material | Iterable[Material],
        properties: Sequence[str] | None = None,
        *,
        views: int | None = None,
    ) -> pd.DataFrame:
        """Return predictions as a table, a row for each material; see `predict.prediction_table`.

        Args:
            materials: crystals, samples, structures of pymatgen or ASE, formulas, paths; one or
                several.
            properties: some of `properties`; None is all.
            views: see `predict`.
        """
        records = as_records(materials)
        predictions = self.predict(records, properties, views=views)
        return prediction_table(records, predictions, self.applicability(records))

    def applicability(self, records: Sequence[Record]) -> Applicability | None:
        """Return the distances of records to the first model's training compositions.

        None if its folder has no file of them: it was trained on molecules.
        """
        path = self._models[0][0].folder / COMPOSITIONS_FILE
        if self._compositions is None and path.is_file():
            self._compositions = TrainingCompositions.read(path)
        return None if self._compositions is None else self._compositions.assess(records)

    def _check_names(self, properties: Sequence[str] | None) -> list[str]:
        names = list(self.properties if properties is None else properties)
        for name in names:
            if name not in self.properties:
                raise SettingError(
                    f"the model does not predict {name!r}; it predicts "
                    f"{', '.join(self.properties)}." + did_you_mean(name, self.properties)
                )
        return names

    def _texts(
        self, records: Sequence[Record], rng: np.random.Generator | None
    ) -> tuple[list[str], list[str]]:
        """Return a text for each record, empty if it has none, and why."""
        found = [preferred_text(record, self.inputs, rng) for record in records]
        return [text for _, text, _ in found], [problem for _, _, problem in found]

    def _distributions(
        self, texts: Sequence[str], names: Sequence[str]
    ) -> dict[str, AnswerDistribution]:
        parts = [
            read_distributions(
                model.network, model.tokenizer, model.prompts, settings.scales, texts, names
            )
            for model, settings in self._models
        ]
        return {name: mixture([part[name] for part in parts]) for name in names}

    def _predictions(
        self,
        name: str,
        distribution: AnswerDistribution,
        answered: Sequence[int],
        problems: Sequence[str],
    ) -> Predictions:
        count = len(problems)

        def spread(values: np.ndarray) -> np.ndarray:
            whole = np.full((count, *values.shape[1:]), np.nan)
            whole[answered] = values
            return whole

        if self.properties[name].kind == "boolean":
            # The only other answer is no.
            return Predictions(self.properties[name], spread(distribution.means()), tuple(problems))
        calibration = self._calibration(name)
        return Predictions(
            self.properties[name],
            spread(distribution.medians()),
            tuple(problems),
            means=spread(distribution.means()),
            modes=spread(distribution.modes()),
            intervals={
                level: spread(calibrated_interval(distribution, level, calibration))
                for level in INTERVAL_LEVELS
            },
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
    settings = read_prediction_settings(files.path)
    if settings is None:
        raise ModelError(
            f"the model {source} predicts no property; train one with `crystext train "
            "regress-shipped`, or leave the model out to take the shipped predictor"
        )
    return load_model(files), settings
