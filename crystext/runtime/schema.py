"""Read settings files in YAML, and describe their errors in words.

Translates YAML's errors and pydantic's kinds of errors to what was expected instead. Recipes
(`training.recipe`), protocols and published results (`evaluate`) define the settings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from crystext.errors import SettingError, describe_error, did_you_mean


class StrictModel(BaseModel):
    """A part of a settings file: unknown names and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_EXPECTED = {
    "missing": "is missing",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected a name",
    "list_type": "expected a list, such as [a, b]",
    "dict_type": "expected settings, such as {{name: value}}",
    "model_type": "expected settings, such as {{name: value}}",
    "path_type": "expected the path of a folder",
    "greater_than": "expected a number above {gt:g}",
    "greater_than_equal": "expected a number of at least {ge:g}",
    "less_than": "expected a number below {lt:g}",
    "less_than_equal": "expected a number of at most {le:g}",
    "literal_error": "expected {expected}",
}
"""By pydantic's names of errors (https://docs.pydantic.dev/latest/errors/validation_errors/)."""


def setting_faults(
    error: ValidationError, schema: type[BaseModel], *, also: Collection[str] = ()
) -> list[str]:
    """Return a line for each error of a settings file: `optim.steps: expected a whole number`.

    Args:
        error: pydantic's error.
        schema: the model that the settings were validated against.
        also: further names allowed at the top level, such as those of plugins.
    """
    lines = []
    for fault in error.errors():
        path = [str(part) for part in fault["loc"]]
        if fault["type"] == "extra_forbidden":
            message = _unknown_setting_message(path, schema, also)
        else:
            message = _describe_error(fault)
        lines.append(f"{'.'.join(path)}: {message}" if path else message)
    return lines


def rename_settings(values: dict[str, Any], renamed: Mapping[str, str]) -> list[str]:
    """Rename settings to their current names, in place; return errors where both names are given.

    Args:
        values: sections and settings, as YAML gives them.
        renamed: current names by former ones, `section.name` in a section.
    """
    faults = []
    for old, new in renamed.items():
        *sections, old_name = old.split(".")
        section: Any = values
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or old_name not in section:
            continue
        new_name = new.rpartition(".")[2]
        if new_name in section:
            faults.append(f"{old} is the former name of {new}, and both are given; leave it out")
        value = section.pop(old_name)
        section.setdefault(new_name, value)
    return faults


def renamed_setting(override: str, renamed: Mapping[str, str]) -> str:
    """Return an override `section.name=value` with the current name of its setting."""
    key, equals, value = override.partition("=")
    for old, new in renamed.items():
        if key == old or key.startswith(f"{old}."):
            key = new + key.removeprefix(old)
    return key + equals + value


def apply_override(
    values: dict[str, Any], override: str, example: str, *, texts: Collection[str] = ()
) -> str | None:
    """Set one value of a settings file, in place, or return the error of the override.

    Args:
        values: sections and settings, as YAML gives them.
        override: `section.key=value`; the value is YAML.
        example: an override, for the message.
        texts: settings whose values are texts, even where YAML reads a number or a date.
    """
    key, equals, text = override.partition("=")
    *sections, last = key.split(".")
    if not equals or not last or "" in sections:
        return f"{override!r} is not an override; expected key=value, e.g. {example}"
    try:
        value = parse_yaml(text)
    except ValueError as error:
        return f"{truncated_repr(override)}: the value is not YAML: {error}"
    if key in texts and not isinstance(value, str | dict | list | None):
        value = text
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            return f"{override!r}: {section} is a value, not a section"
        values = inner
    values[last] = value
    return None


def _describe_error(error: Mapping[str, Any]) -> str:
    """Return what was expected where pydantic found an error, and what was found instead."""
    kind, found = str(error["type"]), error["input"]
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind in _EXPECTED:
        message = _EXPECTED[kind].format_map(error.get("ctx", {}))
    if kind == "missing" or isinstance(found, dict):
        return message
    if kind == "literal_error" and isinstance(found, str):
        choices = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        message += f".{near}" if (near := did_you_mean(found, choices)) else ""
    return f"{message} (found {truncated_repr(found)})"


def _unknown_setting_message(
    path: Sequence[str], schema: type[BaseModel], also: Collection[str]
) -> str:
    """Return a message that a setting does not exist, and which one may be meant."""
    *place, name = path
    known = [*_names_at(schema, place), *(() if place else also)]
    if near := did_you_mean(name, known):
        return "no such setting." + near
    sections = {section: _names_at(schema, [section]) for section in schema.model_fields}
    for section, names in sections.items():
        if name in names:
            return f"no such setting. Did you mean '{section}.{name}'?"
    return f"no such setting; there are {', '.join(known)}" if known else "no such setting"


def _names_at(schema: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the settings of a section; those of its items where it is a list or a mapping."""
    models = [schema]
    for part in path:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        # A step that is not a field is an item's index or key, and leads to the same models.
        models = [inner for info in fields for inner in _models(info.annotation)] or models
        if fields and not any(_models(info.annotation) for info in fields):
            return []
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models within an annotation, such as `Section | None` or `list[Item]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def read_yaml(path: Path) -> Any:
    """Return the value of a YAML file.

    Raises:
        SettingError: it cannot be read, or is not YAML.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{path} is not YAML: it is not UTF-8 text") from None
    except ValueError as error:
        raise SettingError(f"{path} is not YAML: {error}") from None


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        ValueError: the text is not valid YAML; the message is one line.
    """
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark is not None and text.count("\n") else ""
        problem = ValueError((error.problem or "").replace("<stream end>", "its end"))
        words = describe_error(problem, error.context or "a key or value in it is not valid YAML")
        raise ValueError(line + " ".join(words.split())) from None
    # Invalid values of a type, such as the date 2020-13-45, raise any of these.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        words = describe_error(error, "a value in it is not valid YAML")
        raise ValueError(" ".join(words.split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def truncated_repr(value: object, max_length: int = 200) -> str:
    """Return a value as messages quote it, cut if it is long."""
    if isinstance(value, str) and len(value) > max_length:
        return repr(f"{value[:max_length]}...")
    return repr(value)
