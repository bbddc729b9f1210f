"""Where a model lies on disk, whether it is whole, and which one it is.

A model folder is what transformers writes (config.json, model.safetensors, tokenizer files), plus
`crystext.json` (text format) and `prompts/` (the prompt set). Nothing in it is ever executed:
weights are read from safetensors only. This module reads no weights into memory as tensors, and so
needs neither torch nor transformers.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from crystext.errors import ModelError
from crystext.resources import shipped_model

SHIPPED = "shipped"
"""Name of the model that comes with the package."""


def model_folder(source: str | Path = SHIPPED) -> Path:
    """Return the folder of the shipped model, or the folder given, once it is known to be whole.

    Raises:
        ModelError: the folder is missing or incomplete, or its weights are not safetensors.
    """
    folder = shipped_model() if str(source) == SHIPPED else Path(source)
    if not folder.is_dir():
        raise ModelError(
            f"no model folder {folder}; expected {SHIPPED!r} or a folder with config.json"
        )
    missing = [
        name
        for name in ("config.json", "crystext.json", "prompts", "tokenizer.json")
        if not (folder / name).exists()
    ]
    if not list(folder.glob("*.safetensors")):
        missing.append("model.safetensors (other weight formats are not read: they can run code)")
    if missing:
        raise ModelError(f"the model folder {folder} lacks {', '.join(missing)}")
    return folder


def default_temperature(source: str | Path = SHIPPED) -> float:
    """Return the temperature that a model asks to be sampled at in generation_config.json, else 1.

    Raises:
        ModelError: no such model, or the file is damaged.
    """
    path = model_folder(source) / "generation_config.json"
    if not path.exists():
        return 1.0
    try:
        return float(json.loads(path.read_text(encoding="utf-8")).get("temperature") or 1.0)
    except (ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error}") from None


def model_hash(folder: Path) -> str:
    """Return the SHA-256 of a model folder's weights, settings, tokenizer and prompts."""
    suffixes = {".json", ".safetensors", ".txt", ".yaml"}
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
