"""The section `rewards` of a recipe: how good each sample was, and how far that goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from crystext.runtime.schema import StrictModel

Kind = Literal["elements", "space_group", "sites", "atoms"]
"""What a reward may not change the frequency of (see `weights.class_features`)."""

KINDS: tuple[Kind, ...] = ("elements", "space_group", "sites", "atoms")


class RewardSettings(StrictModel):
    """Samples of the base with a reward each, and the step that they lead to."""

    samples: list[Path] = Field(min_length=1)
    """Folders of `crystext sample`, drawn from the base at the same temperatures."""
    tables: list[Path] = Field(min_length=1)
    """For each folder a table with the reward of its samples: the column `column`, and `index` or
    `name`, the sample's index. Those without a row or a number are left out."""
    column: str = "reward"
    goal: Literal["high", "low"] = "high"
    """Whether a high or a low number is good, such as low for energies."""
    sharpness: float = Field(1.75, gt=0, le=10)
    """Weights are exp(sharpness * advantage), the advantage in units of its standard deviation: how
    much more often a better sample is drawn."""
    most: float = Field(4.0, gt=1)
    """No weight exceeds this, the mean being 1."""
    unchanged: list[Kind] = Field(default_factory=lambda: list(KINDS))
    """Kinds of crystals that are to stay as frequent as they are: a sample is compared with what a
    linear fit expects of its kind. Without, a reward favours what is easy, such as small cells of
    high symmetry, or alloys over oxides where energies are rewarded."""
    as_in_validation: list[Kind] = Field(default_factory=list)
    """Kinds that are to become as frequent as among the store's validation crystals, such as
    `elements` where the samples have too few of one: each step goes a part of the way."""
    known_weight: float = Field(0.4, gt=0)
    """Weight of samples whose formula and space group are those of a crystal in the store: below 1,
    so that a model that scores well does not do so by repeating its training data."""
    fraction: float = Field(0.75, gt=0, le=1)
    """Of the examples: samples. The others are those of the recipe's tasks, on which the
    distribution of the base is kept, so that nothing else is forgotten."""
    divergence_weight: float = Field(1.3, ge=1)
    """Weight of the divergence from the base. 1 leads to the weighted distribution itself; a larger
    number stays closer to the base."""
    held_out: int = Field(1000, gt=0)
    """Number of samples that are not learned but scored at each evaluation."""

    @field_validator("samples", "tables", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | Path) else value
