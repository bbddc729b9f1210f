"""The keywords by which a Python program says how crystals are sampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from crystext.conditions import CONDITION_NAMES, Conditions
from crystext.conditions.keywords import ConditionKwargs
from crystext.errors import SettingError, did_you_mean


class SamplingKwargs(TypedDict, total=False):
    """How crystals are sampled; `sampling_run.make_sampling_run` has the defaults."""

    seed: int | None
    """Each crystal's random numbers follow from (seed, index) alone; None takes a random seed."""
    max_attempts_per_sample: int
    """Texts sampled for a crystal, at most, until it satisfies every condition that can be checked;
    the one that satisfies most is taken."""
    guidance: float
    """Scale of what the conditions in the prompt change in the logits; 1 is off."""
    temperature: float | None
    """0 takes the most probable token; None is the model's own, else 1."""
    element_temperature: float | None
    """That of elements, and of whether a further atom follows."""
    coordinate_temperature: float | None
    """That of coordinates."""
    top_p: float
    """Sample from the most probable tokens that hold this much probability."""
    max_atoms: int
    """Most atoms in a cell."""
    min_distance_ratio: float
    """Least distance of atoms over the sum of their covalent radii; 0 is off."""
    constrained: bool
    """Whether only texts that are crystals, and satisfy the conditions, can be written."""
    batch_size: int | None
    """Texts sampled together; None is 1,000 with a small model, 250 with another, and 50 with
    several attempts per sample."""
    format: str | None
    """Name of the text format; None is the model's own."""


class SampleKwargs(SamplingKwargs, ConditionKwargs, total=False):
    """How crystals are sampled, and what they are to be."""


def split_keywords(keywords: Mapping[str, Any]) -> tuple[Conditions, SamplingKwargs]:
    """Return the conditions and the settings among the keywords of a call.

    Raises:
        SettingError: as `parse_conditions`.
    """
    settings = {k: v for k, v in keywords.items() if k in SamplingKwargs.__annotations__}
    conditions = {k: v for k, v in keywords.items() if k not in settings}
    return parse_conditions(conditions), cast("SamplingKwargs", settings)


def parse_conditions(keywords: Mapping[str, Any]) -> Conditions:
    """Return the conditions that keywords name.

    Raises:
        SettingError: a keyword is not a condition, and perhaps meant for another one; or
            conditions contradict each other or make no sense.
    """
    for name in keywords:
        if name not in CONDITION_NAMES:
            known = [*CONDITION_NAMES, "n", *SamplingKwargs.__annotations__, "progress"]
            raise SettingError(
                f"there is no condition {name!r}; the conditions are "
                f"{', '.join(CONDITION_NAMES)}." + did_you_mean(name, known)
            )
    return Conditions.from_keywords(**keywords)


def prompt_properties(conditions: Conditions) -> dict[str, str]:
    """Return the lines by which a prompt asks for all of these conditions.

    Raises:
        SettingError: no line asks for one of them, so nothing that only reads the prompt could
            depend on it.
    """
    silent = [*conditions.not_in_prompt(), *(["neutral"] if conditions.neutral else [])]
    if silent:
        raise SettingError(
            f"no line of a prompt says {silent[0]!r}, so a score cannot depend on it; leave it out"
        )
    return conditions.prompt_properties()
