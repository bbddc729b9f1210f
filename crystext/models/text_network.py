"""Networks that learn from texts alone, with the objective masked or sequence_to_sequence.

Their folder is what transformers writes, with a crystext.json: the base of a fine-tuning. Those of
the objective causal are language models, see `initialize` and `load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from crystext.models.architectures.network_families import new_text_network
from crystext.models.base_network import (
    check_positions,
    grow_embeddings,
    read_text_network,
    whole_base_folder,
)
from crystext.models.layout import ModelDescription, write_description
from crystext.models.load import check_model_path
from crystext.models.settings import ModelSettings, TextObjective
from crystext.runtime.files import replace_folder
from crystext.text import Format

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class InitialTextNetwork:
    """A network with what its training needs."""

    network: PreTrainedModel
    """All parameters are trained."""
    tokenizer: PreTrainedTokenizerBase
    folder: Path | None = None
    """Of the base; None for random weights."""
    prompts: None = None
    """It reads the texts alone."""


def initialize_text_network(
    settings: ModelSettings,
    tokenizer: PreTrainedTokenizerBase,
    objective: TextObjective,
    *,
    max_tokens: int,
    seed: int,
    device: torch.device,
) -> InitialTextNetwork:
    """Create or load the network that training starts from; weights are in float32.

    Args:
        settings: the recipe's.
        tokenizer: of the base, or of the new network.
        objective: what it is to learn.
        max_tokens: longest text.
        seed: of random weights.
        device: where to train.

    Raises:
        ModelError: the base is unavailable, damaged, or does not have this objective.
        SettingError: texts are longer than the number of its positions.
    """
    folder = None
    if settings.new_network is not None:
        network = new_text_network(tokenizer, settings.new_network, max_tokens, seed)
    else:
        assert settings.base is not None
        folder = whole_base_folder(settings.base)
        network = read_text_network(folder, objective)
        check_positions(network, max_tokens, settings.base)
        grow_embeddings(network, tokenizer, seed)
    network.to(device)  # type: ignore[arg-type]
    return InitialTextNetwork(network.train(), tokenizer, folder)


def save_text_network(
    folder: Path,
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    objective: TextObjective,
    fmt: Format,
) -> None:
    """Write the folder of a network; an older model there is replaced as a whole, or not at all.

    Raises:
        ModelError: the folder holds something other than a model.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    check_model_path(folder)
    with replace_folder(folder) as partial:
        network.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        about = ModelDescription(fmt, None, generates=False, objective=objective)
        write_description(partial, about)
