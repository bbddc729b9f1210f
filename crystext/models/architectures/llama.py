"""LLaMA networks with random weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crystext.chemistry.elements import SYMBOLS
from crystext.models.architectures.element_embeddings import element_embeddings
from crystext.text.formats import MAX_ANGLE
from crystext.tokenization.crystal_vocabulary import element_line, orbit_start

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

    from crystext.models.settings import NewNetworkSettings


def llama_config(
    tokenizer: PreTrainedTokenizerBase, sizes: NewNetworkSettings, max_tokens: int
) -> LlamaConfig:
    """Return the configuration of a LLaMA for texts of any tokenizer.

    LLaMA has dropout of attention alone; `residual_dropout` is the rate of the dropout that
    `architectures.network_families` adds, and that other programs ignore.
    """
    from transformers import LlamaConfig

    extra: dict[str, Any] = {"residual_dropout": sizes.dropout}
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        max_position_embeddings=max_tokens,
        tie_word_embeddings=True,
        attention_dropout=sizes.dropout,
        **extra,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def new_llama(
    tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    max_tokens: int,
    seed: int,
    embedding_size: float = 0.02,
    tied: bool = True,
    element_features: bool = False,
) -> LlamaForCausalLM:
    """Make a LLaMA with random weights; the seed determines them.

    With the crystal vocabulary, numbers and elements begin near their like. The settings are those
    of `models.settings.NewLlamaSettings`; `element_features` needs that vocabulary.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=max_tokens,
        tie_word_embeddings=tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = LlamaForCausalLM(config)
    table = network.model.embed_tokens.weight
    with torch.no_grad():
        table *= embedding_size / config.initializer_range
    vocabulary = tokenizer.get_vocab()
    if element_line(SYMBOLS[0]) in vocabulary:
        _initialize_crystal_tokens(table, vocabulary, embedding_size, seed, element_features)
    return network


def _initialize_crystal_tokens(
    table: torch.Tensor,
    vocabulary: dict[str, int],
    embedding_size: float,
    seed: int,
    element_features: bool,
) -> None:
    """Set the embeddings of the crystal vocabulary's numbers and elements."""
    width = table.shape[1]
    with torch.no_grad():
        for i, row in number_embeddings(vocabulary, width, embedding_size, seed).items():
            table[i] = torch.from_numpy(row)
        if element_features:
            features = element_embeddings(width, embedding_size, seed)
            for symbol, row in zip(SYMBOLS, features, strict=True):
                table[vocabulary[element_line(symbol)]] = torch.from_numpy(row)
        # An element in a prompt or an orbit begins near its line in a crystal, so that the
        # network can copy requested elements before it has learned that these are equal.
        for symbol in SYMBOLS:
            line = vocabulary[element_line(symbol)]
            for other in (vocabulary[symbol], vocabulary[orbit_start(symbol)]):
                table[other] = 0.9 * table[line] + 0.4 * table[other]


def number_embeddings(
    vocabulary: dict[str, int], width: int, scale: float, seed: int
) -> dict[int, np.ndarray[Any, Any]]:
    """Return initial embeddings of number tokens, in which near numbers are close.

    A number v of period P is [cos(2π k v / P), sin(2π k v / P)] over a set of whole k, low ones
    more often, with a little noise; so a translation of the crystal rotates all coordinates
    equally. Periods: 1 for coordinates, 100 for decimals, 360 for whole Å and degrees.

    Returns:
        Row by token id; each row has `width` entries of root mean square `scale`.
    """
    rng = np.random.default_rng(seed)
    half = width // 2
    harmonics = np.sort(np.round(np.exp(rng.uniform(0.0, math.log(250.0), half))))
    rows: dict[int, np.ndarray[Any, Any]] = {}
    # Tokenizers hand out their vocabulary in any order; each row's noise follows from its id.
    for i, piece in sorted((i, piece) for piece, i in vocabulary.items()):
        digits = piece.strip()
        if digits.startswith("0.") and len(digits) == 5:
            turn = float(digits)
        elif len(digits) == 2 and digits.isdigit():
            turn = int(digits) / 100
        elif digits.endswith(".") and digits[:-1].isdigit() and int(digits[:-1]) < MAX_ANGLE:
            turn = int(digits[:-1]) / 360
        else:
            continue
        phases = 2 * np.pi * harmonics * turn
        row = np.concatenate([np.cos(phases), np.sin(phases), np.zeros(width % 2)]) * math.sqrt(2)
        rows[i] = (scale * (0.9 * row + 0.4 * rng.standard_normal(width))).astype(np.float32)
    return rows
