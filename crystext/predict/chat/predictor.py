"""Ask a model that answers in words for properties, without training it.

A prompt set writes the question, a text model answers (`inference.text_models`), and a parser reads
the answer: one value with its unit, or a problem. There is no distribution, so that predictions
have no intervals.

`ChatPredictor` is one with given properties, as a benchmark makes it; `OpenChatPredictor` takes any
property when it is asked, as `crystext predict --model chat:SOURCE` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from crystext.data.target_columns import target_of_header
from crystext.errors import SettingError, did_you_mean
from crystext.inference.text_models.base import ChatDecoding, TextModel
from crystext.inference.text_models.open import open_text_model
from crystext.inference.text_models.stored_answers import ReportProgress, StoringTextModel
from crystext.predict.base import Predictions, Predictor
from crystext.predict.chat.answers import Answer, parse_answer
from crystext.predict.chat.prompts import DEFAULT, ChatPrompts, Shot, load_chat_prompts
from crystext.predict.materials import as_records
from crystext.predict.prediction_table import prediction_table
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.structures.record import Record
from crystext.tasks.chat_prompt import ChatPrompt
from crystext.tasks.representations import get_representation, preferred_text

if TYPE_CHECKING:
    import pandas as pd

    from crystext.predict.materials import Material

ParseAnswer = Callable[[str, Property], Answer]
"""Reads the value from an answer."""

DEFAULT_INPUTS = ("cif", "smiles", "formula")
"""Representations of a record of which the first that it has is shown."""


@dataclass(frozen=True)
class PropertyQuestion:
    """How a model is asked for a property, and how its answer is read."""

    prompts: ChatPrompts = field(default_factory=load_chat_prompts)
    inputs: Sequence[str] = DEFAULT_INPUTS
    """Names of representations; the first that a record has is shown."""
    input_name: str = ""
    """Name of the input type in a suite, by which prompt sets know it; empty is that of the
    representation."""
    parse: ParseAnswer = parse_answer


class ChatPredictor(Predictor):
    """A model that is asked for given properties, perhaps with worked examples."""

    def __init__(
        self,
        model: TextModel,
        question: PropertyQuestion,
        properties: Mapping[str, Property],
        shots: Mapping[str, Sequence[Shot]],
    ) -> None:
        """Take a model and its words.

        Args:
            model: answers.
            question: how it is asked.
            properties: by name.
            shots: worked examples by property; without any, it is asked without examples.
        """
        self.model, self.question = model, question
        self.properties, self.shots = dict(properties), shots

    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        """Ask the model about each record; see `Predictor.predict`."""
        names = self.properties if properties is None else properties
        targets = [self.property(name) for name in names]
        return {target.name: self._predict(records, target) for target in targets}

    def property(self, name: str) -> Property:
        """Return the property of a name.

        Raises:
            SettingError: the model is not asked for it.
        """
        if name not in self.properties:
            raise SettingError(
                f"the chat model was not asked about {name!r}."
                + did_you_mean(name, self.properties)
            )
        return self.properties[name]

    def prompts(self, records: Sequence[Record], target: Property) -> list[ChatPrompt | str]:
        """Return the prompt for each record, or the reason why there is none."""
        question, shots = self.question, self.shots.get(target.name, ())
        prompts: list[ChatPrompt | str] = []
        for record in records:
            name, text, problem = preferred_text(record, question.inputs)
            if problem:
                prompts.append(problem)
            else:
                title = get_representation(name).title
                known_as = question.input_name or name
                prompts.append(question.prompts.render(target, known_as, title, text, shots))
        return prompts

    def _predict(self, records: Sequence[Record], target: Property) -> Predictions:
        prompts = self.prompts(records, target)
        answered = iter(self.model.answer([x for x in prompts if isinstance(x, ChatPrompt)]))
        values, problems, answers = [], [], []
        for prompt in prompts:
            text, problem = ("", prompt) if isinstance(prompt, str) else next(answered)
            parsed = Answer(math.nan, problem) if problem else self.question.parse(text, target)
            values.append(parsed.value)
            problems.append(parsed.message)
            answers.append(text)
        return Predictions(target, np.array(values, dtype=np.float64), tuple(problems),
                           answers=tuple(answers))  # fmt: skip


class OpenChatPredictor(ChatPredictor):
    """A model that can be asked for any number, or for yes or no."""

    @classmethod
    def open(
        cls,
        source: str,
        *,
        inputs: Sequence[str] = DEFAULT_INPUTS,
        prompts: str | Path = DEFAULT,
        decoding: ChatDecoding | None = None,
        seed: int = 0,
        answers: Path | None = None,
        report: ReportProgress | None = None,
    ) -> Self:
        """Return a predictor that asks a model in words; the model is loaded when it first answers.

        Args:
            source: a folder, OWNER/NAME on the Hub, or the address of a service, such as
                `http://localhost:8000/v1#NAME`; see `inference.text_models.open`.
            inputs: representations of which the first that a record has is shown, such as cif,
                smiles, formula, composition, or a text format.
            prompts: a prompt set: its name, or a folder; see `predict.chat.prompts`.
            decoding: how the model writes; None is greedy.
            seed: of sampling.
            answers: file to which answers are appended as they come; those that it has are not
                asked again.
            report: takes the model's name, the numbers of prompts that are answered, and of all.

        Raises:
            SettingError: an option is invalid.
        """
        for name in inputs:
            get_representation(name)
        model = open_text_model(source, decoding, seed=seed)
        if answers is not None or report is not None:
            model = StoringTextModel(model, answers, report)
        known = {name: x for name, x in PROPERTIES.items() if x.kind != "category"}
        return cls(model, PropertyQuestion(load_chat_prompts(prompts), tuple(inputs)), known, {})

    def predict(
        self,
        records: Sequence[Record],
        properties: Sequence[str] | None = None,
        *,
        views: int | None = None,
    ) -> dict[str, Predictions]:
        """Ask the model about each record; see `Predictor.predict`.

        Args:
            records: any.
            properties: names of `properties`, or `NAME (UNIT)` for any other number, such as
                `melting point (K)`.
            views: 1 or None: there are no equivalent texts to average over.

        Raises:
            SettingError: none is named, or one is unknown.
        """
        if views not in (None, 1):
            raise SettingError("views averages the predictions of trained models; leave it out")
        return super().predict(records, self.require_names(properties))

    def require_names(self, properties: Sequence[str] | None) -> Sequence[str]:
        """Return the properties that are named.

        Raises:
            SettingError: none is.
        """
        if not properties:
            raise SettingError(
                "a chat model is asked for what is named; name properties, such as band_gap (there "
                f"are {', '.join(self.properties)}), or any other with its unit, such as 'melting "
                "point (K)'"
            )
        return properties

    def property(self, name: str) -> Property:
        """Return the property of a name, or a new one of `NAME (UNIT)`."""
        column, target = target_of_header(name)
        if target.name not in self.properties and not target.unit:
            raise SettingError(
                f"{name!r} is no property here; there are {', '.join(self.properties)}, and any "
                "other number is named with its unit, such as 'melting point (K)'."
                + did_you_mean(column, self.properties)
            )
        return target

    def applicability(self, records: Sequence[Record]) -> None:
        """Return None: what such a model was trained on is not known."""

    def table(
        self,
        materials: Material | Iterable[Material],
        properties: Sequence[str] | None = None,
        *,
        views: int | None = None,
    ) -> pd.DataFrame:
        """Return predictions as a table, a row for each material; see `predict.prediction_table`.

        The columns of intervals are there and empty: an answer in words has none.

        Args:
            materials: crystals, samples, structures of pymatgen or ASE, formulas, paths; one or
                several.
            properties: see `predict`.
            views: see `predict`.
        """
        records = as_records(materials)
        return prediction_table(records, self.predict(records, properties, views=views))
