"""Features of compositions from properties of their elements: Magpie's, vectorized.

With x_i the fraction of element i among N atoms and f_i a property of it, a composition has

    minimum, maximum, range    over the elements that occur
    mean                       f̄ = sum x_i f_i
    mean absolute deviation    sum x_i |f_i - f̄|
    mode                       f of the most frequent element; the lowest if several are

for each of 22 properties; the norms (sum x_i^p)^(1/p) for p = 2, 3, 5, 7, 10 and the number of
elements; and the shares of s, p, d and f among the valence electrons: 142 numbers. They depend on
the fractions alone: NaCl and Na4Cl4 have the same.

Source: Ward et al., npj Comput. Mater. 2, 16028 (2016), with the elemental properties of Magpie
that matminer 0.10.1 distributes (`tables/magpie.json`). A property that is unknown for an element
has the mean of those elements for which it is known; matminer leaves such features out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS

Floats = NDArray[np.float64]

_STATISTICS = ("minimum", "maximum", "range", "mean", "deviation", "mode")
_NORMS = (2, 3, 5, 7, 10)
_ORBITALS = ("s", "p", "d", "f")

_CHUNK_ROWS = 4096
"""Compositions whose features are computed together: some 4 MB for each property."""


@cache
def _table() -> Mapping[str, list[float]]:
    path = Path(__file__).parent / "tables" / "magpie.json"
    elements = json.loads(path.read_text(encoding="utf-8"))["elements"]
    return {
        name: [np.nan if x is None else float(x) for x in values]
        for name, values in elements.items()
        if name != "source"
    }


@cache
def property_names() -> tuple[str, ...]:
    """Return the names of the 22 properties, as Magpie writes them."""
    return tuple(_table())


@cache
def element_properties() -> Floats:
    """Return the properties by atomic number from 1, shape (118, 22); nan where unknown."""
    values = np.array(list(_table().values())).T
    values.flags.writeable = False
    return values


@cache
def filled_element_properties() -> Floats:
    """Return the properties with the mean of known elements where unknown, shape (118, 22)."""
    known = element_properties()
    values = np.where(np.isnan(known), np.nanmean(known, axis=0), known)
    values.flags.writeable = False
    return values


@cache
def feature_names() -> tuple[str, ...]:
    """Return the names of the 142 features, in order."""
    return (
        *(f"{name} {statistic}" for statistic in _STATISTICS for name in property_names()),
        "number of elements",
        *(f"{p}-norm" for p in _NORMS),
        *(f"share of {orbital} among valence electrons" for orbital in _ORBITALS),
    )


def element_fractions(compositions: Iterable[Mapping[str, float] | None]) -> Floats:
    """Return the fraction of each element in each composition, shape (N, 118).

    Args:
        compositions: amounts by element, in any scale; None gives a row of nan.
    """
    rows = []
    for amounts in compositions:
        row = np.zeros(len(SYMBOLS))
        if amounts is None:
            row[:] = np.nan
        else:
            for symbol, amount in amounts.items():
                row[ATOMIC_NUMBERS[symbol] - 1] += amount
            row /= row.sum()
        rows.append(row)
    return np.array(rows).reshape(len(rows), len(SYMBOLS))


def composition_features(fractions: Floats) -> Floats:
    """Return the features of compositions, shape (N, 142); nan where the fractions are.

    Args:
        fractions: of each element, shape (N, 118), see `element_fractions`.
    """
    features = np.full((len(fractions), len(feature_names())), np.nan)
    known = np.flatnonzero(np.isfinite(fractions).all(axis=1))
    for start in range(0, len(known), _CHUNK_ROWS):
        rows = known[start : start + _CHUNK_ROWS]
        features[rows] = _features(fractions[rows])
    return features


def _features(x_N_E: Floats) -> Floats:
    """Return the features of compositions whose fractions are known."""
    present_N_E = x_N_E > 0
    largest_N_1 = x_N_E.max(axis=1, keepdims=True)
    # Equal fractions differ by rounding.
    frequent_N_E = present_N_E & np.isclose(x_N_E, largest_N_1, rtol=1e-6, atol=0)
    table_E_P = filled_element_properties()
    mean_N_P = x_N_E @ table_E_P
    statistics = np.empty((len(_STATISTICS), len(x_N_E), table_E_P.shape[1]))
    for i, f_E in enumerate(table_E_P.T):
        low = np.where(present_N_E, f_E, np.inf).min(axis=1)
        high = np.where(present_N_E, f_E, -np.inf).max(axis=1)
        deviation = (x_N_E * np.abs(f_E - mean_N_P[:, i : i + 1])).sum(axis=1)
        mode = np.where(frequent_N_E, f_E, np.inf).min(axis=1)
        statistics[:, :, i] = low, high, high - low, mean_N_P[:, i], deviation, mode
    norms = [(x_N_E**p).sum(axis=1) ** (1 / p) for p in _NORMS]
    valence_N_4 = mean_N_P[:, [property_names().index(f"N{o}Valence") for o in _ORBITALS]]
    shares_N_4 = valence_N_4 / valence_N_4.sum(axis=1, keepdims=True)
    return np.column_stack([*statistics, present_N_E.sum(axis=1), *norms, shares_N_4])
