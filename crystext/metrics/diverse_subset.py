"""A diverse subset of crystals: each is the least similar to those before it.

    x_1 = the first,    x_k = argmax over x of min over j < k of |x - x_j|

with the structure's fingerprint and the composition's side by side. Composition distances are some
ten times larger than structure distances, so compositions are separated first, and then the
structures of one composition. The largest distance of an omitted crystal to the nearest chosen one
is at most twice the optimum. Source: Gonzalez, Theor. Comput. Sci. 38, 293 (1985).

What goes wrong otherwise: the first crystals, or random ones, are distributed like the samples;
where these cluster, calculations are spent on the same chemistry twice. What goes wrong with it:
outliers are the least similar to anything, so apply it to crystals that were validated before.
"""

from __future__ import annotations

import numpy as np

from crystext.metrics.matminer.fingerprints import Fingerprints


def diverse_subset(crystals: Fingerprints, n: int) -> list[int]:
    """Return the indices of n crystals in the order of choice; of all if there are fewer.

    The first k indices are the result for k. Crystals without a fingerprint come last.

    Args:
        crystals: in a meaningful order, such as the best first; of equals the first wins.
        n: 1 or more.
    """
    known = np.flatnonzero(crystals.is_complete)
    rows = np.hstack([crystals.structures, crystals.compositions])[known]
    chosen: list[int] = []
    nearest = np.full(len(rows), np.inf)
    for _ in range(min(n, len(rows))):
        place = int(nearest.argmax())
        chosen.append(place)
        nearest = np.minimum(nearest, np.linalg.norm(rows - rows[place], axis=1))
        # Below 0, the distance of a crystal that equals a chosen one.
        nearest[chosen] = -1.0
    others = np.flatnonzero(~crystals.is_complete)[: n - len(chosen)]
    return [*known[chosen].tolist(), *others.tolist()]
