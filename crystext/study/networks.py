"""The networks of a study: RoBERTa, BART and LLaMA, their numbers of parameters, and equal sizes.

    roberta   encoder; a text is the state of its first token (Liu et al., arXiv:1907.11692)
    bart      encoder and decoder, half of the layers each; the state of the decoder's last
              end-of-text token (Lewis et al., arXiv:1910.13461)
    llama     decoder; the state of the last token that is no padding (Touvron et al.,
              arXiv:2302.13971)

Each has a linear layer from that state to the targets of pretraining, or outputs for tokens where
it learns texts. Numbers of parameters are counted on networks without memory (PyTorch's meta
device), from their configurations, so that they are those of the library and not of a formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, cast, get_args

from pydantic import Field, model_validator

from crystext.errors import SettingError
from crystext.models.settings import NewNetworkSettings
from crystext.runtime.schema import StrictModel
from crystext.tokenization.new_tokenizers import LEAST_BPE_VOCABULARY, TokenizerKind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Architecture = Literal["roberta", "bart", "llama"]

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

TITLES: Mapping[Architecture, str] = {"roberta": "RoBERTa", "bart": "BART", "llama": "LLaMA"}

MAX_DEVIATION = 0.05
"""Proportion by which the parameters of equal sizes may differ from their mean."""

_SHAPE_RATIO = 100
"""Hidden size over layers that is sought where the layers are not given: those of the published
study are 96 to 124 of encoders and decoders."""

_MAX_LAYERS = 24


class NetworkSizes(StrictModel):
    """The sizes of a network."""

    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    """Of the feed-forward layers."""
    heads: int = Field(gt=0)
    layers: int = Field(gt=0)
    """In all: of BART, half of them in the encoder and half in the decoder."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hidden_size is {self.hidden_size}; expected a multiple of twice the heads, "
                f"{2 * self.heads}"
            )
        return self


class Interface(NamedTuple):
    """What surrounds a network: it is the same for all of a study."""

    vocabulary: int
    """Number of tokens."""
    max_tokens: int
    """Length of a text at most."""
    n_targets: int
    """Targets of pretraining; 0: it learns texts."""


@dataclass(frozen=True)
class _Vocabulary:
    """As much of a tokenizer as a configuration needs; special tokens are the first ones."""

    size: int
    pad_token_id: int = 0
    bos_token_id: int = 2
    eos_token_id: int = 3

    def __len__(self) -> int:
        return self.size


def network_settings(
    architecture: Architecture,
    sizes: NetworkSizes,
    dropout: float = 0.0,
    tokenizer: TokenizerKind = "bpe",
    vocabulary: int = LEAST_BPE_VOCABULARY,
) -> NewNetworkSettings:
    """Return the settings of a network for a recipe; of BART, half of the layers are the encoder's.

    Raises:
        SettingError: BART has an odd number of layers.
    """
    is_bart = architecture == "bart"
    if is_bart and sizes.layers % 2:
        raise SettingError(
            f"bart has {sizes.layers} layers; expected an even number, half of them in the encoder"
        )
    layers = sizes.layers // 2 if is_bart else sizes.layers
    return NewNetworkSettings(
        architecture=architecture,
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        layers=layers,
        decoder_layers=layers if is_bart else None,
        heads=sizes.heads,
        dropout=dropout,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
    )


@lru_cache(maxsize=4096)
def count_parameters(architecture: Architecture, sizes: NetworkSizes, interface: Interface) -> int:
    """Return the number of parameters of a network with what it learns its objective by.

    That is a linear layer to the targets; without targets, the outputs for tokens.

    Raises:
        SettingError: see `network_settings`.
    """
    import torch

    from crystext.models.architectures.network_families import (
        FAMILIES,
        new_body,
        new_text_network,
    )

    settings = network_settings(architecture, sizes)
    words = cast("PreTrainedTokenizerBase", _Vocabulary(interface.vocabulary))
    n_targets, length = interface.n_targets, interface.max_tokens
    with torch.device("meta"):
        if not n_targets:
            network = new_text_network(words, settings, length, seed=0)
        else:
            pooling = FAMILIES[architecture].pooling
            network = new_body(words, settings, pooling, length, seed=0)
    head = (sizes.hidden_size + 1) * n_targets
    return sum(parameter.numel() for parameter in network.parameters()) + head


def match_sizes(
    architecture: Architecture,
    parameters: int,
    interface: Interface,
    *,
    heads: int = 4,
    layers: int | None = None,
    intermediate_ratio: float = 1.0,
) -> NetworkSizes:
    """Return a network of about this many parameters: its width, and its depth if that is open.

    Args:
        architecture: which one.
        parameters: wanted.
        interface: vocabulary and length.
        heads: of attention.
        layers: in all; None takes the depth that brings the width near 100 times the layers.
        intermediate_ratio: feed-forward width over hidden size, from which it departs as far as
            the number of parameters wants it, since widths are multiples of twice the heads.

    Raises:
        SettingError: no network comes within 5% of the number.
    """
    depths = range(2, _MAX_LAYERS + 1, 2) if layers is None else [layers]
    found: list[tuple[float, NetworkSizes]] = []
    nearest: list[int] = []
    for depth in depths:
        sizes = _fit_width(architecture, parameters, interface, heads, depth, intermediate_ratio)
        count = count_parameters(architecture, sizes, interface)
        nearest.append(count)
        if abs(count - parameters) <= MAX_DEVIATION * parameters:
            found.append((abs(sizes.hidden_size / depth / _SHAPE_RATIO - 1), sizes))
        # More layers are narrower.
        if sizes.hidden_size / depth < _SHAPE_RATIO:
            break
    if not found:
        best = min(nearest, key=lambda count: abs(count - parameters))
        raise SettingError(
            f"no {architecture} with {heads} heads"
            + (f" and {layers} layers" if layers is not None else "")
            + f" has {parameters:,} parameters within {MAX_DEVIATION:.0%}; the nearest has "
            f"{best:,}; give another number, fewer heads or fewer layers"
        )
    return min(found, key=lambda pair: pair[0])[1]


def _fit_width(
    architecture: Architecture,
    parameters: int,
    interface: Interface,
    heads: int,
    layers: int,
    ratio: float,
) -> NetworkSizes:
    """Return the sizes nearest to a number of parameters at a given depth."""
    step = 2 * heads

    def sizes(multiple: int, intermediate: int | None = None) -> NetworkSizes:
        hidden = step * multiple
        return NetworkSizes(
            hidden_size=hidden, heads=heads, layers=layers,
            intermediate_size=intermediate or max(1, round(ratio * hidden)),
        )  # fmt: skip

    def count(multiple: int, intermediate: int | None = None) -> int:
        return count_parameters(architecture, sizes(multiple, intermediate), interface)

    low, high = 1, 2
    while count(high) < parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < parameters else (low, middle)
    multiple = min((low, high), key=lambda x: abs(count(x) - parameters))
    # Parameters are linear in the feed-forward width.
    slope = count(multiple, 2) - count(multiple, 1)
    intermediate = 1 + round((parameters - count(multiple, 1)) / slope)
    return sizes(multiple, max(1, intermediate))
