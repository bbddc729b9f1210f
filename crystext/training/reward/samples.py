"""Samples of a model with their rewards, as the tables beside the runs give them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crystext.data.store import Records
from crystext.data.table_rows import open_table
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.generation.run import read_attempts, run_folder
from crystext.inference.types import SamplingSettings
from crystext.structures.crystal import Floats
from crystext.structures.distances import Bools
from crystext.structures.properties import reduced_formula
from crystext.structures.wyckoff.orbits import WyckoffCrystal, from_wyckoff
from crystext.text import WYCKOFF, Format, get_format
from crystext.training.reward.settings import RewardSettings
from crystext.training.reward.weights import advantages, class_features, exponential_weights

_INDEX_COLUMNS = ("index", "name")

_TEMPERATURES = ("temperature", "element_temperature", "coordinate_temperature", "cell_temperature")

_FEWEST = 100
"""Fewer samples would be all noise."""


@dataclass(frozen=True)
class RewardedSample:
    """A text that a model wrote, and its reward."""

    prompt: str
    text: str
    crystal: WyckoffCrystal
    reward: float

    @property
    def key(self) -> tuple[str, int]:
        """Reduced formula and space group."""
        return reduced_formula(from_wyckoff(self.crystal).numbers), self.crystal.space_group


@dataclass(frozen=True)
class RewardedSamples:
    """The samples of runs, and the temperatures at which they were drawn."""

    samples: tuple[RewardedSample, ...]
    temperatures: SamplingSettings
    left_out: int
    """Samples that are no crystals, or have no reward."""


def read_rewarded_samples(settings: RewardSettings) -> RewardedSamples:
    """Read the runs and the tables of a recipe.

    Raises:
        InputError: a folder has no samples, a table cannot be read, or too few samples have a
            reward.
        RunError: a folder is not a run, or damaged.
        SettingError: there are more runs than tables, or the runs have other temperatures or are
            not in the Wyckoff text.
    """
    if len(settings.samples) != len(settings.tables):
        raise SettingError(
            f"rewards: {len(settings.samples)} folders of samples and {len(settings.tables)} "
            "tables; expected a table for each folder"
        )
    found: list[RewardedSample] = []
    left_out, temperatures = 0, {}
    for run, table in zip(settings.samples, settings.tables, strict=True):
        temperatures[run] = _temperatures(run)
        rewards = _read_rewards(table, settings)
        for attempt in read_attempts(run):
            sample = _sample(attempt, rewards.get(str(attempt["index"])))
            if sample is None:
                left_out += 1
            else:
                found.append(sample)
    first, *others = temperatures.items()
    if other := next((run for run, x in others if x != first[1]), None):
        raise SettingError(
            f"rewards: {first[0]} and {other} were sampled at different temperatures; expected one "
            "set, for which the model is trained"
        )
    if len(found) < _FEWEST:
        raise InputError(
            f"rewards: {len(found)} samples have a reward; expected {_FEWEST} or more, and 30,000 "
            "for an effect beyond noise"
        )
    return RewardedSamples(tuple(found), first[1], left_out)


def _temperatures(run: Path) -> SamplingSettings:
    """Return the sampling settings of a run, of which the temperatures count."""
    settings = run_folder(run).settings()
    if settings is None:
        raise InputError(
            f"rewards: no samples in {run}; expected a folder of `crystext sample`: give "
            "rewards.samples=FOLDER"
        )
    fmt = _format(settings)
    if fmt != WYCKOFF:
        named = "their model's own text" if fmt is None else f"the text {fmt.name}"
        raise SettingError(
            f"rewards: the samples of {run} are in {named}; expected wyckoff: sample with "
            "--text-format wyckoff"
        )
    if settings.get("guidance", 1) != 1 or settings.get("top_p", 1) != 1:
        raise SettingError(
            f"rewards: the samples of {run} have guidance or top-p, so they do not follow the "
            "distribution that is trained; sample without"
        )
    return SamplingSettings(**{name: settings[name] for name in _TEMPERATURES if name in settings})


def _format(settings: dict[str, Any]) -> Format | None:
    name = settings.get("format")
    return get_format(name) if isinstance(name, str) else None


def _read_rewards(path: Path, settings: RewardSettings) -> dict[str, float]:
    """Return the reward of each index of a table, the higher the better."""
    if not path.is_file():
        raise InputError(f"rewards: no file {path}; give rewards.tables=FILE")
    table = open_table(path)
    if table is None:
        raise InputError(f"rewards: {path} is not a table; expected CSV, Parquet or JSON lines")
    index = next((x for x in _INDEX_COLUMNS if x in table.columns), None)
    if index is None or settings.column not in table.columns:
        lacking = settings.column if index is not None else " or ".join(_INDEX_COLUMNS)
        raise InputError(
            f"rewards: {path} has no column {lacking}; its columns are "
            f"{', '.join(table.columns)}." + did_you_mean(lacking, table.columns)
        )
    sign = 1.0 if settings.goal == "high" else -1.0
    rewards = {}
    for row in table.read([index, settings.column]):
        value = _number(row[settings.column])
        if math.isfinite(value):
            rewards[str(row[index])] = sign * value
    return rewards


def _number(cell: Any) -> float:
    try:
        return math.nan if cell is None else float(cell)
    except ValueError:
        return math.nan


def _sample(attempt: dict[str, Any], reward: float | None) -> RewardedSample | None:
    if reward is None or attempt["failure"] is not None:
        return None
    crystal = WYCKOFF.declared_wyckoff(attempt["text"])
    if crystal is None:
        return None
    return RewardedSample(attempt["prompt"], attempt["text"], crystal, reward)


def in_training_data(samples: Sequence[RewardedSample], records: Records) -> Bools:
    """Return which samples have formula and space group of a crystal in the data."""
    formulas = set()
    for i in range(len(records)):
        record = records[i]
        if record.crystal is not None and record.wyckoff is not None:
            formulas.add((reduced_formula(record.crystal.numbers), record.wyckoff.space_group))
    return np.array([sample.key in formulas for sample in samples], dtype=np.bool_)


def sample_weights(
    samples: Sequence[RewardedSample],
    splits: Mapping[str, Records],
    settings: RewardSettings,
) -> Floats:
    """Return the weight of each sample, compared with samples of its kind.

    Args:
        samples: as read.
        splits: of the data; train says what is known, validation how frequent a kind is to be.
        settings: those of the recipe.

    Raises:
        InputError: kinds are to be as in validation, which has no crystals.
    """
    rewards = np.array([sample.reward for sample in samples], dtype=np.float64)
    repeats = in_training_data(samples, splits["train"])
    crystals = [sample.crystal for sample in samples]
    kept = [kind for kind in settings.unchanged if kind not in settings.as_in_validation]
    changed = class_features(crystals, settings.as_in_validation)
    features = np.hstack([class_features(crystals, kept), changed])
    means = np.full(features.shape[1], np.nan)
    if settings.as_in_validation:
        means[-changed.shape[1] :] = _means(splits["validation"], settings.as_in_validation)
    fitted = ~repeats if (~repeats).sum() >= _FEWEST else np.ones_like(repeats)
    return exponential_weights(
        advantages(rewards, features, fitted),
        features,
        repeats,
        sharpness=settings.sharpness,
        most=settings.most,
        known_weight=settings.known_weight,
        means=means,
    )


def _means(records: Records, kinds: Sequence[str]) -> Floats:
    found = [records[i].wyckoff for i in range(len(records))]
    crystals = [x for x in found if x is not None]
    if not crystals:
        raise InputError(
            "rewards.as_in_validation: no crystal of the validation split has a Wyckoff text; "
            "expected a store of `crystext data prepare`, or leave the setting out"
        )
    means: Floats = class_features(crystals, kinds).mean(axis=0)
    return means
