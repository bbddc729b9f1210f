"""A LLaMA forward pass for sampling many short texts on a CPU.

Takes the weights of a plain LLaMA and gives the results of transformers up to rounding, at lower
cost: keys and values are in one block that grows by many tokens at a time, all rows are at the same
position, finished rows are replaced by the last ones, and logits are computed only for the tokens
of one slot.
Covers plain LLaMA blocks (RMS norm, rotary positions, grouped or full attention, SwiGLU, no bias).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import linear, rms_norm, silu

from crystext.errors import ModelError
from crystext.models.plain_llama import PlainLlama, plain_llama_of

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class _Layer:
    norm_attention: torch.Tensor
    qkv: torch.Tensor
    out: torch.Tensor
    norm_mlp: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


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
        weights = {name: tensor.to(dtype) for name, tensor in plain.weights.items()}
        self.embedding = weights["model.embed_tokens.weight"]
        self.norm = weights["model.norm.weight"]
        self.head = self.embedding if plain.is_tied else weights["lm_head.weight"]
        self.layers = [_layer_of(weights, f"model.layers.{i}.") for i in range(plain.layers)]
        sin = plain.sin.clone()
        sin[..., : self.head_size // 2] *= -1
        self.cos, self.sin = plain.cos.to(dtype), sin.to(dtype)
        """Shape (positions, head size); the first half of `sin` is negated."""

    def logits(self, hidden_B_D: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits of some token ids, or of all: shape (B, len(tokens))."""
        return linear(hidden_B_D, self.head if tokens is None else self.head[tokens])


