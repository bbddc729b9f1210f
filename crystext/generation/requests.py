"""Turns conditions into the requests and settings of a sampler for a model."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.grammar.base import grammar_of
from crystext.inference.types import DEFAULT_CONSTRAINTS, Request, SamplingSettings
from crystext.models.layout import ModelFolder, Temperatures, open_model
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.prompts import PromptSet
from crystext.text import PLAIN, Format


def make_request(
    conditions: Conditions,
    prompts: PromptSet,
    *,
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
    constrained: bool = True,
    fmt: Format | None = None,
) -> Request:
    """Return the request for a crystal with these conditions.

    A condition that the grammar enforces is left out of the prompt if the prompts have no line for
    it.

    Args:
        conditions: conditions on the crystal.
        prompts: the prompt set of the model.
        max_atoms, min_distance_ratio: see `Constraints`.
        constrained: whether the sampler enforces constraints.
        fmt: the format of the text; None is the model's own, assumed to be a coordinate format.

    Raises:
        SettingError: a condition can be neither requested in the prompt nor enforced, or is
            infeasible; or the prompts have no template for the format.
    """
    text_format = fmt or PLAIN
    grammar = grammar_of(text_format)
    constrained = constrained and grammar is not None
    if not constrained and (silent := conditions.not_in_prompt()):
        raise SettingError(
            f"{silent[0]} is requested, but it has no prompt line and is not enforced without "
            "constraints; sample with constraints, or leave it out"
        )
    lines = conditions.prompt_properties()
    if constrained:
        enforced = {"formula", "chemical_system", "n_atoms"}
        enforced |= set(text_format.enforces)
        enforced -= set(prompts.conditions)
        lines = {name: value for name, value in lines.items() if name not in enforced}
    constraints = conditions.constraints(max_atoms=max_atoms, min_distance_ratio=min_distance_ratio)
    request = Request(
        generation_prompt(prompts, lines, text_format),
        constraints,
        generation_prompt(prompts, fmt=text_format) if lines else None,
        format=fmt,
    )
    if constrained and grammar is not None:
        grammar.check(constraints)
    return request


def random_seed() -> int:
    """Return a random seed below 2^31, which every generator of random numbers takes."""
    return secrets.randbelow(2**31)


def resolve_settings(
    model: str | Path | ModelFolder,
    conditions: Iterable[Conditions] = (Conditions(),),
    *,
    seed: int | None = 0,
    temperature: float | None = None,
    element_temperature: float | None = None,
    coordinate_temperature: float | None = None,
    cell_temperature: float | None = None,
    top_p: float = 1.0,
    guidance: float = 1.0,
    constrained: bool = True,
) -> SamplingSettings:
    """Return the sampling settings for a model: by default, its own temperatures.

    Args:
        model: as `open_model` takes it.
        conditions: conditions of the crystals to sample.
        seed: see `SamplingSettings`; None takes a random one, which the settings record.
        top_p, guidance, constrained: see `SamplingSettings`.
        temperature, element_temperature, coordinate_temperature, cell_temperature: see
            `resolve_temperatures`.

    Raises:
        ModelError: the model does not exist, or one of its files is damaged.
        SettingError: a number is out of range.
    """
    settled = resolve_temperatures(
        open_model(model).temperatures,
        conditions,
        text=temperature,
        element=element_temperature,
        coordinate=coordinate_temperature,
        cell=cell_temperature,
    )
    return SamplingSettings(
        seed=random_seed() if seed is None else seed,
        temperature=settled.text,
        element_temperature=settled.element,
        coordinate_temperature=settled.coordinate,
        cell_temperature=settled.cell,
        top_p=top_p,
        guidance=guidance,
        constrained=constrained,
    )


def resolve_temperatures(
    model_temperatures: Temperatures,
    conditions: Iterable[Conditions],
    *,
    text: float | None,
    element: float | None,
    coordinate: float | None,
    cell: float | None,
) -> Temperatures:
    """Return the temperatures to sample at.

    Args:
        model_temperatures: the model's own.
        conditions: conditions of the crystals to sample.
        text, element, coordinate, cell: the user's temperatures; that of the text also applies to
            the others unless theirs are given. None takes the model's.
    """
    if text is not None:
        return Temperatures(text, element, coordinate, cell)
    own = temperatures_for_conditions(model_temperatures, conditions)
    return Temperatures(
        own.text,
        own.element if element is None else element,
        own.coordinate if coordinate is None else coordinate,
        own.cell if cell is None else cell,
    )


def temperatures_for_conditions(
    model_temperatures: Temperatures, conditions: Iterable[Conditions]
) -> Temperatures:
    """Return the temperatures to sample at by default: the model's own, or cooler elements.

    A model may have a high temperature for elements, which varies compositions. If the formula of
    every crystal is given, there is nothing to vary: elements get the temperature of the rest of
    the text.
    """
    if all(each.composition is not None for each in conditions):
        return replace(model_temperatures, element=None)
    return model_temperatures
