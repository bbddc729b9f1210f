"""Whether a checkpoint belongs to a run: what may change within one, and what may not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crystext.data.catalogue import digest
from crystext.data.textbook import is_textbook, textbook_file
from crystext.errors import RunError
from crystext.models.initialize import Start
from crystext.models.layout import model_hash
from crystext.training.recipe import Recipe

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


_DIGESTS = {"data": "on other data", "prompts": "with other prompts", "base": "from another base"}
"""What no name of a file says, and what a run is called that differs in it."""


def identity(recipe: Recipe, start: Start, crystals: int, sequences: int) -> dict[str, Any]:
    """Return what may not change within a run.

    Args:
        recipe: the run's.
        start: what its training starts from.
        crystals: to learn from.
        sequences: of a batch.
    """
    fixed = recipe.model_dump(mode="json", exclude=_FREE)
    for name in _FREE_OPTIM:
        fixed["optim"].pop(name)
    splits = [_data_file(recipe.data.store, split) for split in ("train", "validation")]
    words = json.dumps(asdict(start.prompts), sort_keys=True)
    return {
        "recipe": fixed,
        "crystals": crystals,
        "sequences": sequences,
        "digests": {
            "data": hashlib.sha256("".join(map(digest, splits)).encode()).hexdigest(),
            "prompts": hashlib.sha256(words.encode()).hexdigest(),
            "base": None if start.folder is None else model_hash(start.folder, quick=True),
        },
    }


def _data_file(store: Path, split: str) -> Path:
    return textbook_file(split) if is_textbook(store) else store / f"{split}.arrow"


def check_identity(out: Path, was: dict[str, Any], is_now: dict[str, Any]) -> list[str]:
    """Refuse to go on with another run.

    Returns:
        Sentences on what could not be compared.

    Raises:
        RunError: with all settings that differ, or with what else does.
    """
    if was["recipe"] != is_now["recipe"]:
        told = "; ".join(_differences(was["recipe"], is_now["recipe"]))
        raise RunError(
            f"{out} holds a run of another recipe ({told}); give another --out, or that recipe, "
            "which is in recipe.yaml there"
        )
    sizes = (
        f"{was['crystals']:,} crystals in batches of {was['sequences']:,}, and here are "
        f"{is_now['crystals']:,} in batches of {is_now['sequences']:,}"
    )
    old, new = was.get("digests", {}), is_now["digests"]
    if differing := [name for name in new if name in old and old[name] != new[name]]:
        raise RunError(
            f"{out} holds a run {' and '.join(_DIGESTS[name] for name in differing)}, as checksums "
            f"tell ({sizes}); give another --out, or the {' and the '.join(differing)} of that run"
        )
    if any(was[name] != is_now[name] for name in ("crystals", "sequences")):
        raise RunError(
            f"{out} holds a run on other data: {sizes}; give another --out, or those data"
        )
    if absent := [name for name in new if name not in old]:
        return [
            f"the checkpoint in {out} is of an earlier version and has no checksum of its "
            f"{', '.join(absent)}; going on with what is given"
        ]
    return []


def _differences(was: dict[str, Any], is_now: dict[str, Any], prefix: str = "") -> list[str]:
    told = []
    for key in {**was, **is_now}:
        old, new = was.get(key), is_now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            told += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            told.append(f"{prefix}{key} was {old!r} and is {new!r}")
    return told
