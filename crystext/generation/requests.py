"""From conditions to the requests and the settings of a sampler, as a model needs them."""

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
from crystext.tasks.generation import generation_prompt
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
        conditions: what the crystal is to be.
        prompts: those of the model.
        max_atoms, min_distance_ratio: see `Constraints`.
        constrained: whether the sampler enforces constraints.
        fmt: the format of the text; None is the model's own, taken for a coordinate format.

    Raises:
        SettingError: a condition that can be neither asked for nor enforced, or not be met; or the
            prompts cannot ask for such a text.
    """
    text_format = fmt or PLAIN
    grammar = grammar_of(text_format)
    constrained = constrained and grammar is not None
    if not constrained and (silent := conditions.not_in_prompt()):
        raise SettingError(
            f"{silent[0]} is asked for, but without constraints nothing keeps a model from "
            "anything else: no line of the prompt says it; draw constrained, or leave it out"
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
    top_p: float = 1.0,
    guidance: float = 1.0,
    constrained: bool = True,
) -> SamplingSettings:
    """Return how to sample from a model: at its own temperatures by default.

    Args:
        model: as `open_model` takes it.
        conditions: those of every crystal that is to be sampled.
        seed: see `SamplingSettings`; None takes a random one, which the settings record.
        top_p, guidance, constrained: see `SamplingSettings`.
        temperature, element_temperature, coordinate_temperature: see `resolve_temperatures`.

    Raises:
        ModelError: no such model, or a file of it is damaged.
        SettingError: a number out of range.
    """
    settled = resolve_temperatures(
        open_model(model).temperatures,
        conditions,
        text=temperature,
        element=element_temperature,
        coordinate=coordinate_temperature,
    )
    return SamplingSettings(
        seed=random_seed() if seed is None else seed,
        temperature=settled.text,
        element_temperature=settled.element,
        coordinate_temperature=settled.coordinate,
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
) -> Temperatures:
    """Return the temperatures to sample at.

    Args:
        model_temperatures: the model's own.
        conditions: those of every crystal that is to be sampled.
        text, element, coordinate: a user's; a temperature of the text holds for elements and
            coordinates too, unless theirs are given. None takes the model's.
    """
    if text is not None:
        return Temperatures(text, element, coordinate)
    own = temperatures_for_conditions(model_temperatures, conditions)
    return Temperatures(
        own.text,
        own.element if element is None else element,
        own.coordinate if coordinate is None else coordinate,
    )


def temperatures_for_conditions(
    model_temperatures: Temperatures, conditions: Iterable[Conditions]
) -> Temperatures:
    """Return the temperatures to sample at by default: the model's own, or cooler elements.

    A model may have a high temperature for elements, which varies compositions. If every crystal's
    formula is given, nothing can vary: elements have the temperature of the rest of the text.
    """
    if all(each.composition is not None for each in conditions):
        return replace(model_temperatures, element=None)
    return model_temperatures
