"""Initializes the model to train: from a base or random weights, with or without an adapter.

All settings are validated here, before anything is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from safetensors.torch import save_file

from crystext.errors import SettingError
from crystext.models.architectures.llama import new_llama
from crystext.models.architectures.network_families import add_configured_dropout
from crystext.models.layout import (
    BASE_SUBFOLDER,
    SHIPPED,
    AdapterBase,
    Dtype,
    base_folder,
    find_folder,
    is_adapter,
    model_folder,
    read_description,
)
from crystext.models.lora import check_targets, merge_and_unload, new_adapter, read_adapter
from crystext.models.network import (
    check_tokenizer_fits,
    dequantize,
    is_sharded,
    network_without_weights,
    read_network,
    read_tokenizer,
)
from crystext.models.settings import ModelSettings
from crystext.tasks.prompts import PromptSet, load_prompts
from crystext.text import Format
from crystext.tokenization.crystal_vocabulary import build_tokenizer

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class TrainedBase(AdapterBase):
    """A base, and how to recreate it where it is not stored anywhere."""

    build: Callable[[], PreTrainedModel] | None = None
    """Set if `source` is `BASE_SUBFOLDER`: the base has to be written beside the adapter."""


@dataclass(frozen=True)
class InitialModel:
    """A network with all that training needs."""

    network: PreTrainedModel | PeftModel
    """Exactly the parameters to be trained require gradients."""
    tokenizer: PreTrainedTokenizerBase
    prompts: PromptSet
    format: Format
    base: TrainedBase | None
    """The base of the adapter; None if every weight is trained."""
    folder: Path | None = None
    """Of the model or adapter that training starts from; None for random weights."""


def initialize_model(
    settings: ModelSettings,
    prompts: PromptSet | None,
    fmt: Format,
    *,
    max_tokens: int,
    seed: int,
    device: torch.device,
    compute_dtype: torch.dtype,
    tokenizer_folder: Path | None = None,
) -> InitialModel:
    """Create or load the network that training starts from.

    Trained weights are in float32; those of a base under an adapter are in the compute type, or in
    4 bits. The seed determines random weights, the adapter's included.

    Args:
        settings: the recipe's.
        prompts: the recipe's prompt set; None takes the one that the base was trained with, or the
            default.
        fmt: the text format to train.
        max_tokens: longest example; a new network has as many positions.
        seed: of random weights.
        device: where to train. With FSDP the weights stay where they are, to be sharded.
        compute_dtype: type of matrix products.
        tokenizer_folder: of the tokenizer of a new network, unless its settings name one; None:
            the crystal vocabulary.

    Raises:
        SettingError: a LoRA target does not exist, or examples are longer than the base's number
            of positions.
        ModelError: the base is unavailable (not found, gated, no network), or damaged.
    """
    if settings.new is not None:
        own = settings.new.tokenizer or tokenizer_folder
        words = prompts or load_prompts()
        tokenizer = build_tokenizer(words.phrases()) if own is None else read_tokenizer(own)
        return _initialize_new(
            settings, tokenizer, words, fmt, device, compute_dtype, max_tokens, seed
        )
    assert settings.base is not None
    folder, adapter, under, source = _find_base(settings.base)
    tokenizer = read_tokenizer(adapter or under)
    _check_base(settings, under, tokenizer, max_tokens)
    prompts = prompts or _load_prompts_of(folder)
    place = None if is_sharded() else device
    if settings.lora is None:
        network = _read_full_network(under, adapter, place)
        _checkpoint_activations(network, settings)
        return InitialModel(network.train(), tokenizer, prompts, fmt, None, folder)
    frozen = read_network(under, dtype=compute_dtype, quantize=settings.quantize, device=place)
    model = (
        new_adapter(frozen, settings.lora, seed)
        if adapter is None
        else read_adapter(frozen, adapter, settings.lora)
    )
    _checkpoint_activations(model, settings)
    base = TrainedBase(source, settings.quantize, _dtype_name(compute_dtype))
    return InitialModel(model.train(), tokenizer, prompts, fmt, base, folder)


class _BaseLocation(NamedTuple):
    """Where the weights that training starts from are."""

    folder: Path
    """Of the model or adapter that the recipe names."""
    adapter: Path | None
    """Of the adapter, if the recipe names one."""
    weights: Path
    """Of the model, or of the adapter's base."""
    source: str
    """How a new adapter refers to it: the name of the base, or its absolute path."""


