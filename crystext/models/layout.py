"""A model on disk: its folder and description.

A model folder is what transformers writes (config.json, model.safetensors, tokenizer files), plus
`crystext.json` (text format) and `prompts/` (the prompt set). An adapter folder is what peft writes
(adapter_config.json, adapter_model.safetensors) with the tokenizer and the same additions;
`crystext.json` names its base, and the precision of the base in training. The folder of an encoder
that predicts properties has its head (head.safetensors) and properties.json instead of prompts; one
that learned masked tokens, or texts from texts, has neither, and is a base to fine-tune. No
code in any of them is ever executed: weights are read from safetensors only. This module loads no
tensors, and so needs neither torch nor transformers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from crystext.errors import ModelError, SettingError, describe_error
from crystext.runtime.hub import HUB_NAME_PATTERN, download_model
from crystext.runtime.shipped_files import shipped_model
from crystext.tasks.prompts import PromptSet, load_prompts
from crystext.text import Format, get_format

SHIPPED = "shipped"
"""Name of the model that comes with the package."""

BASE_SUBFOLDER = "base"
"""Source of a base that is stored in the adapter's folder, under this name."""

Quantize = Literal["none", "nf4"]
Dtype = Literal["bfloat16", "float16", "float32"]

_EXPECTED_SOURCE = (
    f"expected {SHIPPED!r}, a folder with config.json or adapter_config.json, or OWNER/NAME"
)

Objective = Literal["causal", "regression_head", "masked", "sequence_to_sequence"]
"""What a model was trained to do: write texts; give numbers through a layer of its own; name masked
tokens; or write a text for another one."""

HEAD_FILE = "head.safetensors"

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class AdapterBase:
    """The base of an adapter, in the precision in which the adapter was trained."""

    source: str
    """`shipped`, an absolute path, a name on the Hub, or `BASE_SUBFOLDER`."""
    quantize: Quantize
    dtype: Dtype
    """Type of the weights, before they were quantised."""


@dataclass(frozen=True)
class Temperatures:
    """The temperatures at which a model is sampled by default."""

    text: float = 1.0
    """Stored in generation_config.json, where other programs find it."""
    element: float | None = None
    coordinate: float | None = None
    cell: float | None = None
    """None is that of the text; crystext.json has these three."""


DEFAULT_TEMPERATURES = Temperatures()


