"""Ask a model that answers in words for a property, without training it.

`ChatMethod` chooses examples (few-shot) or none (zero-shot), a prompt set writes the question, a
text model answers (`inference.text_models`), and a parser reads the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from crystext.benchmark.answers import Answer
from crystext.benchmark.prompts import ChatPrompts, Shot
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.inference.text_models.base import ChatDecoding, TextModel
from crystext.predict.base import LabelledRecords, Method, Predictions, Predictor
from crystext.structures.property_schema import Property, is_known
from crystext.structures.record import Record
from crystext.tasks.chat_prompt import ChatPrompt
from crystext.tasks.representations import Representation, text_and_problem

ParseAnswer = Callable[[str, Property], Answer]
"""Reads the value from an answer."""

COMPAT_DECODING = ChatDecoding(temperature=1.0, top_k=10, max_new_tokens=800, max_length=800)
"""LLM4Mat-Bench's (arXiv:2411.00177 and its public code): sampling, without a seed there."""


@dataclass(frozen=True)
class ChatMethod(Method):
    """Asks a chat model; `fit` only chooses examples."""

    name: ClassVar[str] = "chat"
    title: ClassVar[str] = "chat model, asked in words"

    model: TextModel
    prompts: ChatPrompts
    representation: Representation
    input_name: str
    """Name of the input type in the suite, by which prompt sets know it."""
    parse: ParseAnswer
    few_shot: int = 0
    """Number of examples; 0 asks without."""
    complete_in: tuple[str, ...] = ()
    """Examples are the first training records with labels of all these, besides the target."""

    def _fit(self, data: LabelledRecords, seed: int) -> ChatPredictor:
        """Choose the examples of each target; see `Method.fit`."""
        shots = {name: self._shots(data.train, name) for name in data.targets}
        return ChatPredictor(self, data.targets, shots)

    def _shots(self, train: Sequence[Record], target: str) -> tuple[Shot, ...]:
        chosen: list[Shot] = []
        for record in train:
            if len(chosen) == self.few_shot:
                break
            value = record.labels.get(target)
            if is_known(value) and all(is_known(record.labels.get(x)) for x in self.complete_in):
                text, problem = text_and_problem(record, self.representation)
                if not problem:
                    chosen.append(Shot(text, value))
        if len(chosen) < self.few_shot:
            raise InputError(
                f"{target}: {self.few_shot} examples are needed, and the training data hold "
                f"{len(chosen)} records with a {self.input_name} and all labels; choose a smaller "
                "--few-shot"
            )
        return tuple(chosen)


class ChatPredictor(Predictor):
    """A chat model with its examples."""

    def __init__(
        self,
        method: ChatMethod,
        targets: Mapping[str, Property],
        shots: Mapping[str, Sequence[Shot]],
    ) -> None:
        self.method, self.properties, self.shots = method, dict(targets), shots

    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        """Ask the model about each record; see `Predictor.predict`."""
        names = list(self.properties if properties is None else properties)
        for name in names:
            if name not in self.properties:
                raise SettingError(
                    f"the chat model was not asked about {name!r}."
                    + did_you_mean(name, self.properties)
                )
        return {name: self._predict(records, self.properties[name]) for name in names}

    def prompts(self, records: Sequence[Record], target: Property) -> list[ChatPrompt | str]:
        """Return the prompt for each record, or the reason why there is none."""
        method, shots = self.method, self.shots[target.name]
        found: list[ChatPrompt | str] = []
        for record in records:
            text, problem = text_and_problem(record, method.representation)
            found.append(
                problem
                or method.prompts.render(
                    target, method.input_name, method.representation.title, text, shots
                )
            )
        return found

    def _predict(self, records: Sequence[Record], target: Property) -> Predictions:
        prompts = self.prompts(records, target)
        asked = [prompt for prompt in prompts if isinstance(prompt, ChatPrompt)]
        answered = iter(self.method.model.answer(asked))
        values, problems, answers = [], [], []
        for prompt in prompts:
            text, problem = ("", prompt) if isinstance(prompt, str) else next(answered)
            parsed = Answer(math.nan, problem) if problem else self.method.parse(text, target)
            values.append(parsed.value)
            problems.append(parsed.message)
            answers.append(text)
        return Predictions(target, np.array(values, dtype=np.float64), tuple(problems),
                           answers=tuple(answers))  # fmt: skip


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
