"""The identity of a run: which settings may change when it resumes, and which may not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from crystext.errors import RunError
from crystext.io.read.crystext_outputs import ATTEMPTS_FILE
from crystext.models.digest import model_hash
from crystext.models.encoder import InitialEncoder
from crystext.models.initialize import InitialModel
from crystext.models.text_network import InitialTextNetwork
from crystext.runtime.files import file_digest, text_digest
from crystext.runtime.run_folder import RunFolder
from crystext.runtime.schema import rename_settings
from crystext.training.recipe import RENAMED_SETTINGS, Recipe
from crystext.training.training_data import TrainingData

_CHANGEABLE_SETTINGS = {
    "data",
    "compile",
    "temperature",
    "element_temperature",
    "coordinate_temperature",
    "cell_temperature",
    "sample_format",
    "evaluate_every",
    "checkpoint_every",
    "keep_models",
    "patience",
    "sample_checks",
    "trackers",
}
"""Paths, speed, and frequency of checks."""

_CHANGEABLE_OPTIM_SETTINGS = ("steps", "epochs", "min_steps", "decay_fraction", "micro_tokens")
"""Length of a run and batch size."""


_DIGEST_PHRASES = {
    "data": "on other data",
    "prompts": "with other prompts",
    "base": "from another base",
}
"""Parts compared by checksum, and the phrase for a run that differs in them."""


def run_identity(
    recipe: Recipe,
    initial_model: InitialModel | InitialEncoder | InitialTextNetwork,
    data: TrainingData,
    batch_size: int,
) -> dict[str, Any]:
    """Return the settings that may not change within a run.

    Args:
        recipe: the run's.
        initial_model: the model that training starts from.
        data: what it learns from.
        batch_size: examples of a batch.
    """
    fixed = recipe.model_dump(mode="json", exclude=_CHANGEABLE_SETTINGS)
    for name in _CHANGEABLE_OPTIM_SETTINGS:
        fixed["optim"].pop(name)
    prompts = initial_model.prompts
    words = json.dumps(None if prompts is None else asdict(prompts), sort_keys=True)
    return {
        "recipe": fixed,
        "crystals": data.count,
        "sequences": batch_size,
        "digests": {
            "data": _data_digest(recipe, data),
            "prompts": text_digest(words),
            "base": None
            if initial_model.folder is None
            else model_hash(initial_model.folder, quick=True),
        },
    }


def check_run_identity(
    folder: RunFolder, saved: dict[str, Any], current: dict[str, Any], recipe: Recipe
) -> list[str]:
    """Reject resuming another run.

    A setting that an earlier version did not have counts as its default.

    Args:
        folder: of the run.
        saved: its identity.
        current: that of `recipe`, see `run_identity`.
        recipe: what is to go on.

    Returns:
        Sentences on parts that could not be compared.

    Raises:
        RunError: listing all settings or other parts that differ.
    """
    settings = saved["recipe"]
    rename_settings(settings, RENAMED_SETTINGS)
    _add_defaults(settings, current["recipe"], recipe)
    folder.refuse_differences(settings, current["recipe"])
    out = folder.path
    sizes = (
        f"{saved['crystals']:,} crystals in batches of {saved['sequences']:,}, and here are "
        f"{current['crystals']:,} in batches of {current['sequences']:,}"
    )
    old, new = saved.get("digests", {}), current["digests"]
    if differing := [name for name in new if name in old and old[name] != new[name]]:
        raise RunError(
            f"{out} holds a run {' and '.join(_DIGEST_PHRASES[name] for name in differing)}, "
            f"according to checksums ({sizes}); give another --out, or the "
            f"{' and the '.join(differing)} of that run"
        )
    if any(saved[name] != current[name] for name in ("crystals", "sequences")):
        raise RunError(
            f"{out} holds a run on other data: {sizes}; give another --out, or those data"
        )
    if absent := [name for name in new if name not in old]:
        return [
            f"the checkpoint in {out} is of an earlier version and has no checksum of its "
            f"{', '.join(absent)}; resuming with the given ones"
        ]
    return []


def _add_defaults(saved: dict[str, Any], current: dict[str, Any], model: BaseModel) -> None:
    """Add the defaults of settings that an earlier version did not have, section by section."""
    for name, value in current.items():
        field, inner = type(model).model_fields[name], getattr(model, name)
        if name not in saved and not field.is_required():
            default = field.get_default(call_default_factory=True)
            saved[name] = (
                default.model_dump(mode="json") if isinstance(default, BaseModel) else default
            )
        elif isinstance(inner, BaseModel) and isinstance(saved.get(name), dict):
            _add_defaults(saved[name], value, inner)


def _data_digest(recipe: Recipe, data: TrainingData) -> str:
    """Return the digest of the data, and of the samples and rewards, if there are any."""
    if recipe.rewards is None:
        return data.digest
    files = [run / ATTEMPTS_FILE for run in recipe.rewards.samples] + recipe.rewards.tables
    return text_digest(data.digest + "".join(map(file_digest, files)))
