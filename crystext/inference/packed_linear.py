"""Products of activations with weights that stay the same, as sampling takes thousands of them.

oneDNN multiplies bfloat16 matrices in a layout of its own, into which PyTorch's `linear` converts
the weights at every call. For a few rows the conversion costs as much as the product. Here weights
are converted once, by the operators that TorchInductor compiles linear layers to; the products are
the same to the bit. Those of float32 matrices are not: PyTorch's `linear` has MKL multiply them,
which rounds a row differently among other numbers of rows, and oneDNN does not. Without oneDNN, or
in another type, `linear` is called.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

_LIKELY_ROWS = 64
"""Rows for which the layout is chosen; products of other numbers of rows use the same."""


class Linear:
    """A linear layer without bias."""

    def __init__(self, weight: torch.Tensor) -> None:
        """Take the weight, of shape (outputs, inputs)."""
        self._weight, self._packed = weight, _packed(weight)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs: (rows, inputs) to (rows, outputs)."""
        if self._packed is None:
            return linear(x, self._weight)
        return _product(x, self._packed)


def _packed(weight: torch.Tensor) -> Any:
    """Return a weight in the layout of oneDNN; None where it is not multiplied there."""
    if weight.dtype not in (torch.bfloat16, torch.float32) or weight.device.type != "cpu":
        return None
    operators = torch.ops.mkldnn
    try:
        if weight.dtype == torch.bfloat16 and not operators._is_mkldnn_bf16_supported():
            return None
        packed = operators._reorder_linear_weight(weight.contiguous(), _LIKELY_ROWS)
        # A version whose operators take other arguments is found out here.
        _product(torch.zeros(1, weight.shape[1], dtype=weight.dtype), packed)
    except (AttributeError, RuntimeError, TypeError):
        return None
    return packed


def _product(x: torch.Tensor, packed: Any) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    return product
