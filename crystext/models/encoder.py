"""Encoders with a head: initializes, saves and loads them.

An encoder is read from the folder of any T5 or BERT; what else its checkpoint holds, such as a
decoder, is left there. Its own folder is described in `layout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from crystext.errors import ModelError, SettingError
from crystext.models.architectures.bert import new_bert
from crystext.models.architectures.regression_head import EncoderWithHead
from crystext.models.architectures.t5_encoder import new_t5_encoder
from crystext.models.layout import (
    HEAD_FILE,
    ModelDescription,
    ModelFolder,
    base_folder,
    find_folder,
    is_adapter,
    open_model,
    write_description,
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
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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
    tokenizer = read_tokenizer(_base_folder(source))
    add_missing_tokens(tokenizer)
    return tokenizer


def initialize_encoder(
    settings: ModelSettings,
    tokenizer: PreTrainedTokenizerBase,
    *,
    outputs: int,
    pooling: Pooling,
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
        pooling: what represents a text.
        dropout: in front of the head.
        max_tokens: longest text.
        seed: of random weights.
        device: where to train.

    Raises:
        ModelError: the base is unavailable, damaged, or no T5 or BERT.
        SettingError: texts are longer than the number of its positions.
    """
    folder = None
    if settings.new_encoder is not None:
        sizes = settings.new_encoder
        encoder: PreTrainedModel = (
            new_bert(tokenizer, sizes, pooling, max_tokens, seed)
            if sizes.architecture == "bert"
            else new_t5_encoder(tokenizer, sizes, seed)
        )
    else:
        assert settings.base is not None
        folder = _base_folder(settings.base)
        encoder = _read_encoder(folder, pooling, seed)
        _check_positions(encoder, max_tokens, settings.base)
        _grow(encoder, tokenizer, seed)
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
    if files.description.objective != "regression_head":
        raise ModelError(f"the model in {folder} is a language model, and not an encoder")
    settings = read_prediction_settings(folder)
    if settings is None or settings.head is None:
        raise ModelError(f"{folder / 'properties.json'} lacks 'head'; copy the model folder again")
    tokenizer, encoder = read_tokenizer(folder), _read_encoder(folder, settings.head.pooling)
    check_tokenizer_fits(folder, encoder, tokenizer)
    network = EncoderWithHead(encoder, len(settings.scales), pooling=settings.head.pooling)
    with explain_damage(folder):
        network.head.load_state_dict(load_file(folder / HEAD_FILE))
    return LoadedEncoder(network.eval(), tokenizer, settings, folder)


def _base_folder(source: str) -> Path:
    folder = find_folder(source)
    if is_adapter(folder):
        raise ModelError(f"{source} is an adapter of a language model; expected a T5 or a BERT")
    return base_folder(folder)


def _read_encoder(folder: Path, pooling: Pooling, seed: int | None = None) -> PreTrainedModel:
    """Read an encoder.

    Args:
        folder: of its base or its own.
        pooling: whether BERT needs its pooler.
        seed: of a pooler that the base does not have; None needs all weights.
    """
    from transformers import AutoConfig, BertModel, T5EncoderModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    classes: dict[str, Any] = {"t5": T5EncoderModel, "bert": BertModel}
    with explain_damage(folder), torch.random.fork_rng():
        torch.manual_seed(seed or 0)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if config.model_type not in classes:
            raise ModelError(
                f"the model in {folder} is of the type {config.model_type}; a regression head "
                f"goes on {' or '.join(classes)}"
            )
        # A pooler that nothing reads would be saved without ever being trained.
        extra = {"add_pooling_layer": pooling == "cls"} if config.model_type == "bert" else {}
        encoder, report = classes[config.model_type].from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **extra,
        )
    absent = sorted(report["missing_keys"])
    if seed is not None:
        absent = [name for name in absent if not name.startswith("pooler.")]
    if absent:
        raise ModelError(
            f"the weights in {folder} lack {absent[0]} ({len(absent)} in all are missing); "
            "they are not those of the network that config.json describes"
        )
    return encoder  # type: ignore[no-any-return]


def _check_positions(encoder: PreTrainedModel, max_tokens: int, source: str) -> None:
    positions = getattr(encoder.config, "max_position_embeddings", None)
    if positions is not None and max_tokens > positions:
        raise SettingError(
            f"optim.max_tokens is {max_tokens}, and {source} knows {positions} positions; give "
            f"{positions} or less"
        )


def _grow(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int) -> None:
    """Give an encoder rows for the tokens that its tokenizer has more."""
    rows = int(encoder.get_input_embeddings().weight.shape[0])  # type: ignore[index]
    if len(tokenizer) <= rows:
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