@dataclass(frozen=True)
class ModelDescription:
    """The contents of crystext.json."""

    format: Format
    base: AdapterBase | None
    """None if the folder holds a whole model."""
    element_temperature: float | None = None
    coordinate_temperature: float | None = None
    cell_temperature: float | None = None
    sample_format: Format | None = None
    """The format that is sampled by default; None is `format`."""
    generates: bool = True
    """Whether the model writes crystals; False if it only predicts properties."""
    objective: Objective = "causal"


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk: everything that is available before its weights are loaded.

    A command opens a model once, by `open_model`, and passes this on. Each file is read once, when
    it is first needed.
    """

    source: str
    """As the user gave it."""
    path: Path

    @cached_property
    def description(self) -> ModelDescription:
        """The contents of crystext.json; raises `ModelError` if it is damaged."""
        return read_description(self.path)

    @cached_property
    def prompts(self) -> PromptSet:
        """The prompts it was trained with.

        Raises:
            SettingError: they are invalid.
            ModelError: it reads no prompts.
        """
        if self.description.objective != "causal":
            raise writes_no_text(self.path, self.description.objective)
        return load_prompts(self.path / "prompts")

    @cached_property
    def temperatures(self) -> Temperatures:
        """The default sampling temperatures of the model; 1 where it has none.

        Raises:
            ModelError: a file is damaged.
        """
        path, text = self.path / "generation_config.json", 1.0
        if path.exists():
            try:
                text = float(json.loads(path.read_text(encoding="utf-8")).get("temperature") or 1.0)
            except (ValueError, AttributeError, TypeError) as error:
                raise ModelError(
                    f"{path} is damaged: {describe_error(error, 'its values are of another kind')}"
                ) from None
        about = self.description
        return Temperatures(
            text, about.element_temperature, about.coordinate_temperature, about.cell_temperature
        )

    @property
    def default_format(self) -> str | None:
        """Name of the format to sample in by default; None is the model's own format."""
        fmt = self.description.sample_format
        return None if fmt is None else fmt.name

    def require_generator(self) -> None:
        """Refuse a model that writes no crystals.

        Raises:
            ModelError: it only predicts properties, answers in words, or is pretrained alone.
        """
        if self.description.objective in ("masked", "sequence_to_sequence"):
            raise writes_no_text(self.path, self.description.objective)
        if not self.description.generates:
            predicts = (self.path / "properties.json").is_file()
            does, use = ("predicts properties", "predict") if predicts else ("writes text", "chat")
            raise ModelError(
                f"the model {self.source} {does} and writes no crystals; use it with crystext "
                f"{use}, and give a generator here, such as shipped"
            )

    @property
    def is_adapter(self) -> bool:
        """Whether the folder holds an adapter rather than a whole model."""
        return is_adapter(self.path)

    def weight_bytes(self, *, with_base: bool = False) -> int:
        """Return the size of the weights on disk; for an adapter, optionally with its base."""
        folder = self.path
        if with_base and (base := self.description.base) is not None:
            folder = base_folder(base.source, folder)
        return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def open_model(source: str | Path | ModelFolder = SHIPPED) -> ModelFolder:
    """Return the folder of a model or an adapter; an open one is returned unchanged.

    Args:
        source: as `model_folder` takes it.

    Raises:
        ModelError: as `model_folder`.
    """
    if isinstance(source, ModelFolder):
        return source
    return ModelFolder(str(source), model_folder(source))


def writes_no_text(folder: Path, objective: Objective) -> ModelError:
    """Return the error for a use of another model as a language model."""
    if objective != "regression_head":
        return ModelError(
            f"the model in {folder} was pretrained with the objective {objective}, and neither "
            "writes crystals nor predicts properties; fine-tune it with model.base="
            f"{folder} and objective=regression_head"
        )
    return ModelError(
        f"the model in {folder} predicts properties and writes no text; use it as `crystext "
        f"predict --model {folder}`"
    )


def model_folder(source: str | Path = SHIPPED) -> Path:
    """Return the folder of a model or an adapter of this package, checked to be complete.

    Args:
        source: `shipped`, a folder, or a name on the Hub, from which the files are downloaded.

    Raises:
        ModelError: the model does not exist, the folder is incomplete, or its weights are not
            safetensors.
    """
    folder = find_folder(source)
    if is_adapter(folder):
        _require_files(folder, "adapter_config.json", "crystext.json", "prompts", "tokenizer.json")
        if not (folder / "adapter_model.safetensors").is_file():
            raise ModelError(
                f"the adapter folder {folder} lacks adapter_model.safetensors (other weight "
                "formats are not read: they can run code)"
            )
        return folder
    weights = [] if has_safetensors(folder) else ["model.safetensors"]
    _require_files(folder, "config.json", "crystext.json", *weights)
    needed = {"causal": ("prompts",), "regression_head": (HEAD_FILE, "properties.json")}
    objective = read_description(folder).objective
    _require_files(folder, *needed.get(objective, ()), "tokenizer.json")
    return folder


def find_folder(source: str | Path) -> Path:
    """Return the folder of anything that could be a model, complete or not.

    Raises:
        ModelError: it is neither a folder nor a model that can be downloaded from the Hub.
    """
    if str(source) == SHIPPED:
        return shipped_model()
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if isinstance(source, str) and not folder.exists() and HUB_NAME_PATTERN.fullmatch(source):
        return download_model(source)
    raise ModelError(f"no model folder {source}; {_EXPECTED_SOURCE} on the Hub")


