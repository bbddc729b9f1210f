"""The precision of a run's matrix products: chosen for its device where the recipe leaves it open.

What is trained, its averages and optimizers are float32 in any case; `bf16` rounds what layers
multiply, and what adapters leave frozen. A GPU and a processor with instructions for bfloat16 are
several times as fast with it; a processor without them is several times as slow (see
`runtime.device.multiplies_bfloat16`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from crystext.runtime.device import multiplies_bfloat16
from crystext.training.log import RECIPE_FILE
from crystext.training.recipe import Recipe

Chosen = Literal["bf16", "fp32"]


def with_precision(recipe: Recipe, run: Path, accelerator: Accelerator) -> Recipe:
    """Return a recipe with `bf16` or `fp32` in place of `auto`.

    A run goes on in the precision that it was started in, on another device as well. Of a new run,
    the device of the first process decides for all.
    """
    if recipe.precision != "auto":
        return recipe
    fast: Chosen = "bf16" if multiplies_bfloat16(accelerator.device) else "fp32"
    chosen = [_precision_of_run(run / RECIPE_FILE) or fast]
    if accelerator.num_processes > 1:
        broadcast_object_list(chosen)
    return recipe.model_copy(update={"precision": chosen[0]})


def _precision_of_run(path: Path) -> Chosen | None:
    """Return the precision that a run was started in; None if it was not, or has no legible one.

    Whether the run is of the same recipe is checked with its checkpoint.
    """
    try:
        settings: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    found = settings.get("precision") if isinstance(settings, dict) else None
    return cast("Chosen", found) if found in ("bf16", "fp32") else None


def precision_notes(recipe: Recipe, device: torch.device) -> tuple[str, ...]:
    """Return a sentence where a recipe asks for a precision that is slow on this processor."""
    if recipe.precision != "bf16" or device.type != "cpu" or multiplies_bfloat16(device):
        return ()
    return (
        "this processor has no instructions for bfloat16: precision=fp32 trains faster here, with "
        "other rounding",
    )
