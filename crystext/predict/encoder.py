"""Prediction by encoders with a head: a text in, the numbers of all properties out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystext.errors import ModelError
from crystext.inference.applicability import (
    COMPOSITIONS_FILE,
    Applicability,
    TrainingCompositions,
)
from crystext.inference.head_readout import read_head
from crystext.metrics.interval_coverage import INTERVAL_LEVELS
from crystext.models.encoder import LoadedEncoder, load_encoder
from crystext.models.prediction_settings import HeadSettings
from crystext.predict.base import Predictions, Predictor
from crystext.predict.baselines.fitting import Answers, check_properties, scatter
from crystext.runtime.device import move_to_gpu
from crystext.structures.crystal import Floats
from crystext.structures.record import Record
from crystext.tasks.representations import preferred_text

if TYPE_CHECKING:
    from crystext.models.layout import ModelFolder


class EncoderPredictor(Predictor):
    """One or several encoders that were trained with the objective `regression_head`.

    The answer of several is their mean. Intervals have one width for all records: half of it is the
    absolute error that held as often as the level says on the validation records of the training.
    """

    def __init__(self, models: Sequence[LoadedEncoder]) -> None:
        """Take models that predict the same properties; they move to a GPU if there is one.

        Raises:
            ModelError: the models predict different properties.
        """
        self._models = list(models)
        self._compositions: TrainingCompositions | None = None
        first = self._models[0].settings
        self.properties, self.views = first.properties, first.views
        for model in self._models:
            move_to_gpu(model.network)
            if model.settings.properties.keys() != self.properties.keys():
                raise ModelError(
                    f"{model.folder} predicts {', '.join(model.settings.properties)}, and "
                    f"{self._models[0].folder} {', '.join(self.properties)}; an ensemble needs "
                    "models of the same properties"
                )

    @classmethod
    def open(cls, *sources: str | Path | ModelFolder) -> EncoderPredictor:
        """Load models: folders that `crystext train` wrote, or names on the Hub.

        Raises:
            ModelError: a model does not exist, is damaged, or is no encoder.
        """
        return cls([load_encoder(source) for source in sources])

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
            views: number of equivalent texts whose answers are averaged, the first as the record
                describes itself; None: what the model's recipe says.
            seed: of the equivalent texts.
        """
        names = check_properties(self.properties, properties)
        inputs = self._models[0].settings.inputs
        problems = tuple(preferred_text(record, inputs)[2] for record in records)
        valid = np.array([not problem for problem in problems], dtype=np.bool_)
        readable = [record for record, known in zip(records, valid, strict=True) if known]
        rng = np.random.default_rng(seed)
        passes = [
            self._read(model, readable, None if view == 0 else rng)
            for view in range(views or self.views)
            for model in self._models
        ]
        found = {}
        for name in names:
            values = np.mean([values[name] for values in passes], axis=0)
            answers = Answers(values, intervals=self._intervals(name, values))
            found[name] = scatter(self.properties[name], answers, valid, problems)
        return found

    def applicability(self, records: Sequence[Record]) -> Applicability | None:
        """Return the distances of records to the first model's training compositions.

        None if its folder has no file of them: it was trained on molecules.
        """
        path = self._models[0].folder / COMPOSITIONS_FILE
        if self._compositions is None and path.is_file():
            self._compositions = TrainingCompositions.read(path)
        return None if self._compositions is None else self._compositions.assess(records)

    def _read(
        self, model: LoadedEncoder, records: Sequence[Record], rng: np.random.Generator | None
    ) -> dict[str, Floats]:
        head = head_of(model)
        texts = []
        for record in records:
            name, text, _ = preferred_text(record, model.settings.inputs, rng)
            texts.append(head.preparation.prepare(name, text))
        return read_head(
            model.network, model.tokenizer, model.settings.scales, texts, head.max_tokens
        )

    def _intervals(self, name: str, values: Floats) -> dict[float, Floats]:
        """Return intervals around values; none if a model has too few validation records."""
        target, found = self.properties[name], {}
        for level in INTERVAL_LEVELS:
            widths = [m.settings.calibration.get(name, {}).get(str(level)) for m in self._models]
            known = [width for width in widths if width is not None]
            if len(known) == len(widths):
                half = float(np.mean(known))
                ends = np.column_stack([values - half, values + half])
                found[level] = np.clip(ends, target.minimum, target.maximum)
        return found


def head_of(model: LoadedEncoder) -> HeadSettings:
    """Return how an encoder reads a text."""
    assert model.settings.head is not None, "load_encoder requires it"
    return model.settings.head
