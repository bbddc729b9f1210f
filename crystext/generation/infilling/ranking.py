"""The order of completions: the best first.

Elements have few values, so the most probable completion is the best. Lengths and angles of a cell
have very many: each cell is improbable, and the most probable one depends on rounding as much as on
size. In that case the median of the sampled cells comes first, which minimizes the mean error: of
cells of volume V_k, sampled c_k times each,

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
    """Return a sort key for each completion: the smallest first.

    Args:
        partial: the partial crystal.
        completions: crystals, the log-probabilities of their texts, and how often each was sampled.
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
