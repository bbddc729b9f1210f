"""The training and validation examples that the records of a recipe's data give.

Inspects the first examples before training, so that an empty run is rejected and omissions are
reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from crystext.data.store import Records
from crystext.errors import SettingError
from crystext.models.initialize import InitialModel
from crystext.tasks.property_prediction import PropertyPrediction
from crystext.training.datasets import LENGTH_SAMPLE_SIZE, TrainingDatasets
from crystext.training.example_stream import Examples
from crystext.training.property_task import recipe_tasks
from crystext.training.recipe import Recipe

_CHUNK_SIZE = 32


def make_datasets(
    recipe: Recipe,
    data: Mapping[str, Records],
    initial_model: InitialModel,
    property_task: PropertyPrediction | None = None,
) -> TrainingDatasets:
    """Set up a run's examples.

    Args:
        recipe: the run's.
        data: the splits of `training_data`.
        initial_model: the model with the prompts and the tokenizer.
        property_task: the recipe's, if it has one; validation is without its jitter.

    Raises:
        SettingError: no crystal gives a short enough example.
    """

    def examples(split: str, seed: int, tasks: dict[str, float], translated: float) -> Examples:
        task = property_task
        if task is not None and split == "validation":
            task = replace(task, jitter=0.0)
        return Examples(
            data[split],
            initial_model.tokenizer,
            initial_model.prompts,
            initial_model.format,
            task_weights=tasks,
            tasks=recipe_tasks(task),
            translate_probability=translated,
            max_tokens=recipe.optim.max_tokens,
            seed=seed,
            loss_on_prompt=recipe.loss_on_prompt,
        )

    train = examples("train", recipe.seed, recipe.tasks, recipe.translate_probability)
    lengths = train.lengths(range(LENGTH_SAMPLE_SIZE))
    if not any(n <= train.max_tokens for n in lengths):
        raise _no_batch_error(train, "train", lengths)
    wanted = {name: examples("validation", 0, {name: 1.0}, 0.0) for name in train.tasks}
    if "unconditional" in wanted:
        wanted["translated"] = examples("validation", 0, {"unconditional": 1.0}, 1.0)
    crystals = min(recipe.data.validation_crystals, len(data["validation"]))
    validation = {name: x for name, x in wanted.items() if _has_example(x, crystals)}
    unscored = [name for name in wanted if name not in validation]
    if not any(name in validation for name in train.tasks):
        first = wanted[train.tasks[0]]
        raise _no_batch_error(
            first, "validation", first.lengths(range(min(crystals, LENGTH_SAMPLE_SIZE)))
        )
    return TrainingDatasets(train, validation, lengths, unscored)


def _has_example(examples: Examples, crystals: int) -> bool:
    return any(
        examples.rows(range(first, min(first + _CHUNK_SIZE, crystals)))
        for first in range(0, crystals, _CHUNK_SIZE)
    )


def _no_batch_error(examples: Examples, split: str, lengths: list[int]) -> SettingError:
    found = f"the data give no batch: among {len(examples.data)} {split} crystals"
    if not lengths:
        return SettingError(
            f"{found} the inspected ones have no Wyckoff description; add a task without one, such "
            "as unconditional"
        )
    return SettingError(
        f"{found} none makes an example of at most {examples.max_tokens} tokens (the shortest of "
        f"the first {len(lengths)} has {min(lengths)}); raise optim.max_tokens"
    )
