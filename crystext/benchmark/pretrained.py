"""Predictors that were trained before, as methods of a benchmark: nothing is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from crystext.errors import InputError, did_you_mean
from crystext.predict.base import LabelledRecords, Method, Predictions, Predictor
from crystext.predict.open import open_predictor
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.structures.record import Record


@dataclass(frozen=True)
class PretrainedMethod(Method):
    """A trained language model that predicts the task's property under its own or another name."""

    name: ClassVar[str] = "pretrained"
    title: ClassVar[str] = "a trained predictor"

    source: str
    """`shipped`, a folder, or OWNER/NAME on the Hub."""

    def _fit(self, data: LabelledRecords, seed: int) -> RenamedPredictor:
        """Return the predictor for these targets.

        Raises:
            InputError: it does not predict one of them, or predicts it in another unit.
        """
        names = {
            name: matching_property(name, target, self._predictor.properties)
            for name, target in data.targets.items()
        }
        return RenamedPredictor(self._predictor, data.targets, names)

    @cached_property
    def _predictor(self) -> Predictor:
        return open_predictor(self.source)


class RenamedPredictor(Predictor):
    """A predictor whose properties have other names."""

    def __init__(
        self, inner: Predictor, targets: Mapping[str, Property], names: Mapping[str, str]
    ) -> None:
        """Take a predictor, the targets, and its own name of each."""
        self.properties, self._inner, self._names = dict(targets), inner, names

    def predict(
        self, records: Sequence[Record], properties: Sequence[str] | None = None
    ) -> dict[str, Predictions]:
        """Predict under the new names; see `Predictor.predict`."""
        chosen = list(self.properties if properties is None else properties)
        found = self._inner.predict(records, [self._names[name] for name in chosen])
        return {
            name: replace(found[self._names[name]], target=self.properties[name]) for name in chosen
        }


def matching_property(name: str, target: Property, available: Mapping[str, Property]) -> str:
    """Return under which name a predictor knows a property: its own, or an alias.

    Raises:
        InputError: under none, or in another unit.
    """
    aliases = [name, *(x for x, entry in PROPERTIES.items() if name in (x, *entry.columns))]
    match = next((x for x in aliases if x in available), None)
    if match is None:
        raise InputError(
            f"the model predicts {', '.join(available)}, and not {name}."
            + did_you_mean(name, available)
        )
    unit = available[match].unit
    if unit and target.unit and unit != target.unit:
        raise InputError(f"the model predicts {match} in {unit}, and {name} is in {target.unit}")
    return match
