"""Splits a data set into train, validation and test by structure, not by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from crystext.data.store import SPLITS
from crystext.errors import InputError, SettingError

DEFAULT_FRACTIONS = "0.9/0.05/0.05"
"""Fractions of train, validation and test for a source without splits."""


def parse_fractions(text: str) -> dict[str, float]:
    """Return the fraction of each split, from `0.9/0.05/0.05` or `90/5/5`; they add up to 1.

    Raises:
        SettingError: the text has another form, or nothing is left for training.
    """
    try:
        values = [float(word) for word in text.split("/")]
    except ValueError:
        values = []
    if len(values) != len(SPLITS) or not all(0 <= x < 1e9 for x in values) or not values[0] > 0:
        raise SettingError(
            f"--split {text!r} is invalid; expected fractions of train, validation and test, as "
            f"in {DEFAULT_FRACTIONS}, the first above 0"
        )
    return {split: value / sum(values) for split, value in zip(SPLITS, values, strict=True)}


def round_fractions(fractions: dict[str, float]) -> dict[str, float]:
    """Return fractions as a store records them, so that 9/1/0 and 90/10/0 are equal."""
    return {split: round(fraction, 6) for split, fraction in fractions.items()}


def assign_splits(groups: Sequence[int], fractions: dict[str, float], seed: int) -> list[str]:
    """Return the split of each crystal; a group is never divided.

    Groups are assigned in random order. A group too large for what a held-out split still lacks
    goes to the next split, finally to train, so fractions are met as well as the groups allow.

    Args:
        groups: for each crystal, the index of its group.
        fractions: of each split; they add up to 1.
        seed: the same crystals in the same order are split alike.

    Raises:
        InputError: there are too few groups for every split to get one.
    """
    sizes = Counter(groups)
    names = sorted(sizes)
    lacking = {
        split: max(1, round(share * len(groups)))
        for split, share in fractions.items()
        if share > 0 and split != "train"
    }
    chosen: dict[int, str] = {}
    for k in np.random.default_rng(seed).permutation(len(names)).tolist():
        name = names[k]
        fitting = [split for split, lack in lacking.items() if sizes[name] <= lack]
        chosen[name] = fitting[0] if fitting else "train"
        if fitting:
            lacking[fitting[0]] -= sizes[name]
    empty = {"train", *lacking} - set(chosen.values())
    if empty:
        raise InputError(
            f"{len(groups):,} crystals in {len(names):,} groups of equal structures are too few to "
            f"be split: nothing is left for {' and '.join(sorted(empty))}. Try --split 1/0/0, or "
            "give --validation a separate source"
        )
    return [chosen[name] for name in groups]
