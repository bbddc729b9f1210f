"""The settings of the task `property` in a recipe: what is predicted, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from crystext.errors import SettingError
from crystext.runtime.schema import StrictModel
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.tasks.answer_scales import DEFAULT_DIGITS
from crystext.training.representation_settings import WeightedRepresentations


class TargetSettings(StrictModel):
    """A property that the package does not know: what it means and how it is written."""

    title: str | None = None
    """For people and prompts; None: the name, spaced."""
    unit: str = ""
    kind: Literal["number", "boolean"] = "number"


class PropertySettings(StrictModel):
    """The task `property`: what is predicted, from which texts, and how answers are written."""

    targets: dict[str, TargetSettings | None] | None = None
    """Properties to predict, by name. Those of `structures.property_schema` need no settings, nor
    do columns of a table. A list of names will do. None: all that a table has."""
    inputs: WeightedRepresentations = Field(default_factory=lambda: {"composition": 1.0})
    """Relative weight of each representation of a record (`tasks.representations`); the first one
    that a record has is shown to the model later. A list of names gives all the same weight."""
    answer: Literal["levels", "digits"] = "levels"
    """levels: one token for each answer, for the crystal vocabulary; digits: for any tokenizer."""
    levels: int = Field(128, ge=2, le=1000)
    digits: int = Field(DEFAULT_DIGITS, ge=1, le=9)
    views: int = Field(1, ge=1)
    """Number of equivalent texts of a record whose distributions a prediction averages: of a
    molecule, or of a crystal in a text format."""
    jitter: float = Field(0.0, ge=0, le=1)
    """Noise on the training values before a level is chosen, in units of their standard
    deviation."""

    @field_validator("targets", mode="before")
    @classmethod
    def _targets_of_list(cls, value: Any) -> Any:
        return dict.fromkeys(value) if isinstance(value, list) else value

    @field_validator("targets")
    @classmethod
    def _check_targets(
        cls, targets: dict[str, TargetSettings | None] | None
    ) -> dict[str, TargetSettings | None] | None:
        if targets is None:
            return None
        if not targets:
            raise ValueError("no property is to be predicted; name one or more")
        faults = [
            f"{name} is a category; numbers and booleans can be predicted"
            for name in targets
            if name in PROPERTIES and PROPERTIES[name].kind == "category"
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return targets

    def properties(self, available: Mapping[str, Property] | None = None) -> dict[str, Property]:
        """Return the targets as properties, by name.

        Args:
            available: what the data have, with the titles and units of a table.

        Raises:
            SettingError: no target is named, and the data do not say which there are.
        """
        available = available or {}
        if self.targets is None:
            if not available:
                raise SettingError(
                    "properties.targets names no property, and only a table says what it has; give "
                    "properties.targets, such as [band_gap]"
                )
            return dict(available)
        return {
            name: _target(name, given, available.get(name)) for name, given in self.targets.items()
        }


def _target(name: str, given: TargetSettings | None, available: Property | None) -> Property:
    if given is None and (entry := available or PROPERTIES.get(name)) is not None:
        return entry
    given = given or TargetSettings()
    title = given.title or name.replace("_", " ")
    return Property(name, title, unit=given.unit, kind=given.kind)
