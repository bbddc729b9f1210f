"""Loss and metric: correlations against SciPy and the published study's, and the cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from crystext.study.loss_and_metric import loss_and_metric, spearman
from crystext.study.study_data import Study
from crystext.study.tables import read_study
from tests.study.simulated_study import example_rows, write_rows

PUBLISHED = {
    "bace_regression": (0.05, 0.43, 0.912, 0.778),
    "delaney": (0.13, 0.64, 0.486, 0.430),
    "lipo": (0.15, 0.85, 0.738, 0.721),
    "bace_classification": (-0.16, -0.11, 0.796, 0.821),
    "hiv": (0.24, -0.50, 0.763, 0.793),
    "tox21_sr_p53": (-0.14, -0.42, 0.789, 0.8195),
}
"""Spearman between selected runs, its median within runs, mean metric selected by loss, and mean of
the best checkpoints, from the tables of arXiv:2405.00949. delaney is ESOL."""


def test_the_published_tables_give_the_known_correlations_and_costs(published: Study) -> None:
    found = {x.task: x for x in loss_and_metric(published, samples=50)}
    assert found.keys() == PUBLISHED.keys()
    for task, (between, within, selected, best) in PUBLISHED.items():
        assert found[task].between.value == pytest.approx(between, abs=0.005)
        assert found[task].within.value == pytest.approx(within, abs=0.005)
        assert found[task].selected.value == pytest.approx(selected, abs=0.0005)
        assert found[task].best.value == pytest.approx(best, abs=0.0005)
        assert found[task].n_lower_loss_helps > 45
        assert found[task].range_ratio < 0.5
        assert found[task].cost.value == pytest.approx(abs(selected - best), abs=0.001)


def test_the_correlation_is_scipys_where_values_are_missing_or_tied() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 6, (20, 12)).astype(float), generator.normal(size=(20, 12))
    x[:, 3], y[2, 5] = np.nan, np.nan
    expected = [spearmanr(a, b, nan_policy="omit").statistic for a, b in zip(x, y, strict=True)]
    assert spearman(x, y) == pytest.approx(expected)


def test_a_correlation_needs_three_values_that_differ() -> None:
    assert np.isnan(spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))


def test_selection_costs_nothing_where_the_metric_follows_the_loss(tmp_path: Path) -> None:
    rows = example_rows()
    for row in rows:
        row["metric"] = 2 * float(str(row["loss"]))
    study = read_study(write_rows(tmp_path, rows))
    for found in loss_and_metric(study, samples=50):
        assert found.within.value == pytest.approx(1)
        assert found.cost.value == 0
        assert found.n_lower_loss_helps == found.n_runs_within == 12
        assert found.between.low <= found.between.value <= found.between.high
