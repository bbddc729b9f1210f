"""Which samples are kept of those that were sampled: the best by a score, no two of them alike.

Samples are sampled first, as always; a selection chooses among them afterwards, and says so:
proportions of the chosen ones tell nothing about the model's samples, nor the reverse.

The crystals are taken from the best score on. One is left out if a better one

1. has its reduced formula and space group (spglib, 0.1 Å),
2. is the same crystal in another space group (StructureMatcher, see `metrics.uniqueness`), or
3. has its prototype (space group and Wyckoff letters, whatever the elements, see
   `metrics.prototypes`), and as many as `max_per_prototype` of them were taken already.

What goes wrong otherwise: the lowest predicted energies and the most probable texts are those of a
few structures that the model knows best, so that a selection by the score alone repeats them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import NonNegativeInt, PositiveInt

from crystext.errors import SettingError, did_you_mean
from crystext.metrics.base import map_crystals
from crystext.metrics.prototypes import find_prototype, prototype_label
from crystext.runtime.processes import Workers
from crystext.runtime.schema import StrictModel
from crystext.runtime.validate_numbers import whole_number
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.matching import DIFFCSP_TOLERANCES, is_same, reduce_for_matching
from crystext.structures.properties import reduced_formula

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

SelectBy = Literal["energy", "likelihood"]

SCORES = {
    "energy": "predicted energy above the hull",
    "likelihood": "log-probability per token",
}
"""What the crystals are ordered by, in words."""

REASONS = {
    "no_crystal": "not a crystal",
    "conditions": "a condition not satisfied",
    "no_score": "without a score",
    "formula_and_space_group": "formula and space group of a better one",
    "same_crystal": "the same crystal as a better one",
    "prototype": "prototype of as many better ones as are allowed",
    "rank": "ranked below",
}
"""Why a sample is left out, in words; the first reason that holds counts."""

PROTOTYPE_FRACTION = 0.05
"""Largest part of the selection that may have one prototype, unless a number is given."""

_MIN_CHUNK = 100
"""Crystals whose prototypes are found together, at least."""

_MIN_PER_WORKERS = 500
"""Crystals that justify several processes, each of which takes seconds to start."""


@dataclass(frozen=True)
class SelectionRule:
    """How many samples are kept, of how many, by what.

    Raises:
        SettingError: a number is out of range, or the score does not exist.
    """

    keep_best: int
    """Number of samples to keep, of each of the conditions."""
    of: int
    """Number of samples to choose from, of each of the conditions."""
    by: str = "energy"
    """One of `SCORES`."""
    max_per_prototype: int | None = None
    """Maximum number of kept crystals of one prototype. None is 5% of `keep_best`, or as many more
    as it takes to keep that many."""

    def __post_init__(self) -> None:
        """Check the numbers, and that the score exists."""
        for name in ("keep_best", "of", "max_per_prototype"):
            if name == "max_per_prototype" and self.max_per_prototype is None:
                continue
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
            if getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}: expected 1 or more")
        if self.keep_best > self.of:
            raise SettingError(
                f"the best {self.keep_best:,} cannot be kept of {format_count(self.of, 'sample')}; "
                f"keep at most {self.of:,}, or sample more"
            )
        if self.by not in SCORES:
            raise SettingError(
                f"nothing can be chosen by {self.by!r}; expected {' or '.join(SCORES)}."
                + did_you_mean(self.by, SCORES)
            )


class SelectionSummary(StrictModel):
    """What was chosen, of how many samples, by what, and what each rule left out."""

    keep_best: PositiveInt
    """Number requested, for each of the conditions."""
    of: PositiveInt
    """Number of samples to choose from, for each of the conditions."""
    by: SelectBy
    max_per_prototype: PositiveInt | None
    """As requested; None is the default."""
    prototype_limit: PositiveInt
    """Kept crystals of one prototype, at most: the largest limit of all conditions."""
    samples: PositiveInt
    """Number of samples to choose from, for all conditions."""
    selected: NonNegativeInt
    """Number of samples that are kept, for all conditions."""
    left_out: dict[str, NonNegativeInt]
    """Number of samples left out by each of `REASONS`."""
    predictor_sha256: str | None = None
    """Digest of the predictor whose energies decide; None if none does."""

    @property
    def title(self) -> str:
        """What the selection is: `the best 1,000 of 3,000 samples by log-probability per token`."""
        total = format_count(self.samples, "sample")
        return f"the best {self.selected:,} of {total} by {SCORES[self.by]}"

    def title_of(self, n: int) -> str:
        """Return what the first n of those that were kept are."""
        return self.title if n == self.selected else f"{n:,} of {self.title}"

    def lines(self) -> list[str]:
        """Return sentences for people: what is kept, and why the others are not."""
        reasons = [f"{n:,} {REASONS.get(name, name)}" for name, n in self.left_out.items() if n]
        lines = [f"kept: {self.title}"]
        if reasons:
            lines.append(f"left out: {'; '.join(reasons)}")
        if missing := self._missing():
            lines.append(missing)
        return lines

    def _missing(self) -> str | None:
        """Return why fewer are kept than requested; None if they are not."""
        wanted = self.keep_best * (self.samples // self.of)
        if self.selected >= wanted:
            return None
        repeat = "the others are not crystals, miss a condition or repeat these"
        more = "choose from more samples"
        if self.left_out.get("prototype"):
            more += ", or allow more of one prototype"
        return f"fewer than the {wanted:,} requested: {repeat}; {more}"


@dataclass(frozen=True)
class Candidate:
    """A crystal that may be kept."""

    index: int
    """Of its sample."""
    crystal: Crystal
    score: float
    """The lower the better."""


@dataclass(frozen=True)
class RankedCandidate:
    """A crystal that is kept."""

    index: int
    """Of its sample."""
    rank: int
    """Among those kept, from 1."""
    space_group: int | None
    """None if spglib finds none."""
    prototype: str | None
    """As `prototype_label` writes it; None if spglib finds no symmetry."""


@dataclass(frozen=True)
class BestCandidates:
    """The crystals that are kept, and what became of the others."""

    ranked: tuple[RankedCandidate, ...]
    """The best first."""
    left_out: Counter[str]
    """Number of crystals left out, by the names of `REASONS`."""
    prototype_limit: int


class _Symmetry(NamedTuple):
    space_group: int
    prototype: str


def default_prototype_limit(keep_best: int) -> int:
    """Return how many of the kept crystals may have one prototype, unless it takes more."""
    return max(1, int(PROTOTYPE_FRACTION * keep_best))


def select_best(
    candidates: Iterable[Candidate],
    keep_best: int,
    max_per_prototype: int | None = None,
    *,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> BestCandidates:
    """Return the best crystals, no two alike; fewer if the rules leave no more.

    Args:
        candidates: in any order; of equal scores the lower index comes first.
        keep_best: number of crystals to keep.
        max_per_prototype: see `SelectionRule`.
        workers: processes that find prototypes; the result does not depend on it.
        report: called with the number of crystals compared, and of all.
    """
    ordered = sorted(candidates, key=lambda x: (x.score, x.index))
    limit = max_per_prototype or default_prototype_limit(keep_best)
    different = _DifferentCrystals()
    chosen: list[int] = []
    chunk = max(_MIN_CHUNK, keep_best)
    for start in range(0, len(ordered), chunk):
        some = ordered[start : start + chunk]
        for one, symmetry in zip(some, _symmetries(some, workers), strict=True):
            different.add(one.crystal, symmetry)
        report(start + len(some), len(ordered))
        chosen = _within_limit(different.symmetries, limit, keep_best)
        if len(chosen) == keep_best:
            break
    if len(chosen) < keep_best and max_per_prototype is None:
        limit = _raised_limit(different.symmetries.values(), limit, keep_best)
        chosen = _within_limit(different.symmetries, limit, keep_best)
    # Those behind the last one are not kept for that reason, whatever else they are.
    end = chosen[-1] + 1 if len(chosen) == keep_best else len(ordered)
    left_out = Counter(reason for place, reason in different.repeats.items() if place < end)
    left_out["prototype"] = end - len(chosen) - left_out.total()
    left_out["rank"] = len(ordered) - end
    ranked = [
        RankedCandidate(ordered[place].index, rank, *(different.symmetries[place] or (None, None)))
        for rank, place in enumerate(chosen, start=1)
    ]
    return BestCandidates(tuple(ranked), left_out, limit)


def _symmetries(some: Sequence[Candidate], workers: Workers) -> list[_Symmetry | None]:
    workers = 1 if isinstance(workers, int) and len(some) < _MIN_PER_WORKERS else workers
    return map_crystals(_symmetry, [x.crystal for x in some], workers, lambda done, whole: None)


def _symmetry(crystal: Crystal) -> _Symmetry | None:
    prototype = find_prototype(crystal)
    return None if prototype is None else _Symmetry(prototype[0], prototype_label(prototype))


class _DifferentCrystals:
    """Crystals in the order of their scores, and which of them repeat a better one."""

    def __init__(self) -> None:
        self.symmetries: dict[int, _Symmetry | None] = {}
        """Of the crystals that repeat none, by their places in the order."""
        self.repeats: dict[int, str] = {}
        """Why each of the others is left out."""
        self._groups: set[tuple[str, int]] = set()
        self._by_formula: dict[str, list[Crystal]] = defaultdict(list)
        self._structures: dict[str, list[Structure | None]] = defaultdict(list)
        self._matcher = DIFFCSP_TOLERANCES.matcher()

    def add(self, crystal: Crystal, symmetry: _Symmetry | None) -> None:
        """Take the next crystal."""
        place = len(self.symmetries) + len(self.repeats)
        formula = reduced_formula(crystal.numbers)
        if symmetry is not None and (formula, symmetry.space_group) in self._groups:
            self.repeats[place] = "formula_and_space_group"
        elif self._matches(crystal, formula):
            self.repeats[place] = "same_crystal"
        else:
            self.symmetries[place] = symmetry
            self._by_formula[formula].append(crystal)
            if symmetry is not None:
                self._groups.add((formula, symmetry.space_group))

    def _matches(self, crystal: Crystal, formula: str) -> bool:
        """Return whether a crystal matches one of the others of its formula."""
        others, structures = self._by_formula[formula], self._structures[formula]
        if not others:
            return False
        # Reduced only where there is something to compare with, as most formulas are unique.
        structures += [reduce_for_matching(other) for other in others[len(structures) :]]
        reduced = reduce_for_matching(crystal)
        return any(is_same(self._matcher, other, reduced) for other in structures)


def _within_limit(symmetries: dict[int, _Symmetry | None], limit: int, keep_best: int) -> list[int]:
    """Return the places of the first crystals, with at most `limit` of one prototype."""
    counts: Counter[str] = Counter()
    chosen: list[int] = []
    for place, symmetry in symmetries.items():
        if len(chosen) == keep_best:
            break
        if symmetry is not None:
            if counts[symmetry.prototype] == limit:
                continue
            counts[symmetry.prototype] += 1
        chosen.append(place)
    return chosen


def _raised_limit(symmetries: Iterable[_Symmetry | None], limit: int, keep_best: int) -> int:
    """Return the lowest limit, from the given one on, with which so many are kept, if any is."""
    labels = [None if symmetry is None else symmetry.prototype for symmetry in symmetries]
    counts = Counter(label for label in labels if label is not None)
    most = max(counts.values(), default=limit)
    without = labels.count(None)
    while limit < most and without + sum(min(n, limit) for n in counts.values()) < keep_best:
        limit += 1
    return limit
