"""Attention that stays inside each example of a packed row.

Two implementations, chosen by the machine: flash attention (transformers' `flash_attention_2`),
which takes the boundaries of the examples; else `packed_attention` below, for any device, which
moves queries, keys and values into small grids (examples, longest example), attends there, and
moves the result back. Only this step uses padding, and no token attends to another example.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from crystext.errors import ModelError
from crystext.training.packing import Grid, Packed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKED_ATTENTION = "crystext_packed"
"""Name of `packed_attention` in transformers' registry."""


class _ToGrid(torch.autograd.Function):
    """Move tokens into a grid.

    Every token has one position, so its gradient is read from there; the general rule would add up
    the gradients of all positions, one row at a time in one thread.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, grid: Grid) -> torch.Tensor:
        ctx.save_for_backward(grid.grid_index)
        return x.index_select(0, grid.token_index)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (place,) = ctx.saved_tensors
        return gradient.index_select(0, place), None


class _FromGrid(torch.autograd.Function):
    """Move tokens back from a grid; padding gets no gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, grid: Grid) -> torch.Tensor:
        ctx.save_for_backward(grid.token_index, grid.token_mask)
        return x.index_select(0, grid.grid_index)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        source, real = ctx.saved_tensors
        return gradient.index_select(0, source) * real[:, None].to(gradient.dtype), None


# torch.compile takes minutes to analyse the sizes of several grids in each layer. Excluding
# attention costs a graph break, but the rest of a layer is compiled once for all layers.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    *,
    grids: tuple[Grid, ...],
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend causally inside each example, with the signature of attention in transformers.

    Args:
        query: (1, H, T, D); `key` and `value` may have fewer heads, each for a group of queries.
        grids: positions of the tokens; see `packing.Packed`.

    Returns:
        (1, T, H, D), and no weights.

    Raises:
        ModelError: the model's attention is more than a causal softmax.
    """
    width = 0 if sliding_window is None else max(grid.width for grid in grids)
    if softcap is not None or width > (sliding_window or 0):
        raise ModelError(
            "this model limits its attention by a window or a cap, which packed training does not "
            "support; install flash-attn on a machine with a GPU, or choose another base"
        )
    repeats = query.shape[1] // key.shape[1]
    # One split instead of slices: the gradients of the parts are then concatenated, not added up.
    sizes = [grid.tokens for grid in grids]
    flat = [x[0].transpose(0, 1).flatten(1).split(sizes) for x in (query, key, value)]
    parts = []
    for grid, *tokens in zip(grids, *flat, strict=True):
        q, k, v = (
            _ToGrid.apply(x, grid)  # type: ignore[no-untyped-call]
            .view(grid.rows, grid.width, -1, query.shape[-1])
            .transpose(1, 2)
            for x in tokens
        )
        if repeats > 1:
            k, v = (x.repeat_interleave(repeats, dim=1) for x in (k, v))
        # Padding follows all tokens, where causal queries never attend.
        out = _attend(q, k, v, scaling, dropout if module.training else 0.0)
        moved = out.transpose(1, 2).flatten(2).flatten(0, 1)
        parts.append(_FromGrid.apply(moved, grid))  # type: ignore[no-untyped-call]
    joined = torch.cat(parts) if len(parts) > 1 else parts[0]
    return joined.view(1, -1, query.shape[1], query.shape[-1]), None


def _attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float, dropout: float
) -> torch.Tensor:
    if q.device.type != "cpu":
        return nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, dropout_p=dropout
        )
    # Short rows make the plain computation faster than the fused kernel on a CPU.
    future = torch.full((q.shape[2], q.shape[2]), -torch.inf, dtype=q.dtype).triu(1)
    queries, keys, values = (x.flatten(0, 1) for x in (q, k, v))
    weights = torch.baddbmm(future, queries, keys.transpose(1, 2), alpha=scaling).softmax(dim=-1)
    return torch.bmm(nn.functional.dropout(weights, dropout), values).view(q.shape)


def attention_name(device: torch.device) -> str:
    """Return the name of the attention for packed rows on a device."""
    from transformers import AttentionInterface
    from transformers.utils.import_utils import is_flash_attn_2_available

    if device.type == "cuda" and is_flash_attn_2_available():
        return "flash_attention_2"
    AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    return PACKED_ATTENTION


def attention_arguments(attention: str, packed: Packed) -> dict[str, Any]:
    """Return the arguments that the network's forward pass hands to this attention."""
    if attention == PACKED_ATTENTION:
        return {"grids": packed.grids}
    return {
        "cu_seq_lens_q": packed.cu_seq_lens,
        "cu_seq_lens_k": packed.cu_seq_lens,
        "max_length_q": packed.max_length,
        "max_length_k": packed.max_length,
    }


@contextmanager
def standard_attention(network: PreTrainedModel) -> Iterator[None]:
    """Temporarily let a network attend to padded rows and a cache, as in sampling."""
    attention = network.config._attn_implementation
    network.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        network.set_attn_implementation(attention)
