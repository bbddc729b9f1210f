"""Crystals and sources that tests of the evaluation share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crystext.energies.potential import Potential
from crystext.energies.potentials import load_potential_once
from crystext.structures.crystal import Crystal
from crystext.text import decode, encode

CENTRE = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])


def two_atom_crystal(
    length: float, angle: float, numbers: Sequence[int], positions: Any = CENTRE
) -> Crystal:
    """Return a rhombohedral or cubic cell of two atoms."""
    return Crystal(np.full(3, length), np.full(3, angle), np.array(numbers), positions)


ROCK_SALT = two_atom_crystal(3.99, 60.0, [11, 17])
BRASS = two_atom_crystal(2.95, 90.0, [29, 30])
OVERLAPPING = two_atom_crystal(3.99, 60.0, [19, 17], np.array([[0, 0, 0], [0.02, 0.02, 0.02]]))

TEXTS = [
    encode(ROCK_SALT),
    encode(BRASS),
    encode(ROCK_SALT),
    encode(OVERLAPPING),
    "no crystal",
    encode(ROCK_SALT)[:-3],
]
"""Of six attempts four are crystals, of which one is invalid and one repeats another."""


def write_run(
    folder: Path,
    texts: Sequence[str] = TEXTS,
    conditions: Sequence[Sequence[dict[str, Any]]] = (),
    model: str | None = None,
) -> Path:
    """Write a run directory."""
    folder.mkdir()
    with (folder / "attempts.jsonl").open("w", encoding="utf-8") as file:
        for index, text in enumerate(texts):
            fault = decode(text).failure
            row = {"index": index, "prompt": "", "text": text, "fault": fault and fault.name}
            asked = list(conditions[index]) if conditions else []
            file.write(json.dumps(row | {"conditions": asked}) + "\n")
    if model is not None:
        (folder / "settings.json").write_text(json.dumps({"model": model}))
    return folder


def write_table(path: Path, crystals: Sequence[Crystal], **columns: Sequence[Any]) -> Path:
    """Write a Parquet table with a column cif."""
    cifs = [c.structure.to(fmt="cif") for c in crystals]
    pq.write_table(pa.table({"cif": cifs, **columns}), path)
    return path


def chgnet_copy() -> Potential:
    """Return CHGNet under another name, as a second judge whose energies are known."""
    return replace(load_potential_once("chgnet"), name="copy")
