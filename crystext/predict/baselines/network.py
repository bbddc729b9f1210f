"""A small dense network on the same features as the forest, by scikit-learn.

Features and labels are standardized; two layers of 256 and 128 rectified units; Adam; training
stops once a tenth of the training data, chosen at random, has not improved for 15 epochs, and the
best weights are kept. Intervals are the answer plus or minus a quantile of the absolute errors on
records that took no part in training: the validation records if there are enough, else another
tenth of the training data. They have one width for all records.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from crystext.errors import InputError
from crystext.metrics.interval_coverage import INTERVAL_LEVELS, residual_quantile
from crystext.predict.baselines.fitting import Answers, BaselineMethod, FeatureTable, clip
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property

_MAX_STANDARDIZED = 5.0
"""Standardized features are cut at this value: rare ones would dominate otherwise."""
_MIN_CALIBRATION = 20
"""Fewer validation records give no intervals; a tenth of the training data is taken instead."""
_MIN_TRAINING = 20
"""With fewer records, a tenth of them cannot tell when to stop."""


@dataclass(frozen=True)
class _Scale:
    """Means and standard deviations of the training data."""

    mean: Floats
    std: Floats

    @classmethod
    def of(cls, values: Floats) -> _Scale:
        std = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(std > 0, std, 1.0))

    def standardize(self, values: Floats) -> Floats:
        scaled = (values - self.mean) / self.std
        return np.clip(scaled, -_MAX_STANDARDIZED, _MAX_STANDARDIZED)


@dataclass(frozen=True)
class _NumberNetwork:
    """A network for a number."""

    network: Any
    scale: _Scale
    mean: float
    std: float
    target: Property
    half_widths: Mapping[float, float]
    """Of intervals, by level."""

    def answer(self, features: Floats) -> Answers:
        """See `TargetModel.answer`."""
        found = self.network.predict(self.scale.standardize(features)) * self.std + self.mean
        intervals = {
            level: clip(np.column_stack([found - half, found + half]), self.target)
            for level, half in self.half_widths.items()
        }
        return Answers(clip(found, self.target), clip(found, self.target), intervals)


@dataclass(frozen=True)
class _ClassNetwork:
    """A network for yes or no."""

    network: Any
    scale: _Scale

    def answer(self, features: Floats) -> Answers:
        """See `TargetModel.answer`."""
        return Answers(self.network.predict_proba(self.scale.standardize(features))[:, 1])


@dataclass(frozen=True)
class NetworkMethod(BaselineMethod):
    """Dense network on composition features, or on descriptors of molecules.

    Validation records calibrate the intervals.
    """

    name: ClassVar[str] = "network"
    title: ClassVar[str] = "dense network"

    hidden: tuple[int, ...] = (256, 128)
    """Units of each layer."""
    patience: int = 15
    """Epochs without improvement after which training stops."""
    max_epochs: int = 300
    batch_size: int = 32
    """Records per update; larger batches end a small table after a few updates."""

    def _fit_target(
        self, table: FeatureTable, name: str, target: Property, seed: int
    ) -> _ClassNetwork | _NumberNetwork:
        """See `BaselineMethod._fit_target`."""
        x, y = table.training(name)
        if len(y) < _MIN_TRAINING or len(np.unique(y)) < 2:
            raise InputError(
                f"a network for {name} has {len(y)} training records with a label and "
                f"features; expected at least {_MIN_TRAINING}, not all with the same label. "
                "Use mean or forest instead"
            )
        options = {
            "hidden_layer_sizes": self.hidden,
            "early_stopping": True,
            "n_iter_no_change": self.patience,
            "max_iter": self.max_epochs,
            "batch_size": min(self.batch_size, len(y) // 2),
            "random_state": seed,
        }
        if target.kind == "boolean":
            scale = _Scale.of(x)
            return _ClassNetwork(_trained(MLPClassifier(**options), scale.standardize(x), y), scale)
        apart = table.validation(name)
        if len(apart[1]) < _MIN_CALIBRATION:
            order = np.random.default_rng(seed).permutation(len(y))
            held, kept = np.split(order, [len(y) // 10])
            apart, x, y = (x[held], y[held]), x[kept], y[kept]
        scale, mean, std = _Scale.of(x), float(y.mean()), float(y.std())
        network = _trained(MLPRegressor(**options), scale.standardize(x), (y - mean) / std)
        errors = network.predict(scale.standardize(apart[0])) * std + mean - apart[1]
        halves = {level: residual_quantile(errors, level) for level in INTERVAL_LEVELS}
        return _NumberNetwork(network, scale, mean, std, target, halves)


def _trained(network: Any, x: Floats, y: Floats) -> Any:
    with warnings.catch_warnings():
        # The limit of epochs is a stop like any other: the best weights so far are kept.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return network.fit(x, y)


NETWORK = NetworkMethod()
