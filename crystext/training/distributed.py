"""Training with one process or several: the parts that accelerate does not handle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import is_initialized
from accelerate.utils import DistributedType, broadcast
from torch import nn

from crystext.errors import SettingError
from crystext.models.network import is_sharded as launched_sharded
from crystext.training.ema import trainable_parameters
from crystext.training.log import check_trackers
from crystext.training.objectives import LossModule
from crystext.training.recipe import Recipe


def check_machine(recipe: Recipe) -> None:
    """Reject settings that this machine or launcher does not support, before reading anything.

    Raises:
        SettingError: with all such settings.
    """
    faults = []
    try:
        check_trackers(recipe.trackers)
    except SettingError as error:
        faults.append(str(error))
    if launched_sharded():
        if recipe.optim.optimizer == "muon":
            faults.append(
                "optim.optimizer: muon needs whole matrices, but FSDP shards them; use adamw"
            )
        if recipe.sample_checks.sampled_crystals:
            faults.append(
                "sample_checks.sampled_crystals: not possible with FSDP, where no process has the "
                "whole model"
            )
        if recipe.keep_models != "last":
            faults.append("keep_models: every_evaluation is not possible with FSDP")
        if recipe.compile:
            faults.append("compile: untested with FSDP; set it to false")
        if recipe.objective != "causal":
            faults.append(
                f"objective: {recipe.objective} is not possible with FSDP; start processes without"
            )
    if faults:
        raise SettingError("the recipe does not work here:\n  " + "\n  ".join(faults))


def make_accelerator(recipe: Recipe, out: Path) -> Accelerator:
    """Return the accelerator of a run, which connects the processes that were launched together."""
    return Accelerator(
        # The loss module handles it. Settings of an earlier user of accelerate in this program
        # cannot be changed, but do not apply there.
        mixed_precision=None if is_initialized() else "no",
        device_placement=False,
        log_with=list(recipe.trackers) or None,
        project_dir=out,
    )


def broadcast_weights(accelerator: Accelerator, network: nn.Module) -> None:
    """Broadcast the weights of the first process: machines may differ in the last bit."""
    if accelerator.num_processes > 1 and not is_sharded(accelerator):
        with torch.no_grad():
            for parameter in trainable_parameters(network).values():
                parameter.copy_(broadcast(parameter.detach().clone()))


def prepare_module(accelerator: Accelerator, module: LossModule) -> nn.Module:
    """Return the module wrapped for several processes."""
    if is_sharded(accelerator):
        from peft import PeftModel
        from peft.utils.other import fsdp_auto_wrap_policy

        plugin = accelerator.state.fsdp_plugin
        if isinstance(module.network, PeftModel):
            # A flattened tensor is trained or frozen as a whole (peft's documentation, "Use PEFT
            # and QLoRA with FSDP").
            plugin.auto_wrap_policy = fsdp_auto_wrap_policy(module.network)
        if module.bf16:
            plugin.set_mixed_precision("bf16", override=True)
    prepared: nn.Module = accelerator.prepare(module)
    return prepared


def is_sharded(accelerator: Accelerator) -> bool:
    """Return whether each process holds only a part of the weights."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def shard_name(name: str, accelerator: Accelerator) -> str:
    """Return a file name, with the rank if each process saves its own part."""
    if not is_sharded(accelerator):
        return name
    return f"{name}-{accelerator.process_index}-of-{accelerator.num_processes}"


def tracker_config(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe for trackers: flat, with numbers, strings and booleans only."""
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
