"""The textbook crystals: 96 well-known compounds that ship with the package, for trying training.

They are Wyckoff texts typed from textbooks, 80 for training and 16 for validation: rock salt,
perovskite, rutile, spinel and other prototypes, each with the lattice constants of common compounds
at room temperature, rounded to 0.01 Å (R. W. G. Wyckoff, *Crystal Structures*, 2nd ed., 1963-1971).
Every prototype of the validation split occurs in the training split with other elements. They show
that training works; they are far too few to train a model for use.
"""

from __future__ import annotations

import json
from pathlib import Path

from crystext.data.store import Dataset, build_dataset
from crystext.runtime.shipped_files import shipped_path
from crystext.structures.record import Record
from crystext.structures.standardize import standardize
from crystext.structures.wyckoff.orbits import to_wyckoff_or_none
from crystext.text import WYCKOFF, decode

TEXTBOOK = "textbook"
"""Name in recipes, in place of a store."""


def is_textbook(store: Path) -> bool:
    """Return whether a recipe's store is the textbook crystals: no folder has that name."""
    return store == Path(TEXTBOOK) and not store.exists()


def textbook_file(split: str) -> Path:
    """Return the file of a split: one JSON object per line, with `name` and `text`."""
    return shipped_path("recipes", TEXTBOOK, f"{split}.jsonl")


def read_textbook(split: str) -> Dataset:
    """Return the textbook crystals of a split, `train` or `validation`.

    They have the form that `data prepare` writes, each with its space group as a label.
    """
    lines = textbook_file(split).read_text(encoding="utf-8").splitlines()
    return build_dataset(_record(**json.loads(line)) for line in lines)


def _record(name: str, text: str) -> Record:
    crystal = decode(text, format=WYCKOFF).crystal
    assert crystal is not None, f"{name} cannot be read"
    crystal, space_group = standardize(crystal)
    return Record(crystal, {"space_group": float(space_group)}, name, to_wyckoff_or_none(crystal))
