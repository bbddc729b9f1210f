"""Metrics of predicted numbers: errors, their scale, correlations, and the count of failures.

With labels y, answers p, and means over the N_valid records with a valid answer:

    MAE = mean |p - y|                      RMSE = sqrt(mean (p - y)²)
    R² = 1 - sum (p - y)² / sum (y - ȳ)²    MAE/σ with σ² = mean (y - ȳ)²
    MAD:MAE, with MAD = mean |y - ȳ|        Pearson's r, Spearman's ρ, Kendall's τ_b

σ, MAD and ȳ are of all test records, so that a model cannot choose its own scale by answering only
some. MAD:MAE is the figure of LLM4Mat-Bench (Rubungo et al., arXiv:2411.00177), whose own takes MAD
over the valid answers. Correlations are SciPy's.

`mae_with_failures` counts every record: an answer that is missing or invalid has the error of the
mean predictor, |m - y|, with m the mean of the training labels. Dropping answers can't improve it
beyond what the mean predictor earns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from crystext.metrics.scores import BOOTSTRAP_SAMPLES, Score, Statistic, labelled, score
from crystext.structures.crystal import Floats

CORRELATION_BOOTSTRAP = 200
"""Maximum number of bootstrap samples for correlations of ranks, which need sorting."""

_SMALL = 1e-12
"""Relative deviation below which values count as constant."""


def mae(truth: Floats, predicted: Floats) -> float:
    """Return the mean absolute error of valid answers."""
    return float(np.abs(predicted - truth).mean())


def rmse(truth: Floats, predicted: Floats) -> float:
    """Return the root of the mean squared error of valid answers."""
    return float(np.sqrt(((predicted - truth) ** 2).mean()))


def r_squared(truth: Floats, predicted: Floats) -> float:
    """Return the coefficient of determination; nan for constant labels."""
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1 - ((predicted - truth) ** 2).sum() / spread) if spread > 0 else np.nan


def mean_absolute_deviation(values: Floats) -> float:
    """Return the mean absolute deviation from the mean."""
    return float(np.abs(values - values.mean()).mean())


def pearson(truth: Floats, predicted: Floats) -> float:
    """Return Pearson's correlation; nan if either is constant."""
    if _is_constant(truth) or _is_constant(predicted):
        return np.nan
    return float(np.corrcoef(truth, predicted)[0, 1])


def spearman(truth: Floats, predicted: Floats) -> float:
    """Return Spearman's correlation of ranks, ties sharing their mean rank."""
    from scipy.stats import rankdata

    return pearson(rankdata(truth), rankdata(predicted))


def kendall(truth: Floats, predicted: Floats) -> float:
    """Return Kendall's τ_b; nan if either is constant."""
    from scipy.stats import kendalltau

    if _is_constant(truth) or _is_constant(predicted):
        return np.nan
    return float(kendalltau(truth, predicted).statistic)


