"""The directive `schema`: the keys of a YAML file, from the pydantic classes that read it."""

from __future__ import annotations

import re
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from docutils import nodes
from marked_text import definition, paragraph, slug
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

_LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the class of a section of the file, where a key holds one."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def is_list(model: type[BaseModel]) -> bool:
    """Return whether a section is written as a list, not as keys and values."""
    return model.model_json_schema(mode="serialization").get("type") == "array"


def in_words(annotation: Any) -> str:
    """Return what a key takes."""
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(in_words(kind) for kind in get_args(annotation))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is list:
        return f"a list of {in_words(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        key, value = get_args(annotation)
        return f"a section of {in_words(key)}: {in_words(value)}"
    names = {int: "whole number", float: "number", bool: "true or false", type(None): "null"}
    return names.get(annotation, "text")


def yaml_of(value: object) -> str:
    """Return how a YAML file writes a plain value."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def summary(field: FieldInfo) -> str:
    """Return what a key takes, within which limits, and what stands for it where it is left out."""
    kind = section_of(field.annotation)
    takes = in_words(field.annotation)
    if kind:
        takes = "a list of names" if is_list(kind) else "a section"
    limits = [
        f"{word} {getattr(limit, name):,}"
        for limit in field.metadata
        for name, word in _LIMITS.items()
        if getattr(limit, name, None) is not None
    ]
    if field.is_required():
        default = "required"
    elif kind or field.default_factory is not None:
        default = "optional"
    else:
        default = f"default: `{yaml_of(field.default)}`"
    return "; ".join([", ".join([takes, *limits]), default])


def meaning(model: type[BaseModel], name: str) -> str:
    """Return what the source says of a field, below it or in front of its class."""
    for owner in model.__mro__:
        if name in vars(owner).get("__annotations__", {}):
            documented = ModuleAnalyzer.for_module(owner.__module__).find_attr_docs()
            return " ".join(documented.get((owner.__qualname__, name), []))
    return ""


class Schema(SphinxDirective):
    """Every key of a file, with its type, limits, default and meaning.

    The argument is a class, or a function and the file that it reads, whose result is of a class.
    """

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of all sections, the file's own keys first."""
        module, _, name = self.arguments[0].rpartition(".")
        model = getattr(import_module(module), name)
        if len(self.arguments) > 1:
            model = type(model(self.arguments[1]))
        return self._section(model, "")

    def _section(self, model: type[BaseModel], place: str) -> list[nodes.Node]:
        self.env.note_dependency(ModuleAnalyzer.get_module_source(model.__module__)[0] or "")
        about = re.split(r"\n\s*\n", model.__doc__ or "")
        found: list[nodes.Node] = [nodes.rubric(place, place)] if place else []
        found += [paragraph(text) for text in about if text]
        entries, inner = nodes.definition_list(), []
        for name, field in model.model_fields.items():
            key = f"{place}.{name}" if place else name
            anchor = slug(f"{model.__module__.split('.')[-1]} {key}")
            entries += definition(key, anchor, summary(field), meaning(model, name))
            if (section := section_of(field.annotation)) is None:
                continue
            if is_list(section):
                entries[-1][-1] += paragraph(re.split(r"\n\s*\n", section.__doc__ or "")[0])
            else:
                inner += self._section(section, key)
        return [*found, entries, *inner]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("schema", Schema)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
