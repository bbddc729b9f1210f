"""Rank records by a predicted property."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from crystext.errors import SettingError, did_you_mean
from crystext.predict.base import Predictions


def ranked_property(by: str, predicted: Collection[str]) -> tuple[str, bool]:
    """Return the property that records are ranked by, and whether the highest comes first.

    Args:
        by: a property; with a hyphen before it, the highest comes first.
        predicted: the names of the predicted properties.

    Raises:
        SettingError: the property is not predicted.
    """
    name = by.removeprefix("-")
    if name not in predicted:
        raise SettingError(
            f"{by!r} is not predicted, so nothing can be ranked by it; there are "
            f"{', '.join(predicted)}." + did_you_mean(name, predicted)
        )
    return name, by.startswith("-")


def rank_order(predictions: Mapping[str, Predictions], by: str) -> NDArray[np.int64]:
    """Return the indices of records in the order of a property, the lowest first.

    Ranks by the expected value where there is one: the medians of many crystals on the hull are
    equal, all 0, while their expected values tell how probable a higher energy is. Records without
    a prediction come last, in their order.

    Args:
        predictions: by property.
        by: as in `ranked_property`.

    Raises:
        SettingError: the property is not predicted.
    """
    name, highest_first = ranked_property(by, predictions)
    found = predictions[name]
    values = found.values if found.means is None else found.means
    keys = np.where(np.isfinite(values), -values if highest_first else values, np.inf)
    return np.asarray(np.argsort(keys, kind="stable"))
