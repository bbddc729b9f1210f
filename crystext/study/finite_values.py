"""Means and deviations over the finite values of an array: a study may lack runs."""

from __future__ import annotations

import numpy as np

from crystext.structures.crystal import Floats


def finite_mean(values: Floats, axis: int = -1) -> Floats:
    """Return means along an axis; nan without a finite value."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    mean: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean


def finite_std(values: Floats, axis: int = -1) -> Floats:
    """Return standard deviations (n - 1) along an axis; nan with fewer than two finite values."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    distance = values - np.expand_dims(finite_mean(values, axis), axis)
    squares = np.where(finite, distance, 0.0) ** 2
    variance = np.divide(
        squares.sum(axis=axis), count - 1, out=np.full(count.shape, np.nan), where=count > 1
    )
    deviation: Floats = np.sqrt(variance)
    return deviation


def finite_median(values: Floats) -> float:
    """Return the median of all finite values; nan without any."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan
