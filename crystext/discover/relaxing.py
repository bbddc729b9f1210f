"""Relaxes the chosen crystals, and checks again what they have become.

A relaxation is stopped early if the crystal is still too high after some steps (`STOPS`): few fall
so far in the steps that remain.

A relaxed crystal is a candidate if it is converged and below the limit, passes all checks, keeps
the conditions of the search, and equals neither a candidate nor a known crystal. The judges after
the first are asked about candidates alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from crystext.discover.checks import first_failure, smallest_distance, volume_failure
from crystext.discover.history import History
from crystext.discover.known_crystals import CrystalMatcher
from crystext.discover.records import (
    Outcome,
    RelaxedRecord,
    SampledText,
    judge_record,
)
from crystext.discover.tools import MAX_SECONDS, Report, SearchTools
from crystext.energies.judges import JudgeResult, judge_crystals
from crystext.energies.relax import RelaxationLimits, RelaxationOutcome
from crystext.metrics.prototypes import Novelty
from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal
from crystext.structures.space_groups import find_space_group

STOPS = ((30, 0.1), (100, 0.03))
"""Numbers of steps, and how far above the limit, in eV/atom, a crystal may be after them."""


def relax_chosen(
    crystals: Mapping[int, Crystal], tools: SearchTools, workers: Workers, report: Report
) -> dict[int, JudgeResult]:
    """Relax crystals with the first judge; hopeless ones are stopped early."""
    settings, judge = tools.settings, tools.judges[0]
    results: dict[int, JudgeResult] = {}
    left, done = dict(crystals), 0
    for stop, margin in (*STOPS, (settings.steps, 0.0)):
        steps = min(stop, settings.steps) - done
        if not left or steps <= 0:
            break
        report("relaxing", len(crystals) - len(left), len(crystals))
        limits = RelaxationLimits(fmax=settings.fmax, steps=steps, seconds=MAX_SECONDS)
        found = judge_crystals(judge, left, limits, metastable=settings.below, workers=workers)
        results |= {index: _with_steps(result, done) for index, result in found.items()}
        left = {
            index: result.relaxation.crystal
            for index, result in found.items()
            if result.relaxation.outcome is RelaxationOutcome.STEPS_SPENT
            and result.relaxation.crystal is not None
            and result.above_hull is not None
            and result.above_hull < settings.below + margin
        }
        done += steps
    report("relaxing", len(crystals), len(crystals))
    return results


def _with_steps(result: JudgeResult, before: int) -> JudgeResult:
    """Return a result with the steps that came before added to its own."""
    relaxation = replace(result.relaxation, steps=result.relaxation.steps + before)
    return replace(result, relaxation=relaxation)


def assess_relaxed(
    chosen: Sequence[SampledText],
    crystals: Mapping[int, Crystal],
    results: Mapping[int, JudgeResult],
    history: History,
    tools: SearchTools,
) -> list[RelaxedRecord]:
    """Return the records of relaxed crystals, those of the lowest energies first.

    Of equal ones, that with the lowest energy is the candidate.
    """

    def energy(text: SampledText) -> tuple[float, int]:
        above = results[text.index].above_hull
        return (np.inf if above is None else above, text.index)

    fresh = CrystalMatcher()
    records = []
    for text in sorted(chosen, key=energy):
        record = _assess(text, crystals[text.index], results[text.index], history, tools, fresh)
        if record.outcome is Outcome.CANDIDATE and record.crystal is not None:
            fresh.add(str(text.index), record.crystal)
        records.append(record)
    return records


def ask_other_judges(
    records: Sequence[RelaxedRecord], tools: SearchTools, workers: Workers, report: Report
) -> list[RelaxedRecord]:
    """Return the records, the candidates among them with the answers of all judges."""
    limits = RelaxationLimits(
        fmax=tools.settings.fmax, steps=tools.settings.steps, seconds=MAX_SECONDS
    )
    candidates = {
        record.index: record.crystal
        for record in records
        if record.outcome is Outcome.CANDIDATE and record.crystal is not None
    }
    answers = {record.index: record.judges for record in records}
    for judge in tools.judges[1:] if candidates else ():
        report(judge.name, 0, len(candidates))
        results = judge_crystals(
            judge, candidates, limits, metastable=tools.settings.below, workers=workers
        )
        for index, result in results.items():
            answers[index] += (judge_record(result),)
        report(judge.name, len(candidates), len(candidates))
    return [replace(record, judges=answers[record.index]) for record in records]


def _assess(
    text: SampledText,
    before: Crystal,
    result: JudgeResult,
    history: History,
    tools: SearchTools,
    fresh: CrystalMatcher,
) -> RelaxedRecord:
    """Return the record of a relaxed crystal.

    Args:
        text: of the crystal.
        before: the crystal as it was drawn.
        result: of the first judge.
        history: of the rounds before.
        tools: of the search.
        fresh: candidates of this round.
    """
    crystal, above = result.relaxation.crystal, result.above_hull
    record = RelaxedRecord(text.index, Outcome.NO_ENERGY, (judge_record(result),))
    if crystal is None:
        return replace(record, message=result.relaxation.outcome.value)
    ratio = crystal.volume / before.volume
    record = replace(
        record,
        crystal=crystal,
        space_group=find_space_group(crystal),
        min_distance=round(smallest_distance(crystal), 4),
        volume_ratio=round(ratio, 4),
    )
    if above is None or above >= tools.settings.below:
        return replace(record, outcome=Outcome.HIGH_ENERGY)
    if not result.converged:
        return replace(record, outcome=Outcome.NOT_CONVERGED)
    checks = (lambda _: volume_failure(ratio), tools.condition_check, *tools.checks)
    if (reason := first_failure(crystal, checks)) is not None:
        return replace(record, outcome=Outcome.RELAXED_INVALID, message=reason)
    earlier = history.candidate_crystals.find(crystal) or fresh.find(crystal)
    if earlier is not None:
        return replace(record, outcome=Outcome.RELAXED_DUPLICATE, message=earlier)
    known = tools.known_crystals.novelty(crystal)
    if known is not None:
        record = replace(record, novelty=known.novelty.label, nearest_known=known.nearest)
    if known is not None and known.novelty is Novelty.SAME_CRYSTAL:
        return replace(record, outcome=Outcome.RELAXED_KNOWN, message=known.nearest or "")
    return replace(record, outcome=Outcome.CANDIDATE)
