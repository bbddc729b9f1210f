"""A LLaMA's forward pass for drawing many short texts on a CPU.

The same weights as `transformers.LlamaForCausalLM`, the same results up to rounding. What differs
is the cost: keys and values lie in one preallocated block, all rows are at the same position, rows
that have ended are replaced by the last ones, and logits are made for the tokens of one slot only.
Covers plain LLaMA blocks (RMS norm, rotary positions, grouped or full attention, SwiGLU, no bias).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import linear, rms_norm, silu

from crystext.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class _Layer:
    norm_attention: torch.Tensor
    qkv: torch.Tensor
    out: torch.Tensor
    norm_mlp: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


class ShortTextLlama:
    """The weights of a LLaMA, laid out for stepping a batch of texts token by token."""

    def __init__(self, network: PreTrainedModel) -> None:
        """Take the weights of a network.

        Raises:
            ModelError: the network is no plain LLaMA.
        """
        config = network.config
        if config.model_type != "llama" or getattr(config, "attention_bias", False):
            raise ModelError(f"expected a plain llama network, found {config.model_type!r}")
        self.heads = int(config.num_attention_heads)
        self.kv_heads = int(config.num_key_value_heads)
        self.head_size = int(getattr(config, "head_dim", None) or config.hidden_size // self.heads)
        self.epsilon = float(config.rms_norm_eps)
        self.max_tokens = int(config.max_position_embeddings)
        weights = {name: p.detach() for name, p in network.named_parameters()}
        self.embedding = weights["model.embed_tokens.weight"]
        self.norm = weights["model.norm.weight"]
        self.head = self.embedding if config.tie_word_embeddings else weights["lm_head.weight"]
        self.layers = []
        for i in range(int(config.num_hidden_layers)):
            part = {
                name.removeprefix(f"model.layers.{i}."): p
                for name, p in weights.items()
                if name.startswith(f"model.layers.{i}.")
            }
            self.layers.append(
                _Layer(
                    norm_attention=part["input_layernorm.weight"],
                    qkv=torch.cat([part[f"self_attn.{x}_proj.weight"] for x in "qkv"]),
                    out=part["self_attn.o_proj.weight"],
                    norm_mlp=part["post_attention_layernorm.weight"],
                    gate_up=torch.cat([part[f"mlp.{x}_proj.weight"] for x in ("gate", "up")]),
                    down=part["mlp.down_proj.weight"],
                )
            )
        with torch.no_grad():
            # Asking the network's own rotary module keeps every scaling rule transformers knows.
            positions = torch.arange(self.max_tokens)[None]
            cos, sin = network.model.rotary_emb(self.embedding[:1, None].float(), positions)
        self.cos, self.sin = cos[0].to(self.embedding.dtype), sin[0].to(self.embedding.dtype)

    def logits(self, hidden_B_D: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits of some token ids, or of all: shape (B, len(tokens))."""
        return linear(hidden_B_D, self.head if tokens is None else self.head[tokens])


class Texts:
    """A batch of texts that share a prompt and grow by a token at a time."""

    def __init__(self, model: ShortTextLlama, prompt: torch.Tensor, rows: int, tokens: int) -> None:
        """Read the prompt once for all rows.

        Args:
            prompt: token ids (P,).
            rows: number of texts.
            tokens: most tokens of a whole text, prompt included.

        Raises:
            ModelError: the model knows fewer positions than that.
        """
        if tokens > model.max_tokens:
            raise ModelError(
                f"texts of up to {tokens} tokens, prompt included, but the model knows "
                f"{model.max_tokens} positions; try fewer atoms"
            )
        self.model, self.length, self.rows = model, 0, rows
        shape = (len(model.layers), rows, model.kv_heads)
        dtype = model.embedding.dtype
        # Keys lie with the token axis last: products with one query then read memory in order.
        self._keys = torch.empty(*shape, model.head_size, tokens, dtype=dtype)
        self._values = torch.empty(*shape, tokens, model.head_size, dtype=dtype)
        hidden = self._forward(prompt[None])
        self.hidden_B_D = hidden[:, -1].expand(rows, -1)
        """The last layer's state behind the last token of each text."""

    def append(self, tokens_B: torch.Tensor) -> None:
        """Add a token to each text."""
        self.hidden_B_D = self._forward(tokens_B[:, None])[:, -1]

    def keep(self, keep_B: torch.Tensor) -> torch.Tensor:
        """Drop texts; return which old row each row that is left now was.

        Rows behind the end of the shortened batch fill the gaps: only they are moved.
        """
        left = int(keep_B.sum())
        order = torch.arange(self.rows)[:left].clone()
        gaps = (~keep_B[:left]).nonzero().squeeze(1)
        fillers = left + keep_B[left:].nonzero().squeeze(1)
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
        x = model.embedding[tokens_B_T]
        width = (x.shape[-1],)
        q_size, kv_size = model.heads * model.head_size, model.kv_heads * model.head_size
        # What is behind a token is hidden from it; a single token sees everything there is.
        hidden = torch.full((count, end), -torch.inf, dtype=x.dtype).triu(1 + start)
        for i, layer in enumerate(model.layers):
            qkv = linear(rms_norm(x, width, layer.norm_attention, model.epsilon), layer.qkv)
            qk = qkv[..., : q_size + kv_size].unflatten(-1, (-1, model.head_size))
            qk = _rotate(qk, cos, sin).transpose(1, 2)
            value = qkv[..., q_size + kv_size :].unflatten(-1, (-1, model.head_size)).transpose(1, 2)
            # A prompt of one row is written to all rows: it is the same for each.
            self._keys[i, : self.rows, ..., start:end] = qk[:, model.heads :].transpose(2, 3)
            self._values[i, : self.rows, :, start:end] = value
            keys = self._keys[i, :batch, ..., :end].unsqueeze(2)
            values = self._values[i, :batch, :, :end].unsqueeze(2)
            # Query heads that share keys and values stand together: (B, kv heads, group, T, D).
            query = qk[:, : model.heads].unflatten(1, (model.kv_heads, -1))
            scores = (query @ keys) * model.head_size**-0.5 + hidden
            mixed = (scores.softmax(dim=-1) @ values).flatten(1, 2)
            x = x + linear(mixed.transpose(1, 2).flatten(2), layer.out)
            both = linear(rms_norm(x, width, layer.norm_mlp, model.epsilon), layer.gate_up)
            gate, up = both.chunk(2, dim=-1)
            x = x + linear(silu(gate) * up, layer.down)
        self.length = end
        return rms_norm(x, width, model.norm, model.epsilon)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the halves of each head by the angle of its position: (..., heads, head_size)."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin
