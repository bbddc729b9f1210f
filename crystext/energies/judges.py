"""Several potentials that give their energies of the same crystals, each on its own scale.

A judge is a potential that reproduces its known energies, the corrections that its energies need,
and a hull that they may be compared with. Each judge relaxes a crystal to its own minimum, and
places that on its hull. Energies of two judges are never added or averaged: the answers to one
question are counted, whether the crystal is below a limit above the hull, and `disagreement` says
how far the answers are apart.

`calibrate` compares a judge with known formation energies, so that its error is seen where its
energies are.

What goes wrong otherwise: a potential is weakest for crystals unlike those it learned from, which
generated ones are; one judge alone then calls a crystal stable that no other does. And a mean of
two energies has the corrections of neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.hull import Hull, HullPosition
from crystext.energies.hull_sources import DEFAULT_HULL, open_hull
from crystext.energies.potentials import (
    AUTO,
    POTENTIALS,
    PotentialSource,
    check_shareable,
    choose_potential,
    load_potential_once,
)
from crystext.energies.relax import Relaxation, RelaxationLimits, RelaxationOutcome
from crystext.energies.relaxation_run import iter_relaxations
from crystext.energies.stability import METASTABLE_EV_PER_ATOM, Stability, classify_position
from crystext.errors import SettingError
from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal


@dataclass(frozen=True)
class Judge:
    """A potential with the hull of its energies."""

    source: PotentialSource
    """Never `auto`."""
    name: str
    """Of the potential's weights."""
    correction: EnergyCorrection
    """Corrections that its energies contain already."""
    hull: Hull


@dataclass(frozen=True)
class JudgeResult:
    """What a judge says of a crystal."""

    judge: str
    relaxation: Relaxation
    position: HullPosition | None
    """None without an energy."""
    stability: Stability

    @property
    def converged(self) -> bool:
        """Whether the crystal is at the judge's minimum."""
        return self.relaxation.outcome is RelaxationOutcome.CONVERGED

    @property
    def above_hull(self) -> float | None:
        """Energy above the judge's hull in eV/atom; None if it is unknown."""
        return None if self.position is None else self.position.above_hull


@dataclass(frozen=True)
class Agreement:
    """How many judges find a crystal below a limit."""

    below: int
    answers: int
    """Judges that have an energy of it above their hull."""

    @property
    def is_unanimous(self) -> bool:
        """Whether all that have an answer give the same one."""
        return self.below in (0, self.answers)

    def __str__(self) -> str:
        return f"{self.below} of {self.answers}"


@dataclass(frozen=True)
class Disagreement:
    """How far the judges' energies above the hull are apart."""

    n: int
    """Crystals for which two judges or more have an energy."""
    median: float | None
    """Median of the largest minus the lowest energy above the hull, in eV/atom; None without
    crystals."""
    large: int
    """Crystals for which it exceeds the limit."""


@dataclass(frozen=True)
class Calibration:
    """A judge's formation energies of known crystals, unrelaxed, against their known ones."""

    judge: str
    n: int
    """Crystals with an energy."""
    mean_absolute_error: float
    """eV/atom."""
    bias: float
    """Mean of the judge's energy minus the known one, in eV/atom."""


def open_judges(
    sources: Sequence[PotentialSource] = (AUTO,), hull: str | Path = DEFAULT_HULL
) -> list[Judge]:
    """Load potentials and check each against its known energies; open the hull once.

    Args:
        sources: see `potentials`. `auto` is every potential of the package that is available: the
            first of them, and CHGNet, which always is.
        hull: see `hull_sources`; energies of every judge must be comparable with it.

    Raises:
        ModelError: a potential does not exist, or does not reproduce its known energies: such a
            one gives no energies at all.
        SettingError: the energies of a judge cannot be compared with the hull, a potential is given
            twice, or other processes cannot create it.
    """
    opened = open_hull(hull)
    judges: list[Judge] = []
    for source in _expand(sources):
        judge = open_judge(source, opened)
        if any(judge.name == other.name for other in judges):
            raise SettingError(f"the potential {judge.name} is given twice; give it once")
        judges.append(judge)
    return judges


def open_judge(source: PotentialSource, hull: Hull) -> Judge:
    """Load a potential and check it against its known energies.

    Args:
        source: see `potentials`; never `auto`.
        hull: energies of the potential must be comparable with it.

    Raises:
        ModelError, SettingError: as `open_judges`.
    """
    check_shareable(source)
    potential = load_potential_once(source)
    hull.check_comparable(potential.name, potential.scale)
    return Judge(source, potential.name, potential.scale, hull)


def _expand(sources: Sequence[PotentialSource]) -> list[PotentialSource]:
    """Return the sources with those that `auto` stands for."""
    if not sources:
        raise SettingError("no potential is given; expected one or more, such as chgnet")
    expanded: list[PotentialSource] = []
    for source in sources:
        chosen = choose_potential(source).source
        expanded.append(chosen)
        if source == AUTO and chosen != _ALWAYS_THERE and _ALWAYS_THERE not in sources:
            expanded.append(_ALWAYS_THERE)
    return expanded


