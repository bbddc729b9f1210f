"""Models in memory: a LLaMA, its tokenizer, and the words it was trained with.

See `model_folder` for what lies on disk.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from crystext.codec import Format, get_format
from crystext.errors import ModelError, SettingError
from crystext.models.folder import SHIPPED, model_folder
from crystext.prompts import PromptSet, load_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class LoadedModel:
    """A model with all that is needed to ask it."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompts: PromptSet
    format: Format
    folder: Path


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
