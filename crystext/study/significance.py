"""Does chance explain a ranking? Permutations of the labels, and a bootstrap of the cells.

**Permutation test.** If the groups do not differ, their labels are exchangeable among the cells
that agree in all other factors (a stratum). Two statistics of the total error scores are compared
with those of permuted labels:

- `p_spread`: the largest less the least score. Small where some group differs from the others.
- `p_least`: the least score itself, which is 0 for a group that is best on every task. Small where
  the leader leads on all tasks at once as labels by chance do not; but a difference that is equal
  on all tasks gives *any* labels a leader on all tasks, so that this statistic cannot find it.

All arrangements are enumerated if they are few, and the test is exact; else they are sampled, and
p = (1 + count) / (1 + samples) (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 39 (2010)).

**Cluster bootstrap.** Cells of a group are drawn with replacement, and repeats within each drawn
cell; P(best) is the proportion of samples in which a group has the least score. Drawing repeats
alone tells only the chance of fine-tuning. Source: Davison and Hinkley, Bootstrap Methods and their
Application, section 3.8 (1997).

What goes wrong otherwise: a resampling of rows takes five repeats of one lucky pretraining for
five confirmations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from crystext.structures.crystal import Floats, Ints
from crystext.study.study_data import Grouping, Study
from crystext.study.total_error_score import total_error_scores

MAX_EXACT = 50_000
"""Arrangements of the labels that are enumerated at most."""

PERMUTATIONS, BOOTSTRAP_SAMPLES = 20_000, 10_000
"""Default numbers of sampled permutations and of bootstrap samples."""

_CHUNK = 2000
"""Samples that are computed at once, which bounds the memory."""

_TOLERANCE = 1e-12
"""Statistics that differ by less are equal: sums in another order round differently."""


class PermutationTest(NamedTuple):
    """Whether chance explains total error scores."""

    p_spread: float
    p_least: float
    n_permutations: int
    is_exact: bool
    """Whether these are all arrangements of the labels."""
    smallest_p: float
    """The least `p_spread` that any arrangement of these labels could have: a study of few cells
    cannot reach 0.05, whatever it finds."""


class BootstrapScores(NamedTuple):
    """Total error scores over bootstrap samples."""

    p_best_G: Floats
    """Proportion of samples in which a group has the least score."""
    low_G: Floats
    high_G: Floats
    """Ends of the 95% percentile interval."""


def permutation_test(
    study: Study,
    grouping: Grouping,
    *,
    samples: int = PERMUTATIONS,
    max_exact: int = MAX_EXACT,
    seed: int = 0,
) -> PermutationTest | None:
    """Return the test; None where no permutation changes the groups, so that there is none.

    Args:
        study: with runs of every group on every task.
        grouping: whose labels are permuted within its strata.
        samples: permutations, where there are too many to enumerate.
        max_exact: arrangements that are enumerated at most.
        seed: of the samples.
    """
    n_groups = len(grouping.names)
    metric = study.selected.metric_CRT
    finite = np.isfinite(metric)
    # Sums and numbers of runs of the cells, side by side: (C, 2T).
    cells = np.concatenate([np.where(finite, metric, 0.0).sum(axis=1), finite.sum(axis=1)], axis=-1)
    strata = [np.flatnonzero(grouping.stratum_C == s) for s in range(grouping.stratum_C.max() + 1)]
    counts = [_n_arrangements(grouping.group_C[members]) for members in strata]
    total = math.prod(counts)
    # A stratum of one cell a group only renames the groups.
    if total == 1 or (len(strata) == 1 and total == math.factorial(n_groups)):
        return None
    observed = _statistics(_group_sums(cells, grouping.group_C[None], n_groups), study.sign_T)
    is_exact = total <= max_exact
    blocks = (
        [_enumerated(cells, strata, grouping.group_C, n_groups)]
        if is_exact
        else _sampled(cells, strata, grouping.group_C, n_groups, samples, seed)
    )
    statistics = np.concatenate([_statistics(block, study.sign_T) for block in blocks])
    # Labels that leave a group without a run of a task, where runs are missing, count as extreme.
    reached = (~(statistics < observed - _TOLERANCE)).sum(axis=0)
    extreme = (~(statistics[:, 0] < np.nanmax(statistics[:, 0]) - _TOLERANCE)).sum()
    extra = 0 if is_exact else 1
    n = len(statistics)
    spread, least, smallest = ((int(x) + extra) / (n + extra) for x in (*reached, extreme))
    return PermutationTest(spread, least, n, is_exact, smallest)


def _statistics(sums: Floats, sign_T: Floats) -> Floats:
    """Return the spread, and the least score negated, of B arrangements: shape (B, 2)."""
    n_tasks = len(sign_T)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = total_error_scores(sums[..., :n_tasks] / sums[..., n_tasks:], sign_T)
    return np.stack([scores.max(axis=-1) - scores.min(axis=-1), -scores.min(axis=-1)], axis=-1)


def _group_sums(cells: Floats, group_BC: Ints, n_groups: int) -> Floats:
    """Return sums and counts of the groups for B arrangements of labels: (B, G, 2T)."""
    members = (group_BC[:, None, :] == np.arange(n_groups)[:, None]).astype(np.float64)
    sums: Floats = members @ cells
    return sums


def _n_arrangements(labels: Ints) -> int:
    counts = Counter(labels.tolist()).values()
    return math.factorial(len(labels)) // math.prod(math.factorial(n) for n in counts)


def _arrangements(labels: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield every distinct order of labels."""
    if not labels:
        yield ()
    for first in sorted(set(labels)):
        place = labels.index(first)
        for rest in _arrangements(labels[:place] + labels[place + 1 :]):
            yield (first, *rest)


