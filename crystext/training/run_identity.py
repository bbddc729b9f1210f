"""Whether a checkpoint belongs to a run: what may change within one, and what may not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crystext.data.textbook import is_textbook, textbook_file
from crystext.errors import RunError
from crystext.models.initialize import InitialModel
from crystext.models.layout import model_hash
from crystext.runtime.files import file_digest, text_digest
from crystext.runtime.run_folder import RunFolder
from crystext.runtime.schema import rename_settings
from crystext.training.recipe import RENAMED_SETTINGS, Recipe

_CHANGEABLE_SETTINGS = {
    "data",
    "compile",
    "temperature",
    "element_temperature",
    "coordinate_temperature",
    "sample_format",
    "evaluate_every",
    "checkpoint_every",
    "patience",
    "sample_checks",
    "trackers",
}
"""Where things are, how fast they are done, how often to look."""

_CHANGEABLE_OPTIM_SETTINGS = ("steps", "epochs", "decay_fraction", "micro_tokens")
"""How long a run is, and how a batch is cut."""


_DIGEST_PHRASES = {
    "data": "on other data",
    "prompts": "with other prompts",
    "base": "from another base",
}
"""What no name of a file says, and what a run is called that differs in it."""


def run_identity(
    recipe: Recipe, initial_model: InitialModel, crystals: int, batch_size: int
) -> dict[str, Any]:
    """Return what may not change within a run.

    Args:
        recipe: the run's.
        initial_model: what its training starts from.
        crystals: to learn from.
        batch_size: examples of a batch.
    """
    fixed = recipe.model_dump(mode="json", exclude=_CHANGEABLE_SETTINGS)
    for name in _CHANGEABLE_OPTIM_SETTINGS:
        fixed["optim"].pop(name)
    splits = [_data_file(recipe.data.store, split) for split in ("train", "validation")]
    words = json.dumps(asdict(initial_model.prompts), sort_keys=True)
    return {
        "recipe": fixed,
        "crystals": crystals,
        "sequences": batch_size,
        "digests": {
            "data": text_digest("".join(map(file_digest, splits))),
            "prompts": text_digest(words),
            "base": None
            if initial_model.folder is None
            else model_hash(initial_model.folder, quick=True),
        },
    }


def _data_file(store: Path, split: str) -> Path:
    return textbook_file(split) if is_textbook(store) else store / f"{split}.arrow"


def check_run_identity(
    folder: RunFolder, saved: dict[str, Any], current: dict[str, Any]
) -> list[str]:
    """Refuse to go on with another run.

    Returns:
        Sentences on what could not be compared.

    Raises:
        RunError: with all settings that differ, or with what else does.
    """
    recipe = saved["recipe"]
    rename_settings(recipe, RENAMED_SETTINGS)
    folder.refuse_differences(recipe, current["recipe"])
    out = folder.path
    sizes = (
        f"{saved['crystals']:,} crystals in batches of {saved['sequences']:,}, and here are "
        f"{current['crystals']:,} in batches of {current['sequences']:,}"
    )
    old, new = saved.get("digests", {}), current["digests"]
    if differing := [name for name in new if name in old and old[name] != new[name]]:
        raise RunError(
            f"{out} holds a run {' and '.join(_DIGEST_PHRASES[name] for name in differing)}, as "
            f"checksums tell ({sizes}); give another --out, or the {' and the '.join(differing)} "
            "of that run"
        )
    if any(saved[name] != current[name] for name in ("crystals", "sequences")):
        raise RunError(
            f"{out} holds a run on other data: {sizes}; give another --out, or those data"
        )
    if absent := [name for name in new if name not in old]:
        return [
            f"the checkpoint in {out} is of an earlier version and has no checksum of its "
            f"{', '.join(absent)}; going on with what is given"
        ]
    return []
