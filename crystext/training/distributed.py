"""Training by one process or many: what accelerate does not see to by itself."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, broadcast
from torch import nn

from crystext.errors import SettingError
from crystext.models.network import is_sharded as launched_sharded
from crystext.training.ema import trainable_parameters
from crystext.training.log import check_trackers
from crystext.training.loss import PackedLoss
from crystext.training.recipe import Recipe


def check_machine(recipe: Recipe) -> None:
    """Refuse what this machine or this way of launching cannot do, before anything is read.

    Raises:
        SettingError: with all of it.
    """
    faults = []
    try:
        check_trackers(recipe.trackers)
    except SettingError as error:
        faults.append(str(error))
    if launched_sharded():
        if recipe.optim.optimizer == "muon":
            faults.append("optim.optimizer: muon needs whole matrices, FSDP cuts them; use adamw")
        if recipe.sample_checks.sampled_crystals:
            faults.append(
                "sample_checks.sampled_crystals: not with FSDP, which gives no process a model"
            )
        if recipe.compile:
            faults.append("compile: not tried with FSDP; set it to false")
    if faults:
        raise SettingError("the recipe does not work here:\n  " + "\n  ".join(faults))


def broadcast_weights(accelerator: Accelerator, network: nn.Module) -> None:
    """Give every process the first one's weights: machines need not agree to the last bit."""
    if accelerator.num_processes > 1 and not is_sharded(accelerator):
        with torch.no_grad():
            for parameter in trainable_parameters(network).values():
                parameter.copy_(broadcast(parameter.detach().clone()))


def prepare_module(accelerator: Accelerator, module: PackedLoss) -> nn.Module:
    """Return the module as several processes need it."""
    if is_sharded(accelerator):
        from peft import PeftModel
        from peft.utils.other import fsdp_auto_wrap_policy

        plugin = accelerator.state.fsdp_plugin
        if isinstance(module.network, PeftModel):
            # What is cut as one tensor is trained as a whole or frozen as a whole (peft's
            # documentation, "Use PEFT and QLoRA with FSDP").
            plugin.auto_wrap_policy = fsdp_auto_wrap_policy(module.network)
        if module.bf16:
            plugin.set_mixed_precision("bf16", override=True)
    prepared: nn.Module = accelerator.prepare(module)
    return prepared


def is_sharded(accelerator: Accelerator) -> bool:
    """Tell whether each process holds a part of the weights only."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def shard_name(name: str, accelerator: Accelerator) -> str:
    """Return a name of what is kept once, or by each process where each has a part of it."""
    if not is_sharded(accelerator):
        return name
    return f"{name}-{accelerator.process_index}-of-{accelerator.num_processes}"


def tracker_config(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as trackers take it: flat, and no value but numbers, words and truths."""
    flat: dict[str, Any] = {}

    def add(prefix: str, values: dict[str, Any]) -> None:
        for key, value in values.items():
            if isinstance(value, dict):
                add(f"{prefix}{key}.", value)
            else:
                plain = isinstance(value, bool | int | float | str)
                flat[prefix + key] = value if plain else str(value)

    add("", recipe.model_dump(mode="json"))
    return flat
