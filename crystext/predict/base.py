"""The interface of property prediction: predictors, what they return, and methods that fit them.

A predictor answers for records, a method makes one from labelled records. Benchmarks, the command
line and ranking use any predictor through this interface: a language model, a chat model that is
asked in words, a baseline on element features. To add a method: one file with a `Method`, and one
line in `methods.METHODS`; or, from another distribution, an entry point of the group
`crystext.methods`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property
from crystext.structures.record import Record


@dataclass(frozen=True)
class Predictions:
    """The answers of a predictor for one property of N records."""

    target: Property
    values: Floats
    """(N,) in the property's unit, nan without a valid answer: the median of the predicted
    distribution if the predictor has one. Of a boolean, the probability of yes."""
    problems: tuple[str, ...]
    """(N,) why there is no valid answer, in a sentence; empty if there is one."""
    means: Floats | None = None
    """(N,) expected values; None if the predictor has no distribution."""
    ranks: Floats | None = None
    """(N,) expected ranks among the answers to these records, from 0 to 1: what orders them best.
    None if the predictor has no distribution."""
    modes: Floats | None = None
    """(N,) most probable answers: what greedy decoding writes."""
    intervals: Mapping[float, Floats] = field(default_factory=dict)
    """(N, 2) lower and upper bounds by level, see
    `metrics.interval_coverage.INTERVAL_LEVELS`; empty if there is no distribution."""
    answers: tuple[str, ...] = ()
    """(N,) the texts that were parsed; empty if the predictor writes none."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_valid(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(N,) whether there is an answer. What has none counts as a failure in every rate."""
        return np.isfinite(self.values)


class Predictor(ABC):
    """Predicts properties of records."""

    properties: Mapping[str, Property]
    """What it predicts, by name."""

    @abstractmethod
    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        """Predict properties of records; never raises for the content of a record.

        Args:
            records: any, also failures, which get no value but a problem.
            properties: some of `properties`; None is all.

        Returns:
            By property name, in the order in which they are named.

        Raises:
            SettingError: a property is unknown to this predictor.
        """


@dataclass(frozen=True)
class LabelledRecords:
    """What a method fits a predictor to; a record without a label of a target counts for others."""

    train: Sequence[Record]
    validation: Sequence[Record]
    """For early stopping and calibration; may be empty."""
    targets: Mapping[str, Property]
    """The properties to predict, by name."""


@dataclass(frozen=True)
class Method(ABC):
    """A way to make a predictor from labelled records; a member brings `_fit`."""

    name: ClassVar[str]
    """Its name in suites and on the command line."""
    title: ClassVar[str]
    """A line for tables."""

    def fit(
        self,
        train: Sequence[Record],
        validation: Sequence[Record],
        targets: Mapping[str, Property],
        *,
        seed: int = 0,
    ) -> Predictor:
        """Fit a predictor; records without a label of a target do not count for it.

        Args:
            train: labelled records (`Record.labels`, by the names of `targets`).
            validation: for early stopping and calibration; may be empty.
            targets: the properties to predict, by name.
            seed: the only source of randomness.

        Raises:
            InputError: the training data cannot be fitted, such as a constant target or a single
                class; the message names the target.
        """
        return self._fit(LabelledRecords(train, validation, targets), seed)

    @abstractmethod
    def _fit(self, data: LabelledRecords, seed: int) -> Predictor:
        """Fit a predictor; raises as `fit`."""
