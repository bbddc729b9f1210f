"""The model settings of a recipe: base or sizes, quantisation, adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from crystext.runtime.schema import StrictModel
from crystext.tokenization.new_tokenizers import LEAST_BPE_VOCABULARY, TokenizerKind


class NewLlamaSettings(StrictModel):
    """A LLaMA with random weights, for the crystal vocabulary or another tokenizer."""

    hidden_size: int = Field(256, gt=0)
    intermediate_size: int = Field(704, gt=0)
    layers: int = Field(6, gt=0)
    heads: int = Field(4, gt=0)
    embedding_size: float = Field(0.02, gt=0)
    """Root mean square of initial embeddings. In a short training on a small table small ones are
    soon forgotten, with all that they know of elements and numbers; large ones need `tied: false`.
    """
    tied: bool = True
    """Whether the output layer shares its weights with the embeddings."""
    element_features: bool = False
    """Begin with embeddings of elements in which elements of similar properties are close (see
    `architectures.element_embeddings`): for small tables, in which many elements are rare."""
    tokenizer: Path | None = None
    """A folder with a tokenizer; None: the crystal vocabulary, or the tokenizer of a corpus."""

    @model_validator(mode="after")
    def _element_features_need_elements(self) -> Self:
        if self.element_features and self.tokenizer is not None:
            raise ValueError(
                "element_features belong to the crystal vocabulary; leave out either of "
                "element_features and tokenizer"
            )
        return self

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        # Rotary embeddings rotate the entries of a head in pairs.
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hidden_size is {self.hidden_size}; expected a multiple of twice the heads, "
                f"{2 * self.heads}"
            )
        return self


Architecture = Literal["t5_encoder", "bert", "roberta", "bart", "llama"]

TextObjective = Literal["masked", "sequence_to_sequence", "causal"]
"""What a network can learn from texts alone."""

TEXT_OBJECTIVES: Mapping[Architecture, TextObjective] = {
    "bert": "masked",
    "roberta": "masked",
    "bart": "sequence_to_sequence",
    "llama": "causal",
}
"""What each architecture learns from texts alone; T5's encoder is for properties only."""

Pooling = Literal["cls", "mean", "last"]
"""What represents a text: the state of its class token, in front, through the pooler that BERT has
for it; the mean of all states; or the state of its last token that is no padding, which of an
encoder-decoder is the one at the last end-of-text token of the decoder."""


class NewNetworkSettings(StrictModel):
    """A network with random weights, for properties of texts, or for texts alone.

    All architectures have the objective `regression_head`. From texts alone, BERT and RoBERTa learn
    `masked`, BART `sequence_to_sequence`, LLaMA `causal`.
    """

    architecture: Architecture
    hidden_size: int = Field(256, gt=0)
    intermediate_size: int = Field(704, gt=0)
    layers: int = Field(4, gt=0)
    """Of BART, those of the encoder."""
    decoder_layers: int | None = Field(None, gt=0)
    """Of BART; None: as many as the encoder has."""
    heads: int = Field(4, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate of embeddings, of attention and of the output of each layer branch: one meaning
    for all architectures, so that they differ in nothing else."""
    tokenizer: TokenizerKind = "bpe"
    """bpe: pairs of bytes, learned from the training texts; characters: those of the training
    texts, one token each; crystal: the crystal vocabulary (see `tokenization.new_tokenizers`)."""
    vocabulary: int = Field(2000, ge=16)
    """Number of tokens at most; the crystal vocabulary has its own."""

    @model_validator(mode="after")
    def _sizes_fit_the_architecture(self) -> Self:
        # LLaMA's rotary embeddings rotate the entries of a head in pairs.
        unit = 2 * self.heads if self.architecture == "llama" else self.heads
        faults = []
        if self.hidden_size % unit:
            named = "twice the heads" if unit > self.heads else "the heads"
            faults.append(
                f"hidden_size is {self.hidden_size}; expected a multiple of {named}, {unit}"
            )
        if self.decoder_layers is not None and self.architecture != "bart":
            faults.append(f"decoder_layers is for bart; {self.architecture} has no second part")
        if self.tokenizer == "bpe" and self.vocabulary < LEAST_BPE_VOCABULARY:
            faults.append(
                f"vocabulary is {self.vocabulary}; expected {LEAST_BPE_VOCABULARY} or more with "
                "tokenizer bpe, which has a token for each byte"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self


class LoraSettings(StrictModel):
    """Low-rank adapters (Hu et al., arXiv:2106.09685); all other weights stay fixed."""

    rank: int = Field(8, gt=0)
    alpha: float = Field(32, gt=0)
    """The adapter's product is scaled by alpha / rank."""
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: list[str] | Literal["all-linear"] = "all-linear"
    """Names of the linear layers that get an adapter, e.g. [q_proj, v_proj]."""


class ModelSettings(StrictModel):
    """Where training starts: from a base, or from random weights; with or without an adapter."""

    base: str | None = None
    """`shipped`, a model folder, or a name on the Hub."""
    new: NewLlamaSettings | None = None
    new_network: NewNetworkSettings | None = None
    quantize: Literal["none", "nf4"] = "none"
    """nf4: the base is held in 4 bits with double quantisation (Dettmers et al.,
    arXiv:2305.14314); needs `lora`."""
    lora: LoraSettings | None = None
    """None trains every weight."""
    gradient_checkpointing: bool = False
    """Recompute activations instead of storing them: less memory, about a third more time."""

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if sum(x is not None for x in (self.base, self.new, self.new_network)) != 1:
            raise ValueError(
                "give either base (what to start from) or new or new_network (the sizes), and only "
                "one of them"
            )
        if self.quantize != "none" and self.lora is None:
            raise ValueError("a quantised base cannot be trained itself; add lora: {}")
        return self
