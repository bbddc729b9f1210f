"""Recipes: everything that a training run depends on, as one YAML file.

The classes are the schema. `load_recipe` reads a file, applies `key=value` overrides, and reports
all errors of a bad recipe at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from crystext.errors import did_you_mean
from crystext.models.layout import Objective, Temperatures
from crystext.models.settings import ModelSettings
from crystext.runtime.named_settings import SettingsFiles, check_settings
from crystext.runtime.schema import (
    StrictModel,
    apply_override,
    rename_settings,
    renamed_setting,
)
from crystext.tasks import TASKS
from crystext.text import FORMATS, Format, get_format
from crystext.training.head_settings import RegressionHeadSettings
from crystext.training.objective_checks import (
    REPRESENTATION_TASK,
    RecipeParts,
    objective_errors,
)
from crystext.training.property_settings import PropertySettings
from crystext.training.recipe_sections import (
    EXCLUSIVE_SETTINGS,
    DataSettings,
    OptimSettings,
    SampleCheckSettings,
)
from crystext.training.representation_settings import RepresentationSettings
from crystext.training.reward.settings import RewardSettings

PROPERTY_TASK = "property"
"""Name of the task whose settings are the section `properties`."""

TEXT_TASKS = ("text", "conversation")
"""Tasks that learn from texts in place of crystals (see `training.text_data`); each stands alone.
"""

RENAMED_SETTINGS = {
    "model.new_encoder": "model.new_network",
    "probes": "sample_checks",
    "translate_share": "translate_probability",
    "optim.decay_share": "optim.decay_fraction",
}
"""Present names of settings by former ones, which recipes may still use."""


class Recipe(StrictModel):
    """One whole training run."""

    seed: int = Field(0, ge=0, lt=2**32)
    data: DataSettings
    format: str = "plain"
    prompts: str | None = None
    """A shipped prompt set or a folder; None: the prompts that the base was trained with, else the
    default ones."""
    tasks: dict[str, float]
    """Relative weight of each task. The tasks `text`, `conversation` and `representation` stand
    alone."""
    properties: PropertySettings | None = None
    """Settings of the task `property`, which needs them."""
    representations: RepresentationSettings | None = None
    """Settings of the task `representation`, which needs them."""
    rewards: RewardSettings | None = None
    """Samples of the base with a reward each: the model learns to draw what scored well more often,
    and keeps the recipe's tasks as they are."""
    objective: Objective = "causal"
    """causal: a language model learns the next token; regression_head: a network with a layer that
    gives numbers learns the task `property`. With the task `representation`: masked, BERT or
    RoBERTa learns the tokens that are masked in a text; sequence_to_sequence, BART learns to write
    the text, or another one."""
    head: RegressionHeadSettings | None = None
    """Settings of the objective regression_head; None: their defaults."""
    translate_probability: float = Field(ge=0, le=1)
    """Probability that an example's crystal is shifted by a random translation."""
    loss_on_prompt: bool = False
    number_weight: float = Field(1.0, gt=0, le=1)
    """Weight in the loss of tokens of coordinates, lengths and angles; all others have 1 (see
    `training.number_weighting`)."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout rate of the output of each layer branch, for full training
    (`models.architectures.residual_dropout`); adapters have their own, `model.lora.dropout`."""
    model: ModelSettings
    optim: OptimSettings
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of matrix products; what is trained, and its optimizer, is float32 in any case. auto: bf16
    where the device calculates faster in it, else fp32 (see `training.precision`)."""
    compile: bool = False
    """Compile the model with torch.compile; needs a C++ compiler and pays off after some
    minutes."""
    temperature: float = Field(1.0, gt=0)
    """Default sampling temperature of the model, saved in the model folder."""
    element_temperature: float | None = Field(None, gt=0)
    coordinate_temperature: float | None = Field(None, gt=0)
    cell_temperature: float | None = Field(None, gt=0)
    """Temperatures of elements, coordinates and cells, if different (see `SamplingSettings`)."""
    sample_format: str | None = None
    """Default text format for sampling: `wyckoff`, if a task teaches it, or the `format`, as for
    None."""
    evaluate_every: int = Field(500, gt=0)
    keep_models: Literal["last", "every_evaluation"] = "last"
    """every_evaluation: keep the model of each evaluation, as `models/step-0000500`, so that the
    course of a training can be evaluated later."""
    checkpoint_every: int = Field(100, gt=0)
    patience: int | None = Field(None, gt=0)
    """Early stopping: end after this many consecutive evaluations without a new minimum of the mean
    loss, and save the weights of the minimum."""
    sample_checks: SampleCheckSettings = SampleCheckSettings()
    trackers: list[Literal["tensorboard", "wandb"]] = Field(default_factory=list)
    """Trackers that also receive the metrics of the log, through accelerate."""

    def temperatures(self) -> Temperatures:
        """Return the default sampling temperatures of a model of this recipe."""
        return Temperatures(
            self.temperature,
            self.element_temperature,
            self.coordinate_temperature,
            self.cell_temperature,
        )

    def sample_format_object(self) -> Format | None:
        """Return the default text format for sampling; None is the model's own."""
        return None if self.sample_format is None else get_format(self.sample_format)

    @model_validator(mode="after")
    def _check_dropout(self) -> Self:
        if self.dropout and self.model.lora is not None:
            raise ValueError("dropout applies to full training; give model.lora.dropout")
        return self

    @model_validator(mode="after")
    def _check_properties(self) -> Self:
        if (self.tasks.get(PROPERTY_TASK, 0) > 0) != (self.properties is not None):
            raise ValueError(
                f"the task {PROPERTY_TASK} and the section properties belong together: give both "
                "or neither"
            )
        return self

    @model_validator(mode="after")
    def _check_objective(self) -> Self:
        parts = RecipeParts(*(getattr(self, name) for name in RecipeParts._fields))
        if errors := objective_errors(parts):
            raise ValueError("; ".join(errors))
        return self

    @model_validator(mode="after")
    def _check_texts(self) -> Self:
        if self.text_task is None:
            if self.data.watched:
                raise ValueError(f"data.watched is for the tasks {' and '.join(TEXT_TASKS)}")
            return self
        checks = self.sample_checks
        faults = {
            "other tasks": len(self.tasks) > 1,
            "objective regression_head": self.objective != "causal",
            "translate_probability": self.translate_probability > 0,
            "number_weight": self.number_weight != 1,
            "loss_on_prompt": self.loss_on_prompt,
            "sample_format": self.sample_format is not None,
            "sample_checks": checks.ipt_crystals > 0 or checks.sampled_crystals > 0,
            "model.new.element_features": self.model.new is not None
            and self.model.new.element_features,
        }
        wrong = [name for name, given in faults.items() if given]
        if wrong:
            raise ValueError(
                f"the task {self.text_task} does not have {', '.join(wrong)}; leave that out"
            )
        return self

    @property
    def text_task(self) -> str | None:
        """The task that learns from texts; None if the recipe learns from crystals."""
        return next((name for name in TEXT_TASKS if self.tasks.get(name, 0) > 0), None)

    @property
    def generates(self) -> bool:
        """Whether a task of the recipe writes crystals."""
        others = (PROPERTY_TASK, REPRESENTATION_TASK, *TEXT_TASKS)
        return any(weight > 0 for name, weight in self.tasks.items() if name not in others)

    @model_validator(mode="after")
    def _check_sample_format(self) -> Self:
        if self.text_task is not None or self.representations is not None:
            return self
        formats = [TASKS[name].format for name, weight in self.tasks.items() if weight > 0]
        learned = {self.format if fmt is None else fmt.name for fmt in formats}
        drawn = self.sample_format or self.format
        if drawn not in learned:
            known = ", ".join(sorted(learned))
            raise ValueError(f"sample_format is {drawn!r}, and the tasks teach {known}")
        return self

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        # Formats taught by separate tasks have separate prompts, besides this format.
        formats = [TASKS[task].format for task in TASKS if not TASKS.from_plugin(task)]
        taught = {fmt.name for fmt in formats if fmt is not None}
        known = [other for other in FORMATS if other not in taught]
        if name not in known:
            raise ValueError(
                f"no such format; there are {', '.join(known)}." + did_you_mean(name, known)
            )
        return name

    @field_validator("tasks")
    @classmethod
    def _check_tasks(cls, tasks: dict[str, float]) -> dict[str, float]:
        known = [*TASKS, REPRESENTATION_TASK, *TEXT_TASKS]
        faults = [
            f"no task {name!r}." + did_you_mean(name, known) for name in tasks if name not in known
        ]
        faults += [f"weight of {name} is below 0" for name, weight in tasks.items() if weight < 0]
        if not faults and not sum(tasks.values()) > 0:
            faults.append("no task has a weight above 0")
        if faults:
            raise ValueError("; ".join(faults))
        return tasks


