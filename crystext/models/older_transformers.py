"""Reads with transformers 4 what transformers 5 has written: tokenizer classes and RoPE settings.

Each function checks what the installed transformers supports, and changes nothing if all is.

What goes wrong otherwise: transformers 4 refuses a tokenizer of the class TokenizersBackend, and
reads a LLaMA whose config.json has `rope_parameters` with the default base of 10,000 and without
its scaling: no error, but different texts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from crystext.errors import ModelError

if TYPE_CHECKING:
    from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

_FAST = "TokenizersBackend"
"""The name of `PreTrainedTokenizerFast` since transformers 5."""


def tokenizer_class(folder: Path) -> type[AutoTokenizer | PreTrainedTokenizerFast]:
    """Return the class that reads the tokenizer of a folder: `AutoTokenizer` if possible."""
    import transformers

    path = folder / "tokenizer_config.json"
    if hasattr(transformers, _FAST) or not path.is_file():
        return transformers.AutoTokenizer
    written = json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class")
    return transformers.PreTrainedTokenizerFast if written == _FAST else transformers.AutoTokenizer


def with_rope(config: PreTrainedConfig, folder: Path) -> PreTrainedConfig:
    """Return the config with `rope_parameters` under the names that transformers 4 reads.

    Raises:
        ModelError: they differ between layers, for which transformers 4 has no names.
    """
    from transformers import modeling_rope_utils

    rope = getattr(config, "rope_parameters", None)
    if rope is None or hasattr(modeling_rope_utils, "RotaryEmbeddingConfigMixin"):
        return config
    if "rope_theta" not in rope:
        raise ModelError(
            f"the model in {folder} has rope_parameters for each kind of layer, which the "
            "installed transformers does not read; try pip install 'transformers>=5'"
        )
    scaling = {name: value for name, value in rope.items() if name != "rope_theta"}
    config.rope_theta = rope["rope_theta"]
    config.rope_scaling = None if scaling.get("rope_type", "default") == "default" else scaling
    return config
