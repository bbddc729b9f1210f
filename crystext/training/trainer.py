"""The training loop.

Knows steps: batch, losses, gradients, optimizers, average, and when to look, to log, to keep and to
end. Does not know how examples are made (`examples`), how they are packed (`packing`), or what a
model is (`models.start`).

Of the steps before it, a step needs weights, averages and optimizers only: the batch and the random
numbers of dropout follow from seed and step. So a run that is killed goes on from its last
checkpoint, and on one CPU process its weights are bit for bit those of a run that never was.
Started by `accelerate launch` or `torchrun`, each process takes its share of every batch, and the
sum of the shares is what one process would have taken: losses agree to rounding, and a run may go
on with another number of processes.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import is_initialized
from filelock import FileLock, Timeout
from rich.console import Console

from crystext.errors import RunError
from crystext.models.initialize import start_model
from crystext.models.layout import Temperatures
from crystext.models.load import check_place, save_model
from crystext.tasks.prompts import load_prompts
from crystext.text import Format, get_format
from crystext.training.attention import ordinary_attention
from crystext.training.batches import Batches, steps_of
from crystext.training.checkpoint import (
    Tensors,
    check_run_folder,
    damage_told,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from crystext.training.datasets import make_streams, read_data
from crystext.training.distributed import (
    check_machine,
    prepare,
    same_weights,
    shard_name,
    sharded,
    tracker_config,
)
from crystext.training.dropout import drop_in_layers, dropout_seed
from crystext.training.early_stopping import Patience
from crystext.training.ema import WeightAverage, exchanged, put, trainable
from crystext.training.examples import Row
from crystext.training.log import Log, Teller, shown, summary, write_recipe
from crystext.training.loss import PackedLoss, base_network
from crystext.training.loss_plot import draw_losses
from crystext.training.number_weighting import NumberWeights
from crystext.training.optimizers import make_optimizers, set_rate
from crystext.training.packing import Packed, cut, nothing, pack
from crystext.training.recipe import Recipe
from crystext.training.run_identity import check_identity, identity
from crystext.training.sample_checks import ipt, sampled_validity
from crystext.training.schedule import learning_rate
from crystext.training.validation import Scorer, mean_of, validation_losses

LOG_EVERY = 20
"""Steps between two lines of the log with the training loss and rate; the first and the last step
have one, too."""


class Trainer:
    """One run: the recipe's network, data and optimizers, and the folder they are kept in.

    Making it writes nothing; whatever is wrong with the recipe is found here.

    Raises:
        CrystextError: the recipe asks for what does not exist, does not work on this machine, or
            gives no batch.
    """

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self.recipe, self.out = recipe, out
        check_machine(recipe)
        data = read_data(recipe.data.store)
        self.accelerator = Accelerator(
            # `PackedLoss` sees to it. What an earlier user of accelerate in this program has set
            # cannot be changed, and does not reach into there.
            mixed_precision=None if is_initialized() else "no",
            device_placement=False,
            log_with=list(recipe.trackers) or None,
            project_dir=out,
        )
        self.device, optim = self.accelerator.device, recipe.optim
        self.start = start_model(
            recipe.model,
            None if recipe.prompts is None else load_prompts(recipe.prompts),
            get_format(recipe.format),
            max_tokens=optim.max_tokens,
            seed=recipe.seed,
            device=self.device,
            compute_dtype=torch.bfloat16 if recipe.precision == "bf16" else torch.float32,
        )
        same_weights(self.accelerator, self.start.network)
        self.streams = make_streams(recipe, data, self.start)
        self.sequences = optim.batch_sequences or self.streams.batch_sequences(
            optim.batch_tokens or 1
        )
        self.steps = optim.steps or steps_of(optim.epochs or 1, len(data["train"]), self.sequences)
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        self.batches = Batches(self.streams.train, self.sequences, process, processes)
        if recipe.dropout:
            drop_in_layers(base_network(self.start.network), recipe.dropout)
        module = PackedLoss(self.start.network, self.device, bf16=recipe.precision == "bf16")
        self.numbers = (
            None
            if recipe.number_weight == 1
            else NumberWeights(self.start.tokenizer, recipe.number_weight, self.device)
        )
        if recipe.compile:
            # Inductor's own random numbers take twice as long as torch's on a CPU.
            module.compile(dynamic=True, options={"fallback_random": self.device.type == "cpu"})
        self.model = prepare(self.accelerator, module)
        # Sharded, a process holds parts of the weights under other names.
        self.weights = self.model if sharded(self.accelerator) else self.start.network
        self.optimizers = make_optimizers(trainable(self.weights), optim)
        self.average = WeightAverage(self.weights, optim.ema)
        self.scorer = Scorer(
            self.model, self.accelerator, optim.micro_tokens, int(self.start.tokenizer.eos_token_id)
        )
        self.log = Log(out / "log.jsonl")
        self.patience = Patience(recipe.patience)
        self.identity = identity(recipe, self.start, len(data["train"]), self.sequences)
        self.step = 0

    def run(self, console: Console) -> bool:
        """Train from the last checkpoint, if any, to the end, save the model and draw the losses.

        Returns:
            Whether the run went to the last step of the recipe; False where it ended early.

        Raises:
            RunError: the folder is a file, in use, or holds something else, or a run of another
                recipe or on other data; a checkpoint cannot be written or read; or the loss is not
                finite.
            ModelError: something else is where the model is to be.
        """
        check_run_folder(self.out)
        check_place(self.out / "model")
        self.out.mkdir(parents=True, exist_ok=True)
        # One process of a run writes, so one holds the lock.
        lock = FileLock(self.out / "lock", timeout=0)
        try:
            # Dropout seeds the generator of the whole process; it is given back as it was.
            with (
                lock if self.accelerator.is_main_process else nullcontext(),
                torch.random.fork_rng(devices=[]),
            ):
                self._run(console)
        except Timeout:
            raise RunError(
                f"another process is training in {self.out}; wait for it, or give another --out"
            ) from None
        return self.step >= self.steps

    def _run(self, console: Console) -> None:
        main = self.accelerator.is_main_process
        with Teller(Console(quiet=True) if not main else console, self.steps) as teller:
            self._restore(teller)
            if main:
                write_recipe(self.recipe, self.out / "recipe.yaml")
            if self.recipe.trackers:
                config = tracker_config(self.recipe)
                self.accelerator.init_trackers("crystext", config=config)
            for sentence in self.streams.told():
                teller.line(sentence)
            crystals = len(self.batches.examples.data)
            teller.line(
                f"{self.steps:,} steps of {self.sequences:,} examples, {crystals:,} crystals to "
                f"learn from, on {self.device}"
            )
            if self.step == 0:
                self._score_start(teller)
            self._learn(teller)
        if main:
            draw_losses(self.log.read(), self.out / "loss.png")
        self.export(self.out / "model")
        if self.recipe.trackers:
            self.accelerator.end_training()
        self.accelerator.wait_for_everyone()

    def _score_start(self, teller: Teller) -> None:
        """Log the validation losses before the first step, which later ones compare with.

        They do not count for `patience`: what is kept has been trained.
        """
        if self.streams.too_long:
            self._note({"too_long": self.streams.too_long})
        self.model.eval()
        scores = self._losses()
        self.model.train()
        self._note(scores)
        teller.line(f"step 0 of {self.steps:,}, before training: {shown(scores)}")

    def _learn(self, teller: Teller) -> None:
        recipe = self.recipe
        teller.start(self.step)
        started, tokens, losses = time.monotonic(), 0, []
        for rows in self.batches.stream(self.step, self.steps, recipe.data.workers):
            if self.patience.ended:
                break
            loss, count = self._update(rows)
            losses.append(loss)
            tokens += count
            self.step += 1
            last = self.step == self.steps
            teller.advance(self.step, float(loss))
            if last or self.step == 1 or self.step % LOG_EVERY == 0:
                mean = self.accelerator.reduce(torch.stack(losses), "sum").mean()
                figures = {
                    "train_loss": float(mean),
                    "tokens_per_second": tokens / (time.monotonic() - started),
                    "epoch": self.step * self.sequences // len(self.batches.examples.data),
                }
                self._note(figures)
                started, tokens, losses = time.monotonic(), 0, []
            if last or self.step % recipe.evaluate_every == 0:
                looked = time.monotonic()
                scores = self.evaluate()
                self._note(scores)
                teller.line(f"step {self.step:,} of {self.steps:,}: {shown(scores)}")
                # Looking is no training: it does not count against the rate.
                started += time.monotonic() - looked
            if last or self.step % recipe.checkpoint_every == 0 or self.patience.ended:
                self._checkpoint()
        if self.patience.ended and self.step < self.steps:
            teller.line(
                f"step {self.step}: no less loss than {self.patience.least:.4f} in "
                f"{self.patience.since} evaluations; keeping the weights that had it"
            )

    def evaluate(self) -> dict[str, float]:
        """Return the averaged weights' loss per token on validation crystals, by task, and probes.

        `loss_mean` is the mean over the recipe's tasks, as far as `Streams` has some to score.
        """
        recipe = self.recipe
        self.model.eval()
        with exchanged(self.weights, self.average.weights):
            scores = self._losses()
            if recipe.probes.ipt_crystals:
                any_stream = next(iter(self.streams.validation.values()))
                scores["ipt"] = ipt(self.scorer, any_stream, recipe.probes)
            if recipe.probes.sampled_crystals and self.accelerator.is_main_process:
                scores |= sampled_validity(
                    self.start, recipe.probes, self._temperatures(), self._sample_format()
                )
            self.accelerator.wait_for_everyone()
        self.model.train()
        self.patience.watch(scores["loss_mean"], self.average.weights)
        return scores

    def _losses(self) -> dict[str, float]:
        """Return the validation losses of the weights as they are, and their mean."""
        crystals = self.recipe.data.validation_crystals
        losses = validation_losses(self.scorer, self.streams.validation, crystals)
        return losses | {"loss_mean": mean_of(losses, self.streams.scored)}

    def summary(self) -> str:
        """Return in one sentence what the run did to the losses, as far as its log tells."""
        return summary(self.log.read(), best=self.recipe.patience is not None)

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model folder, or an adapter folder; the last deed."""
        start, network = self.start, base_network(self.start.network)
        put(self.weights, self.patience.chosen(self.average.weights))
        network.config.use_cache = True
        state: dict[str, torch.Tensor] | None = None
        if sharded(self.accelerator):
            # All processes have a part in it.
            whole = self.accelerator.get_state_dict(self.model)
            state = {name.removeprefix("network."): x for name, x in whole.items()}
        elif start.base is None:
            network.bfloat16()
        if self.accelerator.is_main_process:
            with ordinary_attention(network):
                save_model(
                    folder,
                    start.network,
                    start.tokenizer,
                    start.prompts,
                    start.format,
                    base=start.base,
                    temperatures=self._temperatures(),
                    sample_format=self._sample_format(),
                    state=state,
                )

    def _temperatures(self) -> Temperatures:
        recipe = self.recipe
        return Temperatures(
            recipe.temperature, recipe.element_temperature, recipe.coordinate_temperature
        )

    def _sample_format(self) -> Format | None:
        name = self.recipe.sample_format
        return None if name is None else get_format(name)

    def _update(self, rows: list[Row]) -> tuple[torch.Tensor, int]:
        """Make a step.

        Returns:
            This process's part of the mean loss over the batch, and the tokens of the whole batch.
        """
        parts = cut(rows, self.recipe.optim.micro_tokens)
        packed = [pack(part) for part in parts]
        mine = [len(parts), sum(len(x.targets_K) for x in packed), sum(x.tokens for x in packed)]
        counts = self.accelerator.gather(torch.tensor([mine], device=self.device))
        most = int(counts[:, 0].max())
        targets, tokens = int(counts[:, 1].sum()), int(counts[:, 2].sum())
        filler = pack(nothing(self.scorer.filler))
        packed += [filler] * (max(1, most) - len(packed))
        set_rate(self.optimizers, learning_rate(self.step, self.steps, self.recipe.optim))
        mean = torch.zeros((), device=self.device)
        # What gathers gradients takes their mean over the processes, and the batch wants the sum.
        scale = self.accelerator.num_processes / max(1, targets)
        for i, part in enumerate(packed):
            process = self.accelerator.process_index
            torch.manual_seed(dropout_seed(self.recipe.seed, self.step, process, i))
            last = i == len(packed) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                part = part.to(self.device)
                loss = self._weighted(self.model(part), part).sum()
                self.accelerator.backward(loss * scale)
            mean += loss.detach() / max(1, targets)
        norm = self.accelerator.clip_grad_norm_(
            self.model.parameters(), self.recipe.optim.clip_norm
        )
        # The norm is over all processes, so that all of them stop, or none.
        if not math.isfinite(float(norm)):
            kept = (self.out / shard_name("checkpoint", self.accelerator)).exists()
            rate = self.recipe.optim.learning_rate
            raise RunError(
                f"the loss ({float(mean):g}) or its gradient ({float(norm):g}) is not finite in "
                f"step {self.step + 1:,}; try a smaller optim.learning_rate (it is {rate:g})"
                + (" and another --out. The last checkpoint is whole" if kept else "")
            )
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        self.average.update(self.weights, self.step)
        return mean, tokens

    def _weighted(self, losses_K: torch.Tensor, packed: Packed) -> torch.Tensor:
        return losses_K if self.numbers is None else losses_K * self.numbers(packed)

    def _note(self, figures: dict[str, float]) -> None:
        if self.accelerator.is_main_process:
            self.log.write(self.step, figures)
        if self.recipe.trackers:
            self.accelerator.log(figures, step=self.step)

    def _checkpoint(self) -> None:
        tensors = {
            "weights": {n: p.detach() for n, p in trainable(self.weights).items()},
            "average": self.average.weights,
            **({"best": self.patience.best} if self.patience.best else {}),
            **{name: optimizer_tensors(o) for name, o in self.optimizers.items()},
        }
        state = {
            "step": self.step,
            "least": self.patience.least,
            "since": self.patience.since,
            "identity": self.identity,
        }
        if self.accelerator.is_main_process or sharded(self.accelerator):
            save_checkpoint(self.out / shard_name("checkpoint", self.accelerator), tensors, state)

    def _restore(self, teller: Teller) -> None:
        folder = self.out / shard_name("checkpoint", self.accelerator)
        found = load_checkpoint(folder)
        self.accelerator.wait_for_everyone()
        if found is not None:
            with damage_told(folder):
                self._take(*found, teller)
            teller.line(f"resuming {self.out} at step {self.step}")
        if self.accelerator.is_main_process:
            # Without a checkpoint the run begins anew, and so does its log.
            self.log.cut(self.step if found is not None else -1)

    def _take(self, tensors: dict[str, Tensors], state: dict[str, Any], teller: Teller) -> None:
        for sentence in check_identity(self.out, state["identity"], self.identity):
            teller.line(sentence)
        put(self.weights, tensors["weights"])
        self.average.weights = self._on_device(tensors["average"])
        self.patience.best = self._on_device(tensors["best"]) if "best" in tensors else {}
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, tensors[name])
        self.step = state["step"]
        self.patience.least, self.patience.since = state["least"], state["since"]

    def _on_device(self, tensors: Tensors) -> Tensors:
        return {name: tensors[name].to(self.device) for name in trainable(self.weights)}
