"""Loads models (network, tokenizer, prompts) from disk, and saves them.

See `layout` for the files on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from crystext.errors import ModelError
from crystext.models.initialize import TrainedBase
from crystext.models.layout import (
    BASE_SUBFOLDER,
    DEFAULT_TEMPERATURES,
    SHIPPED,
    AdapterBase,
    ModelDescription,
    ModelFolder,
    Temperatures,
    base_folder,
    open_model,
    write_description,
    writes_no_text,
)
from crystext.models.lora import merge_and_unload, read_adapter, write_adapter
from crystext.models.network import (
    check_tokenizer_fits,
    dequantize,
    explain_damage,
    read_network,
    read_tokenizer,
)
from crystext.models.prediction_settings import PredictionSettings, write_prediction_settings
from crystext.runtime.files import replace_folder
from crystext.runtime.shipped_files import shipped_model
from crystext.tasks.prompts import PromptSet, write_prompts
from crystext.text import Format

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LARGE_MODEL_PARAMETERS = 1_000_000_000
"""Number of parameters from which a 4-bit base stays in 4 bits on a GPU."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory: network, tokenizer, prompts and text format."""

    network: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    prompts: PromptSet
    format: Format
    folder: Path
    files: ModelFolder | None = None
    """The folder it was loaded from; None for a model in training."""


def save_model(
    folder: Path,
    network: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: PromptSet,
    fmt: Format,
    *,
    base: TrainedBase | None = None,
    temperatures: Temperatures = DEFAULT_TEMPERATURES,
    sample_format: Format | None = None,
    state: Mapping[str, torch.Tensor] | None = None,
    prediction: PredictionSettings | None = None,
    generates: bool = True,
) -> None:
    """Write a model folder, or an adapter folder if the network has an adapter.

    An adapter folder can be read by peft alone, given the base. So that peft finds the base itself,
    adapter_config.json names it: a base from the Hub by its name, any other by its path on this
    machine, including the shipped one. This package reads crystext.json instead, which names the
    shipped base as such and so is valid on any machine.

    Args:
        folder: the path; an older model there is replaced as a whole, or not at all.
        network: a `PeftModel` is saved as an adapter.
        tokenizer: the network's.
        prompts: the prompts it was trained with.
        fmt: the text format it was trained to write.
        base: `InitialModel.base`, of an adapter.
        temperatures: default sampling temperatures.
        sample_format: the format that is sampled by default; None is `fmt`.
        state: the network's weights by name, if they are stored elsewhere.
        prediction: what the model predicts, if it was trained to.
        generates: whether it was trained to write crystals.

    Raises:
        ModelError: the folder holds something other than a model.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    check_model_path(folder)
    with replace_folder(folder) as partial:
        # Only an adapter has a base; importing peft to ask takes seconds.
        if base is not None:
            adapter = cast("PeftModel", network)
            write_adapter(partial, adapter, _base_name_for_peft(base, folder), state)
            if base.build is not None:
                base.build().save_pretrained(partial / BASE_SUBFOLDER)
            plain = cast("PreTrainedModel", adapter.get_base_model())
            stands_on = AdapterBase(base.source, base.quantize, base.dtype)
        else:
            plain, stands_on = cast("PreTrainedModel", network), None
            plain.save_pretrained(partial, state_dict=None if state is None else dict(state))
        _write_generation_config(partial, plain, temperatures)
        tokenizer.save_pretrained(partial)
        write_prompts(partial / "prompts", prompts)
        if prediction is not None:
            write_prediction_settings(partial, prediction)
        about = ModelDescription(
            fmt,
            stands_on,
            temperatures.element,
            temperatures.coordinate,
            temperatures.cell,
            sample_format,
            generates=generates,
        )
        write_description(partial, about)


def _write_generation_config(
    folder: Path, network: PreTrainedModel, temperatures: Temperatures
) -> None:
    """Write the temperature of the text where transformers looks for it."""
    if network.generation_config is not None:
        network.generation_config.do_sample = True
        network.generation_config.temperature = temperatures.text
        network.generation_config.save_pretrained(folder)


def load_model(source: str | Path | ModelFolder = SHIPPED) -> LoadedModel:
    """Load the shipped model, a model folder, an adapter folder, or one of these from the Hub.

    A folder opened by `open_model` is not searched for again.

    An adapter is merged into its base, see `merge_into_base`. But with a GPU, a 4-bit base of more
    than 10^9 parameters stays in 4 bits and keeps its adapter separate.

    Raises:
        ModelError: the model does not exist, its folder is incomplete or damaged, its weights are
            not safetensors, an adapter's base is not available, or it writes no text.
    """
    files = open_model(source)
    folder, about = files.path, files.description
    if about.objective != "causal":
        raise writes_no_text(folder, about.objective)
    tokenizer = read_tokenizer(folder)
    network: PreTrainedModel | PeftModel
    if about.base is None:
        network = read_network(folder)
        check_tokenizer_fits(folder, network, tokenizer)
    elif _stays_quantized(folder, about.base):
        network = _load_on_base(folder, about.base, tokenizer, torch.device("cuda"))
    else:
        network = merge_into_base(folder, about.base, tokenizer)
    return LoadedModel(network.eval(), tokenizer, files.prompts, about.format, folder, files)


def merge_into_base(
    folder: Path, base: AdapterBase, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """Return an adapter's base with the adapter's product added to its weights.

    An adapter that was trained on a 4-bit base is merged into the dequantized weights, because that
    is the model that was trained; the full weights differ slightly.

    Raises:
        ModelError: the base is not available, or one of the two is damaged.
    """
    from transformers import GenerationConfig

    settings = None
    if (folder / "generation_config.json").is_file():
        with explain_damage(folder):
            settings = GenerationConfig.from_pretrained(folder, local_files_only=True)
    model = _load_on_base(folder, base, tokenizer, torch.device("cpu"), dequantize_base=True)
    network = merge_and_unload(model)
    if settings is not None:
        network.generation_config = settings
    return network


def _load_on_base(
    folder: Path,
    base: AdapterBase,
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device,
    *,
    dequantize_base: bool = False,
) -> PeftModel:
    under = base_folder(base.source, folder)
    dtype = getattr(torch, base.dtype)
    network = read_network(under, dtype=dtype, quantize=base.quantize, device=device)
    check_tokenizer_fits(under, network, tokenizer)
    if dequantize_base and base.quantize != "none":
        network = dequantize(network)
    return read_adapter(network, folder)


def _stays_quantized(folder: Path, base: AdapterBase) -> bool:
    under = base_folder(base.source, folder)
    # Two bytes a parameter, as most weights are stored.
    weights = sum(path.stat().st_size for path in under.glob("*.safetensors")) / 2
    return (
        base.quantize != "none" and weights > _LARGE_MODEL_PARAMETERS and torch.cuda.is_available()
    )


def _base_name_for_peft(base: AdapterBase, folder: Path) -> str:
    if base.source == BASE_SUBFOLDER:
        return str(folder.resolve() / BASE_SUBFOLDER)
    return str(shipped_model()) if base.source == SHIPPED else base.source


def check_model_path(folder: Path) -> None:
    """Check that a model can be saved to a path, before the work for it.

    Raises:
        ModelError: the path holds something other than a model.
    """
    if folder.exists():
        if not folder.is_dir():
            raise ModelError(f"{folder} is a file; expected a path for a model folder")
        if any(folder.iterdir()) and not (folder / "crystext.json").is_file():
            raise ModelError(f"{folder} holds files that are not a model; give an empty folder")
