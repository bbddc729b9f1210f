"""The learning rate at each step."""

from __future__ import annotations

import math

from crystext.training.recipe import OptimSettings


def learning_rate(step: int, steps: int, optim: OptimSettings) -> float:
    """Return the learning rate at a step of a run.

    All schedules rise linearly over `optim.warmup_steps`. Then `cosine` decays to zero along half a
    cosine (Loshchilov and Hutter, arXiv:1608.03983, without restarts), `constant` stays, and `wsd`
    stays and decays linearly to zero over the last `optim.decay_fraction` of the steps.
    """
    rise = min(1.0, (step + 1) / max(1, optim.warmup_steps))
    if optim.schedule == "cosine":
        done = (step - optim.warmup_steps) / max(1, steps - optim.warmup_steps)
        factor = min(rise, 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done)))))
    elif optim.schedule == "wsd":
        factor = min(rise, (steps - step) / max(1.0, optim.decay_fraction * steps))
    else:
        factor = rise
    return optim.learning_rate * factor
