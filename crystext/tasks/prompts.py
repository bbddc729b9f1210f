"""Prompt sets: folders of templates, and their rendering.

A prompt set is a folder:

    generate.txt          asks for a crystal in a coordinate format
    generate_wyckoff.txt  asks for a crystal in the Wyckoff format
    generate_*.txt        asks for a crystal in a format of a plugin (`Format.template`)
    infill_element.txt    asks for an element that was masked at all its sites
    infill.txt            asks for any other unknown part of a crystal
    predict.txt           shows a material whose properties are asked for
    conditions.yaml       the line that asks for a property, for each property
    marks.yaml            the marks of unknown parts: `mask` and `more`

`generate.txt` and `conditions.yaml` must be there. Training and sampling render through the same
calls. A model folder carries the set it was trained with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from crystext.errors import SettingError, describe_error, did_you_mean
from crystext.runtime.resources import shipped_path
from crystext.structures.property_schema import PROPERTIES
from crystext.text.partial import DEFAULT_MARKS, Marks

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

TEMPLATES = {
    "generate": {"conditions"},
    "generate_*": {"conditions"},
    "infill_element": {"crystal"},
    "infill": {"crystal", "conditions"},
    "predict": {"material"},
}
"""The templates of a set and their required placeholders. A star stands for any name."""

_REQUIRED_TEMPLATES = ("generate",)

_PREDICT = "predict"


@dataclass(frozen=True)
class PromptSet:
    """A set of prompt templates."""

    templates: Mapping[str, str]
    """Template text by name."""
    conditions: Mapping[str, str]
    """The line that asks for a property, by the property's name."""
    marks: Marks = DEFAULT_MARKS

    def render(self, template: str, **values: str) -> str:
        """Fill a template. The prompt ends where the completion begins.

        Raises:
            SettingError: the set has no such template.
        """
        if template not in self.templates:
            raise SettingError(
                f"the prompt set has no {template}.txt, which this request needs; it has "
                f"{', '.join(f'{name}.txt' for name in self.templates)}"
            )
        return _fill_template(self.templates[template], values)

    def condition(self, name: str, value: str) -> str:
        """Return the prompt line that asks for a property.

        Raises:
            SettingError: the set has no line for it.
        """
        if name not in self.conditions:
            raise SettingError(
                f"the prompt set has no line for {name!r}; it has lines for "
                f"{', '.join(self.conditions)}." + did_you_mean(name, self.conditions)
            )
        return _fill_template(self.conditions[name], {"value": value})

    def phrases(self) -> list[str]:
        """Return the literal parts of the prompts for crystals: candidates for separate tokens."""
        templates = [text for name, text in self.templates.items() if name != _PREDICT]
        return _literal_parts([*templates, *self.conditions.values()])

    def prediction_phrases(self) -> list[str]:
        """Return the literal parts of the prompt that shows a material."""
        return _literal_parts([self.templates[_PREDICT]] if _PREDICT in self.templates else [])


def load_prompts(source: str | Path = "default") -> PromptSet:
    """Load a prompt set: the name of a shipped one, or a folder.

    Raises:
        SettingError: the set does not exist, or a file is missing or lacks a placeholder; the
            message lists all errors.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = shipped_path("prompts", str(source))
    if not folder.is_dir():
        known = sorted(p.parent.name for p in shipped_path("prompts").glob("*/generate.txt"))
        raise SettingError(
            f"no prompt set {str(source)!r}: neither a folder nor one of {', '.join(known)}."
            + did_you_mean(str(source), known)
        )
    faults: list[str] = []
    templates: dict[str, str] = {}
    faults += [
        f"{name}.txt is missing"
        for name in _REQUIRED_TEMPLATES
        if not (folder / f"{name}.txt").is_file()
    ]
    for pattern, needed in TEMPLATES.items():
        for path in sorted(path for path in folder.glob(f"{pattern}.txt") if path.is_file()):
            text = _read_text(path, faults)
            if text is None:
                continue
            templates[path.stem] = text
            found = set(_PLACEHOLDER.findall(text))
            if found != needed:
                faults.append(
                    f"{path.name} has the placeholders {sorted(found)}, expected {sorted(needed)}"
                )
    conditions = _read_mapping(folder / "conditions.yaml", faults)
    for name, line in conditions.items():
        if name not in PROPERTIES:
            faults.append(
                f"conditions.yaml: unknown property {name!r}." + did_you_mean(str(name), PROPERTIES)
            )
        elif not isinstance(line, str) or _PLACEHOLDER.findall(line) != ["value"]:
            faults.append(f"conditions.yaml: the line of {name} must hold {{value}} once")
    marks: dict[str, Any] = {}
    if (folder / "marks.yaml").is_file():
        marks = _read_mapping(folder / "marks.yaml", faults)
    known = [mark.name for mark in fields(Marks)]
    for name, mark in marks.items():
        if name not in known:
            faults.append(f"marks.yaml: unknown mark {name!r}." + did_you_mean(str(name), known))
        elif not isinstance(mark, str) or not mark.strip() or "\n" in mark:
            faults.append(f"marks.yaml: {name} must be a line of text, found {mark!r}")
    if faults:
        raise SettingError(f"the prompt set {folder} has errors:\n  " + "\n  ".join(faults))
    return PromptSet(templates, conditions, Marks(**marks))


def write_prompts(folder: Path, prompts: PromptSet) -> None:
    """Write a prompt set into a folder, which `load_prompts` reads back."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in prompts.templates.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    for name, values in (
        ("conditions", dict(prompts.conditions)),
        ("marks", asdict(prompts.marks)),
    ):
        text = yaml.safe_dump(values, sort_keys=False, width=1000)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def _read_text(path: Path, faults: list[str]) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(
            f"{path.name} cannot be read as UTF-8 text: {describe_error(error, 'it is broken')}"
        )
        return None


def _read_mapping(path: Path, faults: list[str]) -> dict[str, Any]:
    if not path.is_file():
        faults.append(f"{path.name} is missing")
        return {}
    text = _read_text(path, faults)
    if text is None:
        return {}
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        faults.append(f"{path.name} is not YAML: {' '.join(str(error).split())}")
        return {}
    if not isinstance(values, dict):
        faults.append(f"{path.name} is not a mapping of names to lines")
        return {}
    return values


def _literal_parts(texts: Iterable[str]) -> list[str]:
    parts = {part for text in texts for part in _PLACEHOLDER.split(text)[::2]}
    return sorted(part for part in parts if len(part) > 1)


def _fill_template(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)
