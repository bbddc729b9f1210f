"""What a model folder says about property prediction: `properties.json`.

A model with this file predicts properties. The file holds the answers of each property, the
representations that the model reads, and how its intervals are calibrated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from crystext.errors import ModelError, SettingError, describe_error
from crystext.models.settings import Pooling
from crystext.runtime.files import write_text
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.tasks.answer_scales import AnswerScale
from crystext.tasks.representations import get_representation
from crystext.text.descriptions import Strategy, TextPreparation

SETTINGS_FILE = "properties.json"


@dataclass(frozen=True)
class HeadSettings:
    """How an encoder with a head reads a text."""

    pooling: Pooling
    max_tokens: int
    """Longer texts lose their end."""
    preparation: TextPreparation


@dataclass(frozen=True)
class PredictionSettings:
    """The contents of properties.json."""

    scales: Mapping[str, AnswerScale]
    """The answers of each property, in the order in which they are asked for."""
    inputs: tuple[str, ...]
    """Representations that the model reads, the preferred one first."""
    calibration: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By property and by level of an interval: the probability that the predicted distribution has
    to give an interval so that it holds the true value as often as the level says, on validation
    data. The level itself where there are too few of them. Of an encoder with a head: half the
    width of the interval."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """What the model was trained on: number of records with each property, digest of the data."""
    generates: bool = True
    """Whether the model also writes crystals."""
    views: int = 1
    """Number of equivalent texts whose distributions are averaged by default."""
    head: HeadSettings | None = None
    """Of an encoder with a head; None: a language model."""

    @property
    def properties(self) -> dict[str, Property]:
        """What the model predicts, by name."""
        return {name: scale.target for name, scale in self.scales.items()}


def write_prediction_settings(folder: Path, settings: PredictionSettings) -> None:
    """Write properties.json."""
    content = {
        "inputs": list(settings.inputs),
        "generates": settings.generates,
        "views": settings.views,
        "properties": {
            name: _scale_content(scale) | {"calibration": dict(settings.calibration.get(name, {}))}
            for name, scale in settings.scales.items()
        },
        "training": dict(settings.training),
    }
    if settings.head is not None:
        content["head"] = _head_content(settings.head)
    write_text(folder / SETTINGS_FILE, json.dumps(content, indent=1) + "\n")


def _head_content(head: HeadSettings) -> dict[str, Any]:
    return {
        "pooling": head.pooling,
        "max_tokens": head.max_tokens,
        "descriptions": head.preparation.strategy,
        "spells_formulas": head.preparation.spells_formulas,
        "stopwords": sorted(head.preparation.stopwords),
    }


def _read_head(content: Mapping[str, Any] | None) -> HeadSettings | None:
    if content is None:
        return None
    found = {"pooling": content["pooling"], "descriptions": content["descriptions"]}
    for name, kind in (("pooling", Pooling), ("descriptions", Strategy)):
        if found[name] not in get_args(kind):
            raise ValueError(f"{name} is {found[name]!r}")
    words = frozenset(str(word) for word in content["stopwords"])
    preparation = TextPreparation(found["descriptions"], bool(content["spells_formulas"]), words)
    return HeadSettings(found["pooling"], int(content["max_tokens"]), preparation)


def _scale_content(scale: AnswerScale) -> dict[str, Any]:
    target = scale.target
    return {
        "title": target.title,
        "unit": target.unit,
        "kind": target.kind,
        "digits": scale.digits,
        "mean": scale.mean,
        "std": scale.std,
        "atoms": sorted(scale.atoms),
        "levels": list(scale.levels),
    }


def read_prediction_settings(folder: Path) -> PredictionSettings | None:
    """Read properties.json; None if the folder has none: the model predicts no property.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        inputs = tuple(get_representation(name).name for name in content["inputs"])
        if not inputs or not content["properties"]:
            raise ValueError("it names no property or no representation")
        return PredictionSettings(
            {name: _read_scale(name, found) for name, found in content["properties"].items()},
            inputs,
            {
                name: {str(level): float(x) for level, x in found["calibration"].items()}
                for name, found in content["properties"].items()
            },
            content["training"],
            bool(content["generates"]),
            int(content.get("views", 1)),
            _read_head(content.get("head")),
        )
    except SettingError as error:
        raise ModelError(f"{path}: {error}") from None
    except KeyError as error:
        raise ModelError(f"{path} lacks {error}; copy the model folder again") from None
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ModelError(
            f"{path} is damaged: {describe_error(error, 'its values are of another kind')}"
        ) from None


def _read_scale(name: str, content: Mapping[str, Any]) -> AnswerScale:
    kind = content["kind"]
    if kind not in ("number", "boolean"):
        raise ValueError(f"{name} is of the kind {kind!r}")
    # The package's own property has a range and a format; the file says what the model learned.
    known = PROPERTIES.get(name)
    same = known is not None and (known.unit, known.kind) == (content["unit"], kind)
    target = (
        known
        if same and known is not None
        else Property(name, str(content["title"]), unit=str(content["unit"]), kind=kind)
    )
    levels = tuple(float(x) for x in content["levels"])
    if list(levels) != sorted(set(levels)):
        raise ValueError(f"the levels of {name} do not ascend")
    return AnswerScale(
        target,
        levels,
        int(content["digits"]),
        frozenset(float(x) for x in content["atoms"]),
        float(content["mean"]),
        float(content["std"]),
    )
