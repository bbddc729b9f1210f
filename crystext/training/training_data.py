"""What a run learns from: the records of a store, of a table, or of the package.

A table of properties is split here: by its column `split`, else so that no composition, and no
scaffold of molecules, is in both parts. Records in memory need no file (`TrainingData.of_records`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crystext.data.property_splits import group_holdout
from crystext.data.property_table import read_property_table
from crystext.data.shipped import (
    TRAINING_SET,
    is_shipped_training,
    predictor_training_files,
    read_predictor_training,
    read_shipped_training,
    shipped_set,
)
from crystext.data.store import Records, read_store
from crystext.data.textbook import is_textbook, read_textbook, textbook_file
from crystext.errors import InputError, SettingError
from crystext.io.read.tables import SPLIT_COLUMN
from crystext.runtime.files import file_digest, json_digest, text_digest
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.training.recipe import Recipe
from crystext.training.text_data import TextData, read_text_data

SPLITS = ("train", "validation")

_VALIDATION_NAMES = ("validation", "val", "valid")
"""How tables call the validation split."""


@dataclass(frozen=True)
class TrainingData:
    """The records of a run."""

    splits: Mapping[str, Records]
    """By `SPLITS`, none of them empty."""
    digest: str
    """Of the files, or of the records: a run resumes on the same data only."""
    targets: Mapping[str, Property] = field(default_factory=dict)
    """The properties that a table has, by name; empty for stores, which have those of the schema.
    """
    notes: tuple[str, ...] = ()
    """What was assumed or left out while reading, a sentence each."""
    texts: TextData | None = None
    """What is learned in place of records; then there are no splits."""

    @property
    def count(self) -> int:
        """Number of records, or of units of text, that an epoch takes."""
        return len(self.splits["train"] if self.texts is None else self.texts)

    @property
    def unit(self) -> str:
        """What `count` counts, in the plural."""
        return "training crystals" if self.texts is None else self.texts.unit

    @classmethod
    def of_records(
        cls,
        train: Sequence[Record],
        validation: Sequence[Record],
        targets: Mapping[str, Property],
    ) -> TrainingData:
        """Return records in memory as data.

        Raises:
            InputError: there is no training record, or no validation record.
        """
        splits = {"train": tuple(train), "validation": tuple(validation)}
        for split, records in splits.items():
            if not records:
                raise InputError(f"there is no {split} record; expected one or more")
        content = [[dict(x.texts), dict(x.labels)] for part in splits.values() for x in part]
        return cls(splits, json_digest(content), targets)


def read_data(recipe: Recipe) -> TrainingData:
    """Return the data of a recipe.

    Raises:
        InputError: the store or the table cannot be read, or lacks one of the splits.
        SettingError: a table is to teach crystals.
    """
    store = recipe.data.store
    if is_textbook(store):
        splits = {split: read_textbook(split) for split in SPLITS}
        return TrainingData(splits, _digest(*(textbook_file(split) for split in SPLITS)))
    if is_shipped_training(store):
        shipped = shipped_set(TRAINING_SET)
        return TrainingData(dict(read_shipped_training()), _digest(shipped, shipped))
    if files := predictor_training_files(store):
        return TrainingData(dict(read_predictor_training()), _digest(*files))
    if not store.exists() and recipe.text_task is not None:
        raise InputError(
            f"no folder {store}; the task text learns a corpus of `crystext corpus build`, and "
            "conversation what `crystext instruct build` makes: give data=FOLDER"
        )
    if not store.exists():
        raise InputError(
            f"no store at {store}; make one from your crystals with `crystext data prepare SOURCE "
            f"--out {store}`, or give data=FOLDER. data=textbook uses a few crystals shipped with "
            "the package"
        )
    if store.is_file():
        return _read_table(recipe, store)
    if (texts := read_text_data(store)) is not None:
        if recipe.text_task != texts.task:
            raise SettingError(
                f"{store} holds {texts.unit} for the task {texts.task}, and the recipe has "
                f"{', '.join(recipe.tasks)}; give tasks='{{{texts.task}: 1}}'"
            )
        return TrainingData({}, texts.digest, texts=texts)
    if recipe.text_task is not None:
        raise SettingError(
            f"the task {recipe.text_task} learns from texts, and {store} holds none; expected a "
            "folder of crystext corpus build (for text), or one with train.jsonl and "
            "validation.jsonl (for conversation)"
        )
    data: dict[str, Records] = {split: read_store(store, split) for split in SPLITS}
    for split, crystals in data.items():
        if len(crystals) == 0:
            raise InputError(f"the store {store} holds no {split} crystal; expected one or more")
    return TrainingData(data, _digest(*(store / f"{split}.arrow" for split in SPLITS)))


def _digest(*paths: Path) -> str:
    return text_digest("".join(map(file_digest, paths)))


def _read_table(recipe: Recipe, path: Path) -> TrainingData:
    properties, representations = recipe.properties, recipe.representations
    if recipe.generates or (properties is None and representations is None):
        raise SettingError(
            f"{path} is a table, which teaches properties or texts alone; give the task property "
            "or representation and no other, or make a store with `crystext data prepare "
            f"{path} --out STORE`"
        )
    named: Collection[str] | None = ()
    if properties is not None:
        named, texts = properties.targets, {*properties.inputs}
    else:
        assert representations is not None
        texts = {*representations.inputs, *filter(None, [representations.answer])}
    crystals = bool(texts - {"formula", "composition", "smiles", "description"})
    table = read_property_table(
        path, targets=None if named is None else list(named), crystals=crystals
    )
    notes = [
        f"{count:,} rows of {path} are left out: {why}" for why, count in table.skipped.items()
    ]
    train, validation = split_records(table.records, recipe.data.validation_fraction, recipe.seed)
    for split, records in (("training", train), ("validation", validation)):
        if not records:
            raise InputError(
                f"{path} has no {split} row; leave out its column {SPLIT_COLUMN}, or let it say "
                "train and validation"
            )
    return TrainingData(
        {"train": train, "validation": validation},
        text_digest(file_digest(path) + f"{len(train)} {len(validation)}"),
        table.targets,
        (*notes, *table.notes),
    )


def split_records(
    records: Sequence[Record], fraction: float, seed: int
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Return training and validation records, by the splits that the source gives, if any.

    Records of another split, such as test, are in neither.

    Args:
        records: any.
        fraction: of the compositions, or of the scaffolds of molecules, held out if the source
            gives no split.
        seed: of the choice.
    """
    if any(record.split.lower() in _VALIDATION_NAMES for record in records):
        return (
            tuple(x for x in records if x.split.lower() == "train"),
            tuple(x for x in records if x.split.lower() in _VALIDATION_NAMES),
        )
    kept = [x for x in records if x.split.lower() in ("", "train")]
    first, second = group_holdout(kept, fraction, seed)
    return tuple(kept[i] for i in first), tuple(kept[i] for i in second)
