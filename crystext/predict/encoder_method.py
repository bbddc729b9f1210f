"""The method `encoder`: an encoder with a head that is trained on the labelled records themselves.

It reads the first of description, CIF, formula and SMILES that a training record has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
from rich.console import Console

from crystext.data.property_table import label_values
from crystext.errors import InputError
from crystext.predict.base import LabelledRecords, Method
from crystext.predict.baselines.fitting import labels_to_fit
from crystext.predict.encoder import EncoderPredictor
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.tasks.representations import preferred_text
from crystext.training.recipe import load_recipe
from crystext.training.trainer import Trainer
from crystext.training.training_data import TrainingData, split_records

RECIPE = "encoder-new"

_INPUTS = ("description", "cif", "formula", "smiles")
"""In this order, because a description says more in fewer words."""


@dataclass(frozen=True)
class EncoderMethod(Method):
    """An encoder of a recipe, trained on the records."""

    name: ClassVar[str] = "encoder"
    title: ClassVar[str] = "encoder and regression head trained on the table"

    recipe: str = RECIPE
    """A recipe with the objective `regression_head`: `encoder-new` needs nothing but the table,
    `llm-prop` and `matbert` fine-tune pretrained encoders."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe, as `key=value`; seed, data and targets are those of `fit`."""
    inputs: str | None = None
    """Representation to read; None: the first that a training record has, see above."""
    out: Path | None = None
    """Folder of the run, which keeps its model, and continues when it was interrupted. None keeps
    nothing."""

    def _fit(self, data: LabelledRecords, seed: int) -> EncoderPredictor:
        """See `Method.fit`.

        Without validation records, some compositions (or scaffolds of molecules) are left out of
        training, and calibrate the intervals.

        Raises:
            InputError: a target has no two different values, or no record has a text.
            SettingError: the recipe is invalid.
        """
        for name, target in data.targets.items():
            labels_to_fit(data.train, name, target)
        chosen = self.inputs or _first_representation(data.train)
        recipe = load_recipe(self.recipe, [f"properties.inputs=[{chosen}]", *self.overrides])
        recipe = recipe.model_copy(update={"seed": seed % 2**32})
        parts = _labelled(data.train, data.targets), _labelled(data.validation, data.targets)
        if not parts[1]:
            parts = split_records(parts[0], recipe.data.validation_fraction, recipe.seed)
        training_data = TrainingData.of_records(*parts, data.targets)
        folder = TemporaryDirectory() if self.out is None else nullcontext(str(self.out))
        with folder as path:
            Trainer(recipe, Path(path) / "run", training_data).run(Console(quiet=True))
            return EncoderPredictor.open(Path(path) / "run" / "model")


def _first_representation(records: Sequence[Record]) -> str:
    found = {preferred_text(record, _INPUTS)[0] for record in records}
    first = next((name for name in _INPUTS if name in found), None)
    if first is None:
        raise InputError(
            f"no training record has a text that this method reads: {', '.join(_INPUTS)}; give a "
            "table with such a column, or structures"
        )
    return first


def _labelled(records: Sequence[Record], targets: Mapping[str, Property]) -> tuple[Record, ...]:
    """Return the records with a label of a target; the others teach nothing."""
    if not records:
        return ()
    known = np.any([np.isfinite(label_values(records, name)) for name in targets], axis=0)
    return tuple(record for record, keep in zip(records, known, strict=True) if keep)


ENCODER = EncoderMethod()
