"""How fast training is on a GPU: a 7B network in 4 bits, and the shipped model's recipe.

    python -m evaluation.speed.training_speed_gpu --store mp20 --out training_speed_gpu.json

A network of LLaMA-2-7B's shape and random weights, in NF4 with LoRA of rank 8 on all
linear layers, activations computed twice, and texts cut into characters, which is about what
LLaMA-2's tokenizer makes of them: tokens a second, peak memory, and utilisation, as nvidia-smi has
it and as operations a second; and the shipped model's recipe on the same GPU. `--small` tries the
same on any machine with two small layers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from crystext.errors import InputError
from crystext.models.lora import new_adapter
from crystext.models.settings import LoraSettings
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.ema import trainable_parameters
from crystext.training.example_stream import TokenizedExample
from crystext.training.loss import PackedLoss
from crystext.training.packing import pack, split_micro_batches
from crystext.training.trainer import Trainer
from evaluation.result_file import write_result
from evaluation.speed.training_speed import QUIET, WARM_UP, Timed, base_recipe, operations

SEVEN_B = {"hidden_size": 4096, "intermediate_size": 11008, "layers": 32, "heads": 32}


def four_bit_llama(sizes: dict[str, int], device: torch.device) -> PreTrainedModel:
    """Return a LLaMA of random weights whose linear layers are in NF4, made where it is to be."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=sizes["hidden_size"],
        intermediate_size=sizes["intermediate_size"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        max_position_embeddings=4096,
    )
    with torch.device("meta"):
        network = LlamaForCausalLM(config)
    rotary = type(network.model.rotary_emb)(config).to(device)
    for path, module in list(network.named_modules()):
        if not isinstance(module, torch.nn.Linear) or path == "lm_head":
            continue
        # One layer at a time, so that no more than one is ever there in 16 bits.
        weight = 0.02 * torch.randn(module.weight.shape, dtype=torch.bfloat16)
        packed = Linear4bit(
            module.in_features,
            module.out_features,
            bias=False,
            compute_dtype=torch.bfloat16,
            compress_statistics=True,
            quant_type="nf4",
            device="meta",
        )
        packed.weight = Params4bit(
            weight, requires_grad=False, quant_type="nf4", compress_statistics=True, module=packed
        )
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, packed.to(device))
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_meta:
                filled = torch.empty(parameter.shape, dtype=torch.bfloat16, device=device)
                ones = parameter.ndim == 1
                filled = filled.fill_(1.0) if ones else filled.normal_(std=0.02)
                setattr(module, name, torch.nn.Parameter(filled, requires_grad=False))
    network.model.rotary_emb = rotary
    network.is_loaded_in_4bit = True
    return network


