"""Whether a checkpoint belongs to a run: what may change within one, and what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crystext.config import Recipe
from crystext.errors import RunError

_FREE = {
    "data",
    "compile",
    "temperature",
    "element_temperature",
    "coordinate_temperature",
    "sample_format",
    "evaluate_every",
    "checkpoint_every",
    "patience",
    "probes",
    "trackers",
}
"""Where things are, how fast they are done, how often to look."""

_FREE_OPTIM = ("steps", "epochs", "decay_share", "micro_tokens")
"""How long a run is, and how a batch is cut."""


def identity(recipe: Recipe, crystals: int, sequences: int) -> dict[str, Any]:
    """Return what may not change within a run.

    Args:
        recipe: the run's.
        crystals: to learn from.
        sequences: of a batch.
    """
    fixed = recipe.model_dump(mode="json", exclude=_FREE)
    for name in _FREE_OPTIM:
        fixed["optim"].pop(name)
    return {"recipe": fixed, "crystals": crystals, "sequences": sequences}


def check_identity(out: Path, was: dict[str, Any], is_now: dict[str, Any]) -> None:
    """Refuse to go on with another run.

    Raises:
        RunError: with all settings that differ, or with the other size of the data.
    """
    if was["recipe"] != is_now["recipe"]:
        told = "; ".join(_differences(was["recipe"], is_now["recipe"]))
        raise RunError(
            f"{out} holds a run of another recipe ({told}); give another --out, or that recipe, "
            "which is in recipe.yaml there"
        )
    if was != is_now:
        raise RunError(
            f"{out} holds a run on other data: {was['crystals']:,} crystals in batches of "
            f"{was['sequences']:,}, and here are {is_now['crystals']:,} in batches of "
            f"{is_now['sequences']:,}; give another --out, or those data"
        )


def _differences(was: dict[str, Any], is_now: dict[str, Any], prefix: str = "") -> list[str]:
    told = []
    for key in {**was, **is_now}:
        old, new = was.get(key), is_now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            told += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            told.append(f"{prefix}{key} was {old!r} and is {new!r}")
    return told
