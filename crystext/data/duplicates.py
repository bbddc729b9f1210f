"""Duplicates in a data set: crystals that repeat another, or lie on both sides of a split.

StructureMatcher compares crystals of one reduced formula and size (see `matching`), with two sets
of tolerances. Duplicates, which are left out, are found with pymatgen's narrow defaults: a
distorted perovskite beside the ideal one is data. Overlap between the sides of a split is found
with the wide tolerances of novelty and match rates.

What goes wrong otherwise: a data set with duplicates, split by row, tests memorization.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import NamedTuple

from crystext.structures.crystal import Crystal
from crystext.structures.matching import (
    DIFFCSP_TOLERANCES,
    PYMATGEN_TOLERANCES,
    FormulaGroup,
    group_by_formula,
    map_groups,
    reduce_for_matching,
)

REPEAT_TOLERANCES, SPLIT_TOLERANCES = PYMATGEN_TOLERANCES, DIFFCSP_TOLERANCES
"""Tolerances for leaving out duplicates, and for grouping crystals before a split."""

_CHUNK_SIZE = 32
"""Crystals that are reduced together."""

_MIN_CRYSTALS_FOR_PROCESSES = 300
"""With fewer crystals, starting processes takes longer than the comparison."""


@dataclass
class Duplicates:
    """Duplicates among training crystals and held-out crystals."""

    repeats: dict[int, int] = field(default_factory=dict)
    """For each duplicate in training, the earlier crystal that it repeats and that is kept."""
    groups: list[int] = field(default_factory=list)
    """For each training crystal, the first of its group; equal crystals share a group."""
    held_out: dict[int, int] = field(default_factory=dict)
    """For each kept training crystal that is held out as well, the first that it equals."""


class _Bucket(NamedTuple):
    """Crystals of one formula and size, reduced, those of training first."""

    crystals: list[Crystal]
    n_training: int
    """Number of training crystals among them."""


def find_duplicates(
    training: Sequence[Crystal],
    held_out: Sequence[Crystal],
    *,
    drop_repeats: bool,
    group: bool,
    workers: int = 1,
    start_progress: Callable[[str, int], Callable[..., object]] = lambda _name, _total: (
        lambda: None
    ),
) -> Duplicates:
    """Find duplicates, groups and overlap.

    Args:
        training: training crystals; of equal ones the first is kept.
        held_out: crystals that training must not see; duplicates among them are not searched.
        drop_repeats: whether duplicates are searched; a duplicate is in no other result.
        group: whether groups are searched; otherwise each crystal is a group.
        workers: processes; the result does not depend on their number.
        start_progress: called with the name of a stage and its number of steps; the function it
            returns is called for every step.
    """
    found = Duplicates(groups=list(range(len(training))))
    crystals = [*training, *held_out]
    same_formula = [
        members
        for members in group_by_formula(c.numbers for c in crystals).values()
        # Members are in order: if the first is not a training crystal, none is.
        if members[0] < len(training) and (len(members) > 1)
    ]
    if not same_formula or not (drop_repeats or group or held_out):
        return found
    indices = [i for members in same_formula for i in members]
    if len(indices) < _MIN_CRYSTALS_FOR_PROCESSES:
        workers = 1
    chunks = [
        [crystals[i] for i in indices[k : k + _CHUNK_SIZE]]
        for k in range(0, len(indices), _CHUNK_SIZE)
    ]
    answers = map_groups(_reduce_crystals, chunks, workers, start_progress("reducing", len(chunks)))
    reduced = dict(zip(indices, (c for answer in answers for c in answer), strict=True))
    buckets = _split_by_size(same_formula, reduced, len(training))
    tasks = [
        _Bucket([c for i in bucket if (c := reduced[i])], sum(i < len(training) for i in bucket))
        for bucket in buckets
    ]
    compare = partial(_compare_bucket, drop_repeats=drop_repeats, group=group)
    compared = map_groups(
        compare, tasks, workers, start_progress("comparing", len(tasks)), largest_first=True
    )
    for bucket, inner in zip(buckets, compared, strict=True):
        found.repeats |= {bucket[i]: bucket[k] for i, k in inner.repeats.items()}
        for i, first in enumerate(inner.groups):
            found.groups[bucket[i]] = bucket[first]
        found.held_out |= {bucket[i]: bucket[k] - len(training) for i, k in inner.held_out.items()}
    return found


def _split_by_size(
    same_formula: Sequence[Sequence[int]], reduced: Mapping[int, Crystal | None], n_training: int
) -> list[list[int]]:
    """Return the crystals of one formula and one reduced size that can equal one of training.

    The largest bucket comes first: a large last one would keep the other processes waiting.

    Args:
        same_formula: indices of crystals, by formula; those of training come first.
        reduced: the reduced crystals; None matches nothing.
        n_training: number of training crystals.
    """
    buckets = []
    for members in same_formula:
        sized = sorted((i for i in members if reduced[i]), key=lambda i: (len(reduced[i] or ()), i))
        for _, same_size in groupby(sized, key=lambda i: len(reduced[i] or ())):
            bucket = list(same_size)
            if bucket[0] < n_training and len(bucket) > 1:
                buckets.append(bucket)
    return sorted(buckets, key=len, reverse=True)


def _reduce_crystals(crystals: list[Crystal]) -> list[Crystal | None]:
    reduced = (reduce_for_matching(crystal) for crystal in crystals)
    return [None if s is None else Crystal.from_structure(s) for s in reduced]


def _compare_bucket(bucket: _Bucket, *, drop_repeats: bool, group: bool) -> Duplicates:
    wide = FormulaGroup([crystal.structure for crystal in bucket.crystals], SPLIT_TOLERANCES)
    narrow = wide.with_tolerances(REPEAT_TOLERANCES)
    found = Duplicates(groups=list(range(bucket.n_training)))
    kept: list[int] = []
    for i in range(bucket.n_training):
        groups: set[int] = set()
        for k in (wide if group else narrow).candidates(i, kept) if group or drop_repeats else ():
            if group:
                # Duplicates match the wide tolerances too, so others are compared once.
                first = _first_of_group(found.groups, k)
                if first not in groups and not wide.match(i, k):
                    continue
                groups.add(first)
            if drop_repeats and narrow.match(i, k):
                found.repeats[i] = k
                break
        else:
            kept.append(i)
            for first in groups:
                found.groups[max(first, min(groups))] = min(groups)
            found.groups[i] = min(groups, default=i)
    found.groups = [_first_of_group(found.groups, i) for i in range(bucket.n_training)]
    held_out = range(bucket.n_training, len(bucket.crystals))
    for i in kept:
        same = next((k for k in wide.candidates(i, held_out) if wide.match(i, k)), None)
        if same is not None:
            found.held_out[i] = same
    return found


def _first_of_group(groups: list[int], i: int) -> int:
    while groups[i] != i:
        i = groups[i]
    return i
