"""A LLaMA forward pass for sampling many short texts on a CPU.

Takes the weights of a plain LLaMA and gives the results of transformers up to rounding, at lower
cost: `kv_batch` keeps the keys and values of the texts together, logits are computed only for the
tokens of one slot, and weights are laid out once as the products read them (`packed_linear`).
Covers plain LLaMA blocks (RMS norm, rotary positions, grouped or full attention, SwiGLU, no bias).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from numpy.typing import NDArray
from torch.nn.functional import rms_norm, silu

from crystext.inference.packed_linear import Linear
from crystext.models.plain_llama import PlainLlama, plain_llama_of
from crystext.structures.crystal import Ints

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

_MAX_HEAD_PARTS = 64
"""Number of parts of the head that are kept, each for the tokens of one kind."""


@dataclass(frozen=True)
class _Layer:
    norm_attention: torch.Tensor
    qkv: Linear
    out: Linear
    norm_mlp: torch.Tensor
    gate_up: Linear
    down: Linear


Attention: TypeAlias = Callable[[int, torch.Tensor], torch.Tensor]
"""Given a layer's number and the rotated queries and keys, and the values, of new tokens, of shape
(tokens, heads + 2 kv heads, head size), returns what the tokens attend to: (tokens, width)."""


class CpuLlama:
    """The weights of a LLaMA, laid out for stepping a batch of texts token by token."""

    def __init__(
        self, network: PlainLlama | PreTrainedModel | PeftModel, dtype: torch.dtype
    ) -> None:
        """Take the weights of a network, converted to this type.

        Raises:
            ModelError: the network is not a plain LLaMA.
        """
        plain = network if isinstance(network, PlainLlama) else plain_llama_of(network)
        self.heads, self.kv_heads, self.head_size = plain.heads, plain.kv_heads, plain.head_size
        self.epsilon, self.max_tokens = plain.epsilon, plain.max_tokens
        self.dtype = dtype
        weights = {name: tensor.to(dtype) for name, tensor in plain.weights.items()}
        self.embedding = weights["model.embed_tokens.weight"]
        self.norm = weights["model.norm.weight"]
        self.head = self.embedding if plain.is_tied else weights["lm_head.weight"]
        self.spare_memory: list[NDArray[Any]] = []
        """Memory that keys and values of ended texts leave to those of others."""
        self._whole_head = Linear(self.head)
        self._head_parts: dict[int, tuple[Ints, Linear]] = {}
        """Rows of the head for some tokens, by the identity of the array of their ids."""
        self.layers = [_layer_of(weights, f"model.layers.{i}.") for i in range(plain.layers)]
        sin = plain.sin.clone()
        sin[..., : self.head_size // 2] *= -1
        self.cos, self.sin = plain.cos.to(dtype), sin.to(dtype)
        """Shape (positions, head size); the first half of `sin` is negated."""

    def logits(self, hidden_B_D: torch.Tensor, ids: Ints | None = None) -> torch.Tensor:
        """Return the logits of some token ids, or of all: shape (B, len(ids)).

        Args:
            hidden_B_D: the last layer's hidden states.
            ids: token ids, in an array that stays as it is: its rows of the head are kept.
        """
        return self._whole_head(hidden_B_D) if ids is None else self._head_part(ids)(hidden_B_D)

    def _head_part(self, ids: Ints) -> Linear:
        found = self._head_parts.get(id(ids))
        if found is None:
            if len(self._head_parts) >= _MAX_HEAD_PARTS:
                self._head_parts.clear()
            found = self._head_parts[id(ids)] = ids, Linear(self.head[torch.from_numpy(ids)])
        return found[1]

    def forward(
        self, tokens: torch.Tensor, positions: torch.Tensor, attend: Attention
    ) -> torch.Tensor:
        """Return the last layer's hidden state behind each token: shape (tokens, width).

        Args:
            tokens: token ids.
            positions: of these tokens.
            attend: the attention of these tokens.
        """
        x = self.embedding[tokens]  # (tokens, width)
        width = (x.shape[-1],)
        cos, sin = self.cos[positions].unsqueeze(-2), self.sin[positions].unsqueeze(-2)
        rotated = self.heads + self.kv_heads
        for i, layer in enumerate(self.layers):
            qkv = layer.qkv(rms_norm(x, width, layer.norm_attention, self.epsilon))
            qkv = qkv.unflatten(-1, (-1, self.head_size))  # (tokens, heads + 2 kv heads, head size)
            _rotate(qkv[:, :rotated], cos, sin)
            x += layer.out(attend(i, qkv))
            both = layer.gate_up(rms_norm(x, width, layer.norm_mlp, self.epsilon))
            gate, up = both.chunk(2, dim=-1)
            x += layer.down(silu(gate).mul_(up))
        return rms_norm(x, width, self.norm, self.epsilon)


def _layer_of(weights: dict[str, torch.Tensor], prefix: str) -> _Layer:
    def weight(name: str) -> torch.Tensor:
        return weights[f"{prefix}{name}.weight"]

    qkv = [weight(f"self_attn.{name}_proj") for name in "qkv"]
    return _Layer(
        norm_attention=weight("input_layernorm"),
        qkv=Linear(torch.cat(qkv)),
        out=Linear(weight("self_attn.o_proj")),
        norm_mlp=weight("post_attention_layernorm"),
        gate_up=Linear(torch.cat([weight("mlp.gate_proj"), weight("mlp.up_proj")])),
        down=Linear(weight("mlp.down_proj")),
    )


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Rotate, in place, the halves of each head by the angle of its position.

    `sin` includes the sign of the other half.
    """
    swapped = x.roll(x.shape[-1] // 2, -1)
    x.mul_(cos).addcmul_(swapped, sin)
