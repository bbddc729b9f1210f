"""Read properties from an encoder with a head: one pass over a text gives all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from crystext.models.architectures.regression_head import EncoderWithHead
from crystext.structures.crystal import Floats
from crystext.tasks.answer_scales import AnswerScale
from crystext.tokenization.encoder_vocabulary import encoder_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BATCH_TOKENS = 16_384
"""Tokens of a pass, padding included."""


@torch.inference_mode()
def read_head(
    network: EncoderWithHead,
    tokenizer: PreTrainedTokenizerBase,
    scales: Mapping[str, AnswerScale],
    texts: Sequence[str],
    max_tokens: int,
) -> dict[str, Floats]:
    """Return the values of all properties for each text, (N,) by name.

    Numbers are in the unit of the property and within its range; of a boolean it is the probability
    of yes.

    Args:
        network: in evaluation mode.
        tokenizer: its tokenizer.
        scales: mean and standard deviation of each property, in the order of the outputs.
        texts: as the encoder reads them, see `text.descriptions`.
        max_tokens: longer texts lose their end.
    """
    outputs_N_P = np.empty((len(texts), len(scales)))
    rows = encoder_ids(tokenizer, texts, max_tokens)
    for batch, ids_B_T, mask_B_T in padded_batches(network, rows, int(tokenizer.pad_token_id)):
        outputs_N_P[batch] = network(ids_B_T, mask_B_T).double().cpu().numpy()
    return {
        name: _values(scale, outputs_N_P[:, i]) for i, (name, scale) in enumerate(scales.items())
    }


def padded_batches(
    network: nn.Module, rows: Sequence[Sequence[int]], pad: int
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Yield indices of rows of similar length, their ids (B, T) and the mask (B, T).

    Args:
        network: on whose device the batches go.
        rows: token ids.
        pad: id of the padding token.
    """
    device = next(network.parameters()).device
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    while order:
        # The longest first, so that a batch that does not fit is met at once.
        size = max(1, _BATCH_TOKENS // len(rows[order[-1]]))
        batch, order = order[-size:], order[:-size]
        ids_B_T, mask_B_T = pad_rows([rows[i] for i in batch], pad)
        yield batch, ids_B_T.to(device), mask_B_T.to(device)


def pad_rows(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids (B, T), padded at the end, and a mask that is 1 at tokens."""
    width = max(map(len, rows))
    lengths_B = torch.tensor([len(row) for row in rows])
    ids_B_T = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
    return ids_B_T, (torch.arange(width) < lengths_B[:, None]).long()


def _values(scale: AnswerScale, outputs: Floats) -> Floats:
    if scale.is_boolean:
        return np.asarray((1 + np.tanh(outputs / 2)) / 2)
    target = scale.target
    return np.clip(scale.mean + scale.std * outputs, target.minimum, target.maximum)
