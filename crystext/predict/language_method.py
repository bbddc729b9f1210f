"""The method `language`: language models that are trained on the labelled records themselves.

Some small models with different seeds, from a recipe, each trained on all but a few compositions
(or scaffolds of molecules) that calibrate its intervals. They answer together: the mean of their
distributions is better than any of them.
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
from crystext.predict.language import LanguagePredictor
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.training.recipe import Recipe, load_recipe
from crystext.training.trainer import Trainer
from crystext.training.training_data import TrainingData, split_records

COMPOSITION_RECIPE, MOLECULE_RECIPE = "regress-new", "regress-smiles"


@dataclass(frozen=True)
class LanguageMethod(Method):
    """Language models of a recipe, trained on the records."""

    name: ClassVar[str] = "language"
    title: ClassVar[str] = "language model trained on the table"

    recipe: str | None = None
    """A recipe with the task `property` alone; None: `regress-smiles` for molecules, `regress-new`
    for all else."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe, as `key=value`; `seed`, data and targets are those of `fit`."""
    models: int = 3
    """Number of models, each with a seed of its own."""
    out: Path | None = None
    """Folder of the runs, which keeps their models: `LanguagePredictor.open` reads them again, and
    a fit that was interrupted goes on. None keeps nothing."""

    def _fit(self, data: LabelledRecords, seed: int) -> LanguagePredictor:
        """Train the models; see `Method.fit`.

        Without validation records each model leaves out some training records for calibration,
        others than the rest of the models.

        Raises:
            InputError: a target has no two different values, or no record has a text.
            SettingError: the recipe is invalid.
        """
        targets = data.targets
        train, validation = _labelled(data.train, targets), _labelled(data.validation, targets)
        if len(train) < 2:
            raise InputError(
                f"{len(train)} training records have a label of {', '.join(targets)}; expected two "
                "or more"
            )
        folder = TemporaryDirectory() if self.out is None else nullcontext(str(self.out))
        recipe = self._recipe(train)
        with folder as path:
            runs = [Path(path) / f"model-{i + 1}" for i in range(self.models)]
            for i, run in enumerate(runs):
                # Far apart, so that fits with neighbouring seeds share no model.
                own = (seed * 1000 + i) % 2**32
                kept, held = (
                    (train, validation)
                    if validation
                    else split_records(train, recipe.data.validation_fraction, own)
                )
                training_data = TrainingData.of_records(kept, held, targets)
                seeded = recipe.model_copy(update={"seed": own})
                Trainer(seeded, run, training_data).run(Console(quiet=True))
            return LanguagePredictor.open(*(run / "model" for run in runs))

    def _recipe(self, train: Sequence[Record]) -> Recipe:
        molecules = any("smiles" in record.texts for record in train)
        named = self.recipe or (MOLECULE_RECIPE if molecules else COMPOSITION_RECIPE)
        return load_recipe(named, list(self.overrides))


def _labelled(records: Sequence[Record], targets: Mapping[str, Property]) -> list[Record]:
    """Return the records with a label of a target; the others teach nothing."""
    values = np.array([label_values(records, name) for name in targets])
    return [records[i] for i in np.flatnonzero(np.isfinite(values).any(axis=0)).tolist()]


LANGUAGE = LanguageMethod()
