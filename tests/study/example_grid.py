"""A small grid and its table."""

from __future__ import annotations

import csv
from pathlib import Path

import yaml

# Molecules of five scaffolds; those of the chain are half of them.
MOLECULES = ["CCO", "CCCO", "CCCCO", "CCN", "CCCN", "c1ccccc1C", "c1ccccc1CC", "C1CCCCC1C",
             "c1ccncc1C", "c1ccsc1C"]  # fmt: skip

GRID = {
    "title": "small",
    "architectures": ["roberta", "bart", "llama"],
    "sizes": {"S": {"parameters": 60_000, "heads": 2, "layers": 2}},
    "data": {"tables": ["table.csv"], "sizes": ["4", "8"]},
    "tokenizers": {"characters": {"kind": "characters", "vocabulary": 40}},
    "seeds": [0, 1],
    "tasks": {"task": {"table": "table.csv", "target": "y", "split": {"kind": "scaffold"}}},
}


def write_grid(folder: Path, **changes: object) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**GRID, **changes}), encoding="utf-8")
    return path


def write_table(folder: Path) -> Path:
    """Write 40 molecules with a number, a class in blocks, and a column without labels.

    Each is one of the ten, with an atom of its own in front.
    """
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["smiles", "y", "yes", "empty", "formula"])
        for i in range(40):
            smiles = ("", "F", "Cl", "Br")[i // 10] + MOLECULES[i % 10]
            writer.writerow([smiles, i, int(i % 10 < 5), "", f"Na{i % 7 + 1}Cl"])
    return folder
