"""Compares a store on disk with the one that is requested in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crystext.data.split import DEFAULT_FRACTIONS, parse_fractions, round_fractions
from crystext.data.store import SPLITS, STORE_FILE
from crystext.errors import RunError


def check_existing_store(out: Path, requested: dict[str, Any]) -> None:
    """Refuse to replace a store that was made from other crystals or with other settings.

    Args:
        out: folder of the store, which may be missing.
        requested: sources and settings of the new store. Without `split`, the splits follow from
            the source, and are not known yet.

    Raises:
        RunError: a store of other crystals or settings is there.
    """
    if not (out / STORE_FILE).exists():
        return
    there = json.loads((out / STORE_FILE).read_text(encoding="utf-8"))
    # As in JSON.
    requested = json.loads(json.dumps(requested))
    found = []
    for role in ("source", *SPLITS[1:]):
        old, new = there.get(role), requested.get(role)
        if _source_identity(old) != _source_identity(new):
            names = [_source_name(x) for x in (old, new)]
            also = " of other contents" if names[0] == names[1] else ""
            found.append(f"{role} {names[0]} there, {names[1]}{also} requested")
    old, new = there.get("settings"), requested["settings"]
    # Stores of versions without --lenient were made without it.
    old = {"lenient": False, **(old if isinstance(old, dict) else {})}
    if new["split"] is None and old.get("split") == round_fractions(
        parse_fractions(DEFAULT_FRACTIONS)
    ):
        new["split"] = old["split"]
    found += [
        f"{key} {json.dumps(old.get(key))} there, {json.dumps(value)} requested"
        for key, value in new.items()
        if old.get(key) != value
    ]
    if found:
        raise RunError(
            f"{out} holds a different store: {'; '.join(found)}. Name another folder, or "
            "remove this one if it is not needed"
        )


def _source_identity(source: object) -> object:
    """Return what two sources of the same crystals share, independent of their paths."""
    if not isinstance(source, dict):
        return source
    return {key: value for key, value in source.items() if key not in ("name", "unreadable")}


def _source_name(source: object) -> str:
    return str(source.get("name") if isinstance(source, dict) else source or "none")
