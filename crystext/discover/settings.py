"""What a search depends on, and when it ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

from crystext.conditions import Conditions
from crystext.energies.hull_sources import DEFAULT_HULL
from crystext.energies.potentials import AUTO, PotentialSource
from crystext.energies.stability import METASTABLE_EV_PER_ATOM
from crystext.errors import SettingError
from crystext.inference.types import DEFAULT_CONSTRAINTS
from crystext.runtime.validate_numbers import whole_number

DEFAULT_N = 20
DEFAULT_SECONDS = 20 * 60.0
"""The budget if none is given: so many candidates, or so many seconds."""

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?\s*"
                       r"(?:(\d+(?:\.\d+)?)\s*s?)?")  # fmt: skip

_MAX_ELEMENTS_OF_SUBSYSTEMS = 6
"""Elements of a system whose subsystems are searched as well: 57 systems of two or more."""


@dataclass(frozen=True)
class Budget:
    """When a search ends; None is no limit. Time and rounds of earlier commands count."""

    n: int | None = DEFAULT_N
    """Candidates."""
    seconds: float | None = DEFAULT_SECONDS
    """Time of all rounds; a round that has begun is finished."""
    rounds: int | None = None
    """Rounds, of which the same number always gives the same bytes."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("n", "rounds"):
            value = getattr(self, name)
            if value is not None and whole_number(name, value) < 1:
                raise SettingError(f"{name} is {value}: expected 1 or more")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise SettingError(f"a budget of {self.seconds:g} s: expected more than 0")


@dataclass(frozen=True)
class SearchSettings:
    """Everything that the candidates of a search depend on, besides model and data.

    Raises:
        SettingError: a number is out of range.
    """

    conditions: Conditions
    subsystems: bool = False
    """Whether crystals of some of the elements of the chemical system, two or more, count too."""
    below: float = METASTABLE_EV_PER_ATOM
    """eV/atom above the hull, exclusive, up to which a crystal is a candidate."""
    potentials: tuple[PotentialSource, ...] = (AUTO,)
    """The first relaxes and decides; each other one gives its own energies of the candidates."""
    hull: str = DEFAULT_HULL
    known_crystals: tuple[str, ...] = ()
    """Sets and files whose crystals are not new, besides those that ship."""
    shipped_known: bool = True
    """Whether the crystals that ship count as known."""
    seed: int = 0
    temperature: float | None = None
    element_temperature: float | None = None
    coordinate_temperature: float | None = None
    cell_temperature: float | None = None
    top_p: float = 1.0
    guidance: float = 1.0
    max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms
    min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio
    fmax: float = 0.1
    """eV/Å."""
    steps: int = 300
    """Maximum number of relaxation steps."""
    texts_per_round: int = 160
    """The first round has a quarter of it, so that candidates come soon."""
    relaxed_per_round: int = 12
    """Likewise, a third of it."""
    patience: int = 8
    """Rounds in a row without a new candidate after which the search ends."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("steps", "texts_per_round", "relaxed_per_round", "patience"):
            if whole_number(name, getattr(self, name)) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}: expected 1 or more")
        for name in ("below", "fmax"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingError(f"{name} is {getattr(self, name):g}: expected more than 0")
        if self.subsystems:
            self._check_subsystems()

    @cached_property
    def targets(self) -> tuple[Conditions, ...]:
        """The conditions that crystals are drawn for: several if subsystems count."""
        system = self.conditions.chemical_system
        if not self.subsystems:
            return (self.conditions,)
        sizes = range(len(system), 1, -1)
        systems = [part for size in sizes for part in combinations(system, size)]
        return tuple(self.conditions.within(part) for part in systems)

    def sizes(self, number: int) -> tuple[int, int]:
        """Return the numbers of texts and of relaxed crystals of a round, counted from 1."""
        if number > 1:
            return self.texts_per_round, self.relaxed_per_round
        return -(-self.texts_per_round // 4), -(-self.relaxed_per_round // 3)

    def values(self) -> dict[str, Any]:
        """Return the settings as JSON values; potentials are left to the caller."""
        values = asdict(self)
        del values["potentials"], values["conditions"], values["patience"]
        values["known_crystals"] = list(self.known_crystals)
        return values | self.conditions.requested()

    def _check_subsystems(self) -> None:
        system = self.conditions.chemical_system
        if not 2 < len(system) <= _MAX_ELEMENTS_OF_SUBSYSTEMS:
            raise SettingError(
                f"subsystems are those of a chemical system of 3 to {_MAX_ELEMENTS_OF_SUBSYSTEMS} "
                f"elements, and {len(system) or 'no'} "
                f"{'is' if len(system) == 1 else 'are'} given; give the system, or leave the "
                "subsystems out"
            )
        if set(replace(self.conditions, chemical_system=()).required_elements):
            raise SettingError(
                "subsystems lack some of the elements that a composition, elements, units or "
                "numbers of atoms require; give a chemical system alone"
            )


def parse_duration(text: str) -> float:
    """Return a duration in seconds: 20m, 1h30m, 45s, or a number of seconds.

    Raises:
        SettingError: it is none, or 0.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    parts: Sequence[str | None] = match.groups() if match else ()
    seconds = sum(
        float(part) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False) if part
    )
    if seconds <= 0:
        raise SettingError(f"a budget of {text!r}: expected a time such as 20m, 1h30m or 90s")
    return seconds
