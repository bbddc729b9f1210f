"""Scores: metrics of folds, their means, and size-weighted means over a data set's tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from crystext.benchmark.results import DatasetScore, TaskResult, UnitResult
from crystext.benchmark.run import Row, Unit
from crystext.benchmark.scores import score_units, size_weighted_mean
from crystext.benchmark.suite import Suite, select_tasks
from tests.benchmark.example_suite import SUITE

EXAMPLE = Suite.model_validate({**SUITE, "name": "example"})


def unit(
    task: str,
    targets: Sequence[float],
    values: Sequence[float],
    *,
    fold: str = "test",
    method: str = "mine",
    means: Sequence[float] | None = None,
    intervals: Sequence[tuple[float, float]] | None = None,
) -> Unit:
    found = next(x for x in select_tasks(EXAMPLE) if x.label == task)
    rows = [
        Row(
            str(i),
            y,
            p,
            "" if math.isfinite(p) else "no number",
            mean=math.nan if means is None else means[i],
            intervals={} if intervals is None else {"0.9": intervals[i]},
        )
        for i, (y, p) in enumerate(zip(targets, values, strict=True))
    ]
    leak = {"count": 0, "total": len(rows), "by": "reduced composition"}
    return Unit(found, found.target(), method, fold, 10, 0, 1.5, leak, 0.1, rows)


def scored(
    *units: Unit, is_compat: bool = False, min_valid: int = 1
) -> tuple[list[UnitResult], list[TaskResult], list[DatasetScore]]:
    return score_units(EXAMPLE, units, is_compat=is_compat, min_valid=min_valid)


def test_metrics_are_those_of_their_formulas() -> None:
    y, p = [0.0, 1.0, 2.0, 5.0], [0.5, 1.0, 1.0, 4.0]
    (result,) = scored(unit("gap", y, p))[1]
    assert result.metrics["mae"].value == pytest.approx(0.625)
    assert result.metrics["rmse"].value == pytest.approx(math.sqrt(2.25 / 4))
    assert result.metrics["mad_over_mae"].value == pytest.approx(1.5 / 0.625)
    assert result.metrics["r2"].value == pytest.approx(1 - 2.25 / 14)
    assert (result.n_valid, result.n_test, result.metric) == (4, 4, "mad_over_mae")


def test_an_invalid_answer_is_counted_and_scored_as_the_mean_predictor() -> None:
    y, p = [0.0, 1.0, 2.0, 5.0], [0.5, 1.0, math.nan, 4.0]
    (result,) = scored(unit("gap", y, p))[1]
    assert (result.n_valid, result.n_test) == (3, 4)
    assert result.failures == {"no number": 1}
    assert result.metrics["mae"].value == pytest.approx(0.5)
    assert result.metrics["mae_with_failures"].value == pytest.approx((1.5 + 0.5) / 4)
    # The scale is that of all test records; the benchmark's own is that of valid answers.
    assert result.metrics["mad_over_mae"].value == pytest.approx(1.5 / 0.5)
    (compat,) = scored(unit("gap", y, p), is_compat=True)[1]
    assert compat.metrics["mad_over_mae"].value == pytest.approx(2.0 / 0.5)


def test_squared_errors_are_of_expected_values_where_there_are_any() -> None:
    y, p, means = [0.0, 1.0], [0.0, 1.0], [1.0, 2.0]
    (result,) = scored(unit("gap", y, p, means=means))[1]
    assert (result.metrics["mae"].value, result.metrics["rmse"].value) == (0.0, 1.0)


def test_intervals_of_predictions_are_checked() -> None:
    ends = [(-1.0, 1.0), (1.5, 2.0), (1.0, 3.0), (4.0, 6.0)]
    (result,) = scored(unit("gap", [0, 1, 2, 5], [0, 1, 2, 5], intervals=ends))[1]
    assert result.metrics["coverage_90"].value == 0.75


def test_auc_is_of_probabilities_and_of_labels_beside_it() -> None:
    y, p = [0, 0, 1, 1], [0.1, 0.6, 0.7, 0.8]
    (result,) = scored(unit("is_oxide", y, p))[1]
    assert result.metrics["roc_auc"].value == 1.0
    assert result.metrics["roc_auc_hard"].value == 0.75
    assert result.metric == "roc_auc"
    assert scored(unit("is_oxide", y, p), is_compat=True)[1][0].metric == "roc_auc_hard"


def test_what_is_not_defined_says_why() -> None:
    one_class = scored(unit("is_oxide", [1, 1, 1], [0.1, 0.6, 0.7]))[1][0].metrics["roc_auc"]
    assert (one_class.value, "one class only" in one_class.note) == (None, True)
    constant = scored(unit("gap", [2, 2, 2], [1, 2, 3]))[1][0].metrics["mad_over_mae"]
    assert (constant.value, "one value only" in constant.note) == (None, True)
    nothing = scored(unit("gap", [1, 2], [math.nan, math.nan]))[1][0].metrics["mae"]
    assert nothing.value is None


def test_too_few_valid_answers_have_no_score() -> None:
    y = list(range(12))
    p = [float(x) if x < 9 else math.nan for x in y]
    (result,) = scored(unit("gap", y, [x + 1 for x in p]), is_compat=True, min_valid=10)[1]
    assert (result.status, result.metrics["mad_over_mae"].value) == ("Inval.", None)
    assert result.metrics["mae"].value == 1.0


def test_folds_are_averaged_as_in_matbench() -> None:
    folds = [
        unit("gap", [0.0, 2.0], [1.0, 3.0], fold="fold 1"),
        unit("gap", [0.0, 2.0, 4.0], [0.0, 2.0, 7.0], fold="fold 2"),
    ]
    units, (result,), _ = scored(*folds)
    assert [x.metrics["mae"].value for x in units] == [1.0, 1.0]
    assert result.metrics["mae"].value == pytest.approx(1.0)
    assert result.n_folds == 2


def test_the_interval_holds_the_value_and_narrows_with_the_records() -> None:
    rng = np.random.default_rng(0)

    def width(n: int) -> float:
        y = rng.normal(size=n)
        score = scored(unit("gap", y, y + rng.normal(size=n)))[1][0].metrics["mae"]
        assert score.value is not None
        assert score.low is not None
        assert score.high is not None
        assert score.low <= score.value <= score.high
        return score.high - score.low

    assert width(1000) < width(50)


def test_a_data_sets_score_weighs_its_tasks_by_their_records() -> None:
    """As MP's 9.116 and GNoME's 16.224 follow from their tasks' scores and sizes."""
    gap = unit("gap", [0.0, 2.0], [0.5, 2.5])  # MAD 1, MAE .5: 2
    volume = unit("volume", [0.0, 4.0, 0.0, 4.0, 0.0, 4.0], [1.0, 5.0] * 3)  # MAD 2, MAE 1: 2
    oxide = unit("is_oxide", [0, 1], [0.1, 0.9])
    numbers, classes = scored(gap, volume, oxide)[2]
    assert (numbers.kind, numbers.n_tasks, numbers.n_tasks_of_suite) == ("number", 2, 2)
    assert numbers.score.value == pytest.approx((2 * 2.0 + 6 * 2.0) / 8)
    assert (classes.kind, classes.score.value) == ("boolean", 1.0)
    assert size_weighted_mean([2.0, 10.0, 4.0], [1, 2, 1]) == pytest.approx(6.5)


def test_a_task_without_a_score_is_not_averaged_but_seen() -> None:
    gap = unit("gap", [0.0, 2.0], [0.5, 2.5])
    volume = unit("volume", [0.0, 4.0], [math.nan, math.nan])
    (score,) = scored(gap, volume)[2]
    assert (score.n_tasks, score.n_tasks_of_suite, score.is_complete) == (1, 2, False)
    assert (score.n_valid, score.n_test) == (2, 4)


def test_errors_in_different_units_have_no_mean() -> None:
    suite = EXAMPLE.model_copy(
        update={"metrics": EXAMPLE.metrics.model_copy(update={"number": "mae"})}
    )
    units = [unit("gap", [0.0, 2.0], [0.5, 2.5]), unit("volume", [0.0, 4.0], [1.0, 5.0])]
    scores = score_units(suite, units, is_compat=False, min_valid=1)[2]
    assert scores[0].score.value is None
    assert "different units" in scores[0].score.note
