"""The training loop.

Knows batches, loss, optimizers, the moving average of the weights, evaluation and checkpoints.
Does not know how examples are made (`batches`, `tasks`) or what a model folder holds (`model`).
A run that is killed goes on from its last checkpoint with the same batches; on one CPU its weights
are bit for bit those of a run that was never killed. Started by `torchrun` or `accelerate launch`,
the processes share each step: every one takes its own batches, and gradients are averaged.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from filelock import FileLock, Timeout
from rich.console import Console

from crystext.codec import get_format
from crystext.config import OptimSettings, Recipe
from crystext.data.store import Dataset, read_dataset
from crystext.errors import InputError, RunError, SettingError
from crystext.models.llama import new_llama
from crystext.models.load import save_model
from crystext.prompts import load_prompts
from crystext.tokens import IGNORED
from crystext.training.batches import Batch, Batches
from crystext.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from crystext.vocabulary import build_tokenizer


def learning_rate(step: int, optim: OptimSettings) -> float:
    """Return the rate at a step: linear warm-up, constant, linear fall to zero at the end."""
    rise = (step + 1) / max(1, optim.warmup_steps)
    fall = (optim.steps - step) / max(1.0, optim.decay_share * optim.steps)
    return optim.learning_rate * min(1.0, rise, fall)


class Trainer:
    """One run: the recipe's network, data and optimizers, and the folder they are kept in."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self.recipe, self.out = recipe, out
        self.device = _device()
        self.format = get_format(recipe.format)
        self.prompts = load_prompts(recipe.prompts)
        self.tokenizer = build_tokenizer(self.prompts.phrases())
        self.train_data = _crystals(recipe.data.train)
        self.validation_data = _crystals(recipe.data.validation)
        settings = recipe.model.new
        assert settings is not None
        self.network = new_llama(
            self.tokenizer,
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            layers=settings.layers,
            heads=settings.heads,
            max_tokens=recipe.optim.max_tokens,
            seed=recipe.seed,
        )
        self.network.to(self.device)  # type: ignore[arg-type]
        # Short rows make the plain attention faster than the fused kernel on a CPU.
        self.network.set_attn_implementation("sdpa" if self.device.type == "cuda" else "eager")
        self.network.config.use_cache = False
        self.rank, self.processes = _join_processes()
        self._start_alike()
        self.average = {n: p.detach().clone() for n, p in self.network.named_parameters()}
        self.step = 0
        matrices = [
            p for n, p in self.network.named_parameters() if p.ndim == 2 and "embed" not in n
        ]
        others = [p for n, p in self.network.named_parameters() if p.ndim != 2 or "embed" in n]
        optim = recipe.optim
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "muon": torch.optim.Muon(
                matrices,
                lr=optim.learning_rate,
                weight_decay=optim.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            "adamw": torch.optim.AdamW(
                others, lr=optim.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
            ),
        }
        self.forward = torch.compile(self._loss, dynamic=True) if recipe.compile else self._loss

    def run(self, console: Console) -> None:
        """Train from the last checkpoint, if any, to the recipe's last step, and save the model.

        Raises:
            RunError: the folder is a file, in use, or holds a run of another recipe; a checkpoint
                cannot be written or read; or the loss is not finite.
            SettingError: the data give no batch.
        """
        if self.out.exists() and not self.out.is_dir():
            raise RunError(f"{self.out} is a file; expected a folder for the run")
        self.out.mkdir(parents=True, exist_ok=True)
        # One process of a run writes, so one holds the lock.
        lock = FileLock(self.out / "lock", timeout=0)
        try:
            with lock if self.rank == 0 else nullcontext():
                self._run(console)
        except Timeout:
            raise RunError(
                f"another process is training in {self.out}; wait for it, or give another --out"
            ) from None

    def _run(self, console: Console) -> None:
        epoch, batch_index = self._restore(console)
        self._wait()
        batches = self._batches(self.train_data, self.recipe.seed)
        started, tokens, losses = time.monotonic(), 0, []
        while self.step < self.recipe.optim.steps:
            for index, share in enumerate(_shares(batches.epoch(epoch), self.processes)):
                if index < batch_index:
                    continue
                losses.append(self._update(share[self.rank]))
                tokens += sum(int((ids != self.tokenizer.pad_token_id).sum()) for ids, _ in share)
                self.step += 1
                batch_index = index + 1
                if self.step % 20 == 0:
                    rate = tokens / (time.monotonic() - started)
                    self._log(
                        {
                            "train_loss": float(np.mean(losses)),
                            "tokens_per_second": rate,
                            "epoch": epoch,
                        }
                    )
                    started, tokens, losses = time.monotonic(), 0, []
                last = self.step == self.recipe.optim.steps
                if self.rank == 0 and (last or self.step % self.recipe.evaluate_every == 0):
                    scores = self.evaluate()
                    self._log(scores)
                    told = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
                    console.print(f"step {self.step}: {told}", soft_wrap=True)
                if self.rank == 0 and (last or self.step % self.recipe.checkpoint_every == 0):
                    self._checkpoint(epoch, batch_index)
                if last:
                    break
            else:
                if batch_index == 0:
                    raise SettingError(
                        f"{self.recipe.data.train} gives no batch for each of {self.processes} "
                        f"processes: it has {len(self.train_data)} crystals, and examples of more "
                        f"than {self.recipe.optim.max_tokens} tokens are left out; give more data, "
                        "or raise optim.max_tokens"
                    )
                epoch, batch_index = epoch + 1, 0
        if self.rank == 0:
            self.export(self.out / "model")
        self._wait()

    def evaluate(self) -> dict[str, float]:
        """Return the averaged weights' loss per completion token on validation crystals, by task.

        Examples are the same at every call. Crystals are as the data has them, not translated,
        save for `translated`, the unconditional task on randomly translated ones.
        """
        current = {n: p.detach().clone() for n, p in self.network.named_parameters()}
        self._put(self.average)
        self.network.eval()
        scores = {}
        runs = [(name, {name: 1.0}, 0.0) for name, w in self.recipe.tasks.items() if w > 0]
        if "unconditional" in self.recipe.tasks:
            runs.append(("translated", {"unconditional": 1.0}, 1.0))
        for name, weights, share in runs:
            batches = self._batches(self.validation_data, 0, weights, share)
            total, count = 0.0, 0
            for ids, labels in _first(batches.epoch(0), self.recipe.data.validation_crystals):
                n = int((labels != IGNORED).sum())
                with torch.no_grad(), self._autocast():
                    loss = self._loss(
                        torch.from_numpy(ids).to(self.device),
                        torch.from_numpy(labels).to(self.device),
                    )
                total, count = total + float(loss) * n, count + n
            scores[f"loss_{name}"] = total / max(1, count)
        self._put(current)
        self.network.train()
        return scores

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model folder in bfloat16."""
        self._put(self.average)
        self.network.config.use_cache = True
        self.network.generation_config.do_sample = True
        self.network.generation_config.temperature = self.recipe.temperature
        save_model(folder, self.network.bfloat16(), self.tokenizer, self.prompts, self.format)

    def _batches(
        self,
        data: Dataset,
        seed: int,
        task_weights: dict[str, float] | None = None,
        translate_share: float | None = None,
    ) -> Batches:
        recipe = self.recipe
        return Batches(
            data,
            self.tokenizer,
            self.prompts,
            self.format,
            task_weights=recipe.tasks if task_weights is None else task_weights,
            translate_share=recipe.translate_share if translate_share is None else translate_share,
            batch_tokens=recipe.optim.batch_tokens,
            max_tokens=recipe.optim.max_tokens,
            seed=seed,
            loss_on_prompt=recipe.loss_on_prompt,
        )

    def _loss(self, ids_B_T: torch.Tensor, labels_B_T: torch.Tensor) -> torch.Tensor:
        hidden_B_T_D = self.network.model(input_ids=ids_B_T).last_hidden_state
        # Labels are shifted rather than logits: slicing the logits would copy them.
        targets = torch.nn.functional.pad(labels_B_T[:, 1:], (0, 1), value=IGNORED)
        logits = self.network.lm_head(hidden_B_T_D.flatten(0, 1))
        return torch.nn.functional.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bf16"
        )

    def _update(self, batch: Batch) -> float:
        ids, labels = (torch.from_numpy(x).to(self.device) for x in batch)
        rate = learning_rate(self.step, self.recipe.optim)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
        with self._autocast():
            loss = self.forward(ids, labels)
        loss.backward()
        self._average_gradients()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.optim.clip_norm)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        decay = min(self.recipe.optim.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average[name].lerp_(parameter, 1.0 - decay)
        value = loss.item()
        if not math.isfinite(value):
            raise RunError(
                f"the loss is {value} at step {self.step}; try a smaller optim.learning_rate. "
                "The last checkpoint is whole"
            )
        return value

    def _start_alike(self) -> None:
        """Give every process the first one's weights: machines need not agree to the last bit."""
        if self.processes > 1:
            with torch.no_grad():
                for parameter in self.network.parameters():
                    dist.broadcast(parameter, 0)

    def _average_gradients(self) -> None:
        if self.processes == 1:
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.processes
        for gradient, part in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def _wait(self) -> None:
        if self.processes > 1:
            dist.barrier()

    def _put(self, weights: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(weights[name])

    def _log(self, values: dict[str, Any]) -> None:
        if self.rank != 0:
            return
        line = json.dumps({"step": self.step, **values})
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def _checkpoint(self, epoch: int, batch_index: int) -> None:
        tensors = {
            "weights": {n: p.detach() for n, p in self.network.named_parameters()},
            "average": self.average,
            **{name: optimizer_tensors(o) for name, o in self.optimizers.items()},
        }
        state = {
            "step": self.step,
            "epoch": epoch,
            "batch": batch_index,
            "processes": self.processes,
            "recipe": self._fingerprint(),
        }
        save_checkpoint(self.out / "checkpoint", tensors, state)

    def _restore(self, console: Console) -> tuple[int, int]:
        found = load_checkpoint(self.out / "checkpoint")
        if found is None:
            return 0, 0
        tensors, state = found
        # As text, since the order of the tasks decides the batches.
        if json.dumps(state["recipe"]) != json.dumps(self._fingerprint()):
            raise RunError(
                f"{self.out} holds a run of another recipe; give another --out, or that recipe: "
                f"{json.dumps(state['recipe'])}"
            )
        if (processes := state.get("processes", self.processes)) != self.processes:
            raise RunError(
                f"{self.out} holds a run of {processes} processes, and here are {self.processes}: "
                "its batches would be others; start as many, or give another --out"
            )
        self._put(tensors["weights"])
        self.average = tensors["average"]
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, tensors[name])
        self.step = state["step"]
        if self.rank != 0:
            return state["epoch"], state["batch"]
        self._cut_log()
        console.print(f"resuming {self.out} at step {self.step}", soft_wrap=True)
        return state["epoch"], state["batch"]

    def _cut_log(self) -> None:
        """Drop what was logged behind the checkpoint, and a line that a kill tore."""
        log = self.out / "log.jsonl"
        if not log.exists():
            return
        kept = []
        for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
            try:
                behind = json.loads(line)["step"] > self.step
            except ValueError:
                behind = True
            if not behind:
                kept.append(line)
        partial = log.with_name("log.jsonl.partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(log)

    def _fingerprint(self) -> dict[str, Any]:
        """Return what may not change within a run: all but paths, length and how often to look."""
        recipe = self.recipe.model_dump(
            mode="json",
            exclude={"data", "evaluate_every", "checkpoint_every", "compile", "temperature"},
        )
        for free in ("steps", "decay_share"):
            recipe["optim"].pop(free)
        return recipe


def _crystals(path: Path) -> Dataset:
    data = read_dataset(path)
    if len(data) == 0:
        raise InputError(f"{path} holds no crystal; expected one or more")
    return data


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # Each process of a machine has a GPU of its own.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def _join_processes() -> tuple[int, int]:
    """Return this process's rank and their number, as the launcher's environment tells."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ.get("RANK", "0")), processes


def _shares(batches: Iterator[Batch], processes: int) -> Iterator[tuple[Batch, ...]]:
    """Yield the batches of each step, one for each process; a rest too small is dropped."""
    return zip(*[batches] * processes, strict=False)


def _first(batches: Iterator[Batch], rows: int) -> Iterator[Batch]:
    """Yield batches until they have held `rows` rows; the last is cut."""
    for ids, labels in batches:
        yield ids[:rows], labels[:rows]
        rows -= len(ids)
        if rows <= 0:
            return
