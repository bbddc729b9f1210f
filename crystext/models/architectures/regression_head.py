"""A network with a linear layer that gives a number for each property, as in LLM4Mat-Bench.

    ids (B, T) -> states (B, T, D) -> pooled (B, D) -> dropout -> linear -> outputs (B, P)

Outputs are in units of the standard deviation of the training values, from their mean; those of
booleans are logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from crystext.models.settings import Pooling

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class HeadOutputs(NamedTuple):
    """What a network with a head says to a batch of texts."""

    pooled_B_D: torch.Tensor
    """What represents each text."""
    outputs_B_P: torch.Tensor


class EncoderWithHead(nn.Module):
    """A network that encodes a text, and a linear layer on what represents the text."""

    def __init__(
        self,
        encoder: PreTrainedModel,
        outputs: int,
        *,
        pooling: Pooling = "cls",
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Put a head with random weights on an encoder.

        Args:
            encoder: the body of one of `network_families`: an encoder, a decoder, or both.
            outputs: P, number of properties.
            pooling: see `models.settings.Pooling`.
            dropout: rate in front of the linear layer, in training.
            seed: of the weights of the linear layer.
        """
        super().__init__()
        self.encoder, self.pooling = encoder, pooling
        self.dropout = nn.Dropout(dropout)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.head = nn.Linear(int(encoder.config.hidden_size), outputs)

    def forward(self, ids_B_T: torch.Tensor, mask_B_T: torch.Tensor) -> torch.Tensor:
        """Return the outputs (B, P) for padded texts; the mask is 1 at tokens, 0 at padding."""
        return self.encode(ids_B_T, mask_B_T).outputs_B_P

    def encode(self, ids_B_T: torch.Tensor, mask_B_T: torch.Tensor) -> HeadOutputs:
        """Return what represents each text, and the outputs; see `forward`."""
        pooled_B_D = pooled_states(self.encoder, self.pooling, ids_B_T, mask_B_T)
        outputs_B_P: torch.Tensor = self.head(self.dropout(pooled_B_D))
        return HeadOutputs(pooled_B_D.float(), outputs_B_P.float())


def pooled_states(
    body: PreTrainedModel, pooling: Pooling, ids_B_T: torch.Tensor, mask_B_T: torch.Tensor
) -> torch.Tensor:
    """Return what represents each text, (B, D).

    Args:
        body: see `network_families`.
        pooling: see `models.settings.Pooling`.
        ids_B_T: token ids, padded at the end.
        mask_B_T: 1 at tokens, 0 at padding.
    """
    # A network with a decoder would store the keys of all tokens for a next one.
    decodes = body.config.model_type in ("bart", "llama")
    found = body(
        input_ids=ids_B_T, attention_mask=mask_B_T, **({"use_cache": False} if decodes else {})
    )
    states_B_T_D: torch.Tensor = found.last_hidden_state
    if pooling == "last":
        rows_B = torch.arange(len(ids_B_T), device=ids_B_T.device)
        return states_B_T_D[rows_B, mask_B_T.sum(1) - 1]
    if pooling == "mean":
        mask_B_T_1 = mask_B_T[:, :, None].to(states_B_T_D.dtype)
        return (states_B_T_D * mask_B_T_1).sum(1) / mask_B_T_1.sum(1)
    pooled_B_D: torch.Tensor | None = found.get("pooler_output")
    return states_B_T_D[:, 0] if pooled_B_D is None else pooled_B_D
