"""Locate the files that ship with the package, installed or in a checkout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped_path(*parts: str) -> Path:
    """Return the path of a shipped file or folder: `shipped_path("prompts", "default")`.

    In a wheel the folders are inside the package; in a checkout, at its root.
    """
    inside = _package_folder() / "shipped"
    root = inside if inside.is_dir() else _package_folder().parent
    return root.joinpath(*parts)


def shipped_model() -> Path:
    """Return the folder of the model that ships with the package."""
    return _package_folder() / "weights"


def shipped_predictor() -> Path:
    """Return the folder of the property predictor that ships with the package."""
    return _package_folder() / "predictor"


def shipped_sets() -> Path:
    """Return the folder of the sets of crystals that ship with the package."""
    return _package_folder() / "data" / "sets"


def _package_folder() -> Path:
    return Path(str(files("crystext")))
