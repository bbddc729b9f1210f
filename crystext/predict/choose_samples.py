"""Choose the best samples by predicted energy or by likelihood, in a run folder and in Python.

The energy is the expected value of the energy above the hull by the shipped predictor, which orders
samples better than the expected rank by which `crystext predict --rank-by` sorts any crystals
(`evaluation/LOG.md`). The likelihood is the log-probability of the text over its number of tokens,
under the model and the constraints at temperature 1: the total would prefer short texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from crystext.errors import RunError
from crystext.evaluate.samples import read_samples
from crystext.generation.results import Sample, Samples
from crystext.generation.run import read_attempts
from crystext.generation.selected_file import read_selection, write_selection
from crystext.generation.selected_samples import SelectedSample, SelectedSamples
from crystext.generation.selection import (
    REASONS,
    Candidate,
    RankedCandidate,
    SelectionRule,
    SelectionSummary,
    select_best,
)
from crystext.models.digest import model_hash
from crystext.predict.rank_by_property import shipped_ranking
from crystext.runtime.processes import Workers
from crystext.runtime.shipped_files import shipped_predictor
from crystext.structures.record import Record
from crystext.text import get_format

ENERGY = "e_above_hull"


@dataclass(frozen=True)
class _Draw:
    """A sample that may be chosen."""

    index: int
    record: Record
    satisfied: bool
    log_probability_per_token: float


@dataclass(frozen=True)
class _Choice:
    """What is said of a chosen sample, beside its rank."""

    ranked: RankedCandidate
    log_probability_per_token: float
    predicted_e_above_hull: float | None


def choose_in_run(
    out: Path,
    rule: SelectionRule,
    total: int,
    *,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> SelectionSummary:
    """Choose the best samples of a run folder, and write them beside all; see `selected_file`.

    The same rule again changes nothing; another one replaces what was chosen.

    Args:
        out: the folder, with all its samples.
        rule: what is chosen.
        total: number of samples to choose from, of all conditions; further ones are left aside.
        workers: processes that find prototypes.
        report: called with the number of crystals compared, and of all.

    Raises:
        RunError: the folder is damaged or cannot be written.
    """
    predictor = _predictor_digest(rule)
    if (there := read_current(out, rule, total, predictor)) is not None:
        return there
    records = read_samples(out, total, all_attempts=True).samples
    attempts = list(islice(read_attempts(out), total))
    draws = [
        _Draw(
            attempt["index"],
            record,
            bool(attempt.get("satisfied", record.crystal is not None)),
            _per_token(attempt.get("log_probability"), attempt.get("tokens")),
        )
        for attempt, record in zip(attempts, records, strict=True)
    ]
    choices, summary = _choose(draws, rule, predictor, workers, report)
    written = (
        {**attempts[x.ranked.index], **_values(x)}
        for x in sorted(choices, key=lambda x: x.ranked.index)
    )
    write_selection(out, summary, written)
    return summary


def read_current(
    out: Path, rule: SelectionRule, total: int, predictor_sha256: str | None
) -> SelectionSummary | None:
    """Return the selection of a folder if it is that of a rule; None for another, or none."""
    try:
        there = read_selection(out)
    except RunError:
        return None  # Interrupted or damaged: it is made again.
    if there is None:
        return None
    wanted = {**asdict(rule), "samples": total, "predictor_sha256": predictor_sha256}
    return there if wanted.items() <= there.model_dump().items() else None


def choose_samples(
    samples: Samples, rule: SelectionRule, *, workers: Workers = 1
) -> SelectedSamples:
    """Return the best samples, the best first.

    Args:
        samples: to choose from, of single conditions, in the order of their indices.
        rule: what is chosen.
        workers: processes that find prototypes.
    """
    draws = [
        _Draw(
            place,
            _record(sample),
            sample.satisfied,
            _per_token(sample.log_probability, sample.tokens),
        )
        for place, sample in enumerate(samples)
    ]
    choices, summary = _choose(draws, rule, _predictor_digest(rule), workers)
    chosen = [
        SelectedSample(
            **_fields(samples[x.ranked.index]),
            rank=x.ranked.rank,
            log_probability_per_token=x.log_probability_per_token,
            predicted_e_above_hull=x.predicted_e_above_hull,
            prototype=x.ranked.prototype,
        )
        for x in choices
    ]
    return SelectedSamples(chosen, summary)


def _choose(
    draws: Sequence[_Draw],
    rule: SelectionRule,
    predictor_sha256: str | None,
    workers: Workers,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> tuple[list[_Choice], SelectionSummary]:
    """Return what is kept, of each of the conditions the best first, and the summary."""
    left_out: Counter[str] = Counter()
    able = []
    for draw in draws:
        if draw.record.crystal is None:
            left_out["no_crystal"] += 1
        elif not draw.satisfied:
            left_out["conditions"] += 1
        else:
            able.append(draw)
    energies = _energies(able) if rule.by == "energy" else {}
    scores = energies or {draw.index: -draw.log_probability_per_token for draw in able}
    scored = [draw for draw in able if np.isfinite(scores[draw.index])]
    left_out["no_score"] = len(able) - len(scored)
    by_request: dict[int, list[Candidate]] = {}
    for draw in scored:
        one = Candidate(draw.index, draw.record.require_crystal(), scores[draw.index])
        by_request.setdefault(draw.index // rule.of, []).append(one)
    choices: list[_Choice] = []
    limit, compared = 1, 0
    by_index = {draw.index: draw for draw in scored}
    for candidates in by_request.values():
        best = select_best(
            candidates,
            rule.keep_best,
            rule.max_per_prototype,
            workers=workers,
            report=_report_after(compared, len(scored), report),
        )
        compared += len(candidates)
        left_out += best.left_out
        limit = max(limit, best.prototype_limit)
        choices += [
            _Choice(x, by_index[x.index].log_probability_per_token, energies.get(x.index))
            for x in best.ranked
        ]
    summary = SelectionSummary(
        **asdict(rule),
        prototype_limit=limit,
        samples=len(draws),
        selected=len(choices),
        left_out={name: left_out[name] for name in REASONS},
        predictor_sha256=predictor_sha256,
    )
    return choices, summary


def _report_after(
    before: int, whole: int, report: Callable[[int, int], None]
) -> Callable[[int, int], None]:
    """Return what reports the crystals of one request, after those before it."""
    return lambda done, _: report(before + done, whole)


def _energies(draws: Sequence[_Draw]) -> dict[int, float]:
    """Return the expected energies above the hull, in eV/atom, by the indices of samples."""
    if not draws:
        return {}
    values = shipped_ranking(ENERGY)([draw.record for draw in draws]).values
    return {draw.index: float(value) for draw, value in zip(draws, values, strict=True)}


def _predictor_digest(rule: SelectionRule) -> str | None:
    return model_hash(shipped_predictor()) if rule.by == "energy" else None


def _per_token(log_probability: float | None, tokens: int | None) -> float:
    """Return the log-probability per token; nan if a run does not record it."""
    return float("nan") if log_probability is None or not tokens else log_probability / tokens


def _record(sample: Sample) -> Record:
    """Return a sample as it is read from a run folder, with its text for the predictor."""
    fmt = None if sample.format is None else get_format(sample.format)
    texts = {} if fmt is None or sample.crystal is None else {fmt.name: sample.text}
    return Record(sample.crystal, name=str(sample.index), texts=texts)


def _fields(sample: Sample) -> dict[str, Any]:
    return {field.name: getattr(sample, field.name) for field in fields(Sample)}


def _values(choice: _Choice) -> Mapping[str, Any]:
    """Return what a line of a chosen sample has beside that of a sample."""
    values = {
        "rank": choice.ranked.rank,
        "log_probability_per_token": choice.log_probability_per_token,
        "predicted_e_above_hull": choice.predicted_e_above_hull,
        "space_group_found": choice.ranked.space_group,
        "prototype": choice.ranked.prototype,
    }
    if choice.predicted_e_above_hull is None:
        del values["predicted_e_above_hull"]
    return values
