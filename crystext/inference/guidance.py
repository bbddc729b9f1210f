"""Classifier-free guidance: what a prompt changes in a model's answer, made larger or smaller.

Logits are those without the conditions plus a scale times what the conditions change in them:
l = l_without + s (l_with - l_without). At 1 the model is asked as it is, at 0 without conditions,
above 1 it obeys more and varies less. Any other scale than these two asks the model twice.

Source: Ho and Salimans, arXiv:2207.12598, equation 6; for language models Sanchez et al.,
arXiv:2306.17806, equation 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from crystext.inference.types import Request


class WeightedPrompt(NamedTuple):
    """A prompt that is read, and the weight of its logits."""

    prompt: str
    weight: float


def weighted_prompts(request: Request, guidance: float) -> list[WeightedPrompt]:
    """Return the prompts whose logits make up those that are drawn from; weights sum to 1."""
    without = request.unconditional_prompt
    if guidance == 1 or without is None or without == request.prompt:
        return [WeightedPrompt(request.prompt, 1.0)]
    if guidance == 0:
        return [WeightedPrompt(without, 1.0)]
    return [WeightedPrompt(request.prompt, guidance), WeightedPrompt(without, 1.0 - guidance)]


def mix_logits(logits: Sequence[torch.Tensor], prompts: Sequence[WeightedPrompt]) -> torch.Tensor:
    """Return the weighted sum of the logits behind each prompt; of one prompt, its own."""
    if len(logits) == 1:
        return logits[0]
    terms = [part.float() * asked.weight for part, asked in zip(logits, prompts, strict=True)]
    return torch.stack(terms).sum(dim=0)
