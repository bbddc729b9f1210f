"""The loss of packed rows, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from crystext.training.attention import attention_arguments, attention_name
from crystext.training.objectives import LossModule
from crystext.training.packing import Packed

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


class PackedLoss(LossModule):
    """A causal language model, with or without adapters, that returns losses in nats."""

    network: PreTrainedModel | PeftModel

    def __init__(
        self, network: PreTrainedModel | PeftModel, device: torch.device, *, bf16: bool
    ) -> None:
        super().__init__()
        self.network, self.bf16 = network, bf16
        self.attention = attention_name(device)
        base = base_network(network)
        base.set_attn_implementation(self.attention)
        base.config.use_cache = False

    def forward(self, packed: Packed) -> torch.Tensor:
        """Return the loss in nats (K,) of each target of a packed row."""
        with torch.autocast(packed.ids_1_T.device.type, torch.bfloat16, enabled=self.bf16):
            # Logits only at targets: with a large vocabulary they fill the memory.
            logits_1_K_V = self.network(
                input_ids=packed.ids_1_T,
                position_ids=packed.positions_1_T,
                logits_to_keep=packed.logit_index_K,
                **attention_arguments(self.attention, packed),
            ).logits
            return nn.functional.cross_entropy(
                logits_1_K_V[0].float(), packed.targets_K, reduction="none"
            )


def base_network(network: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """Return the network below the adapters, if there are any; adapted layers stay."""
    from transformers import PreTrainedModel

    if isinstance(network, PreTrainedModel):
        return network
    return cast("PreTrainedModel", network.get_base_model())
