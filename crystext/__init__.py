"""Crystals as text for language models: encode, decode, train, sample.

Importing the package loads nothing; each name below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystext.conditions import ConditionResult
    from crystext.energies.hull import Hull
    from crystext.energies.hull_sources import open_hull
    from crystext.errors import CrystextError, ReadingWarning
    from crystext.generation.results import InfillResults, Sample, Samples
    from crystext.inference.likelihood import Score
    from crystext.io.read import as_crystal, read_crystal, read_crystals
    from crystext.lm import CrystalLM
    from crystext.models.load import load_model
    from crystext.structures.augment import permute_within_species, translate
    from crystext.structures.crystal import Crystal
    from crystext.text import FORMATS, Decoded, DecodeFailure, decode, encode

__version__ = "0.1.0"

__all__ = [
    "FORMATS",
    "ConditionResult",
    "Crystal",
    "CrystalLM",
    "CrystextError",
    "DecodeFailure",
    "Decoded",
    "Hull",
    "InfillResults",
    "ReadingWarning",
    "Sample",
    "Samples",
    "Score",
    "as_crystal",
    "decode",
    "encode",
    "load_model",
    "open_hull",
    "permute_within_species",
    "read_crystal",
    "read_crystals",
    "translate",
]

_HOMES = {
    "structures.augment": ("permute_within_species", "translate"),
    "text": ("FORMATS", "Decoded", "DecodeFailure", "decode", "encode"),
    "conditions": ("ConditionResult",),
    "structures.crystal": ("Crystal",),
    "energies.hull": ("Hull",),
    "energies.hull_sources": ("open_hull",),
    "errors": ("CrystextError", "ReadingWarning"),
    "lm": ("CrystalLM",),
    "models.load": ("load_model",),
    "io.read": ("as_crystal", "read_crystal", "read_crystals"),
    "generation.results": ("InfillResults", "Sample", "Samples"),
    "inference.likelihood": ("Score",),
}
"""The module that each public name comes from."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"crystext.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