def base_folder(source: str | Path, adapter: Path | None = None) -> Path:
    """Return the folder of any causal language model that can be the base of an adapter.

    Args:
        source: as in `AdapterBase`.
        adapter: the adapter's folder.

    Raises:
        ModelError: the model does not exist, it has no config.json, or its weights are pickles.
    """
    if source == BASE_SUBFOLDER and adapter is not None:
        folder = adapter / BASE_SUBFOLDER
    else:
        try:
            folder = find_folder(source)
        except ModelError as error:
            if adapter is None:
                raise
            raise ModelError(
                f"{error}. It is the base of the adapter in {adapter}; copy it there, or write its "
                f"path into {adapter / 'crystext.json'} as base"
            ) from None
    _require_files(folder, "config.json")
    if not has_safetensors(folder):
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth"))
        found = f"as pickles only ({pickles[0]}), which can run code when read" if pickles else ""
        raise ModelError(
            f"the model in {folder} has its weights {found or 'nowhere'}; expected *.safetensors"
            + ("; have the file converted by someone who trusts it" if pickles else "")
        )
    return folder


def require_tokenizer(folder: Path) -> None:
    """Refuse a folder without a vocabulary."""
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"the model in {folder} has no tokenizer: none of {', '.join(_TOKENIZER_FILES)} is "
            "there; copy the tokenizer's files into the folder"
        )


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds an adapter rather than a whole model."""
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()


def has_safetensors(folder: Path) -> bool:
    """Return whether a folder holds a whole model's weights as safetensors."""
    return any(p.name != "adapter_model.safetensors" for p in folder.glob("*.safetensors"))


def read_description(folder: Path) -> ModelDescription:
    """Read crystext.json.

    Raises:
        ModelError: it is damaged, or names a format that does not exist.
    """
    path = folder / "crystext.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        fmt = get_format(found["format"])
        element, coordinate, cell = (
            None if (value := found.get(f"{kind}_temperature")) is None else float(value)
            for kind in ("element", "coordinate", "cell")
        )
        drawn = found.get("sample_format")
        sample_format = None if drawn is None else get_format(drawn)
        objective = found.get("objective", "causal")
        if objective not in get_args(Objective):
            raise ValueError(f"objective is {objective!r}")
        base = None
        if is_adapter(folder):
            base = AdapterBase(found["base"], found["quantize"], found["dtype"])
            for name, kind in (("quantize", Quantize), ("dtype", Dtype)):
                if getattr(base, name) not in get_args(kind):
                    raise ValueError(f"{name} is {getattr(base, name)!r}")
            if not isinstance(base.source, str):
                raise ValueError(f"base is {base.source!r}")
    except SettingError as error:
        raise ModelError(f"{path}: {error}") from None
    except KeyError as error:
        raise ModelError(f"the model in {folder} cannot be loaded: {path} lacks {error}") from None
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ModelError(
            f"the model in {folder} cannot be loaded: {path} is damaged: "
            f"{describe_error(error, 'its values are of another kind')}"
        ) from None
    generates = bool(found.get("generates", True))
    return ModelDescription(
        fmt, base, element, coordinate, cell, sample_format, generates, objective
    )


def write_description(folder: Path, description: ModelDescription) -> None:
    """Write crystext.json."""
    content: dict[str, Any] = {"format": description.format.name}
    if description.objective != "causal":
        content["objective"] = description.objective
    if description.base is not None:
        content |= {
            "base": description.base.source,
            "quantize": description.base.quantize,
            "dtype": description.base.dtype,
        }
    for name in ("element_temperature", "coordinate_temperature", "cell_temperature"):
        if (value := getattr(description, name)) is not None:
            content[name] = value
    if description.sample_format is not None:
        content["sample_format"] = description.sample_format.name
    if not description.generates:
        content["generates"] = False
    (folder / "crystext.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _require_files(folder: Path, *names: str) -> None:
    missing = [
        name for name in names if name == "model.safetensors" or not (folder / name).exists()
    ]
    if "model.safetensors" in missing:
        missing[-1] += " (other weight formats are not read: they can run code)"
    if missing:
        raise ModelError(f"the model folder {folder} lacks {', '.join(missing)}")
