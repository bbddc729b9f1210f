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

_SHRINKAGE = 3.0
"""Pseudo-samples that pull each coefficient to zero: those of rare elements and space groups."""


def class_features(crystals: Sequence[WyckoffCrystal], kinds: Collection[str]) -> Floats:
    """Return what kinds crystals are of, one row each.

    Args:
        crystals: samples.
        kinds: `elements` has the fraction of each element; `space_group`, 1 for the crystal's;
            `sites`, 1 for the numbers of elements, of orbits and of free coordinates; `atoms`, 1
            for the number of atoms in the primitive cell.
    """
    return np.array([np.concatenate(_features(x, kinds)) for x in crystals], dtype=np.float64)


def _features(crystal: WyckoffCrystal, kinds: Collection[str]) -> list[Floats]:
    sizes = np.array([orbit.position.multiplicity for orbit in crystal.orbits], dtype=np.float64)
    numbers = [orbit.atomic_number for orbit in crystal.orbits]
    parts = [np.zeros(0)]
    if "elements" in kinds:
        elements = np.zeros(N_ELEMENTS + 1)
        np.add.at(elements, numbers, sizes / sizes.sum())
        parts.append(elements)
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
    return left / deviation if deviation > 0 else np.zeros_like(left)


def exponential_weights(
    advantage: Floats, is_known: Bools, *, sharpness: float, most: float, known_weight: float
) -> Floats:
    """Return the weight of each sample; the mean of those that are not known is 1.

    Args:
        advantage: in units of its standard deviation.
        is_known: samples that have `known_weight` whatever their reward.
        sharpness: weights are exp(sharpness * advantage).
        most: no weight exceeds this before the mean is brought to 1, nor after.
        known_weight: see `is_known`.
    """
    weights = np.minimum(np.exp(np.minimum(sharpness * advantage, 50.0)), most)
    new = ~is_known
    if new.any():
        weights[new] = np.minimum(weights[new] / weights[new].mean(), most)
    weights[is_known] = known_weight
    return weights
