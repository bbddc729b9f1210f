"""Many examples in one row, without padding.

    ids        a a a a a b b b c c c c
    positions  0 1 2 3 4 0 1 2 0 1 2 3
    targets    . a a a . b b . . c c .       each token's successor, where it carries loss

All layers except attention process tokens one by one, so they need no padding. Attention must keep
the examples apart: see `packed_attention`, which uses small padded grids of examples of similar
length, or flash attention, which takes the boundaries of the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.example_stream import TrainingRow

_ROWS_PER_GRID = 24
"""Rows per grid: fewer need less padding but more kernels; this number was fastest on a CPU."""
_MAX_GRIDS = 5
_MAX_PADDING = 2.0
"""How many times the attention of the examples alone their grids may cost, if more grids help."""


class Grid(NamedTuple):
    """The grid (B, T) of tokens of consecutive examples in the row."""

    tokens: int
    """Number of tokens of the row, after those of earlier grids."""
    rows: int
    """B."""
    width: int
    """T, the longest of the examples."""
    token_index: torch.Tensor
    """For each position of the grid (B * T), the index of its token; 0 for padding."""
    grid_index: torch.Tensor
    """For each token, its position in the grid."""
    token_mask: torch.Tensor
    """For each position (B * T), 1.0 for a token, 0.0 for padding."""


class Packed(NamedTuple):
    """A row of examples without padding."""

    ids_1_T: torch.Tensor
    positions_1_T: torch.Tensor
    """Start at 0 in each example."""
    logit_index_K: torch.Tensor
    """Tokens whose successor carries loss."""
    targets_K: torch.Tensor
    """Those successors."""
    example_index_K: torch.Tensor
    """For each target, the index of its example among the packed rows."""
    cu_seq_lens: torch.Tensor
    """Cumulative lengths of the examples, from 0, as int32, for flash attention."""
    max_length: int
    grids: tuple[Grid, ...]

    @property
    def tokens(self) -> int:
        """Number of examples."""
        return int(self.ids_1_T.shape[1])

    def to(self, device: torch.device) -> Packed:
        """Return a copy on a device."""
        if device.type == "cpu":
            return self
        moved: Packed = _to_device(self, device)
        return moved


def pack(rows: Sequence[TrainingRow]) -> Packed:
    """Concatenate examples, short ones first."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    ordered = [rows[i] for i in order]
    lengths = np.array([len(ids) for ids, _ in ordered])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    # The label of a token's successor; the last token of an example has none.
    targets = np.concatenate([[*labels[1:], IGNORED_LABEL] for _, labels in ordered])
    kept = np.flatnonzero(targets != IGNORED_LABEL)
    positions = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths)
    cuts = _grid_bounds(lengths)
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


def _grid_bounds(lengths: np.ndarray) -> np.ndarray:
    """Return the first row of each grid, and the number of rows.

    There are more grids than the rows would ask for where lengths differ so much that most of the
    attention would be of padding, as in texts.
    """
    # Attention is quadratic in the length: grids of similar cost have few rows of long examples.
    squares = np.cumsum(lengths**2)
    count = min(_MAX_GRIDS, max(1, len(lengths) // _ROWS_PER_GRID))
    while True:
        inner = np.searchsorted(squares, squares[-1] * np.arange(1, count) / count) + 1
        bounds = np.unique([0, *inner, len(lengths)])
        # Rows are sorted: the last one of a grid is its longest.
        padded = (np.diff(bounds) * lengths[bounds[1:] - 1] ** 2).sum()
        if count == _MAX_GRIDS or padded <= _MAX_PADDING * squares[-1]:
            return bounds
        count += 1


def split_micro_batches(rows: list[TrainingRow], micro_tokens: int) -> list[list[TrainingRow]]:
    """Split rows into parts of about equal tokens, at most `micro_tokens` each.

    A longer row is a separate part. Parts hold rows of similar length.
    """
    rows = sorted(rows, key=lambda row: len(row[0]))
    parts: list[list[TrainingRow]] = []
    total = sum(len(ids) for ids, _ in rows)
    share = total / max(1, -(-total // micro_tokens))
    size = 0
    for row in rows:
        length = len(row[0])
        # A part ends when its proportion is reached, and never exceeds the limit.
        if not parts or size >= share or size + length > micro_tokens:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += length
    return parts


def dummy_rows(token: int) -> list[TrainingRow]:
    """Return rows without loss, for a process without rows while others wait for it."""
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
    """Move the tensors in a named tuple of tensors, numbers and such tuples."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Packed | Grid):
        return type(value)(*(_to_device(x, device) for x in value))
    return tuple(_to_device(x, device) for x in value) if isinstance(value, tuple) else value
