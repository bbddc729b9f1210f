"""Samples one of several values from logits, with random numbers that belong to the crystal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crystext.errors import ModelError
from crystext.structures.crystal import Floats

_MIN_TEMPERATURE = 1e-30
"""Lower temperatures are raised to this one: in float32 they could be zero."""


def uniform_numbers(
    seed: int,
    indices: Sequence[int],
    count: int,
    *,
    redraw: int = 0,
    restart: int | Sequence[int] = 0,
) -> Floats:
    """Return random numbers in [0, 1) that depend only on the seed and each crystal's index.

    Args:
        seed: of the run.
        indices: of the crystals.
        count: random numbers per crystal.
        redraw: how often the crystal was sampled before; each time has separate numbers.
        restart: how often, of these, the sampler itself had to restart; one number for all, or one
            for each.

    Returns:
        Shape (len(indices), count), from Philox keyed by (seed, index); redraws begin after 2^192
        numbers of the first draw, restarts after 2^128.
    """
    restarts = [restart] * len(indices) if isinstance(restart, int) else restart
    return np.stack(
        [
            np.random.Generator(
                np.random.Philox(counter=[0, 0, each, redraw], key=[seed, i])
            ).random(count)
            for i, each in zip(indices, restarts, strict=True)
        ]
    )


def draw_categorical(
    logits_B_V: torch.Tensor,
    uniform_B: torch.Tensor,
    *,
    allowed_B_V: torch.Tensor | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample a value per row by inverting the cumulative distribution at a given random number.

    Args:
        logits_B_V: any floating type.
        uniform_B: float64 in [0, 1).
        allowed_B_V: values that may be sampled; each row has at least one. None allows all.
        temperature: logits are divided by it; 0 takes the most probable value.
        top_p: sample from the smallest set of most probable values with this total probability.

    Returns:
        The values (B,), and their log-probabilities (B,) among the allowed ones at temperature 1.

    Raises:
        ModelError: a logit is not finite.
    """
    logits = logits_B_V.float()
    if allowed_B_V is not None:
        logits = logits.masked_fill(~allowed_B_V, -torch.inf)
    normalizer = logits.logsumexp(dim=1)
    if not normalizer.isfinite().all():
        raise ModelError(
            "the model's logits are not finite: its weights are damaged, or too large for bfloat16"
        )
    if temperature == 0:
        values = logits.argmax(dim=1)
    else:
        values = _invert_cdf(_probabilities(logits, temperature, top_p), uniform_B)
    return values, logits.gather(1, values[:, None]).squeeze(1) - normalizer


def _probabilities(logits_B_V: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    if temperature != 1:
        # The largest is 0 before the division, so that no temperature makes it infinite.
        highest = logits_B_V.amax(dim=1, keepdim=True)
        logits_B_V = (logits_B_V - highest) / max(temperature, _MIN_TEMPERATURE)
    shares = torch.softmax(logits_B_V, dim=1)
    if top_p == 1:
        return shares
    ordered, places = shares.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(dim=1) - ordered
    ordered = ordered.masked_fill(before >= top_p, 0.0)
    return torch.zeros_like(shares).scatter_(1, places, ordered)


def _invert_cdf(shares_B_V: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    cumulative = shares_B_V.double().cumsum(dim=1)
    total = cumulative[:, -1:]
    # The first index above the target has a probability above 0, so it is an allowed value.
    target = torch.minimum(uniform_B[:, None] * total, total * (1 - 1e-12))
    return torch.searchsorted(cumulative, target, right=True).squeeze(1)
