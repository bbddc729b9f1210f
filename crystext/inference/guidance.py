"""Classifier-free guidance: scales the effect of the conditions in a prompt on the logits.

Logits are those without the conditions plus a scale times the difference that the conditions make:
l = l_without + s (l_with - l_without). A scale of 1 is the plain model, 0 the model without
conditions; above 1, samples follow the conditions more closely and vary less. Scales other than
0 and 1 run the model twice.

Source: Ho and Salimans, arXiv:2207.12598, equation 6; for language models Sanchez et al.,
arXiv:2306.17806, equation 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from crystext.inference.types import Request


class WeightedPrompt(NamedTuple):
    """A prompt and the weight of its logits."""

    prompt: str
    weight: float


def weighted_prompts(request: Request, guidance: float) -> list[WeightedPrompt]:
    """Return the prompts whose weighted logits are sampled from; weights sum to 1."""
    without = request.unconditional_prompt
    if guidance == 1 or without is None or without == request.prompt:
        return [WeightedPrompt(request.prompt, 1.0)]
    if guidance == 0:
        return [WeightedPrompt(without, 1.0)]
    return [WeightedPrompt(request.prompt, guidance), WeightedPrompt(without, 1.0 - guidance)]


def mix_logits(logits: Sequence[torch.Tensor], prompts: Sequence[WeightedPrompt]) -> torch.Tensor:
    """Return the weighted sum of the logits after each prompt; of one prompt, its own."""
    if len(logits) == 1:
        return logits[0]
    terms = [part.float() * asked.weight for part, asked in zip(logits, prompts, strict=True)]
    return torch.stack(terms).sum(dim=0)
