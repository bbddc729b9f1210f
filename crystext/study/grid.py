"""Grids: YAML files that define a study, everything that its runs depend on.

The classes are the schema. `load_grid` reads a file and reports all errors at once; what can be
wrong only beside the data, such as a task without labels, `grid_checks` finds before anything is
trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from crystext.errors import SettingError
from crystext.models.settings import TEXT_OBJECTIVES, Pooling
from crystext.runtime.named_settings import SettingsFiles, check_settings
from crystext.runtime.schema import StrictModel
from crystext.study.networks import Architecture, NetworkSizes
from crystext.study.study_data import level_value
from crystext.tasks.representations import get_representation

Name = Annotated[str, Field(min_length=1, pattern=r"^[^/\\:,]+$")]

Dropout = Annotated[float, Field(ge=0, lt=1)]


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("a value comes twice; expected each once")
    return values


Levels = Annotated[list[Name], Field(min_length=1), AfterValidator(_distinct)]


class SizeSpec(StrictModel):
    """A size: a number of parameters, for which each architecture gets a width; or its networks."""

    parameters: int | None = Field(None, gt=0)
    heads: int = Field(4, gt=0)
    layers: int | None = Field(None, gt=0)
    """In all; of BART, half in the encoder. None: as many as suit the width."""
    intermediate_ratio: float = Field(1.0, gt=0)
    """Feed-forward width over hidden size, about."""
    networks: dict[Architecture, NetworkSizes] | None = None
    """The sizes of every architecture."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.parameters is None) == (self.networks is None):
            raise ValueError("give either parameters or networks")
        return self


