"""Composition features: matminer's numbers, and invariances that any composition has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.chemistry.element_features import (
    composition_features,
    element_fractions,
    element_properties,
    feature_names,
    filled_element_properties,
    property_names,
)
from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import parse_amounts

GOLDEN = Path(__file__).parents[1] / "golden" / "matminer.json"
STATISTICS = ("minimum", "maximum", "range", "mean", "deviation", "mode")

compositions = st.dictionaries(
    st.sampled_from(SYMBOLS), st.integers(1, 20).map(float), min_size=1, max_size=6
)


def features(*formulas: str) -> np.ndarray:
    return composition_features(element_fractions(parse_amounts(text) for text in formulas))


def test_statistics_of_properties_are_matminers() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["compositions"]
    columns = [
        feature_names().index(f"{name} {statistic}")
        for name in property_names()
        for statistic in STATISTICS
    ]
    found = features(*golden)[:, columns]
    expected = np.array([[np.nan if x is None else x for x in row] for row in golden.values()])
    # matminer leaves out what is unknown for an element; here it has a value.
    known = np.isfinite(expected)
    assert known.mean() > 0.9
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-9, atol=1e-9)


def test_there_are_142_features_of_22_properties() -> None:
    assert len(property_names()) == 22
    assert len(feature_names()) == len(set(feature_names())) == 142
    assert features("NaCl").shape == (1, 142)


@given(compositions, st.floats(0.01, 100))
def test_features_depend_on_fractions_alone(amounts: dict[str, float], scale: float) -> None:
    scaled = {symbol: amount * scale for symbol, amount in reversed(amounts.items())}
    both = composition_features(element_fractions([amounts, scaled]))
    np.testing.assert_allclose(both[0], both[1], rtol=1e-6, atol=1e-9)
    assert np.isfinite(both).all()


@given(compositions)
def test_statistics_stay_within_the_values_of_the_elements(amounts: dict[str, float]) -> None:
    row = composition_features(element_fractions([amounts]))[0]
    low, high, spread, mean, deviation, mode = (row[i * 22 : (i + 1) * 22] for i in range(6))
    tiny = 1e-9 * np.abs(high) + 1e-9
    assert (low - tiny <= np.minimum(mean, mode)).all()
    assert (np.maximum(mean, mode) <= high + tiny).all()
    np.testing.assert_allclose(spread, high - low)
    assert ((deviation >= 0) & (deviation <= spread / 2 + tiny)).all()


def test_norms_and_orbitals_of_rock_salt() -> None:
    row = dict(zip(feature_names(), features("NaCl")[0].tolist(), strict=True))
    assert row["number of elements"] == 2
    assert row["2-norm"] == pytest.approx(0.5**0.5)
    # Na has one s electron, Cl two s and five p.
    assert row["share of s among valence electrons"] == pytest.approx(3 / 8)
    assert row["share of p among valence electrons"] == pytest.approx(5 / 8)


def test_a_missing_composition_is_a_row_of_nan_and_changes_no_other() -> None:
    found = composition_features(element_fractions([{"Na": 1, "Cl": 1}, None]))
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[0], features("NaCl")[0])
    assert composition_features(element_fractions([])).shape == (0, 142)


def test_unknown_properties_have_the_mean_of_the_known_ones() -> None:
    known, filled = element_properties(), filled_element_properties()
    gaps = np.isnan(known)
    assert gaps.any()
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~gaps], known[~gaps])
