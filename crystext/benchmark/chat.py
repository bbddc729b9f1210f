"""Chat models: ask a language model for a property in words, without training it.

`ChatMethod` chooses examples (few-shot) or none (zero-shot), a prompt set writes the question, the
model answers by transformers' `generate`, and a parser reads the answer. Any causal language model
of a folder or of the Hub can answer: its weights are read from safetensors only, and none of its
code is run. A tokenizer with a chat template gets the conversation in that template; one without
gets the words, separated by blank lines.

Decoding is greedy by default, so that a run can be repeated; a temperature samples. Randomness
depends on the seed and the prompts of a batch alone: a resumed run gives the same answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crystext.benchmark.answers import Answer
from crystext.benchmark.prompts import ChatPrompt, ChatPrompts, Message, Shot
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.predict.base import LabelledRecords, Method, Predictions, Predictor
from crystext.runtime.files import json_digest
from crystext.structures.property_schema import Property, is_known
from crystext.structures.record import Record
from crystext.tasks.representations import Representation, text_and_problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ParseAnswer = Callable[[str, Property], Answer]
"""Reads the value from an answer."""


@dataclass(frozen=True)
class ChatDecoding:
    """How a chat model writes its answers."""

    temperature: float = 0.0
    """0 decodes greedily: the most probable token each time."""
    top_k: int | None = None
    """Sample from so many most probable tokens; None samples from all."""
    max_new_tokens: int = 64
    """Longer answers are cut."""
    max_length: int | None = None
    """Limit of prompt and answer together; None is the model's context."""
    batch_size: int = 8
    """Prompts answered at once."""


COMPAT_DECODING = ChatDecoding(temperature=1.0, top_k=10, max_new_tokens=800, max_length=800)
"""LLM4Mat-Bench's (arXiv:2411.00177 and its public code): sampling, without a seed there."""


class ChatModel:
    """A causal language model that answers prompts; it is loaded when it is first needed."""

    def __init__(self, source: str, decoding: ChatDecoding, *, seed: int = 0) -> None:
        """Describe the model.

        Args:
            source: a folder, or OWNER/NAME on the Hub.
            decoding: how it writes.
            seed: of sampling.
        """
        self.source, self.decoding, self.seed = source, decoding, seed

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        from crystext.models.layout import base_folder
        from crystext.models.network import check_tokenizer_fits, read_network, read_tokenizer
        from crystext.runtime.device import move_to_gpu

        folder = base_folder(self.source)
        tokenizer = read_tokenizer(folder)
        network = read_network(folder)
        check_tokenizer_fits(folder, network, tokenizer)
        move_to_gpu(network)
        return network, tokenizer

    def answer(self, prompts: Sequence[ChatPrompt]) -> list[tuple[str, str]]:
        """Return the answer to each prompt and an empty text, or no answer and the reason.

        Raises:
            ModelError: the model is missing, incomplete, damaged or unsafe to load.
        """
        tokenizer = self._loaded[1]
        token_ids = [tokenize(tokenizer, prompt) for prompt in prompts]
        results = [("", "")] * len(prompts)
        fitting: list[int] = []
        for i, ids in enumerate(token_ids):
            if self._budget(len(ids)) > 0:
                fitting.append(i)
            else:
                results[i] = (
                    "",
                    f"the prompt has {len(ids):,} tokens; the limit is {self._limit():,}",
                )
        size = self.decoding.batch_size
        for rows in (fitting[start : start + size] for start in range(0, len(fitting), size)):
            answers = self._generate([token_ids[i] for i in rows])
            for i, text in zip(rows, answers, strict=True):
                results[i] = (text, "")
        return results

    def _limit(self) -> int:
        context = getattr(self._loaded[0].config, "max_position_embeddings", None) or 2**20
        return min(int(context), self.decoding.max_length or int(context))

    def _budget(self, length: int) -> int:
        """Return how many tokens an answer to a prompt of this length may have."""
        return min(self.decoding.max_new_tokens, self._limit() - length)

    def _generate(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        import torch
        from transformers import GenerationConfig

        network, tokenizer = self._loaded
        width = max(map(len, prompts))
        device = next(network.parameters()).device
        padding = tokenizer.pad_token_id
        ids = torch.tensor([[padding] * (width - len(x)) + list(x) for x in prompts], device=device)
        mask = torch.tensor([[0] * (width - len(x)) + [1] * len(x) for x in prompts], device=device)
        samples = self.decoding.temperature > 0
        sampling: dict[str, Any] = (
            {"temperature": self.decoding.temperature, "top_k": self.decoding.top_k or 0}
            if samples
            else {}
        )
        config = GenerationConfig(
            do_sample=samples,
            max_new_tokens=self._budget(width),
            pad_token_id=padding,
            eos_token_id=_end_tokens(network, tokenizer),
            **sampling,
        )
        seed = int(json_digest([self.seed, [list(x) for x in prompts]])[:15], 16)
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(seed)
            out: Any = network.generate(  # type: ignore[operator]
                input_ids=ids, attention_mask=mask, generation_config=config
            )
        return [
            str(text).strip()
            for text in tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        ]


def _end_tokens(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end an answer: chat models often have one for the end of a turn."""
    given = getattr(network.generation_config, "eos_token_id", None)
    ends = given if isinstance(given, list) else [] if given is None else [given]
    return sorted({*ends, int(tokenizer.eos_token_id)})


def tokenize(tokenizer: PreTrainedTokenizerBase, prompt: ChatPrompt) -> list[int]:
    """Return the tokens of a prompt, in the model's chat template if it has one."""
    if prompt.messages and tokenizer.chat_template:
        text = _apply_template(tokenizer, prompt.messages)
    elif prompt.messages:
        return list(tokenizer(prompt.as_text())["input_ids"])
    else:
        text = prompt.text
    # The text holds its control tokens: a second start token would be wrong.
    has_start = tokenizer.bos_token is not None and text.startswith(str(tokenizer.bos_token))
    is_template = bool(prompt.messages)
    ids = tokenizer(text, add_special_tokens=not (has_start or is_template))["input_ids"]
    return list(ids)


def _apply_template(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    from jinja2 import TemplateError

    def render(turns: Sequence[Message]) -> str:
        conversation = [turn._asdict() for turn in turns]
        return str(
            tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        )

    try:
        return render(messages)
    except TemplateError:
        # Some templates have no system role: its words begin the first question.
        system, first, *others = messages
        return render([first._replace(content=f"{system.content}\n\n{first.content}"), *others])


@dataclass(frozen=True)
class ChatMethod(Method):
    """Asks a chat model; `fit` only chooses examples."""

    name: ClassVar[str] = "chat"
    title: ClassVar[str] = "chat model, asked in words"

    model: ChatModel
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
