"""The keywords of the Python interface for searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from crystext.conditions import CONDITION_NAMES, Conditions
from crystext.conditions.keywords import ConditionKwargs
from crystext.discover.settings import SearchSettings
from crystext.energies.potentials import PotentialSource
from crystext.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from crystext.discover.checks import Check
    from crystext.discover.tools import Report
    from crystext.runtime.processes import Workers


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
    cell_temperature: float | None
    top_p: float
    guidance: float
    max_atoms: int
    min_distance_ratio: float
    fmax: float
    steps: int
    texts_per_round: int
    relaxed_per_round: int
    patience: int


class RunKwargs(TypedDict, total=False):
    """How a search runs."""

    n: int | None
    """Number of candidates to stop at; 20 if there is no other limit."""
    seconds: float | None
    """Time to stop at; 20 minutes if there is no other limit."""
    rounds: int | None
    """Number of rounds to stop at."""
    out: str | Path | None
    """Folder for the rounds, the table, the CIFs and the page; None keeps nothing."""
    workers: Workers
    """Processes that relax, or an executor, such as `runtime.local_executor.LocalExecutor`."""
    report: Report
    """Called with what is done, how much of it, and of how much."""
    checks: Sequence[Check]
    """Functions of a crystal that return why it is refused, or None; applied before relaxing and
    after. A folder does not record them."""


class DiscoverKwargs(RunKwargs, SearchKwargs, ConditionKwargs, total=False):
    """Limits, settings and conditions of a search."""


def split_run(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how a search runs, and its settings and conditions."""
    names = RunKwargs.__annotations__
    run = {name: value for name, value in keywords.items() if name in names}
    return run, {name: value for name, value in keywords.items() if name not in names}


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
            names = [*CONDITION_NAMES, *SearchKwargs.__annotations__, *RunKwargs.__annotations__]
            raise SettingError(
                f"a search has no setting or condition {name!r}; there are {', '.join(names)}."
                + did_you_mean(name, names)
            )
    for name in ("potentials", "known_crystals"):
        if name in settings:
            settings[name] = tuple(settings[name])
    return SearchSettings(Conditions.from_keywords(**conditions), **settings)
