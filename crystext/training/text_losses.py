"""The losses of tokens that are masked, and of texts that are written for other ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from crystext.inference.head_readout import pad_rows
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.example_stream import TrainingRow
from crystext.training.objectives import LossModule

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class PaddedTexts(NamedTuple):
    """B texts, padded at their end, and K tokens to predict."""

    ids_B_T: torch.Tensor
    mask_B_T: torch.Tensor
    """1 at tokens, 0 at padding."""
    decoder_ids_B_S: torch.Tensor
    """What a decoder reads, shifted by one; (B, 0) for a network without one."""
    target_index_K: torch.Tensor
    """Where the targets are predicted, in the flattened (B, T), or (B, S) with a decoder."""
    targets_K: torch.Tensor
    example_index_K: torch.Tensor
    """For each target, the index of its row."""

    @property
    def tokens(self) -> int:
        """Number of tokens that the network reads first, without padding."""
        return int(self.mask_B_T.sum())

    def to(self, device: torch.device) -> PaddedTexts:
        """Return a copy on a device."""
        return PaddedTexts(*(x.to(device, non_blocking=True) for x in self))


def pad_masked(rows: Sequence[TrainingRow], padding_token: int) -> PaddedTexts:
    """Return rows of ids and labels, of equal length, as one batch."""
    ids_B_T, mask_B_T = pad_rows([ids for ids, _ in rows], padding_token)
    return PaddedTexts(
        ids_B_T,
        mask_B_T,
        torch.zeros((len(rows), 0), dtype=torch.long),
        *_targets([labels for _, labels in rows], ids_B_T.shape[1]),
    )


def pad_written(rows: Sequence[TrainingRow], padding_token: int, start_token: int) -> PaddedTexts:
    """Return rows of a text's ids and of the ids to write for it, as one batch.

    Args:
        rows: of any two lengths.
        padding_token: behind them.
        start_token: what a decoder reads first.
    """
    ids_B_T, mask_B_T = pad_rows([ids for ids, _ in rows], padding_token)
    written = [[int(x) for x in answer] for _, answer in rows]
    read = [[start_token, *answer[:-1]] for answer in written]
    decoder_ids_B_S, _ = pad_rows(read, padding_token)
    return PaddedTexts(
        ids_B_T, mask_B_T, decoder_ids_B_S, *_targets(written, decoder_ids_B_S.shape[1])
    )


def _targets(labels: Sequence[Sequence[float]], width: int) -> tuple[torch.Tensor, ...]:
    """Return places, targets and rows of the labels that carry loss."""
    grid = np.full((len(labels), width), IGNORED_LABEL, dtype=np.int64)
    for i, row in enumerate(labels):
        grid[i, : len(row)] = row
    places = np.flatnonzero(grid != IGNORED_LABEL)
    found = places, grid.ravel()[places], places // width
    return tuple(map(torch.from_numpy, found))


class TokenLoss(LossModule):
    """A network that returns the loss in nats (K,) of each target of `PaddedTexts`."""

    network: PreTrainedModel

    def __init__(self, network: PreTrainedModel, *, bf16: bool) -> None:
        super().__init__()
        self.network, self.bf16 = network, bf16

    def forward(self, batch: PaddedTexts) -> torch.Tensor:
        """Return the losses."""
        decodes = batch.decoder_ids_B_S.shape[1] > 0
        extra = {"decoder_input_ids": batch.decoder_ids_B_S, "use_cache": False} if decodes else {}
        with torch.autocast(batch.ids_B_T.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self.network(input_ids=batch.ids_B_T, attention_mask=batch.mask_B_T, **extra)
            logits_K_V = logits.logits.flatten(0, 1)[batch.target_index_K]
            return nn.functional.cross_entropy(
                logits_K_V.float(), batch.targets_K, reduction="none"
            )
