"""How fast training is, by itself and beside a plain Hugging Face Trainer.

    python evaluation/benchmarks/training_speed.py --store mp20         # 6 minutes on 2 cores
    python evaluation/benchmarks/training_speed.py --store mp20 --gpu   # on a machine with a GPU

Three figures on a CPU, each as a user meets it:

- data: tokens a second that one core draws, augments, writes and cuts into ids;
- packing: real tokens (padding does not count) a second of `crystext train`'s loop against those of
  `transformers.Trainer` with its padding collator and random batches: the same network, texts,
  sequences a batch, optimizer and bfloat16, one thread each. The two take turns, and the median of
  the rounds is told. The Trainer gets its texts as ids, made before; ours makes them as it goes;
- from scratch: the shipped model's recipe on two processes of one thread, as floating point
  operations a second that the model needs: per token 6 for each weight of its matrices (2 forward,
  4 backward; the output layer only where a token carries loss, the embedding nowhere), and per text
  of n tokens 6 L d n^2 for the causal half of attention in L layers of width d. What the optimizer,
  the norms and gloo do counts as time and not as operations.

With --gpu: a network of LLaMA-2-7B's shape and random weights, in NF4 with LoRA of rank 8 on all
linear layers, activations computed twice, and texts cut into characters, which is about what
LLaMA-2's tokenizer makes of them: tokens a second, peak memory, and utilisation, as nvidia-smi has
it and as operations a second; and the shipped model's recipe on the same GPU. `--small` tries the
same on any machine with two small layers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import write_result
from rich.console import Console
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    TrainerCallback,
    TrainingArguments,
)
from transformers import Trainer as HuggingFaceTrainer

from crystext.models.lora import new_adapter
from crystext.models.settings import LoraSettings
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.ema import trainable_parameters
from crystext.training.examples import Examples, TokenizedExample
from crystext.training.loss import PackedLoss
from crystext.training.packing import pack, split_micro_batches
from crystext.training.recipe import Recipe, load_recipe
from crystext.training.trainer import LOG_EVERY, Trainer

QUIET = Console(quiet=True)
SEQUENCES = 64
ROUNDS, STEPS, WARM_UP = 3, 8, 2
SEVEN_B = {"hidden_size": 4096, "intermediate_size": 11008, "layers": 32, "heads": 32}


class Timed(Trainer):
    """The loop, with the time at the end of each step and the tokens in it."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        super().__init__(recipe, out)
        self.times: list[float] = []
        self.tokens: list[int] = []

    def _update(self, rows: list[TokenizedExample]) -> tuple[torch.Tensor, int]:
        loss, tokens = super()._train_step(rows)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.monotonic())
        self.tokens.append(tokens)
        return loss, tokens

    def rate(self, skip: int) -> float:
        """Return tokens a second behind the first steps, the making of the data included."""
        return sum(self.tokens[skip:]) / (self.times[-1] - self.times[skip - 1])


def base_recipe(store: Path, *changes: str) -> Recipe:
    """Return the shipped model's recipe, scored on next to nothing."""
    return load_recipe("shipped", [f"data.store={store}", "data.validation_crystals=1", *changes])


def data_rate(store: Path, count: int = 2000) -> float:
    """Return tokens a second of one core."""
    with tempfile.TemporaryDirectory() as folder:
        examples = Trainer(base_recipe(store, "compile=false"), Path(folder) / "x").batches.examples
    examples.rows(range(100))
    started = time.perf_counter()
    rows = examples.rows(range(100, 100 + count))
    return sum(len(ids) for ids, _ in rows) / (time.perf_counter() - started)


