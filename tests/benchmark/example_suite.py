"""A small suite with its data: compositions with a number and a yes or no, divided into files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ELEMENTS = ("Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Zn", "Cd")
ANIONS = ("O", "S", "Se", "F", "Cl", "Br")

SUITE: Mapping[str, Any] = {
    "title": "an example",
    "inputs": {
        "formula": {"representation": "formula", "columns": ["formula"]},
        "cif": {"representation": "cif", "columns": ["cif"]},
    },
    "id": ["name"],
    "files": {"train": "{dataset}/train.csv", "test": "{dataset}/test.csv"},
    "datasets": {
        "salts": {
            "title": "salts",
            "properties": {
                "gap": {"title": "band gap", "unit": "eV"},
                "volume": {"title": "volume", "unit": "Å^3", "cif_leaks": ["_cell_volume"]},
                "is_oxide": {"title": "oxide", "kind": "boolean"},
            },
        }
    },
}


def rows(count: int, start: int = 0) -> list[dict[str, str]]:
    """Return rows of different compositions, the same every time."""
    found = []
    for i in range(start, start + count):
        cation, anion = ELEMENTS[i % len(ELEMENTS)], ANIONS[(i // len(ELEMENTS)) % len(ANIONS)]
        formula = f"{cation}{1 + i % 3}{anion}{1 + i % 2}"
        volume = 20 + i
        found.append(
            {
                "name": f"row-{i}",
                "formula": formula,
                "gap": f"{ANIONS.index(anion) + (i % 5) / 10:.2f}",
                "volume": str(volume),
                "is_oxide": str(anion in ("O", "S")),
                "cif": f"data_{formula}\n_cell_volume   {volume}.0\n_cell_length_a   3.0\n",
            }
        )
    return found


def write_table(path: Path, table: Sequence[Mapping[str, str]]) -> Path:
    """Write rows as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def write_example(folder: Path, *, n_train: int = 48, n_test: int = 24, **changes: Any) -> Path:
    """Write the suite and its data; return the suite's path. The data are beside it."""
    table = rows(n_train + n_test)
    # Every third row, so that both parts have all anions.
    test = table[::3][:n_test]
    train = [row for row in table if row not in test]
    write_table(folder / "salts" / "train.csv", train)
    write_table(folder / "salts" / "test.csv", test)
    path = folder / "example.yaml"
    path.write_text(yaml.safe_dump({**SUITE, **changes}), encoding="utf-8")
    return path
