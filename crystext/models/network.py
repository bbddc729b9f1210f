"""Networks and tokenizers from folders, whole or in four bits.

Reads any causal language model that transformers knows by itself; code that comes with a model is
not run, and weights are read from safetensors only.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from crystext.errors import CrystextError, ModelError, describe_error
from crystext.models.layout import Quantize, require_tokenizer
from crystext.models.older_transformers import tokenizer_class, with_rope

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import (
        BitsAndBytesConfig,
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

_MAX_FLOAT32_PARAMETERS = 1_000_000_000
"""Networks of fewer parameters are copied into float32; more would take too much memory."""

_PADDING_TOKENS = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>", "<unk>")
"""Tokens of LLaMA 3.1, LLaMA 3 and LLaMA 2 that no text has."""


def read_network(
    folder: Path,
    *,
    dtype: torch.dtype | str = "auto",
    quantize: Quantize = "none",
    device: torch.device | None = None,
) -> PreTrainedModel:
    """Read a network in the state in which it is drawn from.

    Args:
        folder: a model's, as `base_folder` returns it.
        dtype: of the weights, before they are quantised; `auto` is what they have on disk.
        quantize: `nf4` packs the linear layers but the last into 4-bit NormalFloat blocks whose
            scales are quantised once more (Dettmers et al., arXiv:2305.14314, sections 3.1-3.2).
        device: where it goes; None leaves the choice to transformers.

    Raises:
        ModelError: the weights are damaged, incomplete or another network's, or 4 bits are wanted
            and bitsandbytes is missing.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    extra: dict[str, Any] = (
        {} if quantize == "none" else {"quantization_config": _nf4_config(dtype)}
    )
    if device is not None:
        # accelerate numbers CPUs, and transformers 4 would take cpu:0 for the first GPU.
        extra["device_map"] = {"": "cpu" if device.type == "cpu" else device}
    with explain_damage(folder):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=_config(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
            **extra,
        )
    network, report = loaded
    # transformers would go on with random numbers in place of weights that are not there.
    if absent := sorted(report["missing_keys"]):
        raise ModelError(
            f"the weights in {folder} lack {absent[0]} ({len(absent)} in all are missing); "
            "they are not those of the network that config.json describes"
        )
    if quantize != "none":
        _keep_differentiable(network)
    return network.eval()  # type: ignore[no-any-return]


def network_without_weights(folder: Path) -> PreTrainedModel:
    """Return a network without its weights, on the meta device: its layers' names and its config.

    Raises:
        ModelError: config.json is damaged, or no causal language model's.
    """
    from transformers import AutoModelForCausalLM

    with explain_damage(folder):
        config = _config(folder)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-any-return]


def _config(folder: Path) -> PreTrainedConfig:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return with_rope(config, folder)


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read a tokenizer; where it has no token to pad with, one that no text has becomes it.

    Padding carries no loss and is never attended to, so its embedding does not matter, and no row
    has to be added to the network (the published code adds one; method of arXiv:2402.04379).

    Raises:
        ModelError: there is none, it is damaged, or it has no end-of-sequence token.
    """
    require_tokenizer(folder)
    with explain_damage(folder):
        tokenizer: PreTrainedTokenizerBase = tokenizer_class(folder).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    if tokenizer.pad_token_id is None:
        known = tokenizer.get_vocab()
        unused = [name for name in _PADDING_TOKENS if name in known]
        tokenizer.pad_token = unused[0] if unused else tokenizer.eos_token
    return tokenizer


def check_tokenizer_fits(
    folder: Path, network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Refuse a tokenizer with tokens that the network has no embedding for."""
    rows = network.get_input_embeddings().weight.shape[0]  # type: ignore[index]
    if len(tokenizer) > rows:
        raise ModelError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, and the network knows only "
            f"{rows}; they do not belong together"
        )


def dequantize(network: PreTrainedModel) -> PreTrainedModel:
    """Return the network with the numbers that its 4-bit weights stand for; it is used up.

    Their type is the one in which the weights were when they were quantised.
    """
    from transformers.utils import logging

    # It says of itself what type it casts to, in so many words, as a warning.
    shown = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        whole: PreTrainedModel = network.dequantize()
    finally:
        logging.set_verbosity(shown)
    # Left behind by transformers; peft and save_pretrained would take it at its word.
    whole.is_loaded_in_4bit = False  # type: ignore[assignment]
    return whole


def is_sharded() -> bool:
    """Tell whether accelerate was launched to shard the weights over processes (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true", "yes")


def _nf4_config(dtype: torch.dtype | str) -> BitsAndBytesConfig:
    from transformers import BitsAndBytesConfig

    log = logging.getLogger("bitsandbytes")
    level = log.level
    # It tells of a faster kernel that it looks for and is not used here.
    log.setLevel(logging.ERROR)
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ModelError(
            "4-bit weights need bitsandbytes, which is not installed: pip install bitsandbytes, or "
            "set model.quantize=none"
        ) from None
    finally:
        log.setLevel(level)
    compute = dtype if isinstance(dtype, torch.dtype) else torch.bfloat16
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        # FSDP flattens the tensors of a layer into one, and so wants all of them of one type.
        bnb_4bit_quant_storage=compute if is_sharded() else torch.uint8,
    )


def _keep_differentiable(network: PreTrainedModel) -> None:
    """Have 4-bit layers stay as they are when they are evaluated on a CPU.

    On processors with AVX512-BF16, bitsandbytes (0.50) lays the weights of a layer out anew at the
    first evaluation, for a kernel that has no gradient, and leaves them so: training would go on
    with wrong gradients and without an error.
    """
    from bitsandbytes.nn.modules import Linear4bit

    for module in network.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


@contextmanager
def explain_damage(folder: Path) -> Iterator[None]:
    """Have what goes wrong in reading a model's files told as the damage to them that it is.

    Raises:
        ModelError: with the folder, and what the reader said, in one line.
    """
    try:
        yield
    except CrystextError:
        raise
    # The readers of tokenizers and weights raise errors of no common class for damaged files.
    except Exception as error:
        reason = describe_error(error, "its files are not laid out as transformers has them")
        raise ModelError(
            f"the model in {folder} cannot be loaded: {reason[:500]}; copy or make it anew"
        ) from error


def float32_copy(network: PreTrainedModel | PeftModel) -> PreTrainedModel | PeftModel:
    """Return a copy in float32, ready to be asked; the network itself if it is large or packed.

    Numbers of 16 bits would be off by some hundredths of a nat a token, and by others in each
    batch. The network keeps its own numbers, since others draw from it.
    """
    weights = list(network.parameters())
    if sum(p.numel() for p in weights) < _MAX_FLOAT32_PARAMETERS and all(
        p.is_floating_point() for p in weights
    ):
        network = copy.deepcopy(network).float()
    return network.eval()
