"""How much a model's perplexity of reference crystals depends on their origin.

This is a property of the model alone, independent of the samples. Each crystal is scored in its
standard primitive cell (`standardize`), so that the value hardly depends on the cell of the stored
reference; the remaining ambiguity is the order of axes of equal length. What goes wrong otherwise:
a model that learned from standard cells is measured by its perplexity of others.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from crystext.errors import InputError, UnavailableError
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import CitedSettings, ReportSection, Stage, StageContext
from crystext.structures.crystal import Crystal
from crystext.structures.standardize import standardize

if TYPE_CHECKING:
    from crystext.inference.likelihood import LikelihoodScorer
    from crystext.models.layout import ModelFolder

_BATCH_SIZE = 20
"""Number of crystals scored between two saves."""


class IptSettings(CitedSettings):
    """Number of crystals and of translations."""

    crystals: int = Field(default=500, ge=1)
    translations: int = Field(default=20, ge=2)
    seed: int = Field(default=0, ge=0)


class IptStage(Stage[IptSettings]):
    """Increase in perplexity under translation."""

    name, title = "ipt", "perplexity under translation"
    settings_model = IptSettings
    section = ReportSection("Perplexity under translation")
    quantities = ("perplexity",)
    uses_samples = False
    affected_by = {"reference": frozenset({"ipt"})}  # noqa: RUF012
    libraries = ("spglib", "torch")
    version = 2

    def dependencies(self, context: StageContext, settings: IptSettings) -> dict[str, Any]:
        """Return the model's digest and the checksum of the reference."""
        return {"model": _model_digest(_model(context)), "reference": context.reference.sha256}

    def measure(self, context: StageContext, settings: IptSettings, result: StageResult) -> None:
        """Score translated copies of crystals of the reference."""
        reference, model = context.reference, _model(context)
        rng = np.random.Generator(np.random.Philox(key=[settings.seed, 0]))
        count = min(settings.crystals, len(reference))
        chosen = sorted(rng.choice(len(reference), count, replace=False).tolist())
        path = context.folder / "ipt.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        key = json.dumps([self.dependencies(context, settings), settings.model_dump(mode="json")])
        done = _read_scores(path, key)
        context.report_progress(len(done), count)
        left = [i for i in chosen if i not in done]
        with path.open("a", encoding="utf-8") as file:
            for start in range(0, len(left), _BATCH_SIZE):
                part = left[start : start + _BATCH_SIZE]
                values = _perplexity_increases(
                    model, [_standardize(reference.crystals[i]) for i in part], settings
                )
                for i, value in zip(part, values, strict=True):
                    done[i] = value
                    file.write(json.dumps({"key": key, "crystal": i, "ipt": value}) + "\n")
                file.flush()
                context.report_progress(len(done), count)
        values = [done[i] for i in chosen]
        result.add_mean(
            "ipt",
            "increase in perplexity under translation",
            values,
            nonnegative=True,
            better="lower",
            source=settings.source,
            note=f"{settings.translations} translations each of crystals of {reference.title}, in "
            "the standard primitive cell; tokens of the crystal only, given the prompt, above the "
            "lowest of them",
        )
        result.add_value(
            "ipt_median",
            "its median",
            float(np.median(values)),
            total=count,
            better="lower",
            note="a few crystals decide on the mean",
        )
        result.add_histogram("ipt", "increase in perplexity, by crystal", values)


def _model(context: StageContext) -> str:
    model = context.options.model or context.sample_set.model
    if model is None:
        raise UnavailableError("the input does not name its model; give one with --model")
    return model


@cache
def _model_folder(model: str) -> ModelFolder:
    """Return the model's folder, looked up once: a name on the Hub needs the network."""
    from crystext.models.layout import open_model

    return open_model(model)


@cache
def _model_digest(model: str) -> str:
    from crystext.models.digest import model_hash

    return model_hash(_model_folder(model).path)


@cache
def _scorer(model: str) -> LikelihoodScorer:
    from crystext.inference.likelihood import LikelihoodScorer
    from crystext.models.load import load_model

    return LikelihoodScorer(load_model(_model_folder(model)))


def _perplexity_increases(
    model: str, crystals: list[Crystal], settings: IptSettings
) -> list[float]:
    from crystext.tasks.crystal_generation import generation_prompt

    scorer = _scorer(model)
    prompt = generation_prompt(scorer.model.prompts)
    scores = scorer.score(crystals, prompt, translations=settings.translations, seed=settings.seed)
    return [score.increase_in_perplexity for score in scores]


def _standardize(crystal: Crystal) -> Crystal:
    try:
        return standardize(crystal)[0]
    except InputError:
        return crystal


def _read_scores(path: Path, key: str) -> dict[int, float]:
    """Return earlier scores; an incomplete line after a kill is scored again."""
    found: dict[int, float] = {}
    if not path.exists():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            if row["key"] == key:
                found[int(row["crystal"])] = float(row["ipt"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


STAGE = IptStage()
