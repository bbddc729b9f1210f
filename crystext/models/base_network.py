"""Reads the networks that a head goes on, or that learn from texts, from the folder of a base.

A base is any folder with the weights of one of the architectures of `network_families`, from the
Hub or of this package, with whatever objective. Outputs and heads that are not needed stay there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from crystext.errors import ModelError, SettingError
from crystext.models.architectures.network_families import (
    FAMILIES,
    NetworkFamily,
    add_configured_dropout,
    family_of_type,
    text_positions,
)
from crystext.models.layout import base_folder, find_folder, is_adapter
from crystext.models.network import explain_damage
from crystext.models.settings import Pooling, TextObjective

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def whole_base_folder(source: str) -> Path:
    """Return the folder of a base that is no adapter.

    Raises:
        ModelError: it does not exist, is an adapter, or has no safetensors.
    """
    folder = find_folder(source)
    if is_adapter(folder):
        raise ModelError(
            f"{source} is an adapter; expected a whole model, which crystext merge makes of it"
        )
    return base_folder(folder)


def family_of(folder: Path) -> NetworkFamily:
    """Return the architecture of a model, before its weights are read.

    Raises:
        ModelError: config.json is damaged, or of an architecture that takes no head.
    """
    from transformers import AutoConfig

    with explain_damage(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    family = family_of_type(config.model_type)
    if family is None:
        raise ModelError(
            f"the model in {folder} is of the type {config.model_type}; a regression head goes on "
            + ", ".join(x.model_type for x in FAMILIES.values())
        )
    return family


def read_body(folder: Path, pooling: Pooling | None, seed: int | None = None) -> PreTrainedModel:
    """Read a network without its head or its outputs for tokens, in float32.

    Args:
        folder: of its base or its own.
        pooling: whether BERT needs its pooler; None takes none.
        seed: of a pooler that the base does not have; None needs all weights.

    Raises:
        ModelError: it is damaged, or of an architecture that takes no head.
    """
    family = family_of(folder)
    return _read(folder, family.body, family.body_arguments(pooling), seed)


def read_text_network(folder: Path, objective: TextObjective) -> PreTrainedModel:
    """Read a network with its outputs for tokens, in float32.

    Raises:
        ModelError: it is damaged, lacks the outputs, or its architecture has another objective.
    """
    family = family_of(folder)
    if family.text_objective != objective:
        able = [x.name for x in FAMILIES.values() if x.text_objective == objective]
        raise ModelError(
            f"the model in {folder} is of the type {family.model_type}; the objective {objective} "
            f"is for {' and '.join(able)}"
        )
    return _read(folder, family.text_network, {}, None)


def _read(
    folder: Path, class_name: str, arguments: dict[str, bool], seed: int | None
) -> PreTrainedModel:
    import transformers

    kind: Any = getattr(transformers, class_name)
    with explain_damage(folder), torch.random.fork_rng(), _quiet():
        torch.manual_seed(seed or 0)
        loaded: tuple[PreTrainedModel, dict[str, Any]] = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **arguments,
        )
    network, report = loaded
    absent = sorted(report["missing_keys"])
    if seed is not None:
        absent = [name for name in absent if not name.startswith("pooler.")]
    if absent:
        raise ModelError(
            f"the weights in {folder} lack {absent[0]} ({len(absent)} in all are missing); "
            "they are not those of the network that config.json describes"
        )
    add_configured_dropout(network)
    return network


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers, which lists all weights of a file that are left there."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    shown = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(shown)


def check_positions(network: PreTrainedModel, max_tokens: int, source: str) -> None:
    """Refuse texts that are longer than what a base can read.

    Raises:
        SettingError: `max_tokens` is above the number of its positions.
    """
    positions = text_positions(network.config)
    if positions is not None and max_tokens > positions:
        raise SettingError(
            f"optim.max_tokens is {max_tokens}, and {source} knows {positions} positions; give "
            f"{positions} or less"
        )


def grow_embeddings(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int
) -> None:
    """Give a network rows for the tokens that its tokenizer has more; the seed determines them."""
    rows = int(network.get_input_embeddings().weight.shape[0])  # type: ignore[index]
    if len(tokenizer) <= rows:
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
