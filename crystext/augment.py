"""Random changes of a crystal's description that leave the crystal the same."""

from __future__ import annotations

import numpy as np

from crystext.crystal import Crystal


def translate(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Shift all atoms by one vector drawn uniformly from the cell, and wrap them into it.

    Source: Gruver et al., arXiv:2402.04379, section 3 (augmentation by random translations).
    """
    positions = (crystal.positions + rng.random(3)) % 1.0
    return Crystal(crystal.lengths, crystal.angles, crystal.numbers, positions)


def permute_within_species(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Shuffle the atoms of each element among themselves; the sequence of elements stays."""
    shuffled = rng.permutation(len(crystal))
    order = np.empty_like(shuffled)
    # Both sides list the sites element by element; the shuffled side in random order within each.
    order[np.argsort(crystal.numbers, kind="stable")] = shuffled[
        np.argsort(crystal.numbers[shuffled], kind="stable")
    ]
    return Crystal(crystal.lengths, crystal.angles, crystal.numbers, crystal.positions[order])
