"""The sections `data`, `optim` and `sample_checks` of a recipe."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from crystext.runtime.schema import StrictModel

EXCLUSIVE_SETTINGS = (("steps", "epochs"), ("batch_tokens", "batch_sequences"))
"""Settings of `optim` that exclude each other."""


class DataSettings(StrictModel):
    """Training and validation data. In an override, `data=FOLDER` stands for `data.store`."""

    store: Path
    """A folder that `crystext data prepare` wrote (see `data.store`); a table of compositions,
    molecules or structures with properties, for the task `property` (see `data.property_table`);
    a corpus of `crystext corpus build`, for the task `text`; a folder of conversations, for the
    task `conversation` (see `training.text_data`); or `textbook`: a few crystals shipped with the
    package (see `data.textbook`)."""
    validation_fraction: float = Field(0.1, gt=0, lt=1)
    """Of a table without a column `split`: part of the compositions, or of the molecules by
    scaffold, that is held out for validation. A store has a split of its own."""
    validation_crystals: int = Field(2000, gt=0)
    """Number of validation crystals scored at each evaluation; of texts, the number of blocks of
    each source, or of conversations of each task."""
    watched: dict[str, Path] = Field(default_factory=dict)
    """Texts by a name of one's own that the tasks `text` and `conversation` do not learn but score
    at each evaluation, such as general prose: their perplexity tells what is forgotten. A file of
    JSON lines with a field `text`, or a text file."""
    workers: int = Field(0, ge=0)
    """Number of processes that prepare examples for each training process; 0: it makes them itself,
    some 100,000 tokens of the crystal vocabulary per second. Batches do not depend on it."""

    @model_validator(mode="before")
    @classmethod
    def _expand_store(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, dict | list) else {"store": value}

    @field_validator("store", mode="before")
    @classmethod
    def _check_store(cls, value: Any) -> Any:
        # Some digits of a name may already be lost, as in 2019_10.
        if isinstance(value, int | float | date):
            raise ValueError("YAML does not parse it as a name; put it in quotes")
        return value


class OptimSettings(StrictModel):
    """Number of steps, learning rate and batch size.

    Give `steps` or `epochs`, and `batch_tokens` or `batch_sequences`: a batch is the data of one
    step, whatever the number of processes. An override of one replaces the recipe's other.
    """

    optimizer: Literal["muon", "adamw", "paged_adamw_8bit"] = "adamw"
    """muon: for the matrices, AdamW for the rest (from scratch); adamw: AdamW for all;
    paged_adamw_8bit: the same in 8 bits, from bitsandbytes."""
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "constant", "wsd", "one_cycle"] = "cosine"
    """After the warm-up: half a cosine to zero; or constant; or constant with a decay at the end
    (wsd). one_cycle has a warm-up of its own, half a cosine up before half a cosine down."""
    warmup_steps: int = Field(100, ge=0)
    warmup_fraction: float | None = Field(None, ge=0, le=1)
    """Warm-up as a fraction of the steps, in place of `warmup_steps`."""
    decay_fraction: float = Field(0.4, ge=0, le=1)
    """wsd, one_cycle: fraction of the steps, at the end, over which the rate decays to zero."""
    final_rate_fraction: float = Field(0.0, ge=0, le=1)
    """cosine: the learning rate at the end, as a fraction of the highest."""
    weight_decay: float = Field(0.0, ge=0)
    steps: int | None = Field(None, gt=0)
    epochs: float | None = Field(None, gt=0)
    """Passes over the training crystals."""
    min_steps: int = Field(1, gt=0)
    """With `epochs`: steps for a table that is so small that its epochs are fewer."""
    batch_tokens: int | None = Field(None, gt=0)
    """On average: a batch is the number of sequences with this many tokens in the mean."""
    batch_sequences: int | None = Field(None, gt=0)
    micro_tokens: int = Field(8192, gt=0)
    """Maximum number of tokens that a process passes through the network at once; larger batches
    are split and their gradients accumulated. Affects memory, not the result."""
    max_tokens: int = Field(256, gt=0)
    """Longer examples are left out; with the objective regression_head, they lose their end."""
    clip_norm: float = Field(1.0, gt=0)
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of the moving average of the trained weights; the average is saved and scored.
    0: no average."""

    @model_validator(mode="after")
    def _check_exclusive_settings(self) -> Self:
        faults = [
            f"give either {one} or {other}"
            for one, other in EXCLUSIVE_SETTINGS
            if (getattr(self, one) is None) == (getattr(self, other) is None)
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self


class SampleCheckSettings(StrictModel):
    """Checks in each evaluation besides the losses. 0 crystals turns a check off."""

    ipt_crystals: int = Field(0, ge=0)
    """Number of validation crystals for the increase in perplexity under translation
    (`metrics.ipt`)."""
    ipt_translations: int = Field(20, ge=2)
    sampled_crystals: int = Field(0, ge=0)
    """Number of crystals sampled with the current weights, to count the valid ones."""
    sampled_max_atoms: int = Field(20, gt=0)
