"""Weights of samples by their rewards.

A sample's advantage is its reward less what a linear fit expects of its kind: of its elements, its
space group, its sites and its number of atoms. Weights are exponential in it (Peng et al.,
arXiv:1910.00177, equation 9, with this fit in place of their value function): the distribution with
the highest expected advantage at a given divergence from the one that the samples come from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from crystext.structures.crystal import Floats
from crystext.structures.distances import Bools
from crystext.structures.wyckoff.orbits import WyckoffCrystal
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS

N_ELEMENTS = 118
_MOST = 24
"""Larger counts of sites, free coordinates and atoms count as this one."""

_CORRECTIONS = 20
"""Most steps towards the plain means."""

_EQUAL = 1e-4
"""Means that differ by less count as equal."""

_SHRINKAGE = 3.0
"""Pseudo-samples that pull each coefficient to zero: those of rare elements and space groups."""


def class_features(crystals: Sequence[WyckoffCrystal], kinds: Collection[str]) -> Floats:
    """Return what kinds crystals are of, one row each.

    Args:
        crystals: samples.
        kinds: `elements` has the fraction of each element, and 1 for those that occur;
            `space_group`, 1 for the crystal's; `sites`, 1 for the numbers of elements, of orbits
            and of free coordinates; `atoms`, 1 for the number of atoms in the primitive cell.
    """
    return np.array([np.concatenate(_features(x, kinds)) for x in crystals], dtype=np.float64)


def _features(crystal: WyckoffCrystal, kinds: Collection[str]) -> list[Floats]:
    sizes = np.array([orbit.position.multiplicity for orbit in crystal.orbits], dtype=np.float64)
    numbers = [orbit.atomic_number for orbit in crystal.orbits]
    parts = [np.zeros(0)]
    if "elements" in kinds:
        elements = np.zeros(N_ELEMENTS + 1)
        np.add.at(elements, numbers, sizes / sizes.sum())
        parts += [elements, (elements > 0).astype(np.float64)]
    if "space_group" in kinds:
        parts.append(_one_hot(crystal.space_group, N_SPACE_GROUPS))
    if "sites" in kinds:
        free = sum(len(orbit.free_coordinates) for orbit in crystal.orbits)
        counts = (len(set(numbers)), len(numbers), free)
        parts += [_one_hot(count, _MOST) for count in counts]
    if "atoms" in kinds:
        parts.append(_one_hot(crystal.n_atoms, _MOST))
    return parts


def _one_hot(value: int, most: int) -> Floats:
    row = np.zeros(most + 1)
    row[min(value, most)] = 1
    return row


def advantages(rewards: Floats, features: Floats, fitted: Bools) -> Floats:
    """Return rewards less what a linear fit expects, in units of the standard deviation.

    Args:
        rewards: of the samples, shape (n,).
        features: of `class_features`, shape (n, features); of no feature, the mean is expected.
        fitted: which samples determine the fit and the deviation.
    """
    mean = rewards[fitted].mean()
    known = features[fitted]
    matrix = known.T @ known + _SHRINKAGE * np.eye(features.shape[1])
    slopes = np.linalg.solve(matrix, known.T @ (rewards[fitted] - mean))
    left = rewards - mean - features @ slopes
    deviation = left[fitted].std()
    # Equal rewards differ from their fit by rounding alone.
    is_noise = deviation <= 1e-9 * np.abs(rewards).max()
    return np.zeros_like(left) if is_noise else left / deviation


def exponential_weights(
    advantage: Floats,
    features: Floats,
    is_known: Bools,
    *,
    sharpness: float,
    most: float,
    known_weight: float,
    means: Floats | None = None,
) -> Floats:
    """Return the weight of each sample; the mean of those that are not known is 1.

    Among these the weighted mean of each feature is the one in `means`, or else the plain one, as
    far as `most` allows: weights that only compare within a kind would still favour kinds whose
    rewards vary most.

    Args:
        advantage: in units of its standard deviation.
        features: of `class_features`, whose means are kept.
        is_known: samples that have `known_weight` whatever their reward.
        sharpness: weights are exp(sharpness * advantage), times a factor for each kind.
        most: no weight exceeds this.
        known_weight: see `is_known`.
        means: of the features, where they are to become others; NaN where the plain one stays.
    """
    weights = np.full(len(advantage), known_weight)
    new = ~is_known
    if not new.any():
        return weights
    exponents = sharpness * advantage[new]
    plain = features[new].mean(axis=0)
    moments = features[new] - (plain if means is None else np.where(np.isnan(means), plain, means))
    shrinkage = _SHRINKAGE / new.sum() * np.eye(features.shape[1])
    corrections = np.zeros(features.shape[1])
    chosen = _with_mean_one(exponents, most)
    for _ in range(_CORRECTIONS):
        # A Newton step towards equal means, the multipliers of the constrained maximum of entropy.
        excess = moments.T @ chosen / len(chosen)
        if np.abs(excess).max(initial=0.0) < _EQUAL:
            break
        curvature = (moments * chosen[:, None]).T @ moments / len(chosen) + shrinkage
        corrections += np.linalg.solve(curvature, excess)
        chosen = _with_mean_one(exponents - moments @ corrections, most)
    weights[new] = chosen
    return weights


def _with_mean_one(exponents: Floats, most: float) -> Floats:
    """Return exponentials whose mean is 1, none above `most`."""
    weights: Floats = np.exp(exponents - exponents.max())
    weights /= weights.mean()
    for _ in range(_CORRECTIONS):
        if weights.max() <= most:
            break
        weights = np.minimum(weights, most)
        weights /= weights.mean()
    return np.minimum(weights, most)
