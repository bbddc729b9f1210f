"""From conditions to what a sampler is asked, in the words and at the temperatures of a model."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.grammar.wyckoff.infeasible import raise_if_infeasible
from crystext.inference.types import DEFAULT_CONSTRAINTS, Request, SamplingSettings
from crystext.models.layout import Temperatures, default_temperatures
from crystext.tasks.generation import generation_prompt
from crystext.tasks.prompts import PromptSet
from crystext.text import Format


def make_request(
    conditions: Conditions,
    prompts: PromptSet,
    *,
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
    constrained: bool = True,
    fmt: Format | None = None,
) -> Request:
    """Return what a sampler is asked for a crystal of these conditions.

    What is seen to while drawing needs no words: where the prompts have none for it, it is left out
    of the prompt.

    Args:
        conditions: what is asked for.
        prompts: the model's words.
        max_atoms, min_distance_ratio: see `Constraints`.
        constrained: whether the sampler sees to constraints.
        fmt: the format of the text; None is the model's own.

    Raises:
        SettingError: a condition that can be neither said nor seen to, or not be met; or the
            prompts cannot ask for such a text.
    """
    by_symmetry = fmt is not None and fmt.is_wyckoff
    if not constrained and (silent := conditions.not_in_prompt()):
        raise SettingError(
            f"{silent[0]} is asked for, but without constraints nothing keeps a model from "
            "anything else: no line of the prompt says it; draw constrained, or leave it out"
        )
    lines = conditions.prompt_properties()
    if constrained:
        enforced = {"formula", "chemical_system", "n_atoms"}
        if by_symmetry:
            enforced |= {"space_group", "crystal_system"}
        enforced -= set(prompts.conditions)
        lines = {name: value for name, value in lines.items() if name not in enforced}
    constraints = conditions.constraints(max_atoms=max_atoms, min_distance_ratio=min_distance_ratio)
    request = Request(
        generation_prompt(prompts, lines, wyckoff=by_symmetry),
        constraints,
        generation_prompt(prompts, wyckoff=by_symmetry) if lines else None,
        format=fmt,
    )
    if constrained and by_symmetry:
        raise_if_infeasible(constraints)
    return request


def random_seed() -> int:
    """Return a seed that nobody chose, below 2^31: every generator of random numbers takes it."""
    return secrets.randbelow(2**31)


def resolve_settings(
    model: str | Path,
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
    """Return how to draw from a model: at its own temperatures where none are said.

    Args:
        model: as `model_folder` takes it.
        conditions: those of every crystal that is to be drawn.
        seed: see `SamplingSettings`; None takes a random one, which the settings record.
        top_p, guidance, constrained: see `SamplingSettings`.
        temperature, element_temperature, coordinate_temperature: see `resolve_temperatures`.

    Raises:
        ModelError: no such model, or a file of it is damaged.
        SettingError: a number out of range.
    """
    settled = resolve_temperatures(
        default_temperatures(model),
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
    """Return the temperatures to draw at.

    Args:
        model_temperatures: what the model asks for.
        conditions: those of every crystal that is to be drawn.
        text, element, coordinate: what a user says; a temperature of the text holds for elements
            and coordinates too, unless theirs are said. None leaves it to the model.
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
    """Return the temperatures to draw at where nobody says: the model's own, or cooler elements.

    A model may ask for hot elements, which makes compositions various. Where every crystal's
    formula is asked for, there is nothing to vary: elements are drawn as the rest of the text is.
    """
    if all(each.composition is not None for each in conditions):
        return replace(model_temperatures, element=None)
    return model_temperatures
