"""Models in memory: a LLaMA, its tokenizer, and the words it was trained with.

See `model_folder` for what lies on disk.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from crystext.codec import Format, get_format
from crystext.errors import ModelError, SettingError
from crystext.model_folder import SHIPPED, model_folder
from crystext.prompts import PromptSet, load_prompts
from crystext.vocabulary import MAX_ANGLE

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class LoadedModel:
    """A model with all that is needed to ask it."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompts: PromptSet
    format: Format
    folder: Path


def new_llama(
    tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    max_tokens: int,
    seed: int,
) -> LlamaForCausalLM:
    """Make a LLaMA with random weights for the small vocabulary; the seed decides them."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=max_tokens,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = LlamaForCausalLM(config)
    rows = number_embeddings(tokenizer.get_vocab(), hidden_size, config.initializer_range, seed)
    with torch.no_grad():
        for i, row in rows.items():
            network.model.embed_tokens.weight[i] = torch.from_numpy(row)
    return network


def number_embeddings(
    vocabulary: dict[str, int], width: int, scale: float, seed: int
) -> dict[int, np.ndarray[Any, Any]]:
    """Return starting embeddings in which near numbers lie near, for the tokens that are numbers.

    A number v of period P is [cos(2π k v / P), sin(2π k v / P)] over a set of whole k, low ones
    more often, with a little noise; so a translation of the crystal turns all coordinates by one
    rotation. Periods: 1 for coordinates, 100 for decimals, 360 for whole Å and degrees.

    Returns:
        Row by token id; each row has `width` entries of root mean square `scale`.
    """
    rng = np.random.default_rng(seed)
    half = width // 2
    harmonics = np.sort(np.round(np.exp(rng.uniform(0.0, math.log(250.0), half))))
    rows: dict[int, np.ndarray[Any, Any]] = {}
    # Tokenizers hand out their vocabulary in any order; each row's noise follows from its id.
    for i, piece in sorted((i, piece) for piece, i in vocabulary.items()):
        digits = piece.strip()
        if digits.startswith("0.") and len(digits) == 5:
            turn = float(digits)
        elif len(digits) == 2 and digits.isdigit():
            turn = int(digits) / 100
        elif digits.endswith(".") and digits[:-1].isdigit() and int(digits[:-1]) < MAX_ANGLE:
            turn = int(digits[:-1]) / 360
        else:
            continue
        phases = 2 * np.pi * harmonics * turn
        row = np.concatenate([np.cos(phases), np.sin(phases), np.zeros(width % 2)]) * math.sqrt(2)
        rows[i] = (scale * (0.9 * row + 0.4 * rng.standard_normal(width))).astype(np.float32)
    return rows


def save_model(
    folder: Path,
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: PromptSet,
    fmt: Format,
) -> None:
    """Write a model folder."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "prompts").mkdir(exist_ok=True)
    for name, text in prompts.templates.items():
        (folder / "prompts" / f"{name}.txt").write_text(text, encoding="utf-8")
    conditions = yaml.safe_dump(dict(prompts.conditions), sort_keys=False, width=1000)
    (folder / "prompts" / "conditions.yaml").write_text(conditions, encoding="utf-8")
    settings = {"format": fmt.name}
    (folder / "crystext.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load_model(source: str | Path = SHIPPED) -> LoadedModel:
    """Load the shipped model, or a model folder.

    Raises:
        ModelError: the folder is missing or incomplete, or its weights are not safetensors.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder = model_folder(source)
    try:
        settings = json.loads((folder / "crystext.json").read_text(encoding="utf-8"))
        fmt = get_format(settings["format"])
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto",
            output_loading_info=True,
        )
        network, report = loaded
    except SettingError as error:
        raise ModelError(f"{folder / 'crystext.json'}: {error}") from None
    # The readers of tokenizers and weights raise errors of no common class for damaged files.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"the model in {folder} cannot be loaded: {reason[:500]}; copy or make it anew"
        ) from error
    # transformers would go on with random numbers in place of weights that are not there.
    if absent := sorted(report["missing_keys"]):
        raise ModelError(
            f"the weights in {folder} lack {absent[0]} ({len(absent)} in all are missing); "
            "they are not those of the network that config.json describes"
        )
    if len(tokenizer) > network.get_input_embeddings().weight.shape[0]:
        raise ModelError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, and the network knows only "
            f"{network.get_input_embeddings().weight.shape[0]}; they do not belong together"
        )
    return LoadedModel(network.eval(), tokenizer, load_prompts(folder / "prompts"), fmt, folder)
