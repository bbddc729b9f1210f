"""Scores of a benchmark: metrics of units, means over folds, and scores of data sets.

For test values y_i with valid answers p_i, i = 1 .. n_valid of n:

    MAE     = mean |y_i - p_i|                       over valid answers
    MAD     = mean |y_i - mean(y)|                   over all n test records
    MAD:MAE = MAD / MAE                              1 is the mean predictor; higher is better
    RMSE, R2                                         of expected values, if a method has them
    ROC AUC of the probabilities of yes; that of hard labels rounds these to 0 and 1 first

    mae_with_failures    an invalid answer counts as that of the mean predictor

A metric of several folds is the mean of the folds' metrics, as in matbench. Intervals hold 95% of
bootstrap replicates: test records are drawn anew with replacement in each fold. A metric never
counts an invalid answer as a value, so n_valid of n stands beside each.

`--compat llm4mat` takes MAD over the valid answers too, and the AUC of hard labels. Metrics:
`metrics.regression` and `metrics.classification`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from crystext.benchmark.compat import INVALID
from crystext.benchmark.results import (
    BenchmarkResults,
    DatasetScore,
    FailedUnit,
    LeakCount,
    Score,
    TaskResult,
    UnitResult,
)
from crystext.benchmark.run import Unit, UnitError
from crystext.benchmark.suite import Suite
from crystext.metrics import classification, regression
from crystext.structures.crystal import Floats

_REPLICATES = 500
_REPLICATED_RECORDS = 20_000_000
"""Records drawn for an interval at most: of large test sets there are fewer replicates."""
_MIN_REPLICATES = 50

TITLES = {
    "mad_over_mae": "MAD:MAE",
    "mae": "MAE",
    "mae_with_failures": "MAE, failures as the mean",
    "rmse": "RMSE",
    "r2": "R²",
    "spearman": "Spearman ρ",
    "coverage_90": "coverage of 90% intervals",
    "roc_auc": "ROC AUC",
    "roc_auc_hard": "ROC AUC of hard labels",
}
"""Titles of metrics by name, in the order of tables."""

COVERAGES = frozenset({"coverage_90"})
"""Metrics that are best at their level."""

LOWER_IS_BETTER = frozenset({"mae", "rmse", "mae_with_failures"})

_PRIMARY_OF_COMPAT = {"number": "mad_over_mae", "boolean": "roc_auc_hard"}


class _Values(NamedTuple):
    """The rows of a fold as arrays of length N."""

    targets: Floats
    values: Floats
    means: Floats
    low: Floats
    high: Floats
    train_means: Floats
    """What the mean predictor answers."""

    def rows(self, chosen: np.ndarray[Any, Any]) -> _Values:
        return _Values(*(column[chosen] for column in self))


class _TaskScores(NamedTuple):
    result: TaskResult
    replicates: Floats
    """Of the primary metric; empty if it is not defined."""


def score_units(
    suite: Suite,
    units: Sequence[Unit],
    *,
    is_compat: bool,
    min_valid: int,
    seed: int = 0,
) -> tuple[list[UnitResult], list[TaskResult], list[DatasetScore]]:
    """Return the results of units, of tasks over their folds, and of data sets.

    Args:
        suite: the benchmark.
        units: finished ones, in the order of the suite's tasks.
        is_compat: whether to score as LLM4Mat-Bench does.
        min_valid: number of valid answers of a task below which it has no score.
        seed: of the bootstrap.
    """
    results = [_score_unit(unit, is_compat) for unit in units]
    groups: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for unit in units:
        groups[unit.task.name, unit.method].append(unit)
    tasks = [_score_task(suite, group, is_compat, min_valid, seed) for group in groups.values()]
    return results, [task.result for task in tasks], _score_datasets(suite, tasks)


def failed_units(errors: Sequence[UnitError]) -> list[FailedUnit]:
    """Return units without a result as results list them."""
    return [
        FailedUnit(task=x.task.name, method=x.method, fold=x.fold, message=x.message)
        for x in errors
    ]


def metric_values(data: _Values, kind: str, is_compat: bool) -> dict[str, float]:
    """Return the metrics of a fold by name; nan where one is not defined."""
    valid = np.isfinite(data.values)
    targets, values = data.targets[valid], data.values[valid]
    if kind == "boolean":
        if not len(values):
            return dict.fromkeys(("roc_auc", "roc_auc_hard"), math.nan)
        return {
            "roc_auc": classification.roc_auc(targets, values),
            "roc_auc_hard": classification.roc_auc(targets, np.round(values)),
        }
    filled = np.where(valid, data.values, data.train_means)
    found = {"mae_with_failures": regression.mae(data.targets, filled)}
    if not len(values):
        return dict.fromkeys(("mad_over_mae", "mae", "rmse", "r2", "spearman"), math.nan) | found
    mae = regression.mae(targets, values)
    mad = regression.mean_absolute_deviation(targets if is_compat else data.targets)
    means = data.means[valid]
    expected = means if np.isfinite(means).all() else values
    found |= {
        "mad_over_mae": mad / mae if mae > 0 and mad > 0 else math.nan,
        "mae": mae,
        "rmse": regression.rmse(targets, expected),
        "r2": regression.r_squared(targets, expected),
        "spearman": regression.spearman(targets, values),
    }
    if np.isfinite(data.low[valid]).all():
        inside = (data.low[valid] <= targets) & (targets <= data.high[valid])
        found["coverage_90"] = float(inside.mean())
    return found


def _columns(unit: Unit) -> _Values:
    ends = [row.intervals.get("0.9", (math.nan, math.nan)) for row in unit.rows]
    return _Values(
        unit.targets,
        unit.values,
        np.array([row.mean for row in unit.rows]),
        np.array([low for low, _ in ends]),
        np.array([high for _, high in ends]),
        np.full(len(unit.rows), unit.train_mean),
    )


def _score_unit(unit: Unit, is_compat: bool) -> UnitResult:
    data = _columns(unit)
    metrics = metric_values(data, unit.target.kind, is_compat)
    return UnitResult(
        task=unit.task.name,
        method=unit.method,
        fold=unit.fold,
        n_train=unit.n_train,
        n_validation=unit.n_validation,
        n_test=len(unit.rows),
        n_valid=int(np.isfinite(data.values).sum()),
        leak=LeakCount.model_validate(unit.leak),
        seconds=unit.seconds,
        metrics={name: Score(value=_finite(value)) for name, value in metrics.items()},
    )


def _score_task(
    suite: Suite, units: Sequence[Unit], is_compat: bool, min_valid: int, seed: int
) -> _TaskScores:
    first = units[0]
    kind: Literal["number", "boolean"] = "boolean" if first.target.kind == "boolean" else "number"
    folds = [_columns(unit) for unit in units]
    metrics = _mean_metrics(folds, kind, is_compat)
    replicates = _replicates(folds, kind, is_compat, seed)
    primary = _PRIMARY_OF_COMPAT[kind] if is_compat else getattr(suite.metrics, kind)
    n_test = sum(len(fold.targets) for fold in folds)
    n_valid = sum(int(np.isfinite(fold.values).sum()) for fold in folds)
    scores = {
        name: score_with_interval(value, [x[name] for x in replicates], _why_undefined(name, folds))
        for name, value in metrics.items()
    }
    status = ""
    if n_valid < min_valid:
        status = INVALID
        scores[primary] = Score(value=None, note=f"fewer than {min_valid} valid answers")
    failures = Counter(
        row.message or "no value" for x in units for row in x.rows if not math.isfinite(row.value)
    )
    result = TaskResult(
        task=first.task.name,
        dataset=first.task.dataset,
        title=first.target.title,
        unit=first.target.unit,
        kind=kind,
        method=first.method,
        metric=primary,
        n_folds=len(units),
        n_test=n_test,
        n_valid=n_valid,
        metrics=scores,
        status=status,
        failures=dict(failures.most_common()),
    )
    is_defined = scores[primary].value is not None
    found = [x[primary] for x in replicates] if is_defined else []
    return _TaskScores(result, np.array(found, dtype=np.float64))


def _mean_metrics(folds: Sequence[_Values], kind: str, is_compat: bool) -> dict[str, float]:
    parts = [metric_values(fold, kind, is_compat) for fold in folds]
    return {name: float(np.mean([part.get(name, math.nan) for part in parts])) for name in parts[0]}


def _replicates(
    folds: Sequence[_Values], kind: str, is_compat: bool, seed: int
) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    n = sum(len(fold.targets) for fold in folds)
    count = min(_REPLICATES, max(_MIN_REPLICATES, _REPLICATED_RECORDS // max(n, 1)))
    return [
        _mean_metrics(
            [x.rows(rng.integers(0, len(x.targets), len(x.targets))) for x in folds],
            kind,
            is_compat,
        )
        for _ in range(count)
    ]


def score_with_interval(value: float, replicates: Sequence[float], why: str) -> Score:
    """Return a value with the interval of its replicates.

    Args:
        value: nan if it is not defined.
        replicates: of the bootstrap; those that are not finite do not count.
        why: why it is not defined.
    """
    if not math.isfinite(value):
        return Score(value=None, note=why)
    drawn = np.array(replicates, dtype=np.float64)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Score(value=value)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Score(value=value, low=float(low), high=float(high))


def _why_undefined(name: str, folds: Sequence[_Values]) -> str:
    valid = [fold.targets[np.isfinite(fold.values)] for fold in folds]
    if not all(len(targets) for targets in valid):
        return "no valid answer"
    if name.startswith("roc_auc"):
        return "the valid test records have one class only"
    if any(np.ptp(fold.targets) == 0 for fold in folds):
        return "the test records have one value only"
    if name in ("spearman", "r2"):
        return "a fold has too few valid answers, or equal ones only"
    return "no error"


def _score_datasets(suite: Suite, tasks: Sequence[_TaskScores]) -> list[DatasetScore]:
    groups: dict[tuple[str, str, str], list[_TaskScores]] = defaultdict(list)
    for task in tasks:
        groups[task.result.dataset, task.result.kind, task.result.method].append(task)
    found = []
    for (dataset, kind, method), group in groups.items():
        scored = [x for x in group if x.result.metrics[x.result.metric].value is not None]
        sizes = [x.result.n_test for x in scored]
        metric = group[0].result.metric
        values = [x.result.metrics[metric].value or 0.0 for x in scored]
        units = {x.result.unit for x in scored}
        if metric in LOWER_IS_BETTER and len(units) > 1:
            score = Score(value=None, note="errors in different units have no mean")
        elif scored:
            score = _mean_score(values, sizes, [x.replicates for x in scored])
        else:
            score = Score(value=None, note="no task has a score")
        properties = suite.datasets[dataset].properties.values()
        found.append(
            DatasetScore(
                dataset=dataset,
                kind=group[0].result.kind,
                method=method,
                metric=metric,
                score=score,
                n_tasks=len(scored),
                n_tasks_of_suite=sum(x.kind == kind for x in properties),
                n_test=sum(x.result.n_test for x in group),
                n_valid=sum(x.result.n_valid for x in group),
            )
        )
    return found


def size_weighted_mean(values: Sequence[float], sizes: Sequence[int]) -> float:
    """Return sum n_i s_i / sum n_i: the score of a data set from those of its tasks.

    Source: Rubungo et al., arXiv:2411.00177.
    """
    return float(np.average(values, weights=sizes))


def _mean_score(
    values: Sequence[float], sizes: Sequence[int], replicates: Sequence[Floats]
) -> Score:
    value = size_weighted_mean(values, sizes)
    count = min(map(len, replicates))
    drawn = np.average([x[:count] for x in replicates], axis=0, weights=sizes)
    return score_with_interval(value, drawn.tolist(), "")


def primary_scores(results: BenchmarkResults) -> Mapping[tuple[str, str], Score]:
    """Return the primary score of each task by task and method."""
    return {(x.task, x.method): x.metrics[x.metric] for x in results.tasks}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
