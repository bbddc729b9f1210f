"""Random forest on features of compositions or molecules, by scikit-learn.

200 trees, a third of the features at each split, bootstrap samples, as in matbench's reference
(Dunn et al., npj Comput. Mater. 6, 138 (2020): Magpie features, trees of full depth). Structures
are read as their composition: polymorphs get one answer.

The trees' answers are taken for a distribution. Its median is the value, which has the smaller
absolute error, and its mean the expected value, which has the smaller squared error and is what
"random forest" means in published tables; the value of a boolean is the mean probability of yes.
With m the median and q_lo, q_hi quantiles of the trees, an interval is

    [ m - k (m - q_lo),  m + k (q_hi - m) ]

where k makes intervals hold the labels of as many training records as they should. Each of these is
judged by the trees that have not seen it (out of bag), as new records are; see Meinshausen, J.
Mach. Learn. Res. 7, 983 (2006) for quantiles of trees, and Johansson et al., Mach. Learn. 97, 155
(2014) for the calibration out of bag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from crystext.errors import InputError
from crystext.metrics.interval_coverage import INTERVAL_LEVELS, residual_quantile
from crystext.predict.baselines.fitting import Answers, BaselineMethod, FeatureTable, clip
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property

_MIN_SPREAD = 0.02
"""Smallest half-width of an interval before calibration, in standard deviations of the errors out
of bag: trees that agree would otherwise be taken for certain."""

_MIN_TREES_OUT_OF_BAG = 10
"""A training record that fewer trees haven't seen takes no part in the calibration."""


@dataclass(frozen=True)
class _NumberForest:
    """A forest for a number."""

    forest: Any
    target: Property
    smallest: float
    """Smallest half-width before calibration."""
    factors: Mapping[float, float]
    """k above, by level."""

    @classmethod
    def fit(cls, forest: Any, target: Property, x: Floats, y: Floats) -> _NumberForest:
        """Fit the trees, and calibrate intervals out of bag."""
        forest.fit(x, y)
        trees_T_N = _tree_answers(forest, x)
        for row, drawn in zip(trees_T_N, forest.estimators_samples_, strict=True):
            row[drawn] = np.nan
        used = np.isfinite(trees_T_N).sum(axis=0) >= min(_MIN_TREES_OUT_OF_BAG, len(trees_T_N) // 4)
        if not used.any():
            return cls(forest, target, 0.0, {})
        trees_T_N, y = trees_T_N[:, used], y[used]
        middle = np.nanmedian(trees_T_N, axis=0)
        smallest = _MIN_SPREAD * float((y - middle).std())
        factors = {}
        for level in INTERVAL_LEVELS:
            low, high = _half_widths(trees_T_N, middle, level, smallest)
            relative = np.where(y < middle, (middle - y) / low, (y - middle) / high)
            factors[level] = residual_quantile(relative, level)
        return cls(forest, target, smallest, factors)

    def answer(self, features: Floats) -> Answers:
        """See `TargetModel.answer`."""
        trees_T_N = _tree_answers(self.forest, features)
        middle = np.median(trees_T_N, axis=0)
        intervals = {}
        for level, factor in self.factors.items():
            low, high = _half_widths(trees_T_N, middle, level, self.smallest)
            ends = np.column_stack([middle - factor * low, middle + factor * high])
            intervals[level] = clip(ends, self.target)
        return Answers(middle, trees_T_N.mean(axis=0), intervals)


@dataclass(frozen=True)
class _ClassForest:
    """A forest for yes or no."""

    forest: Any

    def answer(self, features: Floats) -> Answers:
        """See `TargetModel.answer`."""
        return Answers(self.forest.predict_proba(features)[:, 1])


@dataclass(frozen=True)
class ForestMethod(BaselineMethod):
    """Random forest on composition features, or on descriptors of molecules.

    Validation records are not used: trees are calibrated out of bag.
    """

    name: ClassVar[str] = "forest"
    title: ClassVar[str] = "random forest"

    n_trees: int = 200
    max_features: float = 1 / 3
    """Proportion of the features that are tried at each split."""
    n_jobs: int = 1
    """Threads; the answers do not depend on it."""

    def _fit_target(
        self, table: FeatureTable, name: str, target: Property, seed: int
    ) -> _ClassForest | _NumberForest:
        """See `BaselineMethod._fit_target`."""
        x, y = table.training(name)
        if len(np.unique(y)) < 2:
            problem = next((p for p in table.inputs.problems if p), "its labels are all equal")
            raise InputError(f"no forest for {name}: of the training records, {problem}")
        options = {
            "n_estimators": self.n_trees,
            "max_features": self.max_features,
            "n_jobs": self.n_jobs,
            "random_state": seed,
        }
        if target.kind == "boolean":
            return _ClassForest(RandomForestClassifier(**options).fit(x, y))
        return _NumberForest.fit(RandomForestRegressor(**options), target, x, y)


def _tree_answers(forest: Any, x: Floats) -> Floats:
    """Return the answer of each tree, shape (trees, N)."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    return np.array([tree.tree_.predict(x)[:, 0] for tree in forest.estimators_])


def _half_widths(
    trees_T_N: Floats, middle: Floats, level: float, smallest: float
) -> tuple[Floats, Floats]:
    """Return how far quantiles of the trees lie from their median; nan trees don't count.

    Both are positive.
    """
    low, high = np.nanquantile(trees_T_N, [(1 - level) / 2, (1 + level) / 2], axis=0)
    floor = max(smallest, np.finfo(float).tiny)
    return np.maximum(middle - low, floor), np.maximum(high - middle, floor)


FOREST = ForestMethod()
