"""Prompts for chat models: a set of templates, or the prompts of LLM4Mat-Bench's own file.

A chat prompt set is a folder:

    system.txt     the instructions; no placeholders
    question.txt   one record: {representation}, {text}, {property}
    answer.txt     the form of an answer, for examples: {name}, {value}

Few-shot examples are turns of the conversation: a question, then its answer in that form.

`CompatPrompts` are whole texts with the control tokens of a model, as LLM4Mat-Bench writes them.
Their words are learned from the benchmark's file of prompts (`read_compat_prompts`), together with
the number of words that a text is cut to; this package holds none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from crystext.runtime.files import json_digest
from crystext.runtime.templates import fill_template, read_templates
from crystext.structures.property_schema import Property
from crystext.structures.record import Label
from crystext.tasks.chat_prompt import ChatPrompt, Message

DEFAULT = "chat"
"""Name of the shipped set."""

_PLACEHOLDERS = {
    "system": frozenset[str](),
    "question": frozenset({"representation", "text", "property"}),
    "answer": frozenset({"name", "value"}),
}
"""Templates of a set and the placeholders that each must have."""


class Shot(NamedTuple):
    """A worked example: a text and the value of its property."""

    text: str
    value: Label


class ChatPrompts(Protocol):
    """A way to ask for a property."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that the words depend on."""

    def render(
        self, target: Property, representation: str, title: str, text: str, shots: Sequence[Shot]
    ) -> ChatPrompt:
        """Return the prompt for one record.

        Args:
            target: the property.
            representation: name of the input type, such as `formula`.
            title: what the texts hold, in a few words.
            text: of the record.
            shots: worked examples; empty asks without examples.

        Raises:
            SettingError: the set cannot ask for this.
        """


@dataclass(frozen=True)
class TemplatePrompts:
    """A chat prompt set of templates."""

    templates: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of the templates."""
        return json_digest(dict(self.templates))

    def render(
        self, target: Property, representation: str, title: str, text: str, shots: Sequence[Shot]
    ) -> ChatPrompt:
        """Return a conversation; see `ChatPrompts`."""
        words = _question_words(target)
        messages = [Message("system", self.templates["system"].strip())]
        for shot in shots:
            messages += [
                Message("user", self._question(title, shot.text, words)),
                Message("assistant", self._answer(target, shot.value)),
            ]
        messages.append(Message("user", self._question(title, text, words)))
        return ChatPrompt(tuple(messages))

    def _question(self, title: str, text: str, words: str) -> str:
        values = {"representation": title, "text": text.strip(), "property": words}
        return fill_template(self.templates["question"], values)

    def _answer(self, target: Property, value: Label) -> str:
        written = target.format(value)
        quoted = written if target.kind == "number" else f'"{written}"'
        return fill_template(self.templates["answer"], {"name": target.name, "value": quoted})


def _question_words(target: Property) -> str:
    """Return the property as questions name it: `band gap in eV, as "band_gap"`."""
    unit = f" in {target.unit}" if target.unit else ""
    kind = ' ("yes" or "no")' if target.kind == "boolean" else ""
    return f'{target.title}{unit}{kind}, as "{target.name}"'


def load_chat_prompts(source: str | Path = DEFAULT) -> TemplatePrompts:
    """Load a chat prompt set: the shipped one by its name, or a folder.

    Raises:
        SettingError: the set does not exist, or a template is missing or lacks a placeholder; the
            message lists all errors.
    """
    return TemplatePrompts(
        read_templates(
            source,
            DEFAULT,
            _PLACEHOLDERS,
            kind="chat prompts",
            other=", or LLM4Mat-Bench's file of prompts (*.csv)",
        )
    )
