"""Prompt sets of instructions: several phrasings of every question, and their rendering.

A prompt set is a folder with a file NAME.txt for each template, such as `atom_count.txt`. The
phrasings in it are separated by lines of three hyphens; a question takes one of them at random.
Placeholders stand in braces: {crystal}, {element}. The class of a task lists its templates with
their placeholders (`InstructionTask.templates`). These belong to no task:

    system.txt           instructions before every question; optional, no placeholders
    represent_cif.txt    what {representation} says of a CIF
    represent_text.txt   and of a text format
    form_cif.txt         what {form} says of an answer that is a CIF
    form_text.txt        and of one in a text format

Training and benchmarks ask in the same words: the prompt of a question is stored with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crystext.errors import SettingError, describe_error, did_you_mean
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.printed import CIF
from crystext.runtime.files import json_digest
from crystext.runtime.shipped_files import shipped_path

DEFAULT = "instruct"
"""Name of the shipped set."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SEPARATOR = re.compile(r"^---[ \t]*\n", re.MULTILINE)

_BY_FORMAT = {"representation": "represent", "form": "form"}
"""Placeholders whose words depend on the format, with the beginnings of their templates."""

_SHARED = tuple(f"{name}_{kind}" for name in _BY_FORMAT.values() for kind in ("cif", "text"))

SYSTEM = "system"


@dataclass(frozen=True)
class InstructionWords:
    """A prompt set."""

    phrasings: Mapping[str, Sequence[str]]
    """Phrasings by template."""

    @property
    def digest(self) -> str:
        """SHA-256 of all phrasings."""
        return json_digest({name: list(texts) for name, texts in self.phrasings.items()})

    def render(self, instruction: Instruction, rng: np.random.Generator) -> str:
        """Return the words of a question, each template in a phrasing that `rng` chooses."""
        text = self._choose(instruction.template, rng)
        kind = "cif" if instruction.format == CIF else "text"
        filled = dict(instruction.values)
        for name, parts in instruction.parts.items():
            phrases = [_fill(self._choose(template, rng), values) for template, values in parts]
            filled[name] = " ".join(phrases)
            if not phrases:
                text = text.replace(f" {{{name}}}", "")
        for name, start in _BY_FORMAT.items():
            if f"{{{name}}}" in text and name not in filled:
                filled[name] = self._choose(f"{start}_{kind}", rng)
        return _fill(text, filled)

    def system(self, rng: np.random.Generator) -> str:
        """Return the instructions before a question; empty if the set has none."""
        return self._choose(SYSTEM, rng) if SYSTEM in self.phrasings else ""

    def _choose(self, template: str, rng: np.random.Generator) -> str:
        texts = self.phrasings[template]
        return texts[int(rng.integers(len(texts)))]


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def load_words(
    source: str | Path = DEFAULT, tasks: Iterable[InstructionTask] = ()
) -> InstructionWords:
    """Load a prompt set: the shipped one by its name, or a folder.

    Args:
        source: name or folder.
        tasks: whose templates the set must have.

    Raises:
        SettingError: the set does not exist; or a template is missing, or lacks a placeholder or
            has an unknown one. The message lists all errors.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = shipped_path("prompts", str(source))
    if not folder.is_dir():
        raise SettingError(
            f"no instruction prompts {str(source)!r}: expected {DEFAULT!r}, or a folder with files "
            f"such as atom_count.txt.{did_you_mean(str(source), [DEFAULT])}"
        )
    errors: list[str] = []
    phrasings: dict[str, Sequence[str]] = {}
    needed: dict[str, frozenset[str]] = dict.fromkeys(_SHARED, frozenset())
    fallbacks: dict[str, Sequence[str]] = {}
    for task in tasks:
        needed |= task.templates
        fallbacks |= task.paraphrases
    if (folder / f"{SYSTEM}.txt").exists():
        needed[SYSTEM] = frozenset()
    for name, placeholders in needed.items():
        path = folder / f"{name}.txt"
        if not path.exists() and name in fallbacks:
            phrasings[name] = list(fallbacks[name])
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"{path.name}: {describe_error(error, 'it cannot be read')}")
            continue
        phrasings[name] = [part.strip() for part in _SEPARATOR.split(text)]
        errors += _check(path.name, phrasings[name], placeholders)
    if errors:
        raise SettingError(
            f"the instruction prompts {folder} have errors:\n  " + "\n  ".join(errors)
        )
    return InstructionWords(phrasings)


def _check(name: str, texts: Sequence[str], placeholders: frozenset[str]) -> list[str]:
    errors = []
    for i, text in enumerate(texts, start=1):
        given = set(_PLACEHOLDER.findall(text))
        if not text:
            errors.append(f"{name}, phrasing {i} is empty")
        elif given - {"representation"} != placeholders:
            errors.append(
                f"{name}, phrasing {i} has the placeholders {sorted(given)}, expected "
                f"{sorted(placeholders)}"
            )
    return errors
