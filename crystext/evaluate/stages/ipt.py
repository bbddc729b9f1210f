"""How much a model's perplexity of reference crystals depends on where their origin is.

This is of the model alone: no sample enters. Each crystal is scored in its standard primitive cell
(`standardize`), so that the figure hardly depends on the cell in which a reference is stored; what
is left is the order of axes of equal length. What goes wrong otherwise: a model that learned from
standard cells is measured by its perplexity of others.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystext.errors import InputError, UnavailableError
from crystext.evaluate import protocol
from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Stage
from crystext.structures.crystal import Crystal
from crystext.structures.standardize import standardize

if TYPE_CHECKING:
    from crystext.inference.likelihood import Scorer

_AT_ONCE = 20
"""Crystals that are scored between two savings."""


class Ipt(Stage):
    """Increase in perplexity under translation."""

    name, title = "ipt", "perplexity under translation"
    of_input = False
    libraries = ("spglib", "torch")
    version = 2

    def settings(self, context: Context) -> dict[str, Any]:
        """Return the model's digest and the checksum of the reference."""
        return {"model": _digest(_model(context)), "reference": context.reference.sha256}

    def measure(self, context: Context, found: Findings) -> None:
        """Score translated copies of crystals of the reference."""
        rules = context.protocol.ipt
        assert rules is not None
        reference, model = context.reference, _model(context)
        rng = np.random.Generator(np.random.Philox(key=[rules.seed, 0]))
        count = min(rules.crystals, len(reference))
        chosen = sorted(rng.choice(len(reference), count, replace=False).tolist())
        path = context.folder / "ipt.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        key = json.dumps([self.settings(context), rules.model_dump(mode="json")])
        done = _read(path, key)
        context.report(len(done), count)
        left = [i for i in chosen if i not in done]
        with path.open("a", encoding="utf-8") as file:
            for start in range(0, len(left), _AT_ONCE):
                part = left[start : start + _AT_ONCE]
                values = _increases(model, [_standard(reference.crystals[i]) for i in part], rules)
                for i, value in zip(part, values, strict=True):
                    done[i] = value
                    file.write(json.dumps({"key": key, "crystal": i, "ipt": value}) + "\n")
                file.flush()
                context.report(len(done), count)
        values = [done[i] for i in chosen]
        found.mean(
            "ipt", "increase in perplexity under translation", values, nonnegative=True,
            better="lower", source=rules.source,
            note=f"{rules.translations} translations each of crystals of {reference.title}, in the "
            "standard primitive cell; tokens of the crystal only, given the prompt, above the "
            "lowest of them",
        )  # fmt: skip
        found.number(
            "ipt_median", "its median", float(np.median(values)), of=count, better="lower",
            note="a few crystals decide on the mean",
        )  # fmt: skip
        found.histogram("ipt", "increase in perplexity, by crystal", values)


def _model(context: Context) -> str:
    model = context.options.model or context.input.model
    if model is None:
        raise UnavailableError("the input does not say which model drew it; name one with --model")
    return model


@cache
def _digest(model: str) -> str:
    from crystext.models.layout import model_folder, model_hash

    return model_hash(model_folder(model))


@cache
def _scorer(model: str) -> Scorer:
    from crystext.inference.likelihood import Scorer
    from crystext.models.load import load_model

    return Scorer(load_model(model))


def _increases(model: str, crystals: list[Any], rules: protocol.Ipt) -> list[float]:
    from crystext.tasks.generation import generation_prompt

    scorer = _scorer(model)
    prompt = generation_prompt(scorer.model.prompts)
    scores = scorer.score(crystals, prompt, translations=rules.translations, seed=rules.seed)
    return [score.increase_in_perplexity for score in scores]


def _standard(crystal: Crystal) -> Crystal:
    try:
        return standardize(crystal)[0]
    except InputError:
        return crystal


def _read(path: Path, key: str) -> dict[int, float]:
    """Return what was scored before; a line that a kill tore is scored again."""
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
