"""A crystal with its labels, as data sets hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crystext.structures.crystal import Crystal
from crystext.structures.wyckoff.orbits import WyckoffCrystal


@dataclass(frozen=True)
class Record:
    """A crystal with the labels a data set gives it."""

    crystal: Crystal
    labels: Mapping[str, float] = field(default_factory=dict)
    """Values of `property_schema.LABELS`; what is unknown is missing or nan."""
    name: str = ""
    """What its source calls it; no two need differ."""
    wyckoff: WyckoffCrystal | None = None
    """The crystal by its symmetry, for tasks that write it so."""
