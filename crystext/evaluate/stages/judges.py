"""Several potentials judge the same samples, each by its own energies; see `energies.judges`.

The first potential relaxes the samples, in the stage stability. Here each other one relaxes what
the first has relaxed further, to its own minimum, corrects its energies by its own scheme, and
places them on the hull. Counted are the samples that each finds below the limits, and those on
which all agree; energies of two judges are never mixed.

Each judge is compared with the formation energies of crystals of MP-20 test first. One that does
not reproduce its known energies, or is too far from these, is left out, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from pydantic import Field

from crystext.data.shipped import sample_formation_energies
from crystext.energies.hull import Hull
from crystext.energies.hull_sources import open_hull
from crystext.energies.judges import (
    CALIBRATION_HEADER,
    Calibration,
    Judge,
    calibrate,
    calibration_rows,
    disagreement,
    judge_slug,
    open_judge,
    place_relaxations,
)
from crystext.energies.potentials import PotentialSource, potential_identity, potential_name
from crystext.energies.relaxation_run import relax_all
from crystext.errors import CrystextError, ModelError, SettingError, UnavailableError
from crystext.evaluate.relaxation_cache import hull_identity, relaxation_folder
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import (
    ABOVE_HULL,
    ENERGY_REQUESTED,
    RELAXED_CIF,
    CitedSettings,
    ReportSection,
    Stage,
    StageContext,
)
from crystext.evaluate.stages.novelty import DEGREE_TITLES
from crystext.evaluate.stages.stability import (
    StabilitySettings,
    potential_for_settings,
    relaxation_limits,
)
from crystext.metrics.prototypes import Novelty
from crystext.runtime.files import json_digest

_KNOWN_SET = "mp20_test"

_MAX_SECONDS = 3600.0
"""Time limit of a relaxation by a judge: none in practice, or a slow machine would take its answers
away, and with them the agreement of all."""

_OPTIONAL_COLUMNS = ("unique", "novel", "novelty_degree")


class JudgesSettings(CitedSettings):
    """When a judge is heard."""

    known_crystals: int = Field(default=100, ge=1)
    """Crystals of MP-20 test whose formation energies each judge is compared with."""
    max_error: float = Field(default=0.05, gt=0)
    """eV/atom; a judge with a larger mean absolute error of these is left out."""


class _Panel(NamedTuple):
    """The judges that are heard, their calibrations, and why others are not."""

    judges: list[Judge]
    calibrations: list[Calibration]
    left_out: list[str]


class JudgesStage(Stage[JudgesSettings]):
    """Answers of several potentials, and where they agree."""

    name, title = "judges", "relaxation by other potentials"
    settings_model = JudgesSettings
    section = ReportSection("Several judges")
    columns = ("judges_metastable", "judges_answers")
    required_columns = (ENERGY_REQUESTED, RELAXED_CIF, ABOVE_HULL)
    affected_by = {  # noqa: RUF012
        what: frozenset({"judges"}) for what in ("potential", "hull", "relaxed", "training")
    }
    libraries = ("ase", "chgnet", "matgl", "pymatgen", "scipy", "sevenn", "torch")

    def dependencies(self, context: StageContext, settings: JudgesSettings) -> dict[str, Any]:
        """Return the identities of judges and hull, the limits, and what is known of novelty."""
        rules = _stability_settings(context)
        optional = {name: list(context.columns.get(name, ())) for name in _OPTIONAL_COLUMNS}
        return {
            "judges": [_identity(source) for source in context.options.judges],
            "limits": asdict(relaxation_limits(rules)),
            "thresholds": [rules.metastable, rules.stable],
            "hull": hull_identity(context.options.hull or rules.hull),
            "novelty": json_digest(optional),
        }

    def measure(self, context: StageContext, settings: JudgesSettings, result: StageResult) -> None:
        """Have each judge relax and place the crystals, and count its answers."""
        if not context.options.judges:
            raise UnavailableError(
                "one potential alone has relaxed; name several, such as --potential m3gnet,chgnet"
            )
        rules = _stability_settings(context)
        hull = open_hull(context.options.hull or rules.hull)
        panel = _panel(context, settings, rules, hull)
        if len(panel.judges) < 2:
            raise UnavailableError(f"fewer than two judges are heard: {'; '.join(panel.left_out)}")
        above = {
            judge.name: (
                list(context.columns[ABOVE_HULL])
                if judge.source == _first_source(context, rules)
                else _energies(context, rules, judge)
            )
            for judge in panel.judges
        }
        answers = JudgeAnswers(context.columns, rules, above)
        answers.add_columns(result)
        result.add_table(
            "calibration",
            f"Formation energies of crystals of MP-20 test, not relaxed, against their known ones: "
            f"a judge within {settings.max_error:g} eV/atom is heard",
            CALIBRATION_HEADER,
            calibration_rows(panel.judges, panel.calibrations),
        )
        answers.add_metrics(result, settings.source)
        answers.add_degrees(result)
        result.note = " ".join(
            [
                f"{potential_name(_first_source(context, rules))} relaxes; each other judge "
                "relaxes further by itself, and has its own corrections. Energies of two judges "
                "are never mixed.",
                *(f"Left out: {reason}." for reason in panel.left_out),
            ]
        )


class JudgeAnswers:
    """The energies above the hull by each judge, and what they are counted for."""

    def __init__(
        self,
        columns: Mapping[str, Sequence[Any]],
        rules: StabilitySettings,
        above: Mapping[str, Sequence[float | None]],
    ) -> None:
        """Take the columns of the stages before, the limits, and energies by each judge."""
        self.rules, self.above = rules, above
        self.requested = [i for i, x in enumerate(columns[ENERGY_REQUESTED]) if x is True]
        if not self.requested:
            raise UnavailableError("no energies were requested")
        self.n_samples = len(columns[ENERGY_REQUESTED])
        unique, novel, degrees = (columns.get(name, ()) for name in _OPTIONAL_COLUMNS)
        self.new = [
            i for i in self.requested if unique and novel and unique[i] is True and novel[i] is True
        ]
        self.novelty_is_known = any(x is not None for x in novel) and bool(unique)
        self.degrees = degrees

    def is_below(self, name: str, i: int, limit: float) -> bool:
        """Return whether a judge finds a sample below a limit."""
        energy = self.above[name][i]
        return energy is not None and energy < limit

    def count(self, name: str, limit: float, among: Sequence[int]) -> int:
        """Return how many samples a judge finds below a limit."""
        return sum(self.is_below(name, i, limit) for i in among)

    def count_all(self, limit: float, among: Sequence[int]) -> int:
        """Return how many samples all judges find below a limit."""
        return sum(all(self.is_below(name, i, limit) for name in self.above) for i in among)

    def add_columns(self, result: StageResult) -> None:
        """Add the energies by each judge, and the counts of judges."""
        below: list[int | None] = [None] * self.n_samples
        answers: list[int | None] = [None] * self.n_samples
        for i in self.requested:
            below[i] = sum(self.is_below(name, i, self.rules.metastable) for name in self.above)
            answers[i] = sum(energies[i] is not None for energies in self.above.values())
        result.columns["judges_metastable"], result.columns["judges_answers"] = below, answers
        for name, energies in self.above.items():
            result.columns[f"{ABOVE_HULL}_{judge_slug(name)}"] = energies

    def add_metrics(self, result: StageResult, source: str) -> None:
        """Add the proportions below the limits by each judge and by all, and the disagreement."""
        limits = (
            ("metastable", self.rules.metastable, self.requested, ""),
            ("stable", self.rules.stable, self.requested, ""),
            ("msun", self.rules.metastable, self.new, ", unique and novel"),
        )
        total = len(self.requested)
        for kind, limit, among, words in limits:
            if kind == "msun" and not self.novelty_is_known:
                continue
            below = f"below {limit:g} eV/atom above the hull{words}"
            for name in self.above:
                result.add_proportion(
                    f"{judge_slug(name)}_{kind}",
                    f"{below}, by {name}",
                    self.count(name, limit, among),
                    total,
                    better="higher",
                    source=source,
                )
            result.add_proportion(
                f"all_{kind}",
                f"{below}, by all judges",
                self.count_all(limit, among),
                total,
                better="higher",
                source=source,
                note=f"{len(self.above)} judges; each must have an energy",
            )
        self._add_disagreement(result, total)

    def _add_disagreement(self, result: StageResult, total: int) -> None:
        limit = self.rules.metastable
        apart = disagreement(
            [[energies[i] for energies in self.above.values()] for i in self.requested], limit
        )
        result.add_value(
            "disagreement",
            "median of the largest minus the lowest energy above the hull",
            apart.median,
            total=apart.n,
            unit="eV/atom",
            better="lower",
            note="of samples with the energies of two judges or more",
        )
        result.add_proportion(
            "large_disagreement",
            f"judges more than {limit:g} eV/atom apart",
            apart.large,
            total,
            better="lower",
            note=f"{apart.n:,} have the energies of two judges or more",
        )

    def add_degrees(self, result: StageResult) -> None:
        """Add how many samples of each degree of novelty each judge finds metastable."""
        rows: list[list[str | float | None]] = []
        for degree in Novelty:
            among = [i for i in self.requested if self.degrees and self.degrees[i] == degree.label]
            if not among:
                continue
            counts = [self.count(name, self.rules.metastable, among) for name in self.above]
            counts.append(self.count_all(self.rules.metastable, among))
            proportions = [count / len(among) for count in counts]
            rows.append([DEGREE_TITLES[degree], len(among), *proportions])
        if rows:
            result.add_table(
                "degrees",
                f"Proportions below {self.rules.metastable:g} eV/atom above the hull, by novelty",
                ["", "samples", *self.above, "all judges"],
                rows,
            )


def _identity(source: PotentialSource) -> str:
    """Return what identifies a judge; if it cannot be loaded, why."""
    try:
        return potential_identity(source)
    except CrystextError as error:
        return str(error)


def _stability_settings(context: StageContext) -> StabilitySettings:
    rules = context.settings.get("stability")
    if not isinstance(rules, StabilitySettings):
        raise UnavailableError("the protocol has no part stability, which relaxes first")
    return rules


def _first_source(context: StageContext, rules: StabilitySettings) -> PotentialSource:
    return potential_for_settings(rules, context.options, context.cache).source


def _panel(
    context: StageContext, settings: JudgesSettings, rules: StabilitySettings, hull: Hull
) -> _Panel:
    """Open the judges and compare each with known formation energies."""
    known = sample_formation_energies(_KNOWN_SET, settings.known_crystals)
    panel = _Panel([], [], [])
    for source in (_first_source(context, rules), *context.options.judges):
        try:
            judge = open_judge(source, hull)
            if any(judge.name == other.name for other in panel.judges):
                raise SettingError(f"{judge.name} is given twice")
            calibration = calibrate(judge, known, context.workers)
            if calibration is None or not calibration.mean_absolute_error <= settings.max_error:
                error = "no energy" if calibration is None else (
                    f"a mean absolute error of {calibration.mean_absolute_error:.3f} eV/atom"
                )  # fmt: skip
                raise ModelError(
                    f"{judge.name} has {error} for known crystals; at most "
                    f"{settings.max_error:g} eV/atom are allowed"
                )
        except CrystextError as error:
            panel.left_out.append(str(error))
            continue
        panel.judges.append(judge)
        panel.calibrations.append(calibration)
    return panel


def _energies(context: StageContext, rules: StabilitySettings, judge: Judge) -> list[float | None]:
    """Return the energies above the hull by a judge that relaxes what the first has relaxed."""
    limits = replace(relaxation_limits(rules), seconds=_MAX_SECONDS)
    relaxations = relax_all(
        context.relaxed_crystals(),
        relaxation_folder(context.cache, judge.source, limits),
        potential=judge.source,
        limits=limits,
        workers=context.workers,
        report=context.report_progress,
    )
    results = place_relaxations(judge, relaxations, metastable=rules.metastable)
    return [results[i].above_hull if i in results else None for i in range(len(context))]


STAGE = JudgesStage()
