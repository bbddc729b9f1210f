"""Structure prediction from several proposals for each target.

The targets are those that are given, else the crystals of the protocol's reference set; which
samples are proposals for which target is told in `proposed_samples`. A target without a proposal,
or with failures alone, counts as not matched.

`match_rate_1` is of the first proposal: a generator that ranks writes its best one first. Of a run
of `crystext sample`, in which the order is chance, it is the rate of a single sample. The other
rates at 1 rank the proposals here: by likelihood, by how often each crystal is proposed, and, where
a potential is named, by energy. An energy is that of one proposal of each group of equal ones, the
most probable, after at most so many steps of relaxation; the proposal itself is matched, not the
relaxed crystal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import Field, field_validator

from crystext.energies.potentials import choose_potential, potential_identity
from crystext.energies.relax import Relaxation, RelaxationLimits
from crystext.energies.relaxation_run import relax_all
from crystext.evaluate.proposed_samples import samples_by_target
from crystext.evaluate.reference_sets import ReferenceSet
from crystext.evaluate.relaxation_cache import RELAXATION_LIBRARIES, relaxation_folder
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import ReportSection, Stage, StageContext
from crystext.evaluate.stages.prediction import PredictionSettings, is_valid
from crystext.evaluate.stages.validity import ValiditySettings
from crystext.metrics.proposals import (
    TargetMatches,
    match_proposals,
    most_frequent,
    most_probable,
    or_lowest,
)
from crystext.runtime.wording import format_count

_METRE_SOURCE = "Martirossyan et al., arXiv:2509.12178"

_RANKINGS = {
    "likelihood": "the most probable proposal",
    "votes": "the crystal proposed most often",
    "energy": "the proposal with the lowest energy",
}


class ProposalsSettings(PredictionSettings):
    """When a proposal is correct, and how many count."""

    at: tuple[int, ...] = (1, 20)
    """Numbers of proposals at which the match rate is reported."""
    fmax: float = Field(default=0.1, gt=0)
    """eV/Å."""
    steps: int = Field(default=30, ge=0)
    """Maximum number of steps before an energy is taken; 0 takes that of the proposal."""

    @field_validator("at")
    @classmethod
    def _check_numbers(cls, at: tuple[int, ...]) -> tuple[int, ...]:
        if not at or min(at) < 1:
            raise ValueError("expected numbers of 1 or more, such as [1, 20]")
        return at


@dataclass(frozen=True)
class _Target:
    """A target with its proposals."""

    indices: tuple[int, ...]
    """Of its samples, in their order."""
    matches: TargetMatches
    """Whether valid or not."""
    counts: tuple[bool, ...]
    """Whether each proposal may count as a match, by the rule of validity."""
    log_probabilities: tuple[float | None, ...]

    def counted(self, place: int | None) -> float | None:
        """Return the distance of a proposal if it is a match that counts."""
        return None if place is None or not self.counts[place] else self.matches.distances[place]

    def best(self, k: int) -> float | None:
        """Return the smallest distance that counts among the first k."""
        found = [self.counted(place) for place in range(len(self.indices))[:k]]
        return min((x for x in found if x is not None), default=None)


class ProposalsStage(Stage[ProposalsSettings]):
    """Match rates and RMSE at some numbers of proposals."""

    name, title = "proposals", "structure prediction"
    version = 2
    settings_model = ProposalsSettings
    section = ReportSection("Structure prediction from several proposals")
    columns = ("target", "proposal", "proposal_match", "proposal_rms", "proposal_energy")
    required_columns = ("valid",)
    libraries = (*RELAXATION_LIBRARIES, "pymatgen", "smact")
    affected_by = {"reference": frozenset({"proposals"})}  # noqa: RUF012
    quantities = ("match_rate", "METRe", "CSP")

    def dependencies(self, context: StageContext, settings: ProposalsSettings) -> dict[str, Any]:
        """Return the checksum of the targets, and the potential."""
        potential = context.options.potential
        return {
            "targets": _targets(context).sha256,
            "potential": potential and potential_identity(choose_potential(potential).source),
        }

    def measure(
        self, context: StageContext, settings: ProposalsSettings, result: StageResult
    ) -> None:
        """Match the proposals with their targets, and rank them."""
        targets = _targets(context)
        blocks = samples_by_target(context.sample_set, targets)
        found = match_proposals(
            targets.crystals,
            [[context.crystals.get(i) for i in block] for block in blocks],
            tolerances=settings.tolerances,
            workers=context.workers,
            report=context.report_progress,
        )
        valid_targets = _valid_targets(context, targets)
        rows = [
            _Target(
                tuple(block),
                matches,
                tuple(
                    not settings.both_valid or (valid and context.columns["valid"][i] is True)
                    for i in block
                ),
                tuple(_log_probability(context, i) for i in block),
            )
            for block, matches, valid in zip(blocks, found, valid_targets, strict=True)
        ]
        energies = _energies(context, settings, rows)
        _fill_columns(result, context, targets, rows, energies)
        _add_rates(result, settings, rows)
        _add_rankings(result, settings, rows, energies)
        result.add_proportion(
            "valid_targets",
            "targets that are valid",
            sum(valid_targets),
            len(rows),
            note="no method can match more where both have to be valid",
        )
        most = max(len(row.indices) for row in rows)
        result.note = (
            f"{format_count(len(rows), 'target')} of {targets.title}, "
            f"{format_count(len(context), 'sample')}; at most {most:,} for a target, "
            f"{format_count(sum(not row.indices for row in rows), 'target')} without any."
        )


def _targets(context: StageContext) -> ReferenceSet:
    """Return the targets that are given, else the reference set."""
    given = "targets" in context.reference_sets
    return context.reference_sets.get("targets" if given else "reference")


def _valid_targets(context: StageContext, targets: ReferenceSet) -> list[bool]:
    validity = context.settings["validity"]
    assert isinstance(validity, ValiditySettings)
    return context.map_crystals(partial(is_valid, settings=validity), targets.crystals)


def _log_probability(context: StageContext, index: int) -> float | None:
    values = context.sample_set.log_probabilities
    return values[index] if values else None


def _energies(
    context: StageContext, settings: ProposalsSettings, rows: Sequence[_Target]
) -> dict[int, float]:
    """Return the energies in eV/atom by sample, if a potential is named.

    One proposal of each group is relaxed, the most probable, else the first.
    """
    if context.options.potential is None:
        return {}
    source = choose_potential(context.options.potential).source
    limits = RelaxationLimits(fmax=settings.fmax, steps=settings.steps)
    chosen = [row.indices[place] for row in rows for place in _representatives(row)]
    relaxed: Mapping[int, Relaxation] = relax_all(
        {i: context.crystals[i] for i in chosen},
        relaxation_folder(context.cache, source, limits),
        potential=source,
        limits=limits,
        workers=context.workers,
        report=context.report_progress,
    )
    return {
        i: one.energy / len(context.crystals[i])
        for i, one in relaxed.items()
        if one.energy is not None
    }


def _representatives(row: _Target) -> list[int]:
    """Return the place of the most probable proposal of each group, else of the first."""
    places: dict[int, list[int]] = {}
    for place, first in enumerate(row.matches.first_of_group):
        if first is not None:
            places.setdefault(first, []).append(place)
    return [
        max(group, key=lambda place: or_lowest(row.log_probabilities[place]))
        for group in places.values()
    ]


def _fill_columns(
    result: StageResult,
    context: StageContext,
    targets: ReferenceSet,
    rows: Sequence[_Target],
    energies: Mapping[int, float],
) -> None:
    columns: dict[str, list[Any]] = {name: [None] * len(context) for name in ProposalsStage.columns}
    for t, row in enumerate(rows):
        for place, index in enumerate(row.indices):
            columns["target"][index] = targets.name(t)
            columns["proposal"][index] = place + 1
            columns["proposal_match"][index] = row.counted(place) is not None
            columns["proposal_rms"][index] = row.counted(place)
            columns["proposal_energy"][index] = energies.get(index)
    result.columns |= columns


def _add_rates(result: StageResult, settings: ProposalsSettings, rows: Sequence[_Target]) -> None:
    """Add match rate, RMSE and METRe of the first k, for each k that there are proposals for."""
    rule = "pairs of valid crystals only" if settings.both_valid else "whether valid or not"
    most = max(len(row.indices) for row in rows)
    for k in sorted({k for k in settings.at if k <= most} | {most}):
        _add_rate(result, settings, rows, str(k), f"at {k}", [row.best(k) for row in rows], rule)
        if settings.both_valid:
            result.add_proportion(
                f"match_rate_{k}_valid_or_not",
                f"match rate at {k}, valid or not",
                sum(row.matches.best(k) is not None for row in rows),
                len(rows),
                better="higher",
            )
        early = [row.matches.earliest_of_formula for row in rows]
        result.add_proportion(
            f"metre_{k}",
            f"METRe at {k}",
            sum(place is not None and place < k for place in early),
            len(rows),
            better="higher",
            source=_METRE_SOURCE,
            note="proposals for other targets of the formula count too, valid or not",
        )


def _add_rankings(
    result: StageResult,
    settings: ProposalsSettings,
    rows: Sequence[_Target],
    energies: Mapping[int, float],
) -> None:
    """Add the match rate of the proposal that each ranking puts first."""
    chosen: dict[str, list[int | None]] = {}
    if any(x is not None for row in rows for x in row.log_probabilities):
        chosen["likelihood"] = [
            most_probable(row.matches.first_of_group, row.log_probabilities) for row in rows
        ]
    chosen["votes"] = [
        most_frequent(row.matches.first_of_group, row.log_probabilities) for row in rows
    ]
    if energies:
        chosen["energy"] = [_lowest(row, energies) for row in rows]
    for name, places in chosen.items():
        found = [row.counted(place) for row, place in zip(rows, places, strict=True)]
        most = max(len(row.indices) for row in rows)
        _add_rate(
            result, settings, rows, name, f"of {_RANKINGS[name]}", found, f"of {most:,} proposals"
        )


def _add_rate(
    result: StageResult,
    settings: ProposalsSettings,
    rows: Sequence[_Target],
    name: str,
    title: str,
    distances: Sequence[float | None],
    note: str,
) -> None:
    fits = [x for x in distances if x is not None]
    result.add_proportion(
        f"match_rate_{name}",
        f"match rate {title}",
        len(fits),
        len(rows),
        better="higher",
        source=settings.source,
        note=note,
    )
    result.add_mean(
        f"rmse_{name}",
        f"RMS distance {title}",
        fits,
        nonnegative=True,
        better="lower",
        source=settings.source,
        note="of those that match, in units of (V/N)^(1/3)",
    )


def _lowest(row: _Target, energies: Mapping[int, float]) -> int | None:
    places = {
        place: energies[index] for place, index in enumerate(row.indices) if index in energies
    }
    return min(places, key=lambda place: places[place], default=None)


STAGE = ProposalsStage()