class DataSpec(StrictModel):
    """The texts of pretraining."""

    tables: list[str] = Field(min_length=1)
    """Tables below the data folder, whose records are pooled; equal ones count once. `shipped` is
    the shipped model's training set, which comes with the package."""
    sizes: Levels
    """Amounts of records, such as 5k or 10M."""
    validation: float = Field(0.05, gt=0, lt=1)
    """Part of the records that is held out for the loss of pretraining."""
    max_atoms: int | None = Field(None, gt=0)
    """Of crystals with more atoms in their cell, no part of the study has any."""

    @field_validator("sizes")
    @classmethod
    def _are_amounts(cls, sizes: list[str]) -> list[str]:
        wrong = [size for size in sizes if not level_value(size)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: expected amounts, such as 500, 5k or 10M")
        return sizes


class TokenizerSpec(StrictModel):
    """A tokenizer, learned from the texts of pretraining where it learns."""

    kind: Literal["byte_bpe", "characters", "crystal"]
    """byte_bpe: byte pairs, from bytes; characters: one token each; crystal: that of this package,
    for crystals alone."""
    vocabulary: int = Field(600, ge=16)
    """Number of tokens, at most."""


class ObjectiveSpec(StrictModel):
    """What pretraining learns."""

    targets: Literal["descriptors", "crystal", "texts"] = "descriptors"
    """descriptors: 105 of RDKit, of molecules; crystal: what follows from a structure; texts: no
    targets, but what each architecture learns from texts alone: roberta masked tokens, bart texts
    with masked parts, llama the next token."""
    loss: Literal["l1", "l2"] = "l1"
    """Of targets in units of their standard deviations."""


class PretrainingSpec(StrictModel):
    """How networks are pretrained."""

    epochs: int = Field(3, gt=0)
    """Passes over the texts; with `compute`, equal parts of it. The network after each is kept."""
    compute: float | None = Field(None, gt=0)
    """Floating-point operations of each pretraining, in place of passes: 6 for each parameter and
    token, and those of attention, so that long texts are seen less often than short ones. With them
    a cell has the same cost whatever its text and tokenizer."""
    batch_tokens: int = Field(2048, gt=0)
    """With `compute`: tokens of a batch, in the mean; it takes the place of `batch_sequences`."""
    warmup_epochs: float = Field(1.0, ge=0)
    learning_rate: float = Field(1e-4, gt=0)
    """After the warm-up, half a cosine to zero."""
    weight_decay: float = Field(0.01, ge=0)
    batch_sequences: int = Field(64, gt=0)
    max_tokens: int = Field(128, gt=1)
    """Longer texts lose their end, and are left out where the objective is texts."""
    dropout: Dropout | dict[Architecture, Dropout] = 0.0
    """One rate for all, or one of each architecture: then they are not compared alone."""


class FineTuningSpec(StrictModel):
    """How pretrained networks are fine-tuned on a task."""

    reads: Literal["targets", "state"] = "targets"
    """What the new layers read: the outputs of pretraining, or the state of the text."""
    pooling: Pooling | None = None
    """The state that represents a text; None: what is usual for the architecture."""
    frozen: bool = True
    """Whether the pretrained network stays as it is."""
    hidden: list[Annotated[int, Field(gt=0)]] = Field(default_factory=lambda: [64, 64])
    """Widths of the new layers."""
    epochs: int = Field(7, gt=0)
    learning_rate: float = Field(0.01, gt=0)
    batch_records: int = Field(64, gt=0)
    repeats: int = Field(5, gt=0)


class GenerationSpec(StrictModel):
    """How networks of the objective `texts` write crystals."""

    samples: int = Field(128, gt=0)
    """Of each network that is kept."""
    temperature: float = Field(1.0, gt=0)


class TaskSplit(StrictModel):
    """How the records of a task are divided into three."""

    kind: Literal["scaffold", "random", "chemical_system"]
    """scaffold and chemical_system: no scaffold, or set of elements, is in two parts."""
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _something_is_left_to_train(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test take all records; expected less than 1")
        return self


class TaskSpec(StrictModel):
    """A task of fine-tuning."""

    table: str
    """Below the data folder."""
    target: str
    """Column of the label."""
    kind: Literal["number", "boolean"] = "number"
    split: TaskSplit
    max_records: int | None = Field(None, ge=30)
    """A random part of larger tables."""


class Grid(StrictModel):
    """A study: which pretrainings, and which tasks they are fine-tuned on."""

    title: str
    note: str = ""
    architectures: list[Architecture] = Field(min_length=1)
    sizes: dict[Name, SizeSpec] = Field(min_length=1)
    data: DataSpec
    texts: Levels = Field(default_factory=lambda: ["smiles"])
    """Representations, such as smiles, composition, plain or cif."""
    tokenizers: dict[Name, TokenizerSpec] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(default_factory=lambda: [0], min_length=1)
    """Of pretraining: each combination is pretrained once with each."""
    objective: ObjectiveSpec = ObjectiveSpec()
    pretraining: PretrainingSpec = PretrainingSpec()
    fine_tuning: FineTuningSpec = FineTuningSpec()
    generation: GenerationSpec | None = None
    """None: nothing is generated. Else llama writes texts, which are judged as crystals; texts
    without a structure, such as composition, have no part in it."""
    tasks: dict[Name, TaskSpec] = Field(min_length=1)

    @field_validator("texts")
    @classmethod
    def _texts_exist(cls, texts: list[str]) -> list[str]:
        faults = []
        for text in texts:
            try:
                get_representation(text)
            except SettingError as error:
                faults.append(str(error))
        if faults:
            raise ValueError("; ".join(faults))
        return texts

    @model_validator(mode="after")
    def _networks_are_whole(self) -> Self:
        faults = [
            f"the size {name} has no network of {architecture}"
            for name, size in self.sizes.items()
            for architecture in self.architectures
            if size.networks is not None and architecture not in size.networks
        ]
        dropout = self.pretraining.dropout
        if isinstance(dropout, Mapping):
            faults += [f"{x} has no dropout" for x in self.architectures if x not in dropout]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @model_validator(mode="after")
    def _parts_go_with_the_objective(self) -> Self:
        faults = []
        learns_texts = self.objective.targets == "texts"
        if learns_texts and self.fine_tuning.frozen and self.fine_tuning.reads == "targets":
            faults.append(
                "the objective texts has no targets to read; give fine_tuning.reads state"
            )
        if self.generation is not None and not learns_texts:
            faults.append("generation needs objective.targets texts")
        if self.generation is not None:
            others = [x for x in self.architectures if TEXT_OBJECTIVES[x] != "causal"]
            faults += [f"{x} does not write texts; leave generation out" for x in others]
        if faults:
            raise ValueError("; ".join(faults))
        return self


_FILES = SettingsFiles(
    "grid", ("recipes", "study"), "title, architectures, sizes, data, tokenizers and tasks"
)


def grid_names() -> tuple[str, ...]:
    """Return the names of the shipped grids."""
    return _FILES.names()


def load_grid(source: str | Path) -> Grid:
    """Return a grid.

    Args:
        source: the name of a shipped one, or the path of a YAML file.

    Raises:
        SettingError: it does not exist, or has errors; the message lists all of them.
    """
    path, document = _FILES.read(source)
    return check_settings(Grid, document, str(path))
