"""Many examples in one row, without padding.

    ids        a a a a a b b b c c c c
    positions  0 1 2 3 4 0 1 2 0 1 2 3
    targets    . a a a . b b . . c c .       each token's successor, where it carries loss

All layers but attention look at tokens one by one, so they never meet padding. Attention has to
keep the examples apart: see `attention`, which computes it over small padded grids of examples of
like length, or flash attention, which takes the bounds of the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.examples import TokenizedExample

_ROWS_PER_GRID = 24
"""Fewer rows a grid pad less and start more kernels; this many was fastest on a CPU."""
_MAX_GRIDS = 5


class Grid(NamedTuple):
    """Where the tokens of examples that follow each other in the row go in a grid (B, T)."""

    tokens: int
    """How many of the row, behind those of the grids before."""
    rows: int
    """B."""
    width: int
    """T, the longest of the examples."""
    token_index: torch.Tensor
    """For each place of the grid (B * T), which of its tokens is there; 0 for padding."""
    grid_index: torch.Tensor
    """For each token, its place in the grid."""
    token_mask: torch.Tensor
    """For each place (B * T), 1.0 where a token is, 0.0 where padding."""


class Packed(NamedTuple):
    """A row of examples, of which every token counts."""

    ids_1_T: torch.Tensor
    positions_1_T: torch.Tensor
    """Start at 0 in each example."""
    logit_index_K: torch.Tensor
    """Tokens whose successor carries loss."""
    targets_K: torch.Tensor
    """Those successors."""
    example_index_K: torch.Tensor
    """The example that each target belongs to, as a place in the rows that were packed."""
    cu_seq_lens: torch.Tensor
    """Ends of the examples, from 0, as int32: what flash attention wants to know."""
    max_length: int
    grids: tuple[Grid, ...]

    @property
    def tokens(self) -> int:
        """How many there are."""
        return int(self.ids_1_T.shape[1])

    def to(self, device: torch.device) -> Packed:
        """Return a copy on a device."""
        if device.type == "cpu":
            return self
        moved: Packed = _to_device(self, device)
        return moved


def pack(rows: Sequence[TokenizedExample]) -> Packed:
    """Lay examples out one behind the other, short ones first."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    ordered = [rows[i] for i in order]
    lengths = np.array([len(ids) for ids, _ in ordered])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    # The label of a token's successor; the last token of an example has none.
    targets = np.concatenate([[*labels[1:], IGNORED_LABEL] for _, labels in ordered])
    kept = np.flatnonzero(targets != IGNORED_LABEL)
    positions = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths)
    count = min(_MAX_GRIDS, max(1, len(rows) // _ROWS_PER_GRID))
    # Attention takes time by the square of the length: grids of like time, few rows of the long.
    squares = np.cumsum(lengths**2)
    inner = np.searchsorted(squares, squares[-1] * np.arange(1, count) / count) + 1
    cuts = np.unique([0, *inner, len(rows)])
    return Packed(
        torch.from_numpy(np.concatenate([ids for ids, _ in ordered]))[None],
        torch.from_numpy(positions)[None],
        torch.from_numpy(kept),
        torch.from_numpy(targets[kept]),
        torch.from_numpy(np.repeat(order, lengths)[kept]),
        torch.from_numpy(bounds.astype(np.int32)),
        int(lengths.max()),
        tuple(_grid(lengths[low:high]) for low, high in pairwise(cuts)),
    )


def split_micro_batches(
    rows: list[TokenizedExample], micro_tokens: int
) -> list[list[TokenizedExample]]:
    """Cut rows into parts of about equal tokens, no more than `micro_tokens` each.

    A row that is longer is a part of its own. Parts hold rows of like length.
    """
    rows = sorted(rows, key=lambda row: len(row[0]))
    parts: list[list[TokenizedExample]] = []
    total = sum(len(ids) for ids, _ in rows)
    share = total / max(1, -(-total // micro_tokens))
    size = 0
    for row in rows:
        length = len(row[0])
        # A part ends where its share is reached, and never holds more than is allowed.
        if not parts or size >= share or size + length > micro_tokens:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += length
    return parts


def dummy_rows(token: int) -> list[TokenizedExample]:
    """Return rows that carry no loss, for a process that has none where others wait for it."""
    return [([token], [IGNORED_LABEL])]


def _grid(lengths: np.ndarray) -> Grid:
    width = int(lengths.max())
    real = np.arange(width) < lengths[:, None]
    first = np.cumsum(lengths) - lengths
    source = np.where(real, first[:, None] + np.arange(width), 0)
    return Grid(
        int(lengths.sum()),
        len(lengths),
        width,
        torch.from_numpy(source.ravel()),
        torch.from_numpy(np.flatnonzero(real)),
        torch.from_numpy(real.ravel().astype(np.float32)),
    )


def _to_device(value: Any, device: torch.device) -> Any:
    """Move what tensors there are in a named tuple of tensors, numbers and such tuples."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Packed | Grid):
        return type(value)(*(_to_device(x, device) for x in value))
    return tuple(_to_device(x, device) for x in value) if isinstance(value, tuple) else value
