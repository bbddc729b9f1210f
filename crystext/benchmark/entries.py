"""The entries of a benchmark: what `--method` and `--answers` name, ready to run on any task.

    forest                  a method of `predict.methods`, fitted on the training part of each fold
    shipped, FOLDER, O/N    a language model that was trained on the property before
    chat:SOURCE             a chat model, asked in words: a folder, O/N, or the address of a service
                            (see `inference.text_models`)
    answers of a file       what another program or service answered (see `read_answers`)

O/N is a name on the Hub.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from crystext.benchmark import compat
from crystext.benchmark.answers_method import AnswersMethod
from crystext.benchmark.data import TaskData
from crystext.benchmark.pretrained import PretrainedMethod
from crystext.benchmark.suite import BenchmarkTask, Suite
from crystext.errors import InputError, SettingError, describe_error, did_you_mean
from crystext.inference.text_models.base import TextModel
from crystext.inference.text_models.open import CHAT_PREFIX
from crystext.models.digest import model_hash
from crystext.models.layout import model_folder
from crystext.predict.base import Method
from crystext.predict.chat.answers import Answer, parse_answer
from crystext.predict.chat.method import ChatMethod
from crystext.predict.chat.predictor import ParseAnswer, PropertyQuestion
from crystext.predict.chat.prompts import ChatPrompts
from crystext.predict.language import SHIPPED
from crystext.predict.methods import METHODS
from crystext.runtime.files import file_digest
from crystext.runtime.hub import HUB_NAME_PATTERN
from crystext.runtime.shipped_files import shipped_predictor
from crystext.structures.property_schema import Property


class Entry(ABC):
    """A competitor of a benchmark."""

    label: str
    """Its name in results; unique in a run."""
    title: str
    reads_crystals = False
    """Whether CIFs of tables are read as crystals for it."""
    rows_at_once: int = 1024
    """Predictions are written after so many rows: what a kill can cost."""

    @abstractmethod
    def identity(self) -> Any:
        """Return what its predictions depend on, as JSON: such as the digest of a model."""

    @abstractmethod
    def method(self, data: TaskData) -> Method:
        """Return the method for a task.

        Raises:
            InputError: it cannot take part in this task.
        """


class MethodEntry(Entry):
    """A method of the registry."""

    def __init__(self, name: str) -> None:
        """Take a method.

        Raises:
            SettingError: there is none of this name.
        """
        if name not in METHODS:
            known = ", ".join(METHODS)
            raise SettingError(
                f"no method {name!r}; there are {known}, {CHAT_PREFIX}MODEL for a chat model, and "
                f"models of `crystext predict` ({SHIPPED}, a folder, OWNER/NAME)."
                + did_you_mean(name, METHODS)
            )
        self.label = name
        self._method = METHODS[name]
        self.title = self._method.title

    def identity(self) -> Any:
        """Return the name: a method's settings belong to it."""
        return self.label

    def method(self, data: TaskData) -> Method:
        """Return the method itself."""
        return self._method


class PretrainedEntry(Entry):
    """A predictor that was trained before."""

    reads_crystals = True

    def __init__(self, source: str) -> None:
        """Describe the predictor; it is loaded when it first predicts.

        Raises:
            ModelError: it does not exist.
        """
        self.label = _folder_label(source)
        self.title = f"{self.label}, trained before"
        self._folder = model_folder(shipped_predictor() if source == SHIPPED else source)
        self._method = PretrainedMethod(source)

    def identity(self) -> Any:
        """Return the digest of the model."""
        return model_hash(self._folder, quick=True)

    def method(self, data: TaskData) -> Method:
        """Return the predictor."""
        return self._method


@dataclass(frozen=True)
class Question:
    """How chat models are asked, and how answers are read."""

    suite: Suite
    input_name: str
    prompts: ChatPrompts
    few_shot: int = 0
    is_compat: bool = False

    def parser(self, task: BenchmarkTask) -> ParseAnswer:
        """Return the parser of answers about a task."""
        return _compat_parser(task) if self.is_compat else parse_answer

    def method(self, task: BenchmarkTask, model: TextModel) -> ChatMethod:
        """Return a chat model with the words for a task."""
        spec = self.suite.inputs[self.input_name]
        properties = tuple(self.suite.datasets[task.dataset].properties)
        return ChatMethod(
            model,
            PropertyQuestion(
                self.prompts, (spec.representation,), self.input_name, self.parser(task)
            ),
            self.few_shot,
            # As in LLM4Mat-Bench, where a data set has rows with all of its properties.
            properties if self.is_compat else (),
        )


class ChatEntry(Entry):
    """A chat model."""

    def __init__(self, model: TextModel, question: Question) -> None:
        """Take a model; it is loaded when it first answers."""
        shots = f"{question.few_shot}-shot" if question.few_shot else "zero-shot"
        self.label = CHAT_PREFIX + model.name
        self.title = f"{model.name}, {shots}, from {question.input_name}"
        self.model, self.question = model, question
        self.rows_at_once = model.prompts_at_once

    def identity(self) -> Any:
        """Return what the model's answers depend on, and the words."""
        return [
            self.model.identity(),
            self.question.prompts.digest,
            self.question.few_shot,
            self.question.is_compat,
        ]

    def method(self, data: TaskData) -> Method:
        """Return the chat model with the words for this task."""
        return self.question.method(data.task, self.model)