def regression_scores(
    truth: Floats,
    predicted: Floats,
    *,
    means: Floats | None = None,
    train_mean: float | None = None,
    bootstrap: int = BOOTSTRAP_SAMPLES,
    seed: int = 0,
) -> dict[str, Score]:
    """Return all metrics of predicted numbers, by name.

    Args:
        truth: labels of N test records; nan ones do not count.
        predicted: answers, nan where invalid: the median of a distribution, which is best for
            absolute errors and ranks.
        means: expected values, which are best for squared errors: RMSE and R² are of these where
            they are finite. None takes `predicted`.
        train_mean: mean of the training labels, for `mae_with_failures`; None takes that of the
            test labels.
        bootstrap: number of bootstrap samples; correlations of ranks use 200 at most.
        seed: of the samples.
    """
    truth, predicted = labelled(truth, predicted)
    squared = predicted
    if means is not None:
        given = np.asarray(means, np.float64)
        if len(given) != len(truth):
            raise ValueError(f"there are {len(given)} expected values, and {len(truth)} labels")
        squared = np.where(np.isfinite(predicted) & np.isfinite(given), given, predicted)
    sigma, mad = (float(truth.std()), mean_absolute_deviation(truth)) if len(truth) else (0.0, 0.0)
    if len(truth) and _is_constant(truth):
        sigma = mad = 0.0
    of = partial(score, seed=seed)
    ranks = min(bootstrap, CORRELATION_BOOTSTRAP)
    return {
        "mae": of(truth, predicted, mae, bootstrap=bootstrap),
        "mae_with_failures": mae_with_failures(
            truth, predicted, train_mean, bootstrap=bootstrap, seed=seed
        ),
        "rmse": of(truth, squared, rmse, bootstrap=bootstrap),
        "r2": of(truth, squared, r_squared, bootstrap=bootstrap, undefined=_constant_labels),
        "mae_over_sigma": of(
            truth, predicted, _over(mae, sigma), bootstrap=bootstrap, undefined=_no_scale(sigma)
        ),
        "mad_over_mae": of(
            truth, predicted, _scale_over(mae, mad), bootstrap=bootstrap, undefined=_no_scale(mad)
        ),
        "pearson": of(truth, predicted, pearson, bootstrap=bootstrap, undefined=_constant_either),
        "spearman": of(truth, predicted, spearman, bootstrap=ranks, undefined=_constant_either),
        "kendall": of(truth, predicted, kendall, bootstrap=ranks, undefined=_constant_either),
    }


def mae_with_failures(
    truth: Floats,
    predicted: Floats,
    train_mean: float | None = None,
    *,
    bootstrap: int = BOOTSTRAP_SAMPLES,
    seed: int = 0,
) -> Score:
    """Return the mean absolute error of all records, failures with the mean predictor's error.

    Args:
        truth: labels; nan ones do not count.
        predicted: answers, nan where invalid.
        train_mean: the answer of the mean predictor; None takes the mean of the test labels.
        bootstrap: number of bootstrap samples.
        seed: of the samples.

    Returns:
        The score; `n_valid` is the number of valid answers, though all records count.
    """
    truth, predicted = labelled(truth, predicted)
    n_valid = int(np.isfinite(predicted).sum())
    if not len(truth):
        return score(truth, predicted, mae, bootstrap=0)
    filler = truth.mean() if train_mean is None else train_mean
    filled = np.where(np.isfinite(predicted), predicted, filler)
    return score(truth, filled, mae, bootstrap=bootstrap, seed=seed)._replace(n_valid=n_valid)


def _over(statistic: Statistic, scale: float) -> Statistic:
    return lambda truth, predicted: statistic(truth, predicted) / scale


def _scale_over(statistic: Statistic, scale: float) -> Statistic:
    def ratio(truth: Floats, predicted: Floats) -> float:
        found = statistic(truth, predicted)
        return scale / found if found > 0 else np.nan

    return ratio


def _is_constant(values: Floats) -> bool:
    return len(values) < 2 or float(np.ptp(values)) <= _SMALL * float(np.abs(values).max())


def _constant_labels(truth: Floats, predicted: Floats) -> str:
    if len(truth) < 2:
        return "fewer than two answers are valid"
    return "all labels are equal" if _is_constant(truth) else ""


def _constant_either(truth: Floats, predicted: Floats) -> str:
    constant = "all answers are equal" if _is_constant(predicted) else ""
    return _constant_labels(truth, predicted) or constant


def _no_scale(scale: float) -> Callable[[Floats, Floats], str]:
    return lambda truth, predicted: "" if scale > 0 else "all test labels are equal"


TITLES: Mapping[str, str] = {
    "mae": "MAE",
    "mae_with_failures": "MAE, failures as the mean predictor",
    "rmse": "RMSE",
    "r2": "R²",
    "mae_over_sigma": "MAE/σ",
    "mad_over_mae": "MAD:MAE",
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
}
"""Titles of the scores for tables, in order."""
