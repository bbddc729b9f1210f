"""What the baselines share: labels to fit, refusals, and predictions with their problems.

A baseline fits one model for each target. `FittedBaseline` asks each for its answers to the records
that have features, and puts them in the order of all records.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from crystext.data.property_table import label_values
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.predict.base import LabelledRecords, Method, Predictions, Predictor
from crystext.predict.baselines.inputs import (
    Features,
    Imputer,
    Inputs,
    choose_features,
    read_inputs,
)
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property
from crystext.structures.record import Record


@dataclass(frozen=True)
class Answers:
    """Answers of a model to n records: numbers, or probabilities of yes."""

    values: Floats
    """(n,)"""
    means: Floats | None = None
    intervals: Mapping[float, Floats] = field(default_factory=dict)
    """(n, 2) by level."""
    modes: Floats | None = None
    """The most probable ones; None where values have no distribution over answers."""
    ranks: Floats | None = None
    """(n,) expected ranks among these answers; None likewise."""


class TargetModel(Protocol):
    """A fitted model of one target."""

    def answer(self, features: Floats) -> Answers:
        """Answer for features of shape (n, number of features) without gaps."""


@dataclass(frozen=True)
class FittedBaseline(Predictor):
    """A model for each target, on the same features."""

    properties: Mapping[str, Property]
    models: Mapping[str, TargetModel]
    features: Features
    imputer: Imputer

    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        """See `Predictor.predict`."""
        names = check_properties(self.properties, properties)
        inputs = read_inputs(self.features, records)
        valid = inputs.is_valid
        x = self.imputer.fill(inputs.values[valid])
        found = {}
        for name in names:
            answers = self.models[name].answer(x) if len(x) else Answers(np.zeros(0))
            found[name] = scatter(self.properties[name], answers, valid, inputs.problems)
        return found


class FeatureTable:
    """Features and labels of training and validation records."""

    def __init__(self, features: Features, data: LabelledRecords) -> None:
        """Read the features of the training records; those of validation are read when used."""
        self.features, self._data = features, data
        self.inputs = read_inputs(features, data.train)
        self.imputer = Imputer.of(self.inputs.values)

    def training(self, name: str) -> tuple[Floats, Floats]:
        """Return features and labels of the training records that have both."""
        return self._with_both(name, self._data.train, self.inputs)

    def validation(self, name: str) -> tuple[Floats, Floats]:
        """Return features and labels of the validation records that have both."""
        return self._with_both(name, self._data.validation, self._validation_inputs)

    @cached_property
    def _validation_inputs(self) -> Inputs:
        return read_inputs(self.features, self._data.validation)

    def _with_both(
        self, name: str, records: Sequence[Record], inputs: Inputs
    ) -> tuple[Floats, Floats]:
        labels = label_values(records, name)
        used = inputs.is_valid & np.isfinite(labels)
        return self.imputer.fill(inputs.values[used]), labels[used]


@dataclass(frozen=True)
class BaselineMethod(Method):
    """A method that fits a model of each target to features."""

    features: Features = "auto"

    def _fit(self, data: LabelledRecords, seed: int) -> FittedBaseline:
        """See `Method.fit`."""
        for name, target in data.targets.items():
            labels_to_fit(data.train, name, target)
        table = FeatureTable(choose_features(self.features, data.train), data)
        models = {
            name: self._fit_target(table, name, target, seed)
            for name, target in data.targets.items()
        }
        return FittedBaseline(data.targets, models, table.features, table.imputer)

    @abstractmethod
    def _fit_target(
        self, table: FeatureTable, name: str, target: Property, seed: int
    ) -> TargetModel:
        """Fit a model of one target; raises `InputError` if its records cannot be fitted."""


def check_properties(
    predicted: Mapping[str, Property], properties: Sequence[str] | str | None
) -> Sequence[str]:
    """Return the properties to predict, in the order in which they are named; None is all.

    Raises:
        SettingError: one is unknown, or there is none.
    """
    if properties is None:
        return list(predicted)
    named = [properties] if isinstance(properties, str) else properties
    if not isinstance(named, Sequence) or not named:
        raise SettingError(
            f"the properties are {properties!r}; expected some of {', '.join(predicted)}"
        )
    for name in named:
        if name not in predicted:
            raise SettingError(
                f"this predictor does not predict {name!r}; it predicts {', '.join(predicted)}."
                + did_you_mean(name, predicted)
            )
    return list(dict.fromkeys(named))


def scatter(
    target: Property,
    answers: Answers,
    valid: np.ndarray[tuple[int], np.dtype[np.bool_]],
    problems: tuple[str, ...],
) -> Predictions:
    """Return answers to the valid records as predictions for all."""

    def spread(given: Floats | None, shape: tuple[int, ...]) -> Floats:
        whole = np.full(shape, np.nan)
        if given is not None and valid.any():
            whole[valid] = given
        return whole

    n = len(valid)
    return Predictions(
        target,
        spread(answers.values, (n,)),
        problems,
        means=None if answers.means is None else spread(answers.means, (n,)),
        ranks=None if answers.ranks is None else spread(answers.ranks, (n,)),
        modes=None if answers.modes is None else spread(answers.modes, (n,)),
        intervals={level: spread(x, (n, 2)) for level, x in answers.intervals.items()},
    )


def labels_to_fit(records: Sequence[Record], name: str, target: Property) -> Floats:
    """Return the labels of training records, shape (N,), nan where unknown.

    Raises:
        InputError: there is no label, all are equal, or there is one class.
    """
    values = label_values(records, name)
    known = values[np.isfinite(values)]
    if not len(known):
        raise InputError(f"no training record has a label of {name}; check the name of the column")
    if (known == known[0]).all():
        if target.kind == "boolean":
            raise InputError(
                f"all {len(known):,} training labels of {name} are "
                f"{'yes' if known[0] else 'no'}; expected both classes"
            )
        raise InputError(
            f"all {len(known):,} training labels of {name} are {target.format(float(known[0]))}; a "
            "constant cannot be learnt. Check the column, or leave out this target"
        )
    return values


def clip(ends: Floats, target: Property) -> Floats:
    """Return interval ends within the range that the property can have."""
    return np.clip(ends, target.minimum, target.maximum)
