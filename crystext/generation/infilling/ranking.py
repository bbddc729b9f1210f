"""Which of several completions comes first.

An element is one of a few, so the most probable completion is the best. The lengths and angles of
a cell are not: each of a great many cells is improbable, and which is the most probable is as much
a matter of rounding as of size. There the middle of what was drawn comes first, which errs least in
the mean: of cells of volume V_k, drawn c_k times each,

    minimise |ln V - m|,    m the median of all ln V_k, each counted c_k times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.text.partial import PartialCrystal


def rank_keys(
    partial: PartialCrystal,
    completions: Sequence[tuple[Crystal, float, int]],
) -> list[tuple[float, float]]:
    """Return, for each completion, what sorts it: the smallest first.

    Args:
        partial: what was completed.
        completions: crystals, the log-probabilities of their texts, and how often each was drawn.
    """
    if not np.isnan(partial.lengths).any() or not completions:
        return [(0.0, -log_probability) for _, log_probability, _ in completions]
    sizes = np.log([crystal.volume for crystal, _, _ in completions])
    counts = [max(1, drawn) for _, _, drawn in completions]
    middle = float(np.median(np.repeat(sizes, counts)))
    return [
        (round(abs(float(size) - middle), 9), -log_probability)
        for size, (_, log_probability, _) in zip(sizes, completions, strict=True)
    ]
