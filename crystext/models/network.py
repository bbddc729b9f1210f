"""Loads networks and tokenizers from folders, in full precision or in 4 bits.

Reads any causal language model that transformers supports itself; code that comes with a model is
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
"""Networks with fewer parameters are copied to float32; larger ones would need too much memory."""

_PADDING_TOKENS = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>", "<unk>")
"""Tokens of LLaMA 3.1, LLaMA 3 and LLaMA 2 that no text contains."""


def read_network(
    folder: Path,
    *,
    dtype: torch.dtype | str = "auto",
    quantize: Quantize = "none",
    device: torch.device | None = None,
) -> PreTrainedModel:
    """Read a network in evaluation mode, ready for sampling.

    Args:
        folder: of a model, as `base_folder` returns it.
        dtype: of the weights, before they are quantised; `auto` is their type on disk.
        quantize: `nf4` packs the linear layers but the last into 4-bit NormalFloat blocks whose
            scales are quantised once more (Dettmers et al., arXiv:2305.14314, sections 3.1-3.2).
        device: where it goes; None leaves the choice to transformers.

    Raises:
        ModelError: the weights are damaged, incomplete or those of another network, or 4 bits are
            requested and bitsandbytes is missing.
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
    # transformers would continue with random numbers for missing weights.
    if absent := sorted(report["missing_keys"]):
        raise ModelError(
            f"the weights in {folder} lack {absent[0]} ({len(absent)} in all are missing); "
            "they are not those of the network that config.json describes"
        )
    if quantize != "none":
        _keep_differentiable(network)
    return network.eval()  # type: ignore[no-any-return]


def network_without_weights(folder: Path) -> PreTrainedModel:
    """Return a network without its weights, on the meta device: layer names and config.

    Raises:
        ModelError: config.json is damaged, or not that of a causal language model.
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
    """Read a tokenizer; without a padding token, one that no text contains is used.

    Padding carries no loss and is never attended to, so its embedding does not matter, and no row
    has to be added to the network (the published code adds one; method of arXiv:2402.04379).

    Raises:
        ModelError: it is missing, damaged, or has no end-of-sequence token.
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
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, and the network has only "
            f"{rows}; they do not belong together"
        )


def dequantize(network: PreTrainedModel) -> PreTrainedModel:
    """Return the network with its 4-bit weights dequantized; consumes the network.

    Their type is that of the weights when they were quantised.
    """
    from transformers.utils import logging

    # It reports as a warning which type it casts to.
    shown = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        whole: PreTrainedModel = network.dequantize()
    finally:
        logging.set_verbosity(shown)
    # Left set by transformers; peft and save_pretrained would rely on it.
    whole.is_loaded_in_4bit = False  # type: ignore[assignment]
    return whole


def is_sharded() -> bool:
    """Return whether accelerate was launched to shard the weights over processes (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true", "yes")


def _nf4_config(dtype: torch.dtype | str) -> BitsAndBytesConfig:
    from transformers import BitsAndBytesConfig

    if not import_bitsandbytes():
        raise ModelError(
            "4-bit weights need bitsandbytes, which is not installed: pip install bitsandbytes, or "
            "set model.quantize=none"
        )
    compute = dtype if isinstance(dtype, torch.dtype) else torch.bfloat16
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        # FSDP flattens the tensors of a layer into one, so all of them need one type.
        bnb_4bit_quant_storage=compute if is_sharded() else torch.uint8,
    )


def import_bitsandbytes() -> bool:
    """Import bitsandbytes, which peft does as well, and return whether it is installed.

    bitsandbytes (0.50) warns at its import of a missing faster kernel that is not used here.
    """
    log = logging.getLogger("bitsandbytes")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        return False
    finally:
        log.setLevel(level)
    return True


def _keep_differentiable(network: PreTrainedModel) -> None:
    """Keep the layout of 4-bit layers when they are evaluated on a CPU.

    On processors with AVX512-BF16, bitsandbytes (0.50) rearranges the weights of a layer at the
    first evaluation, for a kernel without a gradient, and leaves them so: training would continue
    with wrong gradients and without an error.
    """
    from bitsandbytes.nn.modules import Linear4bit

    for module in network.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


@contextmanager
def explain_damage(folder: Path) -> Iterator[None]:
    """Convert errors raised while reading a model's files into `ModelError`.

    Raises:
        ModelError: with the folder and the reader's message, in one line.
    """
    try:
        yield
    except CrystextError:
        raise
    # The readers of tokenizers and weights raise errors of no common class for damaged files.
    except Exception as error:
        reason = describe_error(error, "its files are not laid out as transformers has them")
        raise ModelError(
            f"the model in {folder} cannot be loaded: {reason[:500]}; copy or create it again"
        ) from error


def float32_copy(network: PreTrainedModel | PeftModel) -> PreTrainedModel | PeftModel:
    """Return a float32 copy for evaluation; the network itself if it is large or in 4 bits.

    With 16 bits, results are off by some hundredths of a nat per token, differently in each batch.
    The network itself keeps its type, since others sample from it.
    """
    weights = list(network.parameters())
    if sum(p.numel() for p in weights) < _MAX_FLOAT32_PARAMETERS and all(
        p.is_floating_point() for p in weights
    ):
        network = copy.deepcopy(network).float()
    return network.eval()