def _layer_of(weights: dict[str, torch.Tensor], prefix: str) -> _Layer:
    def stacked(*names: str) -> torch.Tensor:
        return torch.cat([weights[f"{prefix}{name}.weight"] for name in names])

    return _Layer(
        norm_attention=stacked("input_layernorm"),
        qkv=stacked("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        out=stacked("self_attn.o_proj"),
        norm_mlp=stacked("post_attention_layernorm"),
        gate_up=stacked("mlp.gate_proj", "mlp.up_proj"),
        down=stacked("mlp.down_proj"),
    )


_ROW_STEP = 32
"""Batches are padded to multiples of this size."""

_TOKEN_STEP = 32
"""Tokens by which the memory for keys and values grows. By then many texts have ended, and need
none: a batch takes a third of the memory, and reads are closer together."""


class KVBatch:
    """A batch of texts that share a prompt and grow by one token at a time."""

    def __init__(self, model: CpuLlama, prompt: torch.Tensor, rows: int, tokens: int) -> None:
        """Read the prompt once for all rows.

        Args:
            prompt: token ids (P,).
            rows: number of texts.
            tokens: maximum number of tokens of a text, including the prompt.

        Raises:
            ModelError: the model has fewer positions.
        """
        if tokens > model.max_tokens:
            raise ModelError(
                f"texts of up to {tokens} tokens, prompt included, but the model has "
                f"{model.max_tokens} positions; try fewer atoms"
            )
        self.model, self.length, self.rows, self._max_tokens = model, 0, rows, tokens
        self._keys, self._values = self._allocate(rows, min(len(prompt) + _TOKEN_STEP, tokens))
        hidden = self._forward(prompt[None])
        self.hidden_B_D = hidden[:, -1].expand(rows, -1)
        """The last layer's hidden state after the last token of each text."""

    def _allocate(self, rows: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Allocate keys and values for this number of texts and tokens."""
        model = self.model
        shape, dtype = (len(model.layers), rows, model.kv_heads), model.embedding.dtype
        # Keys have the token axis last: products with one query then read memory in order.
        keys = torch.empty(*shape, model.head_size, tokens, dtype=dtype)
        return keys, torch.empty(*shape, tokens, model.head_size, dtype=dtype)

    def _grow(self) -> None:
        """Make room for more tokens of the remaining texts."""
        end = self.length
        rows = min(-(-self.rows // _ROW_STEP) * _ROW_STEP, self._keys.shape[1])
        keys, values = self._allocate(rows, min(end + _TOKEN_STEP, self._max_tokens))
        keys[..., :end] = self._keys[:, :rows, ..., :end]
        values[..., :end, :] = self._values[:, :rows, :, :end]
        self._keys, self._values = keys, values

    def append(self, tokens_B: torch.Tensor) -> None:
        """Add a token to each text."""
        if self.length == self._values.shape[3]:
            self._grow()
        # Rows without a text pad the step: kernels are compiled, and kept, for every new shape.
        rows = min(-(-self.rows // _ROW_STEP) * _ROW_STEP, self._keys.shape[1])
        tokens_R = torch.nn.functional.pad(tokens_B, (0, rows - self.rows))
        self.hidden_B_D = self._forward(tokens_R[:, None])[: self.rows, -1]

    def keep(self, mask_B: torch.Tensor) -> torch.Tensor:
        """Drop texts; return the old row of each remaining row.

        Rows beyond the end of the shortened batch fill the gaps: only these move.
        """
        left = int(mask_B.sum())
        order = torch.arange(self.rows)[:left].clone()
        gaps = (~mask_B[:left]).nonzero().squeeze(1)
        fillers = left + mask_B[left:].nonzero().squeeze(1)
        order[gaps] = fillers
        if len(gaps):
            end = self.length
            self._keys[:, gaps, ..., :end] = self._keys[:, fillers, ..., :end]
            self._values[:, gaps, :, :end] = self._values[:, fillers, :, :end]
        self.rows = left
        self.hidden_B_D = self.hidden_B_D[order]
        return order

    def _forward(self, tokens_B_T: torch.Tensor) -> torch.Tensor:
        model = self.model
        batch, count = tokens_B_T.shape
        start, end = self.length, self.length + count
        cos, sin = model.cos[start:end, None], model.sin[start:end, None]
        x = model.embedding[tokens_B_T]  # (B, T, width)
        width = (x.shape[-1],)
        rotated = model.heads + model.kv_heads
        # A prompt of one row is broadcast to all rows.
        written = max(batch, self.rows)
        for i, layer in enumerate(model.layers):
            qkv = linear(rms_norm(x, width, layer.norm_attention, model.epsilon), layer.qkv)
            qkv = qkv.unflatten(-1, (-1, model.head_size))  # (B, T, heads, head size)
            qk = _rotate(qkv[:, :, :rotated], cos, sin)
            self._keys[i, :written, ..., start:end] = qk[:, :, model.heads :].permute(0, 2, 3, 1)
            self._values[i, :written, :, start:end] = qkv[:, :, rotated:].transpose(1, 2)
            mixed = self._attend(
                qk[:, :, : model.heads],
                self._keys[i, :batch, ..., :end],
                self._values[i, :batch, :, :end],
            )
            x += linear(mixed, layer.out)
            both = linear(rms_norm(x, width, layer.norm_mlp, model.epsilon), layer.gate_up)
            gate, up = both.chunk(2, dim=-1)
            x += linear(silu(gate).mul_(up), layer.down)
        self.length = end
        return rms_norm(x, width, model.norm, model.epsilon)

    def _attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Return the attention of the last T tokens: (B, T, heads, head size) to (B, T, width).

        Query heads that share keys and values are rows of one product: (B kv heads, group T, ...).
        """
        batch, count = query.shape[:2]
        query = query.unflatten(2, (self.model.kv_heads, -1)).permute(0, 2, 3, 1, 4)
        group = query.shape[2]
        scores = torch.baddbmm(
            query.new_empty(1, 1, 1),
            query.reshape(batch * self.model.kv_heads, group * count, -1),
            keys.flatten(0, 1),
            beta=0,
            alpha=self.model.head_size**-0.5,
        )
        if count > 1:
            # Causal mask; a single token attends to all tokens.
            ahead = torch.ones(count, keys.shape[-1], dtype=torch.bool).triu(
                1 + keys.shape[-1] - count
            )
            scores = scores.unflatten(1, (group, count)).masked_fill_(ahead, -torch.inf)
            scores = scores.flatten(1, 2)
        mixed = torch.bmm(scores.softmax(dim=-1), values.flatten(0, 1))
        mixed = mixed.view(batch, self.model.kv_heads, group, count, -1)
        return mixed.permute(0, 3, 1, 2, 4).reshape(batch, count, -1)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate the halves of each head by the angle of its position: (..., heads, head size).

    `sin` includes the sign of the other half.
    """
    swapped = x.unflatten(-1, (2, -1)).flip(-2).flatten(-2)
    return torch.addcmul(x * cos, swapped, sin)
