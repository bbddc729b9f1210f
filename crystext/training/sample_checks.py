"""Checks of a model in training that cost more than a loss: translation invariance, samples."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from crystext.conditions.sampling_constraints import Constraints
from crystext.inference.generate import TextGenerator
from crystext.inference.types import Request, SamplingSettings
from crystext.metrics.ipt import mean_ipt
from crystext.models.initialize import InitialModel
from crystext.models.layout import Temperatures
from crystext.models.load import LoadedModel, load_model, save_model
from crystext.tasks.base import Example
from crystext.tasks.crystal_generation import UNCONDITIONAL, generation_prompt
from crystext.text import Format
from crystext.tokenization.encode import IGNORED_LABEL, example_ids
from crystext.training.example_stream import Examples, TrainingRow
from crystext.training.loss import base_network
from crystext.training.objectives import MeanLosses
from crystext.training.packed_attention import standard_attention
from crystext.training.recipe_sections import SampleCheckSettings

_BATCH_SIZE = 64
_SEED = 0
"""The same crystals, translations and random numbers in every check, so that checks can be
compared."""


def validation_ipt(
    mean_losses: MeanLosses, examples: Examples, checks: SampleCheckSettings
) -> float:
    """Return the mean IPT (see `metrics.ipt`) of the first validation crystals.

    The crystal's text counts, the end of sequence does not. All processes do the same work, as
    there is little of it.
    """
    tokenizer = examples.tokenizer
    prompt = generation_prompt(examples.prompts, fmt=examples.format)

    def losses_of_texts(texts: list[str]) -> list[float]:
        rows: list[TrainingRow] = []
        for text in texts:
            ids, labels = example_ids(tokenizer, Example(prompt, text))
            rows.append((ids, [*labels[:-1], IGNORED_LABEL]))
        return mean_losses(rows)

    count = min(checks.ipt_crystals, len(examples.data))
    crystals = [examples.data[i].require_crystal() for i in range(count)]
    return mean_ipt(
        crystals,
        losses_of_texts,
        examples.format,
        translations=checks.ipt_translations,
        seed=_SEED,
    )


def sampled_validity(
    initial_model: InitialModel,
    checks: SampleCheckSettings,
    temperatures: Temperatures,
    fmt: Format | None = None,
) -> dict[str, float]:
    """Sample crystals with the current weights, and return the proportions of valid ones.

    They are sampled in the model's default format for sampling.

    Constraints are off where they could hide what the model has not learned: a text may break the
    format, and atoms may meet.

    Returns:
        `sampled_parse`, `sampled_structure_valid`, `sampled_composition_valid`.
    """
    fmt = fmt or initial_model.format
    settings = SamplingSettings(
        seed=_SEED,
        temperature=temperatures.text,
        element_temperature=temperatures.element,
        coordinate_temperature=temperatures.coordinate,
        cell_temperature=temperatures.cell,
        constrained=False,
    )
    request = Request(
        generation_prompt(initial_model.prompts, fmt=fmt),
        Constraints(max_atoms=checks.sampled_max_atoms),
        format=fmt,
    )
    texts = _sample_texts(initial_model, settings, request, checks.sampled_crystals)
    example = Example(request.prompt, "", fmt)
    scores = [UNCONDITIONAL.score(example, text) for text in texts]
    return {
        f"sampled_{measure}": sum(score[measure] for score in scores) / checks.sampled_crystals
        for measure in UNCONDITIONAL.measures
    }


def _sample_texts(
    initial_model: InitialModel, settings: SamplingSettings, request: Request, count: int
) -> list[str]:
    """Sample texts with the current weights, without a change to the network in training."""
    base = base_network(initial_model.network)
    if base is not initial_model.network and next(base.parameters()).is_cuda:
        # Too large for a second copy: sampled directly.
        with standard_attention(base), torch.inference_mode():
            model = LoadedModel(
                initial_model.network,
                initial_model.tokenizer,
                initial_model.prompts,
                initial_model.format,
                Path("in training"),
            )
            return _draw_texts(TextGenerator(model, settings, in_place=True), request, count)
    # Through the disk: the sampled model is the one that would be saved, and training keeps its
    # network.
    with TemporaryDirectory() as folder:
        saved = Path(folder) / "model"
        save_model(
            saved,
            initial_model.network,
            initial_model.tokenizer,
            initial_model.prompts,
            initial_model.format,
            base=initial_model.base,
        )
        model = load_model(saved)
    return _draw_texts(TextGenerator(model, settings), request, count)


def _draw_texts(generator: TextGenerator, request: Request, count: int) -> list[str]:
    """Return completed texts; a truncated one is not a crystal and becomes empty."""
    batches = generator.draw_batches(request, count, _BATCH_SIZE)
    return ["" if attempt.failure else attempt.text for batch in batches for attempt in batch]