class RawAnswer(NamedTuple):
    """An answer in a file."""

    answer: str
    task: str | None
    id: str | None


class AnswersEntry(Entry):
    """Answers that another program wrote."""

    def __init__(self, path: Path, question: Question) -> None:
        """Read the answers.

        Raises:
            InputError: the file holds none.
        """
        self.path, self.question = path, question
        self.answers = read_answers(path)
        self.label = path.stem
        self.title = f"answers of {path.name}"

    def identity(self) -> Any:
        """Return the digest of the file, and how the answers are read."""
        return [file_digest(self.path), self.question.is_compat]

    def method(self, data: TaskData) -> Method:
        """Return the answers to a task, by the ids of its test records.

        Raises:
            InputError: their number fits neither the test records nor ids.
        """
        task = data.task
        mine = [x for x in self.answers if x.task in (None, task.name, task.label)]
        test = [record for fold in data.folds for record in fold.test]
        if not mine:
            named = sorted({x.task for x in self.answers if x.task})
            raise InputError(f"{self.path} has no answers to {task.name}; it has {named}")
        if all(x.id is not None for x in mine):
            found = {str(x.id): x.answer for x in mine}
            if not any(record.id in found for record in test):
                raise InputError(
                    f"{self.path}: no id of an answer is that of a test record of {task.name}, "
                    f"such as {test[0].id!r}; the first answer is to {mine[0].id!r}"
                )
        elif len(mine) == len(test):
            found = {record.id: x.answer for record, x in zip(test, mine, strict=True)}
        else:
            raise InputError(
                f"{self.path} has {len(mine):,} answers without ids to {task.name}, which has "
                f"{len(test):,} test records with a value; expected one for each, in their order"
            )
        return AnswersMethod(found, self.question.parser(task))


def read_answers(path: Path) -> list[RawAnswer]:
    """Return the raw answers of a file.

    JSON: a list of answers in the order of the test records, or lists by task. JSON lines: an
    answer a line, as a text or as an object with `answer`, and perhaps `id` and `task`. An empty or
    missing answer is null or an empty text.

    Raises:
        InputError: it is something else, or cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = (
            [json.loads(line) for line in text.splitlines() if line.strip()]
            if path.suffix.lower() in (".jsonl", ".ndjson")
            else json.loads(text)
        )
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read: {describe_error(error, 'it is not JSON')}; expected a list of "
            "answers"
        ) from None
    found = list(_raw_answers(values, None, path))
    if not found:
        raise InputError(f"{path} holds no answers")
    return found


def _raw_answers(value: Any, task: str | None, path: Path) -> Sequence[RawAnswer]:
    if isinstance(value, list):
        return [_raw_answer(item, task, path, i) for i, item in enumerate(value, start=1)]
    if isinstance(value, dict):
        return [x for name, inner in value.items() for x in _raw_answers(inner, str(name), path)]
    raise InputError(f"{path} holds {type(value).__name__} where a list of answers is expected")


def _raw_answer(item: Any, task: str | None, path: Path, number: int) -> RawAnswer:
    if item is None or isinstance(item, str):
        return RawAnswer(item or "", task, None)
    if isinstance(item, Mapping) and isinstance(item.get("answer", 0), str | None):
        given = item.get("id")
        return RawAnswer(
            item["answer"] or "", item.get("task", task), None if given is None else str(given)
        )
    raise InputError(
        f"{path}: answer {number} is {json.dumps(item)[:60]}; expected a text, null, or an object "
        'such as {"id": "mp-149", "task": "mp/band_gap", "answer": "1.1 eV"}'
    )


def _compat_parser(task: BenchmarkTask) -> ParseAnswer:
    words = task.spec.answer_words

    def parse(text: str, target: Property) -> Answer:
        cut = compat.cut_answer(text)
        if target.kind == "boolean" and words is not None:
            return compat.parse_boolean(cut, words.positive, words.negative)
        if target.kind == "boolean":
            raise SettingError(
                f"{task.name}: the suite has no answer_words, which --compat {compat.COMPAT} needs"
            )
        return compat.parse_number(cut)

    return parse


def _folder_label(source: str) -> str:
    """Return the name of a folder alone, since its place differs between machines."""
    return Path(source).resolve().name if Path(source).exists() else source


def is_model(source: str) -> bool:
    """Return whether an argument of `--method` is a model rather than the name of a method."""
    is_name = HUB_NAME_PATTERN.fullmatch(source) is not None
    return source == SHIPPED or is_name or Path(source).exists()


def check_labels(entries: Sequence[Entry]) -> None:
    """Refuse two entries of one name, whose results could not be told apart.

    Raises:
        SettingError: there are two.
    """
    labels = [entry.label for entry in entries]
    if repeated := sorted({x for x in labels if labels.count(x) > 1}):
        raise SettingError(
            f"{repeated[0]!r} is given twice; rename the file or folder, or leave one out"
        )
