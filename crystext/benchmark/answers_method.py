"""Answers that another program or service wrote, as a method of a benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from crystext.predict.base import LabelledRecords, Method, Predictions, Predictor
from crystext.predict.chat.answers import Answer
from crystext.predict.chat.predictor import ParseAnswer
from crystext.structures.property_schema import Property
from crystext.structures.record import Record


@dataclass(frozen=True)
class AnswersMethod(Method):
    """Answers that another program or service wrote, parsed and scored like any other."""

    name: ClassVar[str] = "answers"
    title: ClassVar[str] = "answers from a file"

    answers: Mapping[str, str]
    """By the id of a record."""
    parse: ParseAnswer

    def _fit(self, data: LabelledRecords, seed: int) -> AnswersPredictor:
        """Return the answers as a predictor; nothing is fitted."""
        return AnswersPredictor(self, data.targets)


class AnswersPredictor(Predictor):
    """Looks answers up by the id of a record."""

    def __init__(self, method: AnswersMethod, targets: Mapping[str, Property]) -> None:
        self.method, self.properties = method, dict(targets)

    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        """Parse the answer about each record; see `Predictor.predict`."""
        names = list(self.properties if properties is None else properties)
        found = {}
        for name in names:
            target = self.properties[name]
            texts = tuple(self.method.answers.get(record.id) for record in records)
            parsed = [
                Answer(math.nan, "no answer") if text is None else self.method.parse(text, target)
                for text in texts
            ]
            found[name] = Predictions(
                target,
                np.array([x.value for x in parsed], dtype=np.float64),
                tuple(x.message for x in parsed),
                answers=tuple(text or "" for text in texts),
            )
        return found
