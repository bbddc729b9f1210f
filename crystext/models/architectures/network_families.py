"""The architectures that a new network can have, and the classes of transformers for each.

    t5_encoder   encoder                       regression_head
    bert         encoder                       regression_head, masked
    roberta      encoder                       regression_head, masked
    bart         encoder and decoder           regression_head, sequence_to_sequence
    llama        decoder                       regression_head, causal

The body of a network ends with the states of its tokens; a head goes on it. Its text network has an
output for each token of the vocabulary besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from crystext.models.architectures.bart import bart_config
from crystext.models.architectures.bert import bert_config, first_roberta_position, roberta_config
from crystext.models.architectures.llama import llama_config
from crystext.models.architectures.residual_dropout import (
    add_embedding_dropout,
    add_residual_dropout,
)
from crystext.models.architectures.t5_encoder import t5_config
from crystext.models.settings import (
    TEXT_OBJECTIVES,
    Architecture,
    NewNetworkSettings,
    Pooling,
    TextObjective,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_MakeConfig = Callable[["PreTrainedTokenizerBase", NewNetworkSettings, int], "PretrainedConfig"]


@dataclass(frozen=True)
class NetworkFamily:
    """An architecture."""

    name: Architecture
    model_type: str
    """In config.json."""
    make_config: _MakeConfig
    body: str
    """Name of the class of transformers."""
    pooling: Pooling
    """What represents a text by default."""
    text_network: str = ""
    """Name of the class with outputs for tokens; empty if there is no `text_objective`."""
    has_pooler: bool = False
    """Whether the body takes `add_pooling_layer`."""
    uses_pooler: bool = False
    """Whether the state of the class token is read through a pooler."""

    @property
    def text_objective(self) -> TextObjective | None:
        """What it learns from texts alone."""
        return TEXT_OBJECTIVES.get(self.name)

    def body_arguments(self, pooling: Pooling | None) -> dict[str, bool]:
        """Return arguments of the body: a pooler that nothing reads would never be trained."""
        if not self.has_pooler:
            return {}
        return {"add_pooling_layer": self.uses_pooler and pooling == "cls"}


FAMILIES: Mapping[Architecture, NetworkFamily] = {
    family.name: family
    for family in (
        NetworkFamily("t5_encoder", "t5", t5_config, "T5EncoderModel", "cls"),
        NetworkFamily(
            "bert",
            "bert",
            bert_config,
            "BertModel",
            "cls",
            "BertForMaskedLM",
            has_pooler=True,
            uses_pooler=True,
        ),
        NetworkFamily(
            "roberta",
            "roberta",
            roberta_config,
            "RobertaModel",
            "cls",
            "RobertaForMaskedLM",
            has_pooler=True,
        ),
        NetworkFamily(
            "bart", "bart", bart_config, "BartModel", "last", "BartForConditionalGeneration"
        ),
        NetworkFamily("llama", "llama", llama_config, "LlamaModel", "last", "LlamaForCausalLM"),
    )
}
"""By name."""


def family_of_type(model_type: str) -> NetworkFamily | None:
    """Return the architecture of a config.json; None if a head goes on no such network."""
    return next((x for x in FAMILIES.values() if x.model_type == model_type), None)


def new_body(
    tokenizer: PreTrainedTokenizerBase,
    sizes: NewNetworkSettings,
    pooling: Pooling,
    max_tokens: int,
    seed: int,
) -> PreTrainedModel:
    """Make a network without an output for tokens; the seed determines its random weights.

    Args:
        tokenizer: of its vocabulary.
        sizes: of the network.
        pooling: cls adds BERT's pooler.
        max_tokens: longest text; it has as many positions.
        seed: of the weights.
    """
    family = FAMILIES[sizes.architecture]
    config = family.make_config(tokenizer, sizes, max_tokens)
    return _new(family.body, config, seed, family.body_arguments(pooling))


def new_text_network(
    tokenizer: PreTrainedTokenizerBase, sizes: NewNetworkSettings, max_tokens: int, seed: int
) -> PreTrainedModel:
    """Make a network with an output for each token; see `new_body`."""
    family = FAMILIES[sizes.architecture]
    config = family.make_config(tokenizer, sizes, max_tokens)
    return _new(family.text_network, config, seed, {})


def _new(
    class_name: str, config: PretrainedConfig, seed: int, arguments: dict[str, bool]
) -> PreTrainedModel:
    import transformers

    made: Any = getattr(transformers, class_name)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: PreTrainedModel = made(config, **arguments)
    add_configured_dropout(network)
    return network


def add_configured_dropout(network: PreTrainedModel) -> None:
    """Add the dropout that a LLaMA of this package was configured with; see `llama_config`."""
    rate = float(getattr(network.config, "residual_dropout", 0.0))
    if rate:
        add_embedding_dropout(network, rate)
        add_residual_dropout(network, rate)


def text_positions(config: PretrainedConfig) -> int | None:
    """Return the number of tokens of the longest text that a network can read; None: any."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return None
    unused = first_roberta_position(config.pad_token_id) if config.model_type == "roberta" else 0
    return int(positions) - unused
