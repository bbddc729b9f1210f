"""The keywords of the Python interface for conditions and sampling settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from crystext.conditions import CONDITION_NAMES, Conditions
from crystext.conditions.keywords import ConditionKwargs
from crystext.errors import SettingError, did_you_mean
from crystext.generation.selection import SelectBy, SelectionRule
from crystext.runtime.renamed import refuse_old_keywords

refuse_renamed_keywords = refuse_old_keywords(
    max_tries="max_attempts_per_sample", min_distance="min_distance_ratio"
)
"""Decorates functions that take these keywords."""


class SamplerKwargs(TypedDict, total=False):
    """Settings of the sampler of tokens; `requests.resolve_settings` has the defaults."""

    seed: int | None
    """Each crystal's random numbers follow from (seed, index) alone; None takes a random seed."""
    guidance: float
    """Scale of what the conditions in the prompt change in the logits; 1 is off."""
    temperature: float | None
    """0 takes the most probable token; None is the model's own, else 1."""
    element_temperature: float | None
    """Temperature of elements, and of whether another atom follows."""
    coordinate_temperature: float | None
    """Temperature of coordinates."""
    cell_temperature: float | None
    """Temperature of cell lengths and angles in the Wyckoff text, where they follow the atoms."""
    top_p: float
    """Nucleus sampling: sample from the most probable tokens with this total probability."""
    constrained: bool
    """Whether sampling is restricted to texts that are crystals and satisfy the conditions."""


class SamplingKwargs(SamplerKwargs, total=False):
    """Settings of a sampling run; `sampling_run.make_sampling_run` has the defaults."""

    max_attempts_per_sample: int | None
    """Maximum number of texts sampled per crystal, until it satisfies every condition that can be
    checked; the one that satisfies most is returned. None is 100 with a filter (`oxidation` or
    `unit`), else 1."""
    max_atoms: int
    """Maximum number of atoms in the cell."""
    min_distance_ratio: float
    """Minimum distance between atoms, relative to the sum of their covalent radii; 0 is off."""
    batch_size: int | None
    """Texts sampled together; None is 1,000 with a small model, 250 with another, and 50 with
    several attempts per sample."""
    format: str | None
    """Name of the text format; None is the model's own."""


class SampleKwargs(SamplingKwargs, ConditionKwargs, total=False):
    """Sampling settings and conditions."""


class SelectionKwargs(TypedDict, total=False):
    """Which samples are kept; `selection.SelectionRule` has the defaults."""

    keep_best: int | None
    """Number of samples to keep, the best; None keeps all, in the order of their indices."""
    by: SelectBy
    """`energy`, the energy above the hull that the shipped predictor expects, or `likelihood`, the
    log-probability of the text per token."""
    max_per_prototype: int | None
    """Maximum number of kept crystals of one prototype, its space group and Wyckoff letters; None
    is 5% of `keep_best`, or as many more as it takes to keep that many."""


class SelectedSampleKwargs(SelectionKwargs, ConditionKwargs, total=False):
    """Conditions, and which samples are kept."""


def split_selection(keywords: Mapping[str, Any], n: int) -> tuple[Conditions, SelectionRule | None]:
    """Return the conditions among the keywords of a call, and what is kept of n samples.

    Raises:
        SettingError: as `parse_conditions`; or what is kept has settings, and no number.
    """
    chosen = {k: v for k, v in keywords.items() if k in SelectionKwargs.__annotations__}
    conditions = parse_conditions({k: v for k, v in keywords.items() if k not in chosen})
    if chosen.get("keep_best") is None:
        chosen.pop("keep_best", None)
        if chosen:
            raise SettingError(
                f"{' and '.join(chosen)} without keep_best, the number of samples to keep; give it"
            )
        return conditions, None
    return conditions, SelectionRule(of=n, **chosen)


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
        SettingError: a keyword is not a condition (the message suggests similar ones); or
            conditions contradict each other or are invalid.
    """
    for name in keywords:
        if name in SelectionKwargs.__annotations__:
            raise SettingError(
                f"{name!r} is a keyword of `sample` alone, which chooses when all samples are "
                "there; leave it out, or use `sample`"
            )
        if name not in CONDITION_NAMES:
            others = (*SamplingKwargs.__annotations__, *SelectionKwargs.__annotations__)
            known = [*CONDITION_NAMES, "n", *others, "progress"]
            raise SettingError(
                f"there is no condition {name!r}; the conditions are "
                f"{', '.join(CONDITION_NAMES)}." + did_you_mean(name, known)
            )
    return Conditions.from_keywords(**keywords)


def prompt_properties(conditions: Conditions) -> dict[str, str]:
    """Return the prompt lines for all of these conditions.

    Raises:
        SettingError: one of them has no prompt line, so a score cannot depend on it.
    """
    silent = [*conditions.not_in_prompt(), *(["neutral"] if conditions.neutral else [])]
    if silent:
        raise SettingError(
            f"{silent[0]!r} has no prompt line, so a score cannot depend on it; leave it out"
        )
    return conditions.prompt_properties()
