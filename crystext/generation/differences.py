"""What tells two campaigns apart, setting by setting, as a message lists it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OPTIONS = {
    "distance_scale": "--min-distance-ratio",
    "format": "--text-format",
    "max_tries": "--max-attempts-per-sample",
    "model_sha256": None,
    "prompt": None,
}
"""Options of `crystext sample` that are called otherwise than the setting; None: there is none."""


def setting_differences(existing: Mapping[str, Any], requested: Mapping[str, Any]) -> list[str]:
    """Return a line for each setting that differs, with the option that sets it.

    Args:
        existing: settings of the run in a folder, as `SamplingRun.identity` returns them.
        requested: those of the campaign that is to go on with it.
    """
    keys = [*requested, *(key for key in existing if key not in requested)]
    different = [key for key in keys if existing.get(key) != requested.get(key)]
    if "model_sha256" not in different:
        # The same weights in another place.
        different = [key for key in different if key != "model"]
    return [
        f"{_with_option(key)}: {_shortened(existing.get(key), 'there')}, "
        f"{_shortened(requested.get(key), 'here')}"
        for key in different
    ]


def _with_option(key: str) -> str:
    option = _OPTIONS.get(key, "--" + key.replace("_", "-"))
    return key if option is None else f"{key} ({option})"


def _shortened(value: Any, where: str) -> str:
    """Return a setting and where it holds; a long table's conditions are cut short."""
    if value is None:
        return f"not given {where}"
    text = repr(value)
    text = text if len(text) <= 300 else f"{text[:300]}..."
    return f"{text} {'there' if where == 'there' else 'asked for'}"