class Utilisation(threading.Thread):
    """Asks nvidia-smi, twice a second, what share of the time the GPU was busy."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.found: list[float] = []
        self._ended = threading.Event()

    def run(self) -> None:
        """Ask until told to end."""
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._ended.wait(0.5):
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            self.found += [float(ended.stdout.split()[0]) / 100] if ended.returncode == 0 else []

    def end(self) -> float | None:
        """Return the mean."""
        self._ended.set()
        self.join()
        return statistics.mean(self.found) if self.found else None


def adapter_on_four_bits(
    store: Path, sizes: dict[str, int], device: torch.device, micro_tokens: int, steps: int
) -> dict[str, Any]:
    """Return the figures of the published method's step, at batches of two parts."""
    with tempfile.TemporaryDirectory() as folder:
        # Those that every crystal has an example of.
        tasks = "tasks={unconditional: 0.33, conditional: 0.33, infill_element: 0.34}"
        recipe = base_recipe(store, "compile=false", tasks, "sample_format=null")
        examples = Trainer(recipe, Path(folder) / "x").batches.examples
    network = four_bit_llama(sizes, device)
    model = new_adapter(network, LoraSettings(rank=8, alpha=32, dropout=0.05), seed=0)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    loss = PackedLoss(model.train(), device, bf16=True)
    optimizer = torch.optim.AdamW(trainable_parameters(model).values(), lr=5e-4)

    def characters(position: int) -> TokenizedExample:
        example = examples.example(position % len(examples.data), position // len(examples.data))
        assert example is not None, "no task of this recipe needs a symmetry"
        given, wanted = ([3 + ord(c) for c in text] for text in example)
        return [1, *given, *wanted, 2], [IGNORED_LABEL] * (1 + len(given)) + [*wanted, 2]

    position, tokens, times, operated = 0, [], [], 0.0
    weights = 4 * sizes["hidden_size"] ** 2 + 3 * sizes["hidden_size"] * sizes["intermediate_size"]
    weights *= sizes["layers"]
    output = 32_000 * sizes["hidden_size"]
    busy = Utilisation()
    for step in range(steps):
        if step == WARM_UP and device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            busy.start()
        rows: list[TokenizedExample] = []
        while sum(len(ids) for ids, _ in rows) < 2 * micro_tokens:
            rows.append(characters(position))
            position += 1
        for part in split_micro_batches(rows, micro_tokens):
            packed = pack(part).to(device)
            loss(packed).sum().div(packed.tokens).backward()
            if step >= WARM_UP:
                lengths = np.array([len(ids) for ids, _ in part], dtype=np.float64)
                # Frozen weights have no gradient of their own: 2 forward, 2 backward. What is
                # computed twice counts once.
                operated += 4 * weights * packed.tokens + 4 * output * len(packed.targets_K)
                width = sizes["layers"] * sizes["hidden_size"]
                operated += 6 * width * float((lengths**2).sum())
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.monotonic())
        tokens.append(sum(len(ids) for ids, _ in rows))
    seconds = times[-1] - times[WARM_UP - 1]
    cuda = device.type == "cuda"
    return {
        "attention": loss.attention,
        "micro_tokens": micro_tokens,
        "tokens_per_second": sum(tokens[WARM_UP:]) / seconds,
        "tflop_per_second": operated / seconds / 1e12,
        "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if cuda else None,
        "utilisation": busy.end() if cuda else None,
    }


def shipped_on_gpu(store: Path, steps: int) -> dict[str, Any]:
    """Return the figures of the shipped model's recipe on the device there is."""
    workers = max(1, len(os.sched_getaffinity(0)) - 2)
    recipe = base_recipe(store, f"optim.steps={steps}", "compile=false", f"data.workers={workers}")
    busy = Utilisation()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Timed(recipe, Path(folder) / "run")
        needed = operations(trainer.batches.examples, trainer.initial_model.network)
        if trainer.device.type == "cuda":
            busy.start()
        trainer.run(QUIET)
    rate = trainer.rate(steps // 2)
    return {
        "workers": workers,
        "tokens_per_second": rate,
        "tflop_per_second": rate * needed / 1e12,
        "utilisation": busy.end() if trainer.device.type == "cuda" else None,
    }


def on_gpu(store: Path, small: bool) -> dict[str, Any]:
    """Run the parts that need a GPU."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not small:
        raise InputError("no GPU here; --small tries the same on the CPU")
    sizes = (
        dict(SEVEN_B)
        if not small
        else dict.fromkeys(SEVEN_B, 2)
        | {
            "hidden_size": 64,
            "intermediate_size": 128,
        }
    )
    steps = 4 if small else 12
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return {
        "device": name,
        "shape": sizes,
        "nf4_lora": adapter_on_four_bits(store, sizes, device, 2048 if small else 8192, steps),
        "shipped": shipped_on_gpu(store, 4 if small else 200),
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, required=True, help="of MP-20")
    parser.add_argument("--small", action="store_true", help="two small layers, on any machine")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.out,
        lambda: on_gpu(given.store, given.small),
        script=__file__,
        arguments=arguments,
        packages=("torch", "transformers", "bitsandbytes"),
        data=[given.store],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
