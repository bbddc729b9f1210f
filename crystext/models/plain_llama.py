"""A plain LLaMA by its weights, with or without transformers.

`read_plain_llama` reads it from its folder without importing transformers, which takes four seconds
where torch takes one: a process that samples needs no more. Plain are LLaMA blocks with RMS norm,
default rotary positions, grouped or full attention, SwiGLU and no bias.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from crystext.errors import ModelError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

_WITHOUT_DEFAULT = (
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "rms_norm_eps",
    "vocab_size",
)
"""Settings that config.json has to name: the defaults of transformers are not repeated here."""

_PLAIN_SETTINGS = (("attention_bias", False), ("mlp_bias", False), ("hidden_act", "silu"))

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class PlainLlama:
    """The settings and weights of a plain LLaMA."""

    heads: int
    kv_heads: int
    head_size: int
    layers: int
    epsilon: float
    """Of the RMS norm."""
    max_tokens: int
    is_tied: bool
    """Whether the head is the embedding."""
    weights: dict[str, torch.Tensor]
    """By the names of transformers."""
    cos: torch.Tensor
    sin: torch.Tensor
    """Of the rotary positions in float32, which they need: shape (positions, head size)."""

    def parameters(self) -> Iterator[torch.Tensor]:
        """Yield the weights."""
        yield from self.weights.values()


def why_unsupported(network: PreTrainedModel | PeftModel) -> str | None:
    """Return why a network is not a plain LLaMA; None if it is one."""
    config = network.config
    if hasattr(network, "peft_config"):
        return "it has an adapter beside its weights"
    if config.model_type != "llama":
        return f"its type is {config.model_type!r}"
    for setting, plain in _PLAIN_SETTINGS:
        found = getattr(config, setting, plain)
        if found != plain:
            return f"its {setting} is {found!r}"
    if strange := [name for name, p in network.named_parameters() if not p.is_floating_point()]:
        return f"its {strange[0]} is quantized"
    return None


def plain_llama_of(network: PreTrainedModel | PeftModel) -> PlainLlama:
    """Return the weights of a network of transformers.

    Raises:
        ModelError: it is not a plain LLaMA.
    """
    if reason := why_unsupported(network):
        raise ModelError(f"the network is not a plain llama: {reason}")
    config = network.config
    heads, positions = int(config.num_attention_heads), int(config.max_position_embeddings)
    with torch.no_grad():
        # The network's own rotary module applies every scaling rule of transformers.
        cos, sin = network.model.rotary_emb(torch.zeros(1), torch.arange(positions)[None])
    return PlainLlama(
        heads,
        int(config.num_key_value_heads),
        int(getattr(config, "head_dim", None) or config.hidden_size // heads),
        int(config.num_hidden_layers),
        float(config.rms_norm_eps),
        positions,
        bool(config.tie_word_embeddings),
        # From any device: the network may have been moved for another sampler.
        {name: p.detach().to("cpu") for name, p in network.named_parameters()},
        cos[0].to("cpu"),
        sin[0].to("cpu"),
    )


def read_plain_llama(folder: Path) -> PlainLlama | None:
    """Read a plain LLaMA from its folder, without transformers.

    Returns:
        None where only transformers can read it, or say what is wrong with it: another
        architecture, scaled positions, quantized weights, a damaged or incomplete file.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        theta = _rope_theta(config)
        if theta is None or not _is_plain(config):
            return None
        heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
        network = PlainLlama(
            heads,
            int(config.get("num_key_value_heads") or heads),
            int(config.get("head_dim") or width // heads),
            int(config["num_hidden_layers"]),
            float(config["rms_norm_eps"]),
            int(config["max_position_embeddings"]),
            bool(config.get("tie_word_embeddings", False)),
            _read_weights(folder),
            *_rotary_positions(config, theta),
        )
        return network if _is_complete(network, config) else None
    # Its readers raise errors of no common class; transformers says what is wrong.
    except Exception:
        return None


def _is_plain(config: dict[str, Any]) -> bool:
    return (
        config.get("architectures") == ["LlamaForCausalLM"]
        and config.get("model_type") == "llama"
        and config.get("quantization_config") is None
        and all(config.get(name, plain) == plain for name, plain in _PLAIN_SETTINGS)
        and all(isinstance(config.get(name), int | float) for name in _WITHOUT_DEFAULT)
    )


def _rope_theta(config: dict[str, Any]) -> float | None:
    """Return the base of the rotary positions; None if they are scaled, or not described."""
    rope = config.get("rope_parameters")
    if rope is None:
        plain = config.get("rope_scaling") is None and "rope_theta" in config
        return float(config["rope_theta"]) if plain else None
    if set(rope) - {"rope_theta", "rope_type"} or rope.get("rope_type", "default") != "default":
        return None
    return float(rope["rope_theta"]) if "rope_theta" in rope else None


def _rotary_positions(config: dict[str, Any], theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cosines and sines of all positions as transformers computes them, bit by bit.

    Source: Su et al., arXiv:2104.09864, equation 34, in the layout of halves.
    """
    size = int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    frequencies = 1.0 / theta ** (torch.arange(0, size, 2, dtype=torch.int64).float() / size)
    positions = torch.arange(int(config["max_position_embeddings"]), dtype=torch.float32)
    angles = positions[:, None] * frequencies
    both = torch.cat([angles, angles], dim=1)
    return both.cos(), both.sin()


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    weights: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    return weights


def _is_complete(network: PlainLlama, config: dict[str, Any]) -> bool:
    """Return whether the weights are those that the settings describe, in their type."""
    dtype = _DTYPES.get(str(config.get("dtype") or config.get("torch_dtype")))
    shapes = dict(_weight_shapes(network, config))
    return shapes.keys() == network.weights.keys() and all(
        tensor.dtype == dtype and tuple(tensor.shape) == shapes[name]
        for name, tensor in network.weights.items()
    )


def _weight_shapes(
    network: PlainLlama, config: dict[str, Any]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    all_heads, kv_heads = network.heads * network.head_size, network.kv_heads * network.head_size
    yield "model.embed_tokens.weight", (int(config["vocab_size"]), width)
    yield "model.norm.weight", (width,)
    if not network.is_tied:
        yield "lm_head.weight", (int(config["vocab_size"]), width)
    for layer in range(network.layers):
        start = f"model.layers.{layer}."
        yield f"{start}input_layernorm.weight", (width,)
        yield f"{start}self_attn.q_proj.weight", (all_heads, width)
        yield f"{start}self_attn.k_proj.weight", (kv_heads, width)
        yield f"{start}self_attn.v_proj.weight", (kv_heads, width)
        yield f"{start}self_attn.o_proj.weight", (width, all_heads)
        yield f"{start}post_attention_layernorm.weight", (width,)
        yield f"{start}mlp.gate_proj.weight", (inner, width)
        yield f"{start}mlp.up_proj.weight", (inner, width)
        yield f"{start}mlp.down_proj.weight", (width, inner)
