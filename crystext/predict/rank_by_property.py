"""Rank records by a predicted property."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crystext.errors import SettingError, did_you_mean
from crystext.predict.base import Predictions


def rank_order(predictions: Mapping[str, Predictions], by: str) -> NDArray[np.int64]:
    """Return the indices of records in the order of a property, the lowest first.

    Ranks by the expected value where there is one: the medians of many crystals on the hull are
    equal, all 0, while their expected values tell how probable a higher energy is. Records without
    a prediction come last, in their order.

    Args:
        predictions: by property.
        by: a property; with a hyphen before it, the highest comes first.

    Raises:
        SettingError: the property is not predicted.
    """
    name, sign = (by[1:], -1.0) if by.startswith("-") else (by, 1.0)
    if name not in predictions:
        raise SettingError(
            f"{by!r} is not predicted, so nothing can be ranked by it; there are "
            f"{', '.join(predictions)}." + did_you_mean(name, predictions)
        )
    found = predictions[name]
    values = found.values if found.means is None else found.means
    keys = np.where(np.isfinite(values), sign * values, np.inf)
    return np.asarray(np.argsort(keys, kind="stable"))
