"""Which few of many crystals stand for all of them: each the least like those before it.

    x_1 = the first,    x_k = argmax over x of min over j < k of |x - x_j|

with the structure's fingerprint and the composition's side by side. The latter's distances are some
ten times the former's, so compositions are told apart first, and then the structures of one. The
largest distance of a crystal that is left out to the nearest chosen one is at most twice what any
choice of so many could have. Source: Gonzalez, Theor. Comput. Sci. 38, 293 (1985).

What goes wrong otherwise: the first so many, or any at random, are like the draws; where these
crowd together, calculations are spent on the same chemistry twice. What goes wrong with it: what is
odd is the least like anything, so it is for crystals that have been judged before.
"""

from __future__ import annotations

import numpy as np

from crystext.metrics.matminer.fingerprints import Fingerprints


def diverse_subset(crystals: Fingerprints, n: int) -> list[int]:
    """Return the places of n crystals in the order of choice; of all of them, if there are fewer.

    The first k of the answer are the answer for k. Crystals without a fingerprint come last.

    Args:
        crystals: in an order that means something, the best first, say; of equals the first wins.
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
        # Below the distance 0 of a crystal that equals a chosen one.
        nearest[chosen] = -1.0
    others = np.flatnonzero(~crystals.is_complete)[: n - len(chosen)]
    return [*known[chosen].tolist(), *others.tolist()]
