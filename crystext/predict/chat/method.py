"""Ask a model that answers in words for a property, as a method of a benchmark.

`fit` trains nothing: it chooses worked examples (few-shot) or none (zero-shot).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from crystext.errors import InputError
from crystext.inference.text_models.base import TextModel
from crystext.predict.base import LabelledRecords, Method
from crystext.predict.chat.predictor import ChatPredictor, PropertyQuestion
from crystext.predict.chat.prompts import Shot
from crystext.structures.property_schema import is_known
from crystext.structures.record import Record
from crystext.tasks.representations import preferred_text


@dataclass(frozen=True)
class ChatMethod(Method):
    """Asks a chat model; `fit` only chooses examples."""

    name: ClassVar[str] = "chat"
    title: ClassVar[str] = "chat model, asked in words"

    model: TextModel
    question: PropertyQuestion
    few_shot: int = 0
    """Number of examples; 0 asks without."""
    complete_in: tuple[str, ...] = ()
    """Examples are the first training records with labels of all these, besides the target."""

    def _fit(self, data: LabelledRecords, seed: int) -> ChatPredictor:
        """Choose the examples of each target; see `Method.fit`."""
        shots = {name: self._shots(data.train, name) for name in data.targets}
        return ChatPredictor(self.model, self.question, data.targets, shots)

    def _shots(self, train: Sequence[Record], target: str) -> tuple[Shot, ...]:
        chosen: list[Shot] = []
        for record in train:
            if len(chosen) == self.few_shot:
                break
            value = record.labels.get(target)
            if is_known(value) and all(is_known(record.labels.get(x)) for x in self.complete_in):
                _, text, problem = preferred_text(record, self.question.inputs)
                if not problem:
                    chosen.append(Shot(text, value))
        if len(chosen) < self.few_shot:
            raise InputError(
                f"{target}: {self.few_shot} examples are needed, and the training data hold "
                f"{len(chosen)} records with a {self.question.inputs[0]} and all labels; choose a "
                "smaller --few-shot"
            )
        return tuple(chosen)
