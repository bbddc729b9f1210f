"""Texts that an encoder-decoder writes for other texts, token by token, each the most probable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from crystext.inference.head_readout import padded_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.inference_mode()
def written_ids(
    network: PreTrainedModel, rows: Sequence[Sequence[int]], pad: int, max_tokens: int
) -> list[list[int]]:
    """Return the ids that a network writes for each row, without its start token and padding.

    Args:
        network: an encoder-decoder in evaluation mode.
        rows: ids of the texts to read.
        pad: id of the padding token.
        max_tokens: a longer text loses its end.
    """
    found: list[list[int]] = [[] for _ in rows]
    for batch, ids_B_T, mask_B_T in padded_batches(network, rows, pad):
        ids_B_S = network.generate(  # type: ignore[operator]
            input_ids=ids_B_T,
            attention_mask=mask_B_T,
            do_sample=False,
            num_beams=1,
            max_new_tokens=max_tokens,
        )
        for i, row in zip(batch, ids_B_S.tolist(), strict=True):
            found[i] = [token for token in row[1:] if token != pad]
    return found