_ALWAYS_THERE = "chgnet"
assert _ALWAYS_THERE in POTENTIALS


def judge_crystals(
    judge: Judge,
    crystals: Mapping[int, Crystal],
    limits: RelaxationLimits,
    *,
    metastable: float = METASTABLE_EV_PER_ATOM,
    workers: Workers = 1,
) -> dict[int, JudgeResult]:
    """Relax crystals with a judge and place them on its hull.

    Args:
        judge: a potential and its hull.
        crystals: by any whole number; those that another judge has relaxed need few steps.
        limits: of each relaxation. With 0 steps, the energy is that of the crystal as it is.
        metastable: eV/atom above the hull; see `stability.Stability`.
        workers: processes, or an executor; results do not depend on them.

    Returns:
        A result for each crystal, by its number; those without an energy say so.
    """
    with closing(iter_relaxations(crystals, judge.source, limits, workers)) as relaxed:
        return place_relaxations(judge, dict(relaxed), metastable=metastable)


def place_relaxations(
    judge: Judge,
    relaxations: Mapping[int, Relaxation],
    *,
    metastable: float = METASTABLE_EV_PER_ATOM,
) -> dict[int, JudgeResult]:
    """Place crystals that a judge has relaxed on its hull; see `judge_crystals`."""
    with_energy = [
        (i, relaxation.crystal, relaxation.energy)
        for i, relaxation in sorted(relaxations.items())
        if relaxation.crystal is not None and relaxation.energy is not None
    ]
    placed = judge.hull.place_all(
        [(crystal, energy) for _, crystal, energy in with_energy], judge.correction
    )
    positions = {i: position for (i, *_), position in zip(with_energy, placed, strict=True)}
    return {
        i: JudgeResult(
            judge.name,
            relaxations[i],
            positions.get(i),
            classify_position(positions.get(i), metastable),
        )
        for i in sorted(relaxations)
    }


def disagreement(
    above_hull: Iterable[Sequence[float | None]], limit: float = METASTABLE_EV_PER_ATOM
) -> Disagreement:
    """Return how far the judges' energies above the hull of the same crystals are apart.

    Args:
        above_hull: for each crystal its energy above the hull by each judge, in eV/atom; None where
            it has none.
        limit: eV/atom from which on, exclusive, the difference is large.
    """
    ranges = []
    for energies in above_hull:
        answers = [energy for energy in energies if energy is not None]
        if len(answers) > 1:
            ranges.append(max(answers) - min(answers))
    large = sum(x > limit for x in ranges)
    return Disagreement(len(ranges), median(ranges) if ranges else None, large)


CALIBRATION_HEADER = (
    "", "corrections", "hull", "crystals", "mean absolute error, eV/atom", "bias, eV/atom",
)  # fmt: skip


def calibration_rows(
    judges: Sequence[Judge], calibrations: Sequence[Calibration]
) -> list[tuple[str | float | None, ...]]:
    """Return a row of `CALIBRATION_HEADER` for each judge, for reports."""
    by_name = {calibration.judge: calibration for calibration in calibrations}
    rows: list[tuple[str | float | None, ...]] = []
    for judge in judges:
        found = by_name.get(judge.name)
        errors: tuple[float | None, ...] = (None, None, None)
        if found is not None:
            errors = (found.n, found.mean_absolute_error, found.bias)
        hull = f"{judge.hull.name}, {judge.hull.date or 'unknown date'}"
        rows.append((judge.name, judge.correction.value, hull, *errors))
    return rows


def judge_slug(name: str) -> str:
    """Return the name of a judge as a part of a column's name: m3gnet_mp_2021_2_8_pes."""
    return "_".join(re.findall(r"[a-z0-9]+", name.lower()))


def agreement(above_hull: Sequence[float | None], limit: float) -> Agreement:
    """Count the judges that find a crystal below a limit.

    Args:
        above_hull: energy above the hull by each judge, in eV/atom; None where it has none.
        limit: eV/atom, exclusive.
    """
    answers = [energy for energy in above_hull if energy is not None]
    return Agreement(sum(energy < limit for energy in answers), len(answers))


def calibrate(
    judge: Judge, known_energies: Sequence[tuple[Crystal, float]], workers: Workers = 1
) -> Calibration | None:
    """Return how far a judge's formation energies are from known ones; None without any.

    Args:
        judge: a potential and its hull.
        known_energies: crystals, relaxed by DFT, and their formation energies in eV/atom on the
            scale of the judge's hull.
        workers: processes, or an executor.
    """
    crystals = {i: crystal for i, (crystal, _) in enumerate(known_energies)}
    results = judge_crystals(judge, crystals, RelaxationLimits(steps=0), workers=workers)
    errors = [
        result.position.formation_energy - known_energies[i][1]
        for i, result in results.items()
        if result.position is not None and result.position.formation_energy is not None
    ]
    if not errors:
        return None
    count = len(errors)
    return Calibration(
        judge.name, count, sum(abs(error) for error in errors) / count, sum(errors) / count
    )
