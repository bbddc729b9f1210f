"""Rank records by a predicted property."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from crystext.errors import SettingError, did_you_mean
from crystext.evaluate.export_crystals import Rank, Ranking
from crystext.predict.base import Predictions
from crystext.predict.open import open_predictor
from crystext.structures.crystal import Floats
from crystext.structures.record import Record


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

    Ranks by the expected rank where there is one, else by the expected value: the medians of many
    crystals on the hull are equal, all 0, while these tell how probable a higher energy is. Records
    without a prediction come last, in their order.

    Args:
        predictions: by property.
        by: as in `ranked_property`.

    Raises:
        SettingError: the property is not predicted.
    """
    name, highest_first = ranked_property(by, predictions)
    found = predictions[name]
    values = _expected_values(found) if found.ranks is None else found.ranks
    keys = np.where(np.isfinite(values), -values if highest_first else values, np.inf)
    return np.asarray(np.argsort(keys, kind="stable"))


def shipped_ranking(by: str) -> Rank:
    """Return a function that ranks crystals by a property that the shipped predictor predicts.

    Args:
        by: as in `ranked_property`.

    Raises:
        SettingError: the property is not predicted.
    """
    predictor = open_predictor()
    name, _ = ranked_property(by, predictor.properties)

    def rank(records: Sequence[Record]) -> Ranking:
        predictions = predictor.predict(records, [name])
        values = _expected_values(predictions[name])
        return Ranking(f"predicted_{name}", rank_order(predictions, by).tolist(), values.tolist())

    return rank


def _expected_values(predictions: Predictions) -> Floats:
    return predictions.values if predictions.means is None else predictions.means
