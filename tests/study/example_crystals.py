"""A small grid of crystals and its table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.io.write.cif_text import cif
from crystext.structures.crystal import Crystal

GRID = {
    "title": "small crystals",
    "architectures": ["llama"],
    "sizes": {
        "S": {
            "networks": {
                "llama": {"hidden_size": 16, "intermediate_size": 16, "heads": 2, "layers": 1},
                "roberta": {"hidden_size": 16, "intermediate_size": 16, "heads": 2, "layers": 1},
            }
        }
    },
    "data": {"tables": ["crystals.csv"], "sizes": ["12"], "validation": 0.2},
    "texts": ["composition", "wyckoff"],
    "tokenizers": {"characters": {"kind": "characters", "vocabulary": 40}},
    "objective": {"targets": "texts"},
    "pretraining": {
        "compute": 2.5e7, "batch_tokens": 40, "epochs": 2, "max_tokens": 64, "learning_rate": 0.01,
    },
    "fine_tuning": {"reads": "state", "pooling": "mean", "hidden": [8], "epochs": 2, "repeats": 2},
    "generation": {"samples": 6},
    "tasks": {
        "gap": {
            "table": "crystals.csv", "target": "gap",
            "split": {"kind": "chemical_system", "validation": 0.2, "test": 0.2},
        }
    },
}  # fmt: skip
"""Llamas that learn two texts by the next token, and write one of them."""


def write_crystal_grid(folder: Path, **changes: object) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**GRID, **changes}), encoding="utf-8")
    return path


def write_crystals(folder: Path) -> Path:
    """Write 24 salts of two kinds as CIFs with a number and a class."""
    with (folder / "crystals.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["cif", "gap", "is_metal"])
        for i, crystal in enumerate(salts()):
            writer.writerow([cif(crystal), 1 + i % 7, int(i % 3 == 0)])
    return folder


def salts() -> Iterator[Crystal]:
    """Yield crystals with the structure of CsCl, and primitive ones with that of NaCl."""
    for angle, scale in ((90.0, 1.0), (60.0, 1.15)):
        for j, metal in enumerate(("Na", "K", "Rb", "Cs")):
            for k, other in enumerate(("F", "Cl", "Br")):
                numbers = [ATOMIC_NUMBERS[metal], ATOMIC_NUMBERS[other]]
                length = scale * (3.2 + 0.2 * j + 0.1 * k)
                yield Crystal(
                    np.full(3, length), np.full(3, angle), np.array(numbers),
                    np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]),
                )  # fmt: skip
