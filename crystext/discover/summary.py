"""What a search has found, in counts and sentences; what to try where it found nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crystext.discover.candidates import RankedCandidate
from crystext.discover.records import Outcome
from crystext.discover.search import Ending, Search
from crystext.energies.stability import Stability
from crystext.metrics.prototypes import Novelty
from crystext.runtime.wording import format_count

_AFTER_DRAWING = (Outcome.NO_CRYSTAL,)
_AFTER_CHECKS = (Outcome.CONDITION, Outcome.INVALID)
_AFTER_MATCHING = (Outcome.DUPLICATE, Outcome.KNOWN)
_AFTER_CHOICE = (Outcome.WAITING,)
_AFTER_ENERGY = (Outcome.NO_ENERGY, Outcome.HIGH_ENERGY, Outcome.NOT_CONVERGED)

_ADVICE: Mapping[Outcome, str] = {
    Outcome.NO_CRYSTAL: "the model hardly writes crystals for these conditions: ask for fewer",
    Outcome.CONDITION: "the conditions that are steered, or filter, are hardly ever met: leave one "
    "out, or give --guidance 2",
    Outcome.INVALID: "most crystals fail the checks: allow more atoms with --n-atoms or "
    "--max-atoms",
    Outcome.DUPLICATE: "the model draws the same crystals again: raise --temperature, take another "
    "--seed, or ask for less",
    Outcome.KNOWN: "most crystals are known already: leave out a formula or a space group, or "
    "search a neighbouring system with one more element",
    Outcome.WAITING: "the crystals were too high above the hull as drawn to be relaxed: ask for "
    "other elements, or raise --below",
    Outcome.NO_ENERGY: "the potential has no energy for most crystals: try another --potential",
    Outcome.HIGH_ENERGY: "most relaxed crystals are too high above the hull: raise --below, or "
    "leave out a condition such as the space group or the number of atoms",
    Outcome.NOT_CONVERGED: "most relaxations ran out of steps: raise --steps",
    Outcome.RELAXED_INVALID: "crystals lose what was asked for as they relax: leave out the "
    "condition that they miss",
    Outcome.RELAXED_DUPLICATE: "crystals relax to the same few: take another --seed, or ask for "
    "less",
    Outcome.RELAXED_KNOWN: "crystals relax to known ones: the system may be well explored; search "
    "one with another element",
}
"""What to try, by the outcome of most texts."""


@dataclass(frozen=True)
class FunnelStep:
    """How many texts are left after a step."""

    title: str
    count: int
    total: int
    """Texts."""


def funnel(outcomes: Mapping[int, Outcome]) -> list[FunnelStep]:
    """Return how many texts are left after each step, of all texts."""
    counts = Counter(outcomes.values())
    total = len(outcomes)
    steps = [FunnelStep("texts", total, total)]
    for title, lost in (
        ("crystals", _AFTER_DRAWING),
        ("valid, and as requested", _AFTER_CHECKS),
        ("unique and not known", _AFTER_MATCHING),
        ("relaxed, as the most promising", _AFTER_CHOICE),
        ("converged below the limit", _AFTER_ENERGY),
    ):
        steps.append(FunnelStep(title, steps[-1].count - sum(counts[x] for x in lost), total))
    steps.append(FunnelStep("candidates", counts[Outcome.CANDIDATE], total))
    return steps


def summarize(search: Search, ranked: Sequence[RankedCandidate]) -> list[str]:
    """Return what a search has found, and why it ended, one sentence each."""
    tools = search.tools
    judge = tools.judges[0]
    limit = f"less than {tools.settings.below:g} eV/atom above the hull {judge.hull.name}"
    lines = [f"{format_count(len(ranked), 'candidate')}: new crystals {limit} by {judge.name}."]
    if ranked:
        lines += _candidate_lines(ranked)
    else:
        lines += _empty_lines(search)
    lines.append(_ending_line(search))
    return lines


def _candidate_lines(ranked: Sequence[RankedCandidate]) -> list[str]:
    candidates = [row.candidate for row in ranked]
    stable = [x for x in candidates if x.relaxed.judges[0].stability == Stability.CANDIDATE.label]
    unclear = [
        x for x in candidates if x.relaxed.judges[0].stability == Stability.NO_EVIDENCE.label
    ]
    new = [x for x in candidates if x.relaxed.novelty == Novelty.NEW_PROTOTYPE.label]
    lines = [
        f"{len(stable):,} of them are below the hull of known phases; "
        f"{len(new):,} have a prototype that is not in the data."
    ]
    if unclear:
        lines.append(
            f"For {len(unclear):,} the hull has too few phases of their elements to tell: they "
            "come last."
        )
    asked = [row for row in ranked if len(row.candidate.relaxed.judges) > 1]
    if asked:
        agreed = sum(row.agreement.below == row.agreement.answers for row in asked)
        names = ", ".join(judge.judge for judge in candidates[0].relaxed.judges)
        lines.append(f"All judges ({names}) agree on {agreed:,} of {len(asked):,}.")
    return lines


def _empty_lines(search: Search) -> list[str]:
    """Return what was tried, and what to try."""
    counts = Counter(search.history.outcomes.values())
    if not counts:
        return []
    parts = ", ".join(f"{count:,} {outcome.label}" for outcome, count in counts.most_common())
    lines = [
        f"Tried: {format_count(len(search.history.outcomes), 'text')} in "
        f"{format_count(len(search.history.rounds), 'round')}; what became of them: {parts}."
    ]
    if advice := advise(search.history.outcomes):
        lines.append(f"To try: {advice}.")
    return lines


def advise(outcomes: Mapping[int, Outcome]) -> str:
    """Return what to try, by the step at which most texts are lost; empty without texts."""
    counts = Counter(outcomes.values())
    relaxed = {*_AFTER_ENERGY, Outcome.RELAXED_INVALID, Outcome.RELAXED_KNOWN, Outcome.CANDIDATE}
    lost = [
        (count, outcome.name, outcome)
        for outcome, count in counts.items()
        # Some texts always wait; only where nothing is relaxed are they too high in energy.
        if outcome in _ADVICE and (outcome is not Outcome.WAITING or relaxed.isdisjoint(counts))
    ]
    return _ADVICE[max(lost)[2]] if lost else ""


def _ending_line(search: Search) -> str:
    rounds = format_count(len(search.history.rounds), "round")
    minutes = f"{search.seconds / 60:.1f} min"
    if search.ending is Ending.NOTHING_NEW:
        barren = search.history.rounds_without_candidate
        advice = advise(search.history.outcomes)
        return (
            f"Stopped after {rounds} ({minutes}): the last {barren:,} found nothing new below the "
            f"limit. Probably little is left here; to go on: {advice}."
        )
    reason = "it goes on" if search.ending is None else search.ending.value
    return f"{rounds.capitalize()} in {minutes}; {reason}."
