"""Prediction by encoders with a head: a text in, the numbers of all properties out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystext.inference.head_readout import read_head
from crystext.metrics.interval_coverage import INTERVAL_LEVELS
from crystext.models.encoder import LoadedEncoder, load_encoder
from crystext.models.prediction_settings import HeadSettings, PredictionSettings
from crystext.predict.baselines.fitting import Answers, clip
from crystext.predict.trained import TrainedPredictor
from crystext.runtime.device import move_to_gpu
from crystext.structures.crystal import Floats

if TYPE_CHECKING:
    from crystext.models.layout import ModelFolder


class EncoderPredictor(TrainedPredictor[LoadedEncoder, Floats]):
    """One or several encoders that were trained with the objective `regression_head`.

    The answer of several is their mean. Intervals have one width for all records: half of it is the
    absolute error that held as often as the level says on the validation records of the training.
    """

    @classmethod
    def open(cls, *sources: str | Path | ModelFolder) -> EncoderPredictor:
        """Load models: folders that `crystext train` wrote, or names on the Hub.

        They move to a GPU if there is one.

        Raises:
            ModelError: a model does not exist, is damaged, or is no encoder.
        """
        models = [load_encoder(source) for source in sources]
        for model in models:
            move_to_gpu(model.network)
        return cls([(model, model.settings) for model in models])

    def _read(
        self,
        model: LoadedEncoder,
        settings: PredictionSettings,
        texts: Sequence[tuple[str, str]],
        names: Sequence[str],
    ) -> dict[str, Floats]:
        head = head_of(model)
        prepared = [head.preparation.prepare(name, text) for name, text in texts]
        return read_head(model.network, model.tokenizer, settings.scales, prepared, head.max_tokens)

    def _answers(self, name: str, readings: Sequence[Floats]) -> Answers:
        values = np.mean(readings, axis=0)
        return Answers(values, intervals=self._intervals(name, values))

    def _intervals(self, name: str, values: Floats) -> dict[float, Floats]:
        """Return intervals around values; none if a model has too few validation records."""
        found = {}
        for level in INTERVAL_LEVELS:
            widths = [
                settings.calibration.get(name, {}).get(str(level)) for _, settings in self._models
            ]
            known = [width for width in widths if width is not None]
            if len(known) == len(widths):
                half = float(np.mean(known))
                ends = np.column_stack([values - half, values + half])
                found[level] = clip(ends, self.properties[name])
        return found


def head_of(model: LoadedEncoder) -> HeadSettings:
    """Return how an encoder reads a text."""
    assert model.settings.head is not None, "load_encoder requires it"
    return model.settings.head
