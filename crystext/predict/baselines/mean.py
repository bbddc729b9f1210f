"""The mean predictor: the mean of the training labels for every record.

The answer for a boolean is the frequency of yes. Intervals are quantiles of the training labels.
Whoever is not better has learnt nothing from the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from crystext.metrics.interval_coverage import INTERVAL_LEVELS
from crystext.predict.base import LabelledRecords, Method, Predictions, Predictor
from crystext.predict.baselines.fitting import Answers, check_properties, labels_to_fit, scatter
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property
from crystext.structures.record import Record


@dataclass(frozen=True)
class MeanPredictor(Predictor):
    """Answers with the mean of the training labels."""

    properties: Mapping[str, Property]
    labels: Mapping[str, Floats]
    """Training labels by target."""

    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        """See `Predictor.predict`; every record gets an answer, failures included."""
        n = len(records)
        found = {}
        for name in check_properties(self.properties, properties):
            target, labels = self.properties[name], self.labels[name]
            values = np.full(n, labels.mean())
            is_number = target.kind == "number"
            intervals = {
                level: np.tile(np.quantile(labels, [(1 - level) / 2, (1 + level) / 2]), (n, 1))
                for level in INTERVAL_LEVELS
                if is_number
            }
            answers = Answers(values, values if is_number else None, intervals)
            found[name] = scatter(target, answers, np.ones(n, np.bool_), ("",) * n)
        return found


@dataclass(frozen=True)
class MeanMethod(Method):
    """The mean of the training labels, or the frequency of yes."""

    name: ClassVar[str] = "mean"
    title: ClassVar[str] = "mean of training labels"

    def _fit(self, data: LabelledRecords, seed: int) -> MeanPredictor:
        """See `Method.fit`; `validation` and `seed` are not used."""
        labels = {
            name: labels_to_fit(data.train, name, target) for name, target in data.targets.items()
        }
        return MeanPredictor(data.targets, {name: x[np.isfinite(x)] for name, x in labels.items()})


MEAN = MeanMethod()
