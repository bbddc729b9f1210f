"""Prompt sets: folders of templates, and their rendering.

A prompt set is a folder with one text file per template and `conditions.yaml`, which holds one
line of prompt per property. Training and sampling render through the same calls. A model folder
carries the set it was trained with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from crystext.errors import SettingError, did_you_mean
from crystext.properties import PROPERTIES
from crystext.resources import shipped

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

REQUIRED_PLACEHOLDERS = {
    "generate": {"conditions"},
    "infill_element": {"crystal"},
    "infill": {"crystal", "conditions"},
}
"""The templates of a set, and what each has to mention."""


@dataclass(frozen=True)
class PromptSet:
    """The words in which a model is asked."""

    templates: Mapping[str, str]
    """Template text by name."""
    conditions: Mapping[str, str]
    """The line that asks for a property, by the property's name."""

    def render(self, template: str, **values: str) -> str:
        """Fill a template. The prompt ends where the completion begins."""
        return _fill(self.templates[template], values)

    def condition(self, name: str, value: str) -> str:
        """Return the prompt line that asks for a property.

        Raises:
            SettingError: the set has no line for it.
        """
        if name not in self.conditions:
            raise SettingError(
                f"the prompts cannot ask for {name!r}; they know {', '.join(self.conditions)}."
                + did_you_mean(name, self.conditions)
            )
        return _fill(self.conditions[name], {"value": value})

    def phrases(self) -> list[str]:
        """Return the literal parts of all templates: candidates for tokens of their own."""
        texts = [*self.templates.values(), *self.conditions.values()]
        parts = {part for text in texts for part in _PLACEHOLDER.split(text)[::2]}
        return sorted(part for part in parts if len(part) > 1)


def load_prompts(source: str | Path = "default") -> PromptSet:
    """Load a prompt set: the name of a shipped one, or a folder.

    Raises:
        SettingError: no such set, or a file of it is missing or lacks a placeholder; all faults
            of the set are named at once.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = shipped("prompts", str(source))
    if not folder.is_dir():
        known = sorted(p.name for p in shipped("prompts").iterdir() if p.is_dir())
        raise SettingError(
            f"no prompt set {str(source)!r}: neither a folder nor one of {', '.join(known)}."
            + did_you_mean(str(source), known)
        )
    faults: list[str] = []
    templates: dict[str, str] = {}
    for name, needed in REQUIRED_PLACEHOLDERS.items():
        path = folder / f"{name}.txt"
        if not path.is_file():
            faults.append(f"{path.name} is missing")
            continue
        text = _read(path, faults)
        if text is None:
            continue
        templates[name] = text
        found = set(_PLACEHOLDER.findall(templates[name]))
        if found != needed:
            faults.append(
                f"{path.name} has the placeholders {sorted(found)}, expected {sorted(needed)}"
            )
    path = folder / "conditions.yaml"
    conditions = _read_conditions(path, faults)
    for name, line in conditions.items():
        if name not in PROPERTIES:
            faults.append(
                f"conditions.yaml: unknown property {name!r}." + did_you_mean(str(name), PROPERTIES)
            )
        elif not isinstance(line, str) or _PLACEHOLDER.findall(line) != ["value"]:
            faults.append(f"conditions.yaml: the line of {name} must hold {{value}} once")
    if faults:
        raise SettingError(f"the prompt set {folder} has faults:\n  " + "\n  ".join(faults))
    return PromptSet(templates, conditions)


def _read(path: Path, faults: list[str]) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{path.name} cannot be read as UTF-8 text: {error}")
        return None


def _read_conditions(path: Path, faults: list[str]) -> dict[str, str]:
    if not path.is_file():
        faults.append("conditions.yaml is missing")
        return {}
    text = _read(path, faults)
    if text is None:
        return {}
    try:
        conditions = yaml.safe_load(text)
    except yaml.YAMLError as error:
        faults.append(f"conditions.yaml is not YAML: {' '.join(str(error).split())}")
        return {}
    if not isinstance(conditions, dict):
        faults.append("conditions.yaml is not a mapping of property to line")
        return {}
    return conditions


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)
