"""How fast training is, by itself and beside a plain Hugging Face Trainer.

    python -m evaluation.speed.training_speed --store mp20 --out training_speed.json

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
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaForCausalLM,
    PreTrainedModel,
    TrainerCallback,
    TrainingArguments,
)
from transformers import Trainer as HuggingFaceTrainer

from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.example_stream import Examples, TokenizedExample
from crystext.training.recipe import Recipe, load_recipe
from crystext.training.trainer import LOG_EVERY, Trainer
from evaluation.result_file import write_result

QUIET = Console(quiet=True)
SEQUENCES = 64
ROUNDS, STEPS, WARM_UP = 3, 8, 2


class Timed(Trainer):
    """The loop, with the time at the end of each step and the tokens in it."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        super().__init__(recipe, out)
        self.times: list[float] = []
        self.tokens: list[int] = []

    def _train_step(self, rows: list[TokenizedExample]) -> tuple[torch.Tensor, int]:
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


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, required=True, help="of MP-20")
    parser.add_argument("--steps", type=int, default=60, help="of the run on two processes")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    if given.steps < 2 * LOG_EVERY:
        parser.error(
            f"--steps {given.steps}: a rate is logged every {LOG_EVERY} steps, and the first one "
            f"holds the compilation; expected {2 * LOG_EVERY} or more"
        )
    return write_result(
        given.out,
        lambda: on_cpu(given.store, given.steps),
        script=__file__,
        arguments=arguments,
        packages=("torch", "transformers"),
        data=[given.store],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
