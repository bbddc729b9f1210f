"""The learning rate at each step."""

from __future__ import annotations

import math

from crystext.training.recipe_sections import OptimSettings


def learning_rate(step: int, steps: int, optim: OptimSettings) -> float:
    """Return the learning rate at a step of a run.

    All schedules rise linearly over `optim.warmup_steps`, or over `optim.warmup_fraction` of the
    steps. Then `cosine` decays along half a cosine (Loshchilov and Hutter, arXiv:1608.03983,
    without restarts) to `optim.final_rate_fraction` of the rate, `constant` stays, and `wsd` stays
    and decays linearly to zero over the last `optim.decay_fraction` of the steps.
    `one_cycle` (Smith and Topin, arXiv:1708.07120, as torch's OneCycleLR) has no such rise: it
    begins at 1/25 of the rate, rises along half a cosine, and decays along another one, over
    `optim.decay_fraction`, to 1/250,000 of the rate.
    """
    if optim.schedule == "one_cycle":
        return optim.learning_rate * _one_cycle(step, steps, optim.decay_fraction)
    warmup = optim.warmup_steps
    if optim.warmup_fraction is not None:
        warmup = round(optim.warmup_fraction * steps)
    rise = min(1.0, (step + 1) / max(1, warmup))
    if optim.schedule == "cosine":
        done = (step - warmup) / max(1, steps - warmup)
        factor = min(rise, _half_cosine(1.0, optim.final_rate_fraction, done))
    elif optim.schedule == "wsd":
        factor = min(rise, (steps - step) / max(1.0, optim.decay_fraction * steps))
    else:
        factor = rise
    return optim.learning_rate * factor


def _one_cycle(step: int, steps: int, decay_fraction: float) -> float:
    """Return the part of the highest rate, which is reached at the end of the rise."""
    first, last = 1 / 25, 1 / 25e4
    top = (1 - decay_fraction) * steps - 1
    if step <= top:
        return _half_cosine(first, 1.0, step / max(top, 1e-9))
    return _half_cosine(1.0, last, (step - top) / max(steps - 1 - top, 1e-9))


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done))))
