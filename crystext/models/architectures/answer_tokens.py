"""Initial embeddings of tokens that are added to a trained network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WAVES = 12
"""Number of half waves by which the answers of a property differ."""


def extend_embeddings(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    answers: Sequence[Sequence[str]],
    seed: int,
) -> None:
    """Give a network a row for every token that its tokenizer has more.

    New rows are random, of the size of the trained ones. Those of answers are waves over the rank
    of the answer among those of its property, with a little noise, so that near answers are close
    from the beginning.

    Args:
        network: whose embeddings grow in place.
        tokenizer: the extended one.
        answers: for each property its answers, ascending.
        seed: of the random numbers.
    """
    old = int(network.get_input_embeddings().weight.shape[0])  # type: ignore[index]
    network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table: torch.Tensor = network.get_input_embeddings().weight  # type: ignore[assignment]
    width = table.shape[1]
    rng = np.random.default_rng(seed)
    scale = float(table[:old].detach().float().std())
    rows = rng.standard_normal((len(tokenizer) - old, width)) * scale
    vocabulary, placed = tokenizer.get_vocab(), set()
    # The same waves for all properties: the question says which property is meant.
    directions = rng.standard_normal((_WAVES, width)) * math.sqrt(2 / _WAVES)
    for texts in answers:
        for rank, text in enumerate(texts):
            i = vocabulary[text]
            if i < old or i in placed:
                continue
            placed.add(i)
            place = rank / max(1, len(texts) - 1)
            waves = np.cos(np.pi * np.arange(_WAVES) * place)
            rows[i - old] = scale * (0.9 * waves @ directions + 0.4 * rng.standard_normal(width))
    with torch.no_grad():
        table[old:] = torch.from_numpy(rows).to(table.dtype)
        output = network.get_output_embeddings()
        if output is not None and output.weight.data_ptr() != table.data_ptr():
            # A layer of its own may have weights of another size.
            ratio = float(output.weight[:old].float().std()) / scale
            output.weight[old:] = ratio * table[old:]
