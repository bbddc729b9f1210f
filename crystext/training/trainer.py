"""The training loop.

Knows steps: batch, losses, gradients, optimizers, average, and when to evaluate, log, save and
stop. Does not know how examples are made (`example_stream`) or batched, or what is learned from
them (`objectives`).

A step depends on earlier steps only through weights, averages and optimizers: the batch and the
random numbers of dropout follow from seed and step. So a killed run resumes from its last
checkpoint, and on one CPU process its weights are bit-identical to those of an uninterrupted run.
Started by `accelerate launch` or `torchrun`, each process takes a part of every batch, and all
parts together are the batch of a single process: losses agree up to rounding, and a run may resume
with another number of processes.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from rich.console import Console

from crystext.errors import RunError
from crystext.models.load import check_model_path
from crystext.runtime.run_folder import RunFolder
from crystext.tasks.property_prediction import PropertyPrediction
from crystext.training.batches import Batches, dropout_seed, steps_for_epochs
from crystext.training.causal_objective import CausalObjective
from crystext.training.checkpoint import (
    checkpoint_errors,
    load_checkpoint,
    save_checkpoint,
)
from crystext.training.distributed import (
    broadcast_weights,
    check_machine,
    is_sharded,
    make_accelerator,
    prepare_module,
    shard_name,
    tracker_config,
)
from crystext.training.ema import set_trainable_weights, swapped_weights, trainable_parameters
from crystext.training.example_stream import TrainingRow
from crystext.training.log import (
    RECIPE_FILE,
    TrainingLog,
    TrainingProgress,
    format_scores,
    loss_summary,
    perplexity_summary,
    write_recipe,
)
from crystext.training.loss_plot import plot_losses
from crystext.training.objectives import Objective
from crystext.training.optimizers import make_optimizers, set_learning_rate
from crystext.training.packing import split_micro_batches
from crystext.training.precision import precision_notes, with_precision
from crystext.training.property_task import property_task
from crystext.training.recipe import Recipe
from crystext.training.regression_objective import RegressionObjective
from crystext.training.reward.objective import RewardObjective
from crystext.training.run_identity import check_run_identity, run_identity
from crystext.training.schedule import learning_rate
from crystext.training.text_objective import PretrainingObjective
from crystext.training.training_data import TrainingData, read_data
from crystext.training.training_state import TrainingState
from crystext.training.validation import ValidationScorer, mean_task_loss, validation_losses

LOG_EVERY = 20
"""Number of steps between two lines of the log with training loss and rate; the first and the last
step are also logged."""

MODELS_FOLDER = "models"
"""Of a run: the model folders of its evaluations, by `keep_models`."""


class Trainer:
    """A run: the recipe's network, data and optimizers, and its folder.

    The constructor writes nothing; all errors of the recipe are raised here.

    Raises:
        CrystextError: the recipe refers to something that does not exist, does not work on this
            machine, or gives no batch.
    """

    def __init__(self, recipe: Recipe, out: Path, data: TrainingData | None = None) -> None:
        """Prepare a run.

        Args:
            recipe: its settings.
            out: its folder.
            data: records in memory; None reads those of the recipe.
        """
        self.out = out
        self.folder = RunFolder(out, "a training run")
        check_machine(recipe)
        self.data = read_data(recipe) if data is None else data
        self.accelerator = make_accelerator(recipe, out)
        self.recipe = recipe = with_precision(recipe, out, self.accelerator)
        self.device, optim = self.accelerator.device, recipe.optim
        self.property_task = property_task(recipe, self.data)
        self.objective = make_objective(recipe, self.data, self.property_task, self.device)
        self.initial_model, self.datasets = self.objective.initial_model, self.objective.datasets
        broadcast_weights(self.accelerator, self.initial_model.network)
        self.batch_size = optim.batch_sequences or self.datasets.sequences_per_batch(
            optim.batch_tokens or 1
        )
        self.steps = optim.steps or max(
            optim.min_steps,
            steps_for_epochs(optim.epochs or 1, self.data.count, self.batch_size),
        )
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        self.batches = Batches(self.datasets.train, self.batch_size, process, processes)
        module = self.objective.loss_module(self.device, bf16=recipe.precision == "bf16")
        if recipe.compile:
            # Inductor's own random numbers take twice as long as torch's on a CPU.
            module.compile(dynamic=True, options={"fallback_random": self.device.type == "cpu"})
        self.model = prepare_module(self.accelerator, module)
        # Sharded, a process holds parts of the weights under other names.
        self.weights_module = (
            self.model if is_sharded(self.accelerator) else self.initial_model.network
        )
        self.optimizers = make_optimizers(trainable_parameters(self.weights_module), optim)
        self.state = TrainingState(self.weights_module, self.optimizers, optim.ema, recipe.patience)
        self.ema, self.early_stopping = self.state.ema, self.state.early_stopping
        self.scorer = ValidationScorer(
            self.model, self.accelerator, self.objective, optim.micro_tokens
        )
        self.log = TrainingLog(out / "log.jsonl")
        self.run_identity = run_identity(recipe, self.initial_model, self.data, self.batch_size)

    @property
    def step(self) -> int:
        """Number of completed steps."""
        return self.state.step

    def run(self, console: Console) -> bool:
        """Train from the last checkpoint, if any, to the end, save the model and plot the losses.

        Returns:
            Whether the run reached the last step of the recipe; False if it stopped early.

        Raises:
            RunError: the folder is a file, in use, or holds something else, or a run of another
                recipe or on other data; a checkpoint cannot be written or read; or the loss is not
                finite.
            ModelError: the model's path holds something else.
        """
        self.folder.check_contents()
        check_model_path(self.out / "model")
        # Only one process of a run writes, so it holds the lock.
        main = self.accelerator.is_main_process
        with (
            self.folder.locked() if main else nullcontext(),
            # Dropout seeds the generator of the whole process; its state is restored.
            torch.random.fork_rng(devices=[]),
        ):
            self._run(console)
        return self.step >= self.steps

    def _run(self, console: Console) -> None:
        main = self.accelerator.is_main_process
        with TrainingProgress(Console(quiet=True) if not main else console, self.steps) as progress:
            self._restore_checkpoint(progress)
            if main:
                write_recipe(self.recipe, self.out / RECIPE_FILE)
                self.folder.record_start({"step": self.step})
            if self.recipe.trackers:
                config = tracker_config(self.recipe)
                self.accelerator.init_trackers("crystext", config=config)
            notes = precision_notes(self.recipe, self.device)
            for sentence in (*notes, *self.data.notes, *self.datasets.warnings()):
                progress.print_line(sentence)
            progress.print_line(
                f"{self.steps:,} steps of {self.batch_size:,} examples, {self.data.count:,} "
                f"{self.data.unit}, on {self.device}"
            )
            if self.step == 0:
                self._log_initial_losses(progress)
            self._train_steps(progress)
        if main:
            plot_losses(self.log.read(), self.out / "loss.png")
        self.export(self.out / "model")
        if self.recipe.trackers:
            self.accelerator.end_training()
        self.accelerator.wait_for_everyone()

    def _log_initial_losses(self, progress: TrainingProgress) -> None:
        """Log the validation losses before the first step, for comparison.

        They do not count for early stopping: the saved weights must be trained.
        """
        if self.datasets.too_long_fraction:
            self._log_metrics({"too_long": self.datasets.too_long_fraction})
        self.model.eval()
        scores = self._validation_losses()
        self.model.train()
        self._log_metrics(scores)
        progress.print_line(f"step 0 of {self.steps:,}, before training: {format_scores(scores)}")

    def _train_steps(self, progress: TrainingProgress) -> None:
        recipe = self.recipe
        progress.start(self.step)
        started, tokens, losses = time.monotonic(), 0, []
        for rows in self.batches.iter_batches(self.step, self.steps, recipe.data.workers):
            if self.early_stopping.should_stop:
                break
            loss, count = self._train_step(rows)
            losses.append(loss)
            tokens += count
            self.state.step += 1
            last = self.step == self.steps
            # Times the processes: an estimate of the mean that `reduce` would have to wait for.
            progress.advance(self.step, float(loss) * self.accelerator.num_processes)
            if last or self.step == 1 or self.step % LOG_EVERY == 0:
                mean = self.accelerator.reduce(torch.stack(losses), "sum").mean()
                metrics = {
                    "train_loss": float(mean),
                    "tokens_per_second": tokens / (time.monotonic() - started),
                    "epoch": self.step * self.batch_size // len(self.batches.examples.data),
                }
                self._log_metrics(metrics)
                started, tokens, losses = time.monotonic(), 0, []
            if last or self.step % recipe.evaluate_every == 0:
                looked = time.monotonic()
                scores = self.evaluate()
                self._log_metrics(scores)
                progress.print_line(
                    f"step {self.step:,} of {self.steps:,}: {format_scores(scores)}"
                )
                if recipe.keep_models == "every_evaluation":
                    self._save_model_of_step()
                # Evaluation does not count in the training speed.
                started += time.monotonic() - looked
            if last or self.step % recipe.checkpoint_every == 0 or self.early_stopping.should_stop:
                self._save_checkpoint()
        if self.early_stopping.should_stop and self.step < self.steps:
            progress.print_line(
                f"step {self.step}: no loss below {self.early_stopping.best_loss:.4f} in "
                f"{self.early_stopping.evaluations_since_best} evaluations; keeping the weights of "
                "the minimum"
            )

    def evaluate(self) -> dict[str, float]:
        """Return the averaged weights' validation loss per token, by task, and sample checks.

        `loss_mean` is the mean over the recipe's tasks with validation examples.
        """
        self.model.eval()
        with swapped_weights(self.weights_module, self.ema.weights):
            scores = self._validation_losses()
            main = self.accelerator.is_main_process
            scores |= self.objective.scores(self.scorer.mean_losses, is_main=main)
            self.accelerator.wait_for_everyone()
        self.model.train()
        self.early_stopping.update(scores["loss_mean"], self.ema.weights)
        return scores

    def _save_model_of_step(self) -> None:
        """Write the averaged weights as `models/step-NUMBER`; training goes on."""
        self.model.eval()
        with swapped_weights(self.weights_module, self.ema.weights):
            if self.accelerator.is_main_process:
                folder = self.out / MODELS_FOLDER / f"step-{self.step:07}"
                folder.parent.mkdir(exist_ok=True)
                self.objective.save(folder, None, last=False)
            self.accelerator.wait_for_everyone()
        self.model.train()

    def _validation_losses(self) -> dict[str, float]:
        """Return the validation losses of the current weights, and their mean."""
        crystals = self.recipe.data.validation_crystals
        losses = validation_losses(self.scorer, self.datasets.validation, crystals)
        return losses | {"loss_mean": mean_task_loss(losses, self.datasets.scored_tasks)}

    def summary(self) -> str:
        """Return sentences on the losses of the run, from its log."""
        lines = self.log.read()
        losses = loss_summary(lines, best=self.recipe.patience is not None)
        perplexities = "" if self.data.texts is None else perplexity_summary(lines)
        return "\n".join(filter(None, [losses, perplexities]))

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model folder, or an adapter folder; the last action."""
        set_trainable_weights(
            self.weights_module, self.early_stopping.weights_to_save(self.ema.weights)
        )
        state: dict[str, torch.Tensor] | None = None
        if is_sharded(self.accelerator):
            # All processes take part.
            whole = self.accelerator.get_state_dict(self.model)
            state = {name.removeprefix("network."): x for name, x in whole.items()}
        if self.accelerator.is_main_process:
            self.objective.save(folder, state)

    def _train_step(self, rows: list[TrainingRow]) -> tuple[torch.Tensor, int]:
        """Run a training step.

        Returns:
            This process's part of the mean loss over the batch, and the tokens of the whole batch.
        """
        parts = split_micro_batches(rows, self.recipe.optim.micro_tokens)
        packed = [self.objective.batch(part) for part in parts]
        mine = [len(parts), sum(len(x.targets_K) for x in packed), sum(x.tokens for x in packed)]
        counts = self.accelerator.gather(torch.tensor([mine], device=self.device))
        most = int(counts[:, 0].max())
        targets, tokens = int(counts[:, 1].sum()), int(counts[:, 2].sum())
        filler = self.objective.batch(self.objective.dummy_rows())
        packed += [filler] * (max(1, most) - len(packed))
        set_learning_rate(self.optimizers, learning_rate(self.step, self.steps, self.recipe.optim))
        mean = torch.zeros((), device=self.device)
        # Gradients are averaged over the processes, but the batch needs their sum.
        scale = self.accelerator.num_processes / max(1, targets)
        for i, part in enumerate(packed):
            process = self.accelerator.process_index
            torch.manual_seed(dropout_seed(self.recipe.seed, self.step, process, i))
            last = i == len(packed) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                part = part.to(self.device)
                loss = self.objective.training_losses(self.model, part).sum()
                self.accelerator.backward(loss * scale)
            mean += loss.detach() / max(1, targets)
        norm = self.accelerator.clip_grad_norm_(
            self.model.parameters(), self.recipe.optim.clip_norm
        )
        # The norm is over all processes, so that either all stop or none.
        if not math.isfinite(float(norm)):
            kept = (self.out / shard_name("checkpoint", self.accelerator)).exists()
            rate = self.recipe.optim.learning_rate
            raise RunError(
                f"the loss ({float(mean):g}) or its gradient ({float(norm):g}) is not finite in "
                f"step {self.step + 1:,}; try a smaller optim.learning_rate (it is {rate:g})"
                + (" and another --out. The last checkpoint is intact" if kept else "")
            )
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        self.ema.update(self.weights_module, self.step)
        return mean, tokens

    def _log_metrics(self, metrics: dict[str, float]) -> None:
        if self.accelerator.is_main_process:
            self.log.write(self.step, metrics)
        if self.recipe.trackers:
            self.accelerator.log(metrics, step=self.step)

    def _save_checkpoint(self) -> None:
        if self.accelerator.is_main_process or is_sharded(self.accelerator):
            values = self.state.values() | {"identity": self.run_identity}
            folder = self.out / shard_name("checkpoint", self.accelerator)
            save_checkpoint(folder, self.state.tensors(), values)

    def _restore_checkpoint(self, progress: TrainingProgress) -> None:
        folder = self.out / shard_name("checkpoint", self.accelerator)
        found = load_checkpoint(folder)
        self.accelerator.wait_for_everyone()
        if found is not None:
            tensors, values = found
            with checkpoint_errors(folder):
                saved = values["identity"]
                for sentence in check_run_identity(
                    self.folder, saved, self.run_identity, self.recipe
                ):
                    progress.print_line(sentence)
                self.state.restore(tensors, values, self.device)
            progress.print_line(f"resuming {self.out} at step {self.step}")
        if self.accelerator.is_main_process:
            # Without a checkpoint the run starts again, and so does its log.
            self.log.truncate_after(self.step if found is not None else -1)


def make_objective(
    recipe: Recipe, data: TrainingData, task: PropertyPrediction | None, device: torch.device
) -> Objective:
    """Return the objective that a recipe names, with its network and its examples."""
    if recipe.rewards is not None:
        return RewardObjective(recipe, data, task, device)
    if recipe.objective == "causal":
        return CausalObjective(recipe, data, task, device)
    if recipe.objective != "regression_head":
        return PretrainingObjective(recipe, data, device)
    assert task is not None, "the recipe's check requires the task"
    return RegressionObjective(recipe, data, task, device)
