"""The keywords of the Python interface for searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from crystext.conditions import CONDITION_NAMES, Conditions
from crystext.conditions.keywords import ConditionKwargs
from crystext.discover.settings import SearchSettings
from crystext.energies.potentials import PotentialSource
from crystext.errors import SettingError, did_you_mean


class SearchKwargs(TypedDict, total=False):
    """Settings of a search; `SearchSettings` has the defaults and says what they mean."""

    subsystems: bool
    below: float
    potentials: Sequence[PotentialSource]
    hull: str
    known_crystals: Sequence[str]
    shipped_known: bool
    seed: int
    temperature: float | None
    element_temperature: float | None
    coordinate_temperature: float | None
    top_p: float
    guidance: float
    max_atoms: int
    min_distance_ratio: float
    fmax: float
    steps: int
    texts_per_round: int
    relaxed_per_round: int
    patience: int


class DiscoverKwargs(SearchKwargs, ConditionKwargs, total=False):
    """Settings of a search and conditions."""


def parse_search(keywords: Mapping[str, Any]) -> SearchSettings:
    """Return the settings of a search that keywords name.

    Raises:
        SettingError: a keyword is neither a setting nor a condition, or a value is invalid.
    """
    settings: dict[str, Any] = {}
    conditions: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in SearchKwargs.__annotations__:
            settings[name] = value
        elif name in CONDITION_NAMES:
            conditions[name] = value
        else:
            names = [*CONDITION_NAMES, *SearchKwargs.__annotations__, "n", "seconds", "rounds"]
            raise SettingError(
                f"a search has no setting or condition {name!r}; there are {', '.join(names)}."
                + did_you_mean(name, names)
            )
    for name in ("potentials", "known_crystals"):
        if name in settings:
            settings[name] = tuple(settings[name])
    return SearchSettings(Conditions.from_keywords(**conditions), **settings)