def _find_base(source: str) -> _BaseLocation:
    """Find the base of a recipe, which may be an adapter with a base of its own."""
    folder = find_folder(source)
    if not is_adapter(folder):
        named = source if _is_named_source(source) else str(folder.resolve())
        return _BaseLocation(folder, None, base_folder(folder), named)
    adapter = model_folder(folder)
    base = read_description(adapter).base
    assert base is not None
    weights = base_folder(base.source, adapter)
    named = str(weights.resolve()) if base.source == BASE_SUBFOLDER else base.source
    return _BaseLocation(folder, adapter, weights, named)


def _check_base(
    settings: ModelSettings, weights: Path, tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> None:
    """Check, before its weights are read, that a base can learn the recipe's examples."""
    assert settings.base is not None
    if tokenizer.eos_token_id is None:
        raise SettingError(
            f"model.base: the tokenizer of {settings.base} has no end-of-sequence token, which "
            "ends a crystal's text; set its eos_token"
        )
    network = network_without_weights(weights)
    check_tokenizer_fits(weights, network, tokenizer)
    positions = getattr(network.config, "max_position_embeddings", None)
    if positions is not None and max_tokens > positions:
        raise SettingError(
            f"optim.max_tokens is {max_tokens}, and {settings.base} knows {positions} positions; "
            f"give {positions} or less"
        )
    if settings.lora is not None:
        check_targets(network, settings.lora, settings.base)


def _initialize_new(
    settings: ModelSettings,
    tokenizer: PreTrainedTokenizerBase,
    words: PromptSet,
    fmt: Format,
    device: torch.device,
    compute_dtype: torch.dtype,
    max_tokens: int,
    seed: int,
) -> InitialModel:
    from transformers.utils.logging import disable_progress_bar

    sizes = settings.new
    assert sizes is not None

    def make() -> PreTrainedModel:
        return new_llama(
            tokenizer,
            hidden_size=sizes.hidden_size,
            intermediate_size=sizes.intermediate_size,
            layers=sizes.layers,
            heads=sizes.heads,
            max_tokens=max_tokens,
            seed=seed,
            embedding_size=sizes.embedding_size,
            tied=sizes.tied,
            element_features=sizes.element_features,
        )

    disable_progress_bar()
    network = make()
    if settings.lora is None:
        if not is_sharded():
            network.to(device)  # type: ignore[arg-type]
        _checkpoint_activations(network, settings)
        return InitialModel(network.train(), tokenizer, words, fmt, None)
    check_targets(network, settings.lora, "the new LLaMA")
    # bitsandbytes packs weights as they are read. Every process reads its own copy, and
    # `save_pretrained` writes in the first process only.
    with TemporaryDirectory() as folder:
        network.config.save_pretrained(folder)
        # Tied weights once, under the name of the embedding: transformers 4 reads no other name.
        weights = {name: weight.detach() for name, weight in network.named_parameters()}
        save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})
        frozen = read_network(
            Path(folder),
            dtype=compute_dtype,
            quantize=settings.quantize,
            device=None if is_sharded() else device,
        )
    model = new_adapter(frozen, settings.lora, seed)
    _checkpoint_activations(model, settings)
    base = TrainedBase(BASE_SUBFOLDER, settings.quantize, _dtype_name(compute_dtype), make)
    return InitialModel(model.train(), tokenizer, words, fmt, base)


def _read_full_network(
    under: Path, adapter: Path | None, device: torch.device | None
) -> PreTrainedModel:
    """Return a network for full training; an adapter of the base is merged into it."""
    base = None if adapter is None else read_description(adapter).base
    if adapter is None or base is None:
        network = read_network(under, dtype=torch.float32, device=device)
        add_configured_dropout(network)
        return network
    network = read_network(under, dtype=getattr(torch, base.dtype), quantize=base.quantize)
    if base.quantize != "none":
        network = dequantize(network)
    network = merge_and_unload(read_adapter(network.float(), adapter)).requires_grad_(True)
    return network if device is None else network.to(device)  # type: ignore[arg-type]


def _load_prompts_of(folder: Path) -> PromptSet:
    own = folder / "prompts"
    return load_prompts(own) if own.is_dir() else load_prompts()


def _checkpoint_activations(network: PreTrainedModel | PeftModel, settings: ModelSettings) -> None:
    if not settings.gradient_checkpointing:
        return
    with warnings.catch_warnings():
        # Not every supported version of transformers has its future name.
        warnings.filterwarnings("ignore", "`gradient_checkpointing_enable`", FutureWarning)
        network.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )


def _is_named_source(source: str) -> bool:
    """Return whether a base is given by a name rather than by a path on this machine."""
    return source == SHIPPED or not Path(source).expanduser().is_dir()


def _dtype_name(dtype: torch.dtype) -> Dtype:
    return cast("Dtype", str(dtype).removeprefix("torch."))
