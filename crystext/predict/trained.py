"""What trained predictors share: texts of records, equivalent texts, ensembles, tables.

A trained predictor is one or several model folders of one kind that answer together. Each model
reads a text of every record; a subclass says what it reads from a text, and how the readings of all
models and of all equivalent texts become one answer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from crystext.errors import ModelError, SettingError
from crystext.inference.applicability import (
    COMPOSITIONS_FILE,
    Applicability,
    TrainingCompositions,
)
from crystext.models.prediction_settings import PredictionSettings
from crystext.predict.base import Predictions, Predictor
from crystext.predict.baselines.fitting import Answers, check_properties, scatter
from crystext.predict.materials import as_records
from crystext.predict.prediction_table import prediction_table
from crystext.runtime.validate_numbers import whole_number
from crystext.structures.record import Record
from crystext.tasks.representations import preferred_text

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from crystext.predict.materials import Material


class TrainedModel(Protocol):
    """A model in memory."""

    @property
    def folder(self) -> Path:
        """Its folder."""


Model = TypeVar("Model", bound=TrainedModel)
Reading = TypeVar("Reading")


class TrainedPredictor(Predictor, Generic[Model, Reading]):
    """One or several trained models of the same properties."""

    def __init__(self, models: Sequence[tuple[Model, PredictionSettings]]) -> None:
        """Take models that predict the same properties.

        Raises:
            ModelError: the models predict different properties.
        """
        self._models = list(models)
        self._compositions: TrainingCompositions | None = None
        first, settings = self._models[0]
        self.properties, self.views = settings.properties, settings.views
        self.inputs = settings.inputs
        for model, settings in self._models[1:]:
            if settings.properties.keys() != self.properties.keys():
                raise ModelError(
                    f"{model.folder} predicts {', '.join(settings.properties)}, and "
                    f"{first.folder} {', '.join(self.properties)}; an ensemble needs models of the "
                    "same properties"
                )

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
            records: each is read in the first of a model's representations that it has.
            properties: some of `properties`; None is all.
            views: number of equivalent texts of each crystal or molecule whose answers are
                averaged, the first as it is described and the others random; 1 takes that alone,
                and None what the model's recipe says.
            seed: of the equivalent texts.
        """
        names = check_properties(self.properties, properties)
        count = self.views if views is None else whole_number("views", views)
        if count < 1:
            raise SettingError(f"views is {count}; expected 1 or more")
        texts = self._texts(records)
        problems = tuple(
            next((problem for *_, problem in of_record if problem), "")
            for of_record in zip(*texts.values(), strict=True)
        )
        valid = np.array([not problem for problem in problems], dtype=np.bool_)
        readable = list(compress(records, valid))
        texts = {inputs: list(compress(rows, valid)) for inputs, rows in texts.items()}
        rng = np.random.default_rng(seed)
        readings: list[dict[str, Reading]] = []
        for view in range(count):
            if view:
                texts = self._texts(readable, rng)
            for model, settings in self._models:
                named = [(name, text) for name, text, _ in texts[settings.inputs]]
                readings.append(self._read(model, settings, named, names))
        return {
            name: scatter(
                self.properties[name],
                self._answers(name, [reading[name] for reading in readings]),
                valid,
                problems,
            )
            for name in names
        }

    def _texts(
        self, records: Sequence[Record], rng: np.random.Generator | None = None
    ) -> dict[tuple[str, ...], list[tuple[str, str, str]]]:
        """Return `preferred_text` of each record, for each choice of inputs among the models."""
        choices = dict.fromkeys(settings.inputs for _, settings in self._models)
        return {
            inputs: [preferred_text(record, inputs, rng) for record in records]
            for inputs in choices
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

    @abstractmethod
    def _read(
        self,
        model: Model,
        settings: PredictionSettings,
        texts: Sequence[tuple[str, str]],
        names: Sequence[str],
    ) -> dict[str, Reading]:
        """Return by property what a model says to texts, each with its representation's name."""

    @abstractmethod
    def _answers(self, name: str, readings: Sequence[Reading]) -> Answers:
        """Return the answers of a property from what all models say to all equivalent texts."""
