"""Low-rank adapters (Hu et al., arXiv:2106.09685): attached to a network, written, read, merged.

Files are those of peft: `peft.PeftModel.from_pretrained(base, folder)` reads them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from crystext.errors import ModelError, SettingError, describe_error, did_you_mean
from crystext.models.network import import_bitsandbytes, is_sharded
from crystext.models.settings import LoraSettings

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def check_targets(network: PreTrainedModel, settings: LoraSettings, name: str) -> None:
    """Refuse targets that are not linear layers of a network, which needs no weights.

    Raises:
        SettingError: names every target that does not exist, and the existing layers.
    """
    if settings.targets == "all-linear":
        return
    linear = linear_layers(network)
    others = {path.rpartition(".")[2] for path, _ in network.named_modules()} - linear - {""}
    faults = []
    for target in settings.targets:
        last = target.rpartition(".")[2]
        if last in linear and any(
            _ends_with_module(path, target) for path, _ in network.named_modules()
        ):
            continue
        what = "is not a linear layer" if last in others else "does not exist"
        faults.append(f"{target!r} {what}." + did_you_mean(target, linear))
    if not settings.targets:
        faults.append("none is given.")
    if faults:
        raise SettingError(
            f"model.lora.targets: {' '.join(faults)} The linear layers of {name} are "
            f"{', '.join(sorted(linear))}; all-linear takes them all"
        )


def linear_layers(network: PreTrainedModel) -> set[str]:
    """Return the last names of the linear layers, without the output layer."""
    from transformers.pytorch_utils import Conv1D

    head = network.get_output_embeddings()
    return {
        path.rpartition(".")[2]
        for path, module in network.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }


def new_adapter(network: PreTrainedModel, settings: LoraSettings, seed: int) -> PeftModel:
    """Attach a new adapter to a network: it changes nothing yet, and only it will be trained.

    The base's weights are frozen; those of a quantised base that are not in 4 bits are held in
    float32 from here on (`peft.prepare_model_for_kbit_training`).
    """
    import_bitsandbytes()
    from peft import LoraConfig, TaskType

    targets = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # any number is accepted
        lora_dropout=settings.dropout,
        target_modules=targets,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _attach_adapter(network, config)


def read_adapter(
    network: PreTrainedModel, folder: Path, train: LoraSettings | None = None
) -> PeftModel:
    """Attach an adapter from a folder to its base.

    Args:
        network: the base.
        folder: the adapter's.
        train: settings for training it further; None if it will not be trained.

    Raises:
        ModelError: the adapter is damaged, not a LoRA, or has another base.
        SettingError: the settings are for an adapter of another shape.
    """
    import_bitsandbytes()
    from peft import LoraConfig
    from peft.utils import set_peft_model_state_dict

    try:
        found = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        kind = found.get("peft_type")
        # peft would import a module named in these settings.
        if kind != "LORA" or found.get("megatron_config"):
            raise ModelError(
                f"the adapter in {folder} is not a plain LoRA: its peft_type is {kind!r}"
            )
        config = LoraConfig.from_pretrained(str(folder))
        assert isinstance(config, LoraConfig)
        _check_numbers(config)
        weights = load_file(folder / _WEIGHTS)
    except (ValueError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise _damaged_error(folder, error) from error
    # peft records the network's name, and would warn if the base has been moved since.
    config.base_model_name_or_path = None
    config.inference_mode = train is None
    if train is not None:
        _check_shape(config, train, folder)
        config.lora_dropout = train.dropout
    try:
        model = _attach_adapter(network, config)
        result: Any = set_peft_model_state_dict(model, weights)
    except torch.OutOfMemoryError:
        raise
    # Settings of a wrong type fail wherever peft uses them, with errors of no common class.
    except Exception as error:
        raise _damaged_error(folder, error) from error
    absent = [name for name in result.missing_keys if "lora_" in name]
    strange = [*absent, *result.unexpected_keys]
    if strange:
        raise ModelError(
            f"the adapter in {folder} does not fit its base: {strange[0]} is "
            f"{'missing' if absent else 'not in it'} ({len(strange)} such in all)"
        )
    return model


def write_adapter(
    folder: Path,
    model: PeftModel,
    base: str,
    state: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write an adapter's weights and settings.

    Args:
        folder: an existing folder.
        model: the network with the adapter.
        base: name or path by which peft finds the base.
        state: the weights of the whole model by name, if they are stored outside `model`.
    """
    from peft import get_peft_model_state_dict

    weights = get_peft_model_state_dict(
        model, state_dict=None if state is None else dict(state), save_embedding_layers=False
    )
    config = model.peft_config["default"]
    kept = config.base_model_name_or_path, config.inference_mode
    config.base_model_name_or_path, config.inference_mode = base, True
    try:
        config.save_pretrained(str(folder))
    finally:
        config.base_model_name_or_path, config.inference_mode = kept
    save_file(
        {name: weight.detach().cpu().contiguous() for name, weight in weights.items()},
        folder / _WEIGHTS,
        metadata={"format": "pt"},
    )


def merge_and_unload(model: PeftModel) -> PreTrainedModel:
    """Return the base with the adapter's product added to its weights; consumes the model."""
    network: PreTrainedModel = model.merge_and_unload()
    # Older versions of peft leave it, and a plain network would be taken for an adapted one.
    if hasattr(network, "peft_config"):
        del network.peft_config
    return network


def _attach_adapter(network: PreTrainedModel, config: LoraConfig) -> PeftModel:
    from peft import PeftModel, get_peft_model, prepare_model_for_kbit_training

    if getattr(network, "is_loaded_in_4bit", False) and not is_sharded():
        network = prepare_model_for_kbit_training(network, use_gradient_checkpointing=False)
    with warnings.catch_warnings():
        # peft calls transformers by a name that will change, which neither caller can avoid.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        # Sharded weights have one type throughout, including the adapter's.
        model = get_peft_model(network, config, autocast_adapter_dtype=not is_sharded())
    assert isinstance(model, PeftModel)
    return model


def _check_numbers(config: LoraConfig) -> None:
    """Refuse settings of a wrong type that peft would accept or only print."""
    for name in ("r", "lora_alpha", "lora_dropout"):
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r} in {_CONFIG}; expected a number")


def _check_shape(config: LoraConfig, train: LoraSettings, folder: Path) -> None:
    faults = [
        f"{name} is {there:g} there, {asked:g} requested"
        for name, there, asked in (
            ("rank", config.r, train.rank),
            ("alpha", config.lora_alpha, train.alpha),
        )
        if there != asked
    ]
    if isinstance(train.targets, list) and set(train.targets) != set(config.target_modules or ()):
        faults.append(f"targets are {sorted(config.target_modules or ())} there")
    if faults:
        raise SettingError(
            f"model.lora: the adapter in {folder} is of another shape: {'; '.join(faults)}. Give "
            "those values to train it on, or merge it first (crystext merge) for a new one"
        )


def _ends_with_module(path: str, target: str) -> bool:
    return path == target or path.endswith(f".{target}")


def _damaged_error(folder: Path, error: Exception) -> ModelError:
    reason = describe_error(error, "its contents are not those of an adapter")
    return ModelError(
        f"the adapter in {folder} cannot be loaded: {reason[:500]}; copy or create it again"
    )
