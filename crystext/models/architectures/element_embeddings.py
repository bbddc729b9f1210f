"""Initial embeddings of elements in which elements of similar properties are close.

A table of some thousand compositions shows many elements a few times only. With embeddings that
follow from radius, electronegativity, valence electrons and their like, what is learned of one
element holds for its neighbours from the beginning. Training changes them as all others.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.element_features import filled_element_properties


def element_embeddings(width: int, scale: float, seed: int) -> NDArray[np.float32]:
    """Return the embeddings of all elements, by atomic number from 1: (118, width).

    They are a random projection of the 22 standardized properties of Magpie, with a little noise.

    Args:
        width: of the network.
        scale: root mean square of the entries.
        seed: of the projection.
    """
    rng = np.random.default_rng(seed)
    known = filled_element_properties()
    standardized = (known - known.mean(axis=0)) / known.std(axis=0)
    directions = rng.standard_normal((known.shape[1], width)) / math.sqrt(known.shape[1])
    rows = 0.95 * standardized @ directions + 0.3 * rng.standard_normal((len(known), width))
    return np.asarray(scale * rows, dtype=np.float32)