def _enumerated(cells: Floats, strata: list[Ints], group_C: Ints, n_groups: int) -> Floats:
    """Return the sums of all arrangements: those of each stratum, added to those of the others."""
    total = np.zeros((1, n_groups, cells.shape[1]))
    for members in strata:
        labels = np.array(list(_arrangements(tuple(group_C[members].tolist()))))
        of_stratum = _group_sums(cells[members], labels, n_groups)
        total = (total[:, None] + of_stratum).reshape(-1, *total.shape[1:])
    return total


def _sampled(
    cells: Floats, strata: list[Ints], group_C: Ints, n_groups: int, samples: int, seed: int
) -> Iterator[Floats]:
    """Yield the sums of random arrangements."""
    generator = np.random.default_rng(seed)
    for size in _chunks(samples):
        labels = np.tile(group_C, (size, 1))
        for members in strata:
            labels[:, members] = generator.permuted(labels[:, members], axis=1)
        yield _group_sums(cells, labels, n_groups)


def bootstrap_scores(
    study: Study,
    grouping: Grouping,
    *,
    cells: bool = True,
    samples: int = BOOTSTRAP_SAMPLES,
    seed: int = 0,
) -> BootstrapScores:
    """Return P(best) and intervals of the total error scores.

    The scores of samples are larger than the observed ones in the mean: the best of noisier means
    is farther ahead. Read the intervals as widths.

    Args:
        study: with runs of every group on every task.
        grouping: of its cells.
        cells: whether cells are drawn as well as repeats; else repeats alone.
        samples: number of bootstrap samples.
        seed: of the samples.
    """
    generator = np.random.default_rng(seed)
    metric = study.selected.metric_CRT
    members = [np.flatnonzero(grouping.group_C == g) for g in range(len(grouping.names))]
    means = [
        np.concatenate(
            [_resampled(metric[own], cells, size, generator) for size in _chunks(samples)]
        )
        for own in members
    ]
    scores = total_error_scores(np.stack(means, axis=1), study.sign_T)
    scores = scores[np.isfinite(scores).all(axis=-1)]
    best = np.bincount(scores.argmin(axis=-1), minlength=len(members))
    if not len(scores):
        undefined = np.full(len(members), np.nan)
        return BootstrapScores(undefined, undefined, undefined)
    low, high = np.percentile(scores, (2.5, 97.5), axis=0)
    return BootstrapScores(best / len(scores), low, high)


def _resampled(
    runs_CRT: Floats, cells: bool, samples: int, generator: np.random.Generator
) -> Floats:
    """Return a group's means over bootstrap samples, shape (samples, T)."""
    runs_CRT = runs_CRT[np.isfinite(runs_CRT).any(axis=(1, 2))]
    n_cells = len(runs_CRT)
    shape = (samples, n_cells)
    drawn = (
        generator.integers(0, n_cells, shape)
        if cells
        else np.tile(np.arange(n_cells), (samples, 1))
    )
    finite = np.isfinite(runs_CRT)
    present = finite.any(axis=-1)  # (C, R)
    n_repeats = present.sum(axis=-1)
    # How often each repeat of a drawn cell is drawn: as often in all as the cell has repeats.
    weights = generator.multinomial(n_repeats[drawn], (present / n_repeats[:, None])[drawn])
    total = np.einsum("bcr,bcrt->bt", weights, np.where(finite, runs_CRT, 0.0)[drawn])
    count = np.einsum("bcr,bcrt->bt", weights, finite[drawn].astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = total / count
    return means


def _chunks(samples: int) -> Iterator[int]:
    whole, rest = divmod(samples, _CHUNK)
    return chain((_CHUNK for _ in range(whole)), (rest,) if rest else ())
