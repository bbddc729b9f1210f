"""The digest of a model folder, by which runs and results name the model that made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from crystext.errors import ModelError, describe_error
from crystext.models.layout import BASE_SUBFOLDER, base_folder, is_adapter, read_description

_SMALL_FILE_BYTES = 2**28
"""Bytes that take a fraction of a second to hash."""


def model_hash(folder: Path, *, quick: bool = False) -> str:
    """Return the SHA-256 of a model folder's weights, settings, tokenizer and prompts.

    That of an adapter covers its base too, but not the location of the base.

    Args:
        folder: of a model, an adapter or a base.
        quick: of large files take the size and a part of each hundredth: this distinguishes
            trained weights from others, but proves nothing.

    Raises:
        ModelError: the adapter's base is not available.
    """
    digest = hashlib.sha256()
    for path in _hashed_files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        if is_adapter(folder) and path.name in ("adapter_config.json", "crystext.json"):
            digest.update(hashlib.sha256(_without_base_location(path)).digest())
            continue
        digest.update(_file_hash(path, quick))
    if is_adapter(folder) and (base := read_description(folder).base) is not None:
        digest.update(b"base\0")
        digest.update(model_hash(base_folder(base.source, folder), quick=quick).encode())
    return digest.hexdigest()


def _file_hash(path: Path, quick: bool) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as file:
        if not quick or size <= _SMALL_FILE_BYTES:
            return hashlib.file_digest(file, "sha256").digest()
        digest = hashlib.sha256(str(size).encode())
        for i in range(100):
            file.seek(i * size // 100)
            digest.update(file.read(2**16))
    return digest.digest()


def _hashed_files(folder: Path) -> Iterator[Path]:
    suffixes = {".json", ".safetensors", ".txt", ".yaml"}
    inside = folder / BASE_SUBFOLDER if is_adapter(folder) else None
    for path in sorted(p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file()):
        if inside is None or inside not in path.parents:
            yield path


def _without_base_location(path: Path) -> bytes:
    """Return a settings file's content without the location of the base."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key in ("base", "base_model_name_or_path"):
            content.pop(key, None)
    except (ValueError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{path} is damaged: {describe_error(error, 'its values are of another kind')}"
        ) from None
    return json.dumps(content, sort_keys=True).encode()
