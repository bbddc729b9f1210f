"""Looks at a model in training that cost more than a loss: symmetry under translation, samples."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from crystext.conditions.constraints import Constraints
from crystext.inference.any_tokenizer_sampler import TextSampler
from crystext.inference.samplers import Sampler, make_sampler
from crystext.inference.types import DrawSettings, Request
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.ipt import mean_ipt
from crystext.metrics.structure_validity import is_structure_valid
from crystext.models.initialize import Start
from crystext.models.layout import Temperatures
from crystext.models.load import LoadedModel, load_model, save_model
from crystext.tasks.base import Example
from crystext.tasks.generation import generation_prompt
from crystext.text import Format, decode
from crystext.tokenization.encode import IGNORED, example_ids
from crystext.training.attention import ordinary_attention
from crystext.training.examples import Examples, Row
from crystext.training.loss import base_network
from crystext.training.recipe import ProbeSettings
from crystext.training.validation import Scorer

_BATCH = 64
_SEED = 0
"""The same crystals, translations and random numbers at every look, so that looks compare."""


def ipt(scorer: Scorer, examples: Examples, probes: ProbeSettings) -> float:
    """Return the mean IPT (see `metrics.ipt`) of the first validation crystals.

    The crystal's text counts, the end of sequence does not. All processes do the same work: there
    is little of it.
    """
    tokenizer, prompt = examples.tokenizer, generation_prompt(examples.prompts)

    def mean_losses(texts: list[str]) -> list[float]:
        rows: list[Row] = []
        for text in texts:
            ids, labels = example_ids(tokenizer, Example(prompt, text))
            rows.append((ids, [*labels[:-1], IGNORED]))
        return scorer.mean_losses(rows)

    count = min(probes.ipt_crystals, len(examples.data))
    crystals = [examples.data[i].crystal for i in range(count)]
    return mean_ipt(
        crystals,
        mean_losses,
        examples.format,
        translations=probes.ipt_translations,
        seed=_SEED,
    )


def sampled_validity(
    start: Start, probes: ProbeSettings, temperatures: Temperatures, fmt: Format | None = None
) -> dict[str, float]:
    """Draw crystals with the present weights, and return which shares of all draws are valid.

    They are drawn in the format that the model asks to be drawn in, None being its own.

    Constraints are off where they could hide what the model has not learned: a text may break the
    format, and atoms may meet.

    Returns:
        `sampled_parse`, `sampled_structure_valid`, `sampled_composition_valid`.
    """
    settings = DrawSettings(
        seed=_SEED,
        temperature=temperatures.text,
        element_temperature=temperatures.element,
        coordinate_temperature=temperatures.coordinate,
        constrained=False,
    )
    request = Request(
        generation_prompt(start.prompts, by_symmetry=fmt is not None and fmt.by_symmetry),
        Constraints(max_atoms=probes.sampled_max_atoms),
        format=fmt,
    )
    base = base_network(start.network)
    if base is not start.network and next(base.parameters()).is_cuda:
        # Too large to be held twice: drawn from as it stands.
        with ordinary_attention(base), torch.inference_mode():
            model = LoadedModel(
                start.network, start.tokenizer, start.prompts, start.format, Path("in training")
            )
            texts = _texts(TextSampler(model, settings, fmt), request, probes.sampled_crystals)
    else:
        # By way of the disk: what is drawn from is what would be saved, and training stays alone
        # with its network.
        with TemporaryDirectory() as folder:
            saved = Path(folder) / "model"
            save_model(
                saved, start.network, start.tokenizer, start.prompts, start.format, base=start.base
            )
            model = load_model(saved)
        texts = _texts(make_sampler(model, settings, fmt), request, probes.sampled_crystals)
    crystals = [decoded.crystal for text in texts if (decoded := decode(text)).crystal is not None]
    shares = {
        "sampled_parse": len(crystals),
        "sampled_structure_valid": sum(is_structure_valid(x) for x in crystals),
        "sampled_composition_valid": sum(is_composition_valid(x.numbers) for x in crystals),
    }
    return {name: count / probes.sampled_crystals for name, count in shares.items()}


def _texts(sampler: Sampler, request: Request, count: int) -> list[str]:
    """Return texts that ended; one that was cut off is no crystal's, and comes as nothing."""
    texts = []
    for start in range(0, count, _BATCH):
        attempts = sampler.draw(request, range(start, min(count, start + _BATCH)))
        texts += ["" if attempt.fault else attempt.text for attempt in attempts]
    return texts
