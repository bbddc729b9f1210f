"""Models on disk and in memory: a LLaMA, its tokenizer, and the words it was trained with.

A model folder is what transformers writes (config.json, model.safetensors, tokenizer files), plus
`crystext.json` (text format) and `prompts/` (the prompt set). Nothing in it is ever executed:
weights are read from safetensors only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from crystext.codec import FORMATS, Format
from crystext.errors import ModelError
from crystext.prompts import PromptSet, load_prompts
from crystext.resources import shipped_model
from crystext.vocabulary import MAX_ANGLE

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

SHIPPED = "shipped"
"""Name of the model that comes with the package."""


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
    for piece, i in vocabulary.items():
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

    folder = shipped_model() if str(source) == SHIPPED else Path(source)
    if not folder.is_dir():
        raise ModelError(
            f"no model folder {folder}; expected {SHIPPED!r} or a folder with config.json"
        )
    missing = [
        name
        for name in ("config.json", "crystext.json", "prompts", "tokenizer.json")
        if not (folder / name).exists()
    ]
    if not list(folder.glob("*.safetensors")):
        missing.append("model.safetensors (other weight formats are not read: they can run code)")
    if missing:
        raise ModelError(f"the model folder {folder} lacks {', '.join(missing)}")
    try:
        settings = json.loads((folder / "crystext.json").read_text(encoding="utf-8"))
        fmt = FORMATS[settings["format"]]
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        network = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype="auto"
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"the model in {folder} cannot be loaded: {error}") from error
    return LoadedModel(network.eval(), tokenizer, load_prompts(folder / "prompts"), fmt, folder)


def model_hash(folder: Path) -> str:
    """Return the SHA-256 of a model folder's weights, settings, tokenizer and prompts."""
    import hashlib

    digest = hashlib.sha256()
    for path in sorted(_hashed_files(folder)):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _hashed_files(folder: Path) -> Sequence[Path]:
    suffixes = {".json", ".safetensors", ".txt", ".yaml"}
    return [p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file()]
