"""Structure prediction from several proposals for each target: matches, equal ones, ranks.

    match rate at k = #{t : one of the first k proposals for t fits t} / number of targets
    RMSE at k       = mean over these t of the smallest RMS distance among the first k
    METRe at k      = #{t : one of the first k proposals for a target of t's formula fits t}
                      / number of targets

The match rate and the RMSE are those of CDVAE and DiffCSP (Jiao et al., arXiv:2309.04475): two
crystals fit where `structure_prediction.rms_distance` finds a distance, for which the RMS of the
atoms' distances is at most the tolerance. pymatgen's `StructureMatcher.fit` is stricter, since it
asks this of the largest of them; with it a match rate is not the published one. METRe
(Martirossyan et al., arXiv:2509.12178) is fair to polymorphs: two crystals of one formula are asked
for by the same request, so a proposal made for one counts where it fits the other.

Proposals for one target that are the same crystal, by `fit`, are one group: each joins the first
group whose first member it fits, as in `uniqueness`.

What goes wrong otherwise: a match rate at 20 counts a generator that proposes one crystal twenty
times like one that proposes twenty, and says nothing of which of them a user would take: the rate
at 1 after ranking does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from math import comb
from typing import NamedTuple

from crystext.metrics.structure_prediction import rms_distance
from crystext.metrics.uniqueness import first_equal
from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal
from crystext.structures.matching import (
    DIFFCSP_TOLERANCES,
    FormulaGroup,
    MatchTolerances,
    group_by_formula,
    match_groups,
)
from crystext.structures.properties import reduced_formula


class TargetMatches(NamedTuple):
    """The proposals for a target, in their order."""

    distances: tuple[float | None, ...]
    """RMS distance of each from the target, in units of (V / N)^(1/3); None where it does not
    fit, or is no crystal of the target's formula."""
    first_of_group: tuple[int | None, ...]
    """Position of the first proposal that each fits; its own if it is that."""
    earliest_of_formula: int | None
    """Lowest position of a proposal for any target of the formula that fits this target."""

    def best(self, k: int) -> float | None:
        """Return the smallest distance among the first k; None without a match."""
        return min((x for x in self.distances[:k] if x is not None), default=None)


def match_proposals(
    targets: Sequence[Crystal],
    proposals: Sequence[Sequence[Crystal | None]],
    *,
    tolerances: MatchTolerances = DIFFCSP_TOLERANCES,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> list[TargetMatches]:
    """Return what fits what, for each target.

    Args:
        targets: the true crystals.
        proposals: those for each target, the first first; None is a failure.
        tolerances: of the matcher.
        workers: processes, or an executor; the result does not depend on it.
        report: called with the number of formulas done, and of all.
    """
    groups = list(group_by_formula(target.numbers for target in targets).values())
    answers = match_groups(
        _match_formula,
        [[(targets[i], tuple(proposals[i])) for i in group] for group in groups],
        tolerances,
        workers,
        report,
    )
    found = {
        i: matches
        for group, of_group in zip(groups, answers, strict=True)
        for i, matches in zip(group, of_group, strict=True)
    }
    return [found[i] for i in range(len(targets))]


def _match_formula(
    pairs: Sequence[tuple[Crystal, tuple[Crystal | None, ...]]], tolerances: MatchTolerances
) -> list[TargetMatches]:
    """Return the matches of the targets of one formula."""
    formula = reduced_formula(pairs[0][0].numbers)
    crystals = [target for target, _ in pairs]
    rows: list[list[int | None]] = []
    for _, proposals in pairs:
        rows.append([])
        for proposal in proposals:
            if proposal is None or reduced_formula(proposal.numbers) != formula:
                rows[-1].append(None)
            else:
                rows[-1].append(len(crystals))
                crystals.append(proposal)
    peers = FormulaGroup.of_crystals(crystals, tolerances)

    def distance(t: int, row: int | None) -> float | None:
        # Pairs that cannot fit for their lengths are told without the matcher.
        if row is None or not peers.candidates(t, [row]):
            return None
        return rms_distance(crystals[row], crystals[t], tolerances)

    matches = []
    for t, own in enumerate(rows):
        distances = [distance(t, row) for row in own]
        others = [other for u, other in enumerate(rows) if u != t]
        earliest = [k for k, distance in enumerate(distances) if distance is not None][:1]
        for other in others:
            end = min(earliest, default=len(other))
            places = (k for k, row in enumerate(other[:end]) if distance(t, row) is not None)
            earliest += list(islice(places, 1))
        matches.append(
            TargetMatches(
                tuple(distances), tuple(_first_of_group(own, peers)), min(earliest, default=None)
            )
        )
    return matches


def _first_of_group(rows: Sequence[int | None], peers: FormulaGroup) -> list[int | None]:
    """Return the position of the first member of each proposal's group."""
    places = {row: place for place, row in enumerate(rows) if row is not None}
    firsts = dict(zip(places, first_equal(peers, places), strict=True))
    return [None if row is None else places[firsts[row]] for row in rows]


def most_frequent(
    first_of_group: Sequence[int | None], log_probabilities: Sequence[float | None]
) -> int | None:
    """Return the position of the most probable proposal of the largest group.

    Of groups of one size, the one with the most probable proposal is taken, and without
    log-probabilities the first.

    Returns:
        The position; None without a crystal.
    """
    sizes: dict[int, int] = {}
    for first in first_of_group:
        if first is not None:
            sizes[first] = sizes.get(first, 0) + 1
    keys = {
        place: (sizes[first], or_lowest(log_probabilities[place]), -place)
        for place, first in enumerate(first_of_group)
        if first is not None
    }
    return max(keys, key=lambda place: keys[place], default=None)


def most_probable(
    first_of_group: Sequence[int | None], log_probabilities: Sequence[float | None]
) -> int | None:
    """Return the position of the most probable proposal that is a crystal of the formula."""
    known = {
        place: value
        for place, (first, value) in enumerate(zip(first_of_group, log_probabilities, strict=True))
        if first is not None and value is not None
    }
    return max(known, key=lambda place: known[place], default=None)


def or_lowest(value: float | None) -> float:
    """Return a log-probability, and of a proposal without one the lowest."""
    return float("-inf") if value is None else value


def probability_among(matching: int, total: int, taken: int) -> float:
    """Return the probability that a match is among some of the proposals, taken at random.

        1 - C(total - matching, taken) / C(total, taken)

    Args:
        matching: number of proposals that match.
        total: number of proposals.
        taken: number of those that are taken; at most `total`.
    """
    return 1 - comb(total - matching, taken) / comb(total, taken)