_FILES = SettingsFiles("recipe", ("recipes",), "model, data, tasks and optim")


def load_recipe(source: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Load a recipe: a file, or the name of a shipped one, with `section.key=value` overrides.

    An override of `optim.steps` replaces the recipe's `epochs`, and vice versa; likewise
    `batch_tokens` and `batch_sequences`.

    Raises:
        SettingError: with every error of the recipe and of the overrides.
    """
    path, values = _FILES.read(source)
    if not isinstance(values.get("data"), dict | list | None):
        values["data"] = {"store": values["data"]}
    overrides = [renamed_setting(override, RENAMED_SETTINGS) for override in overrides or []]
    renaming_faults = rename_settings(values, RENAMED_SETTINGS)
    faults = [fault for x in overrides if (fault := _apply_override(values, x)) is not None]
    faults += _replace_alternatives(values, overrides)
    return parse_recipe(values, str(path), [*renaming_faults, *faults])


def parse_recipe(
    values: dict[str, Any], origin: str, override_errors: Sequence[str] = ()
) -> Recipe:
    """Check settings against the schema.

    Args:
        values: the settings, as YAML gives them.
        origin: names the settings in the error.
        override_errors: errors of the overrides.

    Raises:
        SettingError: with every error.
    """
    renaming_errors = rename_settings(values, RENAMED_SETTINGS)
    return check_settings(Recipe, values, origin, override_errors, renaming_errors)


def _replace_alternatives(values: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Remove settings replaced by an override, and return overrides that exclude each other."""
    optim = values.get("optim")
    if not isinstance(optim, dict):
        return []
    given = {x.partition("=")[0]: x for x in overrides}
    faults = []
    for pair in EXCLUSIVE_SETTINGS:
        chosen = [x for x in pair if f"optim.{x}" in given and optim.get(x) is not None]
        if len(chosen) == 2:
            both = " and ".join(given[f"optim.{x}"] for x in chosen)
            faults.append(f"{both} exclude each other; give either {pair[0]} or {pair[1]}")
        if chosen:
            # One of the two stays, so that the recipe is not reported as well.
            optim.update({x: None for x in pair if x != chosen[0]})
    return faults


def _apply_override(values: dict[str, Any], override: str) -> str | None:
    """Set one value, or return the error of the override."""
    key, _, text = override.partition("=")
    if key == "data" and text and not text.startswith("{"):
        override = f"data.store={text}"
    # A folder may be called 2019.
    return apply_override(values, override, "optim.steps=100", texts=["data.store"])
