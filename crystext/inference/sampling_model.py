"""A model as the crystal vocabulary's sampler needs it, read without transformers."""

from __future__ import annotations

from dataclasses import dataclass

from crystext.grammar.token_reader import has_crystal_vocabulary
from crystext.grammar.wyckoff.token_reader import has_wyckoff_vocabulary
from crystext.models.layout import ModelFolder
from crystext.models.plain_llama import PlainLlama, read_plain_llama
from crystext.text import PLAIN, WYCKOFF
from crystext.tokenization.plain_tokenizer import PlainTokenizer, read_plain_tokenizer


@dataclass(frozen=True)
class SamplingModel:
    """Weights and tokenizer of a plain LLaMA."""

    network: PlainLlama
    tokenizer: PlainTokenizer


def read_sampling_model(files: ModelFolder) -> SamplingModel | None:
    """Read the model of a folder; None where only `load_model` can, or says what is wrong.

    Weights are read only if the tokenizer has the crystal vocabulary: those of other models, which
    can be large, would be in memory twice.
    """
    if files.description.objective != "causal" or files.description.base is not None:
        return None
    tokenizer = read_plain_tokenizer(files.path)
    if tokenizer is None or not _has_vocabulary(tokenizer):
        return None
    network = read_plain_llama(files.path)
    if network is None or len(tokenizer) > len(network.weights["model.embed_tokens.weight"]):
        return None
    return SamplingModel(network, tokenizer)


def _has_vocabulary(tokenizer: PlainTokenizer) -> bool:
    return has_crystal_vocabulary(tokenizer, PLAIN) or has_wyckoff_vocabulary(tokenizer, WYCKOFF)
