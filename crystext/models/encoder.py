"""Encoders with a head: initializes, saves and loads them.

An encoder is any network that encodes a text (see `architectures.network_families`). It is read
from the folder of any network of these kinds, also of one that this package trained on texts; what
else its checkpoint holds, such as T5's decoder or outputs for tokens, is left there. Its own folder
is described in `layout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from crystext.errors import ModelError, SettingError
from crystext.models.architectures.network_families import FAMILIES, NetworkFamily, new_body
from crystext.models.architectures.regression_head import EncoderWithHead
from crystext.models.base_network import (
    check_positions,
    family_of,
    grow_embeddings,
    read_body,
    whole_base_folder,
)
from crystext.models.layout import (
    HEAD_FILE,
    ModelDescription,
    ModelFolder,
    open_model,
    write_description,
    writes_no_text,
)
from crystext.models.load import check_model_path
from crystext.models.network import check_tokenizer_fits, explain_damage, read_tokenizer
from crystext.models.prediction_settings import (
    PredictionSettings,
    read_prediction_settings,
    write_prediction_settings,
)
from crystext.models.settings import ModelSettings, Pooling
from crystext.runtime.files import replace_folder
from crystext.text import Format
from crystext.tokenization.encoder_vocabulary import add_missing_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class InitialEncoder:
    """An encoder with what its training needs."""

    network: EncoderWithHead
    """All parameters are trained."""
    tokenizer: PreTrainedTokenizerBase
    folder: Path | None = None
    """Of the base; None for random weights."""
    prompts: None = None
    """An encoder reads the texts alone."""


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory, in evaluation mode."""

    network: EncoderWithHead
    tokenizer: PreTrainedTokenizerBase
    settings: PredictionSettings
    folder: Path


def read_base_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a base, with the tokens that an encoder needs.

    Raises:
        ModelError: the base is unavailable, an adapter, or damaged.
    """
    tokenizer = read_tokenizer(whole_base_folder(source))
    add_missing_tokens(tokenizer)
    return tokenizer


def initialize_encoder(
    settings: ModelSettings,
    tokenizer: PreTrainedTokenizerBase,
    *,
    outputs: int,
    pooling: Pooling | None,
    dropout: float,
    max_tokens: int,
    seed: int,
    device: torch.device,
) -> InitialEncoder:
    """Create or load the encoder that training starts from, and put a head on it.

    Weights are in float32. The seed determines random ones: of the head, of new tokens, and of
    BERT's pooler if the base lacks it.

    Args:
        settings: the recipe's.
        tokenizer: of `read_base_tokenizer`, or one that was learned for a new encoder.
        outputs: number of properties.
        pooling: what represents a text; None takes what is usual for the architecture.
        dropout: in front of the head.
        max_tokens: longest text.
        seed: of random weights.
        device: where to train.

    Raises:
        ModelError: the base is unavailable, damaged, or of another architecture.
        SettingError: texts are longer than the number of its positions, or the pooling reads
            nothing.
    """
    folder = None
    if settings.new_network is not None:
        sizes = settings.new_network
        pooling = _pooling(FAMILIES[sizes.architecture], pooling)
        encoder = new_body(tokenizer, sizes, pooling, max_tokens, seed)
    else:
        assert settings.base is not None
        folder = whole_base_folder(settings.base)
        pooling = _pooling(family_of(folder), pooling)
        encoder = read_body(folder, pooling, seed)
        check_positions(encoder, max_tokens, settings.base)
        grow_embeddings(encoder, tokenizer, seed)
    network = EncoderWithHead(encoder, outputs, pooling=pooling, dropout=dropout, seed=seed)
    return InitialEncoder(network.to(device).train(), tokenizer, folder)


def save_encoder(
    folder: Path,
    network: EncoderWithHead,
    tokenizer: PreTrainedTokenizerBase,
    settings: PredictionSettings,
    fmt: Format,
) -> None:
    """Write the folder of an encoder; an older model there is replaced as a whole, or not at all.

    Args:
        folder: the path.
        network: in any mode.
        tokenizer: the network's.
        settings: what it predicts, with `head`.
        fmt: the recipe's text format.

    Raises:
        ModelError: the folder holds something other than a model.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    check_model_path(folder)
    with replace_folder(folder) as partial:
        network.encoder.save_pretrained(partial)
        weights = {name: x.detach().contiguous() for name, x in network.head.state_dict().items()}
        save_file(weights, partial / HEAD_FILE)
        tokenizer.save_pretrained(partial)
        write_prediction_settings(partial, settings)
        about = ModelDescription(fmt, None, generates=False, objective="regression_head")
        write_description(partial, about)


def load_encoder(source: str | Path | ModelFolder) -> LoadedEncoder:
    """Load an encoder that `save_encoder` wrote, or one of the Hub.

    Raises:
        ModelError: it does not exist, is damaged, or is another kind of model.
    """
    files = open_model(source)
    folder = files.path
    if (objective := files.description.objective) not in ("causal", "regression_head"):
        raise writes_no_text(folder, objective)
    if objective == "causal":
        raise ModelError(f"the model in {folder} is a language model, and not an encoder")
    settings = read_prediction_settings(folder)
    if settings is None or settings.head is None:
        raise ModelError(f"{folder / 'properties.json'} lacks 'head'; copy the model folder again")
    tokenizer, encoder = read_tokenizer(folder), read_body(folder, settings.head.pooling)
    check_tokenizer_fits(folder, encoder, tokenizer)
    network = EncoderWithHead(encoder, len(settings.scales), pooling=settings.head.pooling)
    with explain_damage(folder):
        network.head.load_state_dict(load_file(folder / HEAD_FILE))
    return LoadedEncoder(network.eval(), tokenizer, settings, folder)


def _pooling(family: NetworkFamily, pooling: Pooling | None) -> Pooling:
    if family.name == "llama" and pooling == "cls":
        raise SettingError(
            "head.pooling is cls, and the state of the first token of a llama has read nothing "
            "else; give last, or mean"
        )
    return pooling or family.pooling