def packed_rate(store: Path, seed: int) -> tuple[float, Examples, PreTrainedModel]:
    """Return tokens a second of our loop, its examples, and a network of the same kind."""
    recipe = base_recipe(
        store,
        f"seed={seed}",
        "compile=false",
        "optim.optimizer=adamw",
        "optim.ema=0",
        f"optim.steps={STEPS}",
        "optim.batch_tokens=null",
        f"optim.batch_sequences={SEQUENCES}",
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Timed(recipe, Path(folder) / "run")
        config = trainer.initial_model.network.config
        trainer.run(QUIET)
    return trainer.rate(WARM_UP), trainer.batches.examples, LlamaForCausalLM(config)


class Clock(TrainerCallback):
    """The time at the end of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.times.append(time.monotonic())


def padded_rate(network: PreTrainedModel, examples: Examples, seed: int) -> tuple[float, float]:
    """Return tokens a second of a plain Trainer, and the share of its batches that is padding."""
    rows = examples.rows(range(SEQUENCES * STEPS))
    data = [{"input_ids": ids, "labels": labels} for ids, labels in rows]
    clock, padded = Clock(), []
    collate = DataCollatorForSeq2Seq(examples.tokenizer, label_pad_token_id=IGNORED_LABEL)

    def counted(features: list[dict[str, Any]]) -> Any:
        batch = collate(features)
        padded.append((int(batch["attention_mask"].sum()), batch["input_ids"].numel()))
        return batch

    # The tokenizer of the shipped model pads on the left, as drawing wants it.
    examples.tokenizer.padding_side = "right"
    network.config._attn_implementation = "sdpa"
    with tempfile.TemporaryDirectory() as folder:
        HuggingFaceTrainer(
            model=network,
            args=TrainingArguments(
                folder,
                per_device_train_batch_size=SEQUENCES,
                max_steps=STEPS,
                bf16=True,
                use_cpu=True,
                seed=seed,
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                optim="adamw_torch",
                remove_unused_columns=False,
            ),
            train_dataset=data,
            data_collator=counted,
            callbacks=[clock],
        ).train()
    real = [n for n, _ in padded[WARM_UP:STEPS]]
    share = 1 - sum(n for n, _ in padded) / sum(size for _, size in padded)
    return sum(real) / (clock.times[-1] - clock.times[WARM_UP - 1]), share


def operations(examples: Examples, network: torch.nn.Module, count: int = 500) -> float:
    """Return the operations that a token needs in the mean; see the module's docstring."""
    config: Any = network.config
    output = config.vocab_size * config.hidden_size
    tied = bool(config.tie_word_embeddings)
    weights = sum(p.numel() for p in network.parameters()) - output * (1 if tied else 2)
    rows = examples.rows(range(count))
    lengths = np.array([len(ids) for ids, _ in rows], dtype=np.float64)
    targets = sum(label != IGNORED_LABEL for _, labels in rows for label in labels[1:])
    attention = 6 * config.num_hidden_layers * config.hidden_size * float((lengths**2).sum())
    return 6 * weights + (6 * output * targets + attention) / float(lengths.sum())


def two_processes(store: Path, steps: int) -> float:
    """Return tokens a second of the shipped recipe on two processes of one thread."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "crystext", "train", "shipped"),
            f"data.store={store}",
            *("data.validation_crystals=1", f"optim.steps={steps}", "--out", str(out)),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        ended = subprocess.run(
            command, env=environment, check=False, capture_output=True, text=True
        )
        if ended.returncode:
            raise SystemExit(ended.stderr)
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    rates = [line["tokens_per_second"] for line in log if "tokens_per_second" in line]
    # The first figure holds the compilation.
    return statistics.median(rates[1:])


def on_cpu(store: Path, steps: int) -> dict[str, Any]:
    """Run the three parts that need no GPU."""
    torch.set_num_threads(1)
    result: dict[str, Any] = {"data_tokens_per_second": data_rate(store)}
    ours, theirs, padding = [], [], []
    for seed in range(ROUNDS):
        rate, examples, network = packed_rate(store, seed)
        ours.append(rate)
        rate, share = padded_rate(network, examples, seed)
        theirs.append(rate)
        padding.append(share)
    result |= {
        "packed_tokens_per_second": statistics.median(ours),
        "trainer_tokens_per_second": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        "trainer_share_of_padding": statistics.mean(padding),
        "sequences_a_batch": SEQUENCES,
    }
    needed = operations(examples, network)
    rate = two_processes(store, steps)
    return result | {
        "operations_a_token": needed,
        "from_scratch_tokens_per_second": rate,
        "from_scratch_gflop_per_second": rate * needed / 1e9,
    }


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
        raise SystemExit("no GPU here; --small tries the same on the CPU")
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


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--store", type=Path, required=True, help="of MP-20")
    parser.add_argument("--steps", type=int, default=60, help="of the run on two processes")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--small", action="store_true", help="with --gpu: two small layers")
    given = parser.parse_args()
    if given.steps < 2 * LOG_EVERY:
        parser.error(
            f"--steps {given.steps}: a rate is logged every {LOG_EVERY} steps, and the first one "
            f"holds the compilation; expected {2 * LOG_EVERY} or more"
        )
    if given.gpu:
        result = on_gpu(given.store, given.small)
        print(json.dumps(result, indent=2))
        if not given.small:
            write_result("training_speed_gpu", result)
        return
    result = on_cpu(given.store, given.steps)
    print(json.dumps(result, indent=2))
    write_result("training_speed", result)


if __name__ == "__main__":
    main()
