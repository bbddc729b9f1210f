"""An encoder with a linear layer that gives a number for each property, as in LLM4Mat-Bench.

    ids (B, T) -> states (B, T, D) -> pooled (B, D) -> dropout -> linear -> outputs (B, P)

Outputs are in units of the standard deviation of the training values, from their mean; those of
booleans are logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from crystext.models.settings import Pooling

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class EncoderWithHead(nn.Module):
    """An encoder, and a linear layer on what represents the text."""

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
            encoder: a `T5EncoderModel` or a `BertModel`.
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
        found = self.encoder(input_ids=ids_B_T, attention_mask=mask_B_T)
        if self.pooling == "mean":
            mask_B_T_1 = mask_B_T[:, :, None].to(found.last_hidden_state.dtype)
            pooled_B_D = (found.last_hidden_state * mask_B_T_1).sum(1) / mask_B_T_1.sum(1)
        elif found.get("pooler_output") is not None:
            pooled_B_D = found.pooler_output
        else:
            pooled_B_D = found.last_hidden_state[:, 0]
        outputs_B_P: torch.Tensor = self.head(self.dropout(pooled_B_D))
        return outputs_B_P.float()
