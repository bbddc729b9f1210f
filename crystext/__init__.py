"""Crystals as text for language models: encode, decode, train, sample.

Importing the package loads nothing; each name below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystext.conditions import ConditionResult
    from crystext.conditions.sampling_constraints import Constraints
    from crystext.energies.corrections import EnergyCorrection
    from crystext.energies.hull import Hull, HullPosition
    from crystext.energies.hull_sources import open_hull
    from crystext.energies.potential import Potential
    from crystext.energies.potentials import load_potential
    from crystext.energies.relax import Relaxation, RelaxationLimits, RelaxationOutcome, relax
    from crystext.errors import CrystextError, ReadingWarning
    from crystext.evaluate.report import Report
    from crystext.evaluate.run import evaluate_samples
    from crystext.evaluate.stages.base import EvaluationOptions
    from crystext.generation.results import InfillResults, Sample, Samples
    from crystext.grammar.any_tokenizer import GrammarProcessor
    from crystext.grammar.automaton import CoordinateAutomaton
    from crystext.inference.likelihood import Score
    from crystext.io.calculations.export import Export, export_candidates
    from crystext.io.read import as_crystal, read_crystal, read_crystals
    from crystext.io.render import draw_crystals
    from crystext.io.write import write_crystals
    from crystext.lm import CrystalLM
    from crystext.models.load import load_model
    from crystext.predict.language import LanguagePredictor
    from crystext.predict.open import open_predictor
    from crystext.runtime.shipped_files import shipped_model
    from crystext.structures.augment import permute_within_species, translate
    from crystext.structures.crystal import Crystal
    from crystext.structures.property_schema import Property
    from crystext.structures.standardize import standardize
    from crystext.tasks.crystal_generation import generation_prompt
    from crystext.text import FORMATS, Decoded, DecodeFailure, decode, encode
    from crystext.tokenization.encode import prompt_ids

__version__ = "0.1.0"

__all__ = [
    "FORMATS",
    "ConditionResult",
    "Constraints",
    "CoordinateAutomaton",
    "Crystal",
    "CrystalLM",
    "CrystextError",
    "DecodeFailure",
    "Decoded",
    "EnergyCorrection",
    "EvaluationOptions",
    "Export",
    "GrammarProcessor",
    "Hull",
    "HullPosition",
    "InfillResults",
    "LanguagePredictor",
    "Potential",
    "Property",
    "ReadingWarning",
    "Relaxation",
    "RelaxationLimits",
    "RelaxationOutcome",
    "Report",
    "Sample",
    "Samples",
    "Score",
    "as_crystal",
    "decode",
    "draw_crystals",
    "encode",
    "evaluate_samples",
    "export_candidates",
    "generation_prompt",
    "load_model",
    "load_potential",
    "open_hull",
    "open_predictor",
    "permute_within_species",
    "prompt_ids",
    "read_crystal",
    "read_crystals",
    "relax",
    "shipped_model",
    "standardize",
    "translate",
    "write_crystals",
]

_HOMES = {
    "structures.augment": ("permute_within_species", "translate"),
    "text": ("FORMATS", "Decoded", "DecodeFailure", "decode", "encode"),
    "conditions": ("ConditionResult",),
    "conditions.sampling_constraints": ("Constraints",),
    "structures.crystal": ("Crystal",),
    "structures.property_schema": ("Property",),
    "structures.standardize": ("standardize",),
    "energies.corrections": ("EnergyCorrection",),
    "energies.hull": ("Hull", "HullPosition"),
    "energies.hull_sources": ("open_hull",),
    "energies.potential": ("Potential",),
    "energies.potentials": ("load_potential",),
    "energies.relax": ("Relaxation", "RelaxationLimits", "RelaxationOutcome", "relax"),
    "errors": ("CrystextError", "ReadingWarning"),
    "evaluate.report": ("Report",),
    "evaluate.run": ("evaluate_samples",),
    "evaluate.stages.base": ("EvaluationOptions",),
    "grammar.any_tokenizer": ("GrammarProcessor",),
    "grammar.automaton": ("CoordinateAutomaton",),
    "lm": ("CrystalLM",),
    "models.load": ("load_model",),
    "predict.language": ("LanguagePredictor",),
    "predict.open": ("open_predictor",),
    "io.calculations.export": ("Export", "export_candidates"),
    "io.read": ("as_crystal", "read_crystal", "read_crystals"),
    "io.render": ("draw_crystals",),
    "io.write": ("write_crystals",),
    "generation.results": ("InfillResults", "Sample", "Samples"),
    "inference.likelihood": ("Score",),
    "runtime.shipped_files": ("shipped_model",),
    "tasks.crystal_generation": ("generation_prompt",),
    "tokenization.encode": ("prompt_ids",),
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
