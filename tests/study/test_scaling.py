"""Scaling curves: what stands on the axis, and which points have an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.study.scaling import ALL, scaled_factors, scaling_curves
from crystext.study.study_data import Study
from crystext.study.tables import read_study
from tests.study.simulated_study import example_rows, simulate, write_rows


def test_the_published_study_scales_in_size_and_data(published: Study) -> None:
    assert scaled_factors(published) == ["size", "data"]
    curves = scaling_curves(published)
    assert len(curves) == 2 * 6 * 4
    first = curves[0]
    assert (first.factor, first.group, [p.level for p in first.points]) == ("size", ALL, ["S", "M"])
    assert [point.n_cells for point in first.points] == [9, 9]
    data = next(c for c in curves if c.factor == "data")
    assert [point.value for point in data.points] == [1e7, 2e7, 3e7]


def test_a_point_of_two_pretrainings_has_no_interval() -> None:
    curves = scaling_curves(simulate(0))
    own = next(c for c in curves if c.factor == "size" and c.group == "BART")
    assert all(point.n_cells == 2 and np.isnan(point.low) for point in own.points)
    everyone = next(c for c in curves if c.factor == "size" and c.group == ALL)
    assert all(point.low < point.mean < point.high for point in everyone.points)


def test_sizes_stand_at_their_numbers_of_parameters(tmp_path: Path) -> None:
    rows = example_rows()
    for row in rows:
        row["parameters"] = {"S": 10, "M": 20, "L": 40}[str(row["size"])]
    curve = scaling_curves(read_study(write_rows(tmp_path, rows)))[0]
    assert [point.value for point in curve.points] == [10, 20, 40]
    named = scaling_curves(read_study(write_rows(tmp_path, example_rows())))[0]
    assert [point.value for point in named.points] == [0, 1, 2]
    assert named.points[0].mean == pytest.approx(np.mean([p.mean for p in named.points]), abs=0.01)
