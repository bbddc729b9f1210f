from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from rich.console import Console
from safetensors.torch import load_file, save_file

from crystext.conditions.sampling_constraints import Constraints
from crystext.data.store import read_store, write_store
from crystext.errors import InputError, ModelError, RunError, SettingError
from crystext.inference.generate import TextGenerator
from crystext.inference.types import Request, SamplingSettings
from crystext.models.load import load_model
from crystext.runtime.shipped_files import shipped_model, shipped_path
from crystext.tasks.crystal_generation import generation_prompt
from crystext.training.checkpoint import load_checkpoint
from crystext.training.log import TrainingLog, check_trackers
from crystext.training.recipe import Recipe, load_recipe, parse_recipe
from crystext.training.trainer import Trainer
from tests.tiny_model import write_tiny_store

QUIET = Console(quiet=True)
STEPS = 12
SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store")


def recipe_values(data: Path, **optim: Any) -> dict[str, Any]:
    return {
        "seed": 1,
        "data": {"store": str(data), "validation_crystals": 10},
        "tasks": {"unconditional": 0.5, "conditional": 0.3, "infill_element": 0.2},
        "translate_probability": 0.5,
        "model": {"new": {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2}},
        "optim": {
            "optimizer": "muon",
            "learning_rate": 0.01,
            "schedule": "wsd",
            "weight_decay": 0.1,
            "steps": STEPS,
            "warmup_steps": 3,
            "batch_tokens": 600,
            "micro_tokens": 400,
            "ema": 0.8,
            **optim,
        },
        "precision": "fp32",
        "evaluate_every": 6,
        "checkpoint_every": 5,
    }


def recipe(data: Path, **optim: Any) -> Recipe:
    return parse_recipe(recipe_values(data, **optim), "test")


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    Trainer(recipe(data), out).run(QUIET)
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    found = load_checkpoint(out / "checkpoint")
    assert found is not None
    return found[0]["weights"] | {f"average.{k}": v for k, v in found[0]["ema"].items()}


def weights_step(out: Path) -> int:
    found = load_checkpoint(out / "checkpoint")
    assert found is not None
    return int(found[1]["step"])


def assert_same_weights(first: Path, second: Path) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def test_training_lowers_the_loss_on_crystals_it_does_not_repeat(
    data: Path, tmp_path: Path
) -> None:
    values = recipe_values(data, steps=40, ema=0.5) | {"evaluate_every": 10}
    Trainer(parse_recipe(values, "test"), tmp_path / "run").run(QUIET)
    scored = [line for line in log_of(tmp_path / "run") if "loss_unconditional" in line]
    assert [line["step"] for line in scored] == [0, 10, 20, 30, 40]
    for task in ("unconditional", "conditional", "infill_element", "translated"):
        losses = [line[f"loss_{task}"] for line in scored]
        assert losses[-1] < 0.9 * losses[0], task


def test_a_run_logs_what_its_weights_lose_before_the_first_step(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    untrained = Trainer(recipe(data), tmp_path / "run").evaluate()
    (before,) = (line for line in log_of(whole) if line["step"] == 0)
    assert before == {"step": 0, **untrained}


def test_a_run_of_before_there_were_baselines_goes_on_to_the_same_weights(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    Trainer(recipe(data, decay_fraction=0.0, steps=6), out).run(QUIET)
    kept = [line for line in log_of(out) if line["step"] not in (0, 1)]
    (out / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    longer = Trainer(recipe(data, decay_fraction=0.0), out)
    longer.run(QUIET)
    assert "before training" not in longer.summary()
    assert [x["step"] for x in log_of(out) if "loss_mean" in x] == [6, 12]
    Trainer(recipe(data, decay_fraction=0.0), tmp_path / "once").run(QUIET)
    assert_same_weights(out, tmp_path / "once")


def test_a_run_ends_with_its_losses_in_one_sentence(data: Path, whole: Path) -> None:
    scored = [line["loss_mean"] for line in log_of(whole) if "loss_mean" in line]
    trained = [line["train_loss"] for line in log_of(whole) if "train_loss" in line]
    assert Trainer(recipe(data), whole).summary() == (
        f"validation loss {scored[0]:.4f} before training, {scored[-1]:.4f} after {STEPS} steps; "
        f"training loss {trained[-1]:.4f} (mean of the steps since the last line of log.jsonl)"
    )


def test_what_was_trained_is_a_model_to_draw_from(whole: Path) -> None:
    model = load_model(whole / "model")
    assert model.network.dtype == torch.bfloat16
    sampler = TextGenerator(model, SamplingSettings()).sampler()
    attempts = sampler.draw(
        Request(
            generation_prompt(model.prompts), Constraints(max_atoms=2, min_distance_ratio=0.65)
        ),
        range(3),
    )
    assert [attempt.failure for attempt in attempts] == [None] * 3


def test_the_saved_model_is_the_average_of_the_weights(whole: Path) -> None:
    saved = load_file(whole / "model" / "model.safetensors")
    found = load_checkpoint(whole / "checkpoint")
    assert found is not None
    average = found[0]["ema"]
    assert set(saved) == set(average)
    for name, tensor in saved.items():
        assert torch.equal(tensor, average[name].bfloat16()), name
    assert any(not torch.equal(average[name], found[0]["weights"][name]) for name in average)


@pytest.mark.parametrize("stop", [5, 7, 10])
def test_a_run_that_goes_on_ends_with_the_same_weights_to_the_bit(
    data: Path, whole: Path, tmp_path: Path, stop: int
) -> None:
    out = tmp_path / "run"

    class Stopped(Exception):
        pass

    class Stopping(Trainer):
        """Stops as if killed, before the step is counted."""

        def _train_step(self, rows: Any) -> Any:
            if self.step == stop:
                raise Stopped
            return super()._train_step(rows)

    with pytest.raises(Stopped):
        Stopping(recipe(data), out).run(QUIET)
    Trainer(recipe(data), out).run(QUIET)
    assert_same_weights(out, whole)
    steps = [line["step"] for line in log_of(out) if "loss_unconditional" in line]
    assert steps == [0, 6, 12]


def test_a_checkpoint_of_version_0_1_goes_on_to_the_same_weights(
    data: Path, tmp_path: Path
) -> None:
    """Its names of files and keys were others; see `training.checkpoint` and `training.recipe`."""
    out, optim = tmp_path / "run", {"decay_fraction": 0.0}
    Trainer(recipe(data, steps=6, **optim), out).run(QUIET)
    (out / "checkpoint" / "ema.safetensors").rename(out / "checkpoint" / "average.safetensors")
    path = out / "checkpoint" / "state.json"
    state = json.loads(path.read_text())
    state["least"], state["since"] = state.pop("best_loss"), state.pop("evaluations_since_best")
    saved = state["identity"]["recipe"]
    saved["translate_share"] = saved.pop("translate_probability")
    path.write_text(json.dumps(state))
    longer = Trainer(recipe(data, steps=11, **optim), out)
    longer.run(QUIET)
    Trainer(recipe(data, steps=11, **optim), tmp_path / "once").run(QUIET)
    assert_same_weights(out, tmp_path / "once")
    assert not (out / "checkpoint" / "average.safetensors").exists()


def test_a_longer_run_goes_on_from_a_finished_one(data: Path, tmp_path: Path) -> None:
    optim = {"decay_fraction": 0.0}
    Trainer(recipe(data, steps=6, **optim), tmp_path / "run").run(QUIET)
    Trainer(recipe(data, steps=11, **optim), tmp_path / "run").run(QUIET)
    Trainer(recipe(data, steps=11, **optim), tmp_path / "once").run(QUIET)
    assert_same_weights(tmp_path / "run", tmp_path / "once")


def test_a_finished_run_stays_as_it_is(data: Path, tmp_path: Path) -> None:
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    before = weights(tmp_path / "run")
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    after = weights(tmp_path / "run")
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_torn_or_missing_log_does_not_stop_a_run_that_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    Trainer(recipe(data, steps=6), out).run(QUIET)
    with (out / "log.jsonl").open("a") as log:
        log.write('{"step": 7, "train')
    Trainer(recipe(data, steps=7), out).run(QUIET)
    assert [line["step"] for line in log_of(out)] == [0, 1, 6, 6, 7, 7]
    (out / "log.jsonl").unlink()
    Trainer(recipe(data, steps=8), out).run(QUIET)
    assert [line["step"] for line in log_of(out)] == [8, 8]


def test_a_run_of_another_recipe_is_refused_and_told_in_what(data: Path, tmp_path: Path) -> None:
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    before = weights(tmp_path / "run")
    expected = r"other settings:\n  optim.learning_rate: 0.01 there, 0.02 here"
    with pytest.raises(RunError, match=expected):
        Trainer(recipe(data, steps=5, learning_rate=0.02), tmp_path / "run").run(QUIET)
    after = weights(tmp_path / "run")
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_run_on_other_data_is_refused(data: Path, tmp_path: Path) -> None:
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    other = write_tiny_store(tmp_path / "other", 40)
    with pytest.raises(RunError, match=r"on other data, .*60 crystals.*here are 40"):
        Trainer(recipe(other, steps=5), tmp_path / "run").run(QUIET)
    # As many crystals, and one of them another one.
    for split in ("train", "validation"):
        splits = {s: list(map(read_store(data, s).__getitem__, range(60))) for s in SPLITS}
        splits[split][7] = splits[split][8]
        write_store(tmp_path / split, splits)
        with pytest.raises(RunError, match="a run on other data, according to checksums"):
            Trainer(recipe(tmp_path / split, steps=5), tmp_path / "run").run(QUIET)
    # The same ones, elsewhere.
    moved = shutil.copytree(data, tmp_path / "moved")
    Trainer(recipe(moved, steps=6), tmp_path / "run").run(QUIET)
    assert weights_step(tmp_path / "run") == 6


def test_a_run_with_other_words_or_another_base_is_refused(data: Path, tmp_path: Path) -> None:
    words = shutil.copytree(shipped_path("prompts", "default"), tmp_path / "words")
    base = shutil.copytree(shipped_model(), tmp_path / "base")
    values = recipe_values(data, steps=2, optimizer="adamw")
    values |= {"prompts": str(words), "model": {"base": str(base), "lora": {"rank": 2}}}

    def run() -> None:
        Trainer(parse_recipe(values, "test"), tmp_path / "run").run(QUIET)

    run()
    asked = (words / "generate.txt").read_text()
    (words / "generate.txt").write_text("Please. " + asked)
    with pytest.raises(RunError, match="a run with other prompts, according to checksums"):
        run()
    (words / "generate.txt").write_text(asked)
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] *= 1.5
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunError, match="a run from another base, according to checksums"):
        run()


def test_a_checkpoint_of_before_there_were_checksums_goes_on_and_says_so(
    data: Path, tmp_path: Path
) -> None:
    out, told = tmp_path / "run", io.StringIO()
    Trainer(recipe(data, steps=5), out).run(QUIET)
    state = json.loads((out / "checkpoint" / "state.json").read_text())
    del state["identity"]["digests"]
    (out / "checkpoint" / "state.json").write_text(json.dumps(state))
    Trainer(recipe(data, steps=6), out).run(Console(file=told, width=300))
    assert "no checksum of its data, prompts, base; resuming with the given ones" in told.getvalue()
    assert weights_step(out) == 6


def without(group: str) -> Callable[[Path], None]:
    def harm(checkpoint: Path) -> None:
        (checkpoint / f"{group}.safetensors").unlink()

    return harm


def with_state(text: str) -> Callable[[Path], None]:
    def harm(checkpoint: Path) -> None:
        (checkpoint / "state.json").write_text(text)

    return harm


def without_a_tensor(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / "ema.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, checkpoint / "ema.safetensors")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (without("ema"), "'ema' is missing"),
        (without("weights"), "'weights' is missing"),
        (without("adamw"), "'adamw' is missing"),
        (without_a_tensor, "'model.norm.weight' is missing"),
        (with_state("{}"), "'identity' is missing"),
        (with_state("[]"), "its contents are not those"),
        (with_state('{"identity": {}}'), "'recipe' is missing"),
    ],
)
def test_an_incomplete_checkpoint_is_told(
    data: Path, whole: Path, tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    harm(out / "checkpoint")
    with pytest.raises(RunError, match=f"the checkpoint in .* is damaged: {reason}"):
        Trainer(recipe(data), out).run(QUIET)


def test_a_log_without_a_checkpoint_begins_anew(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "log.jsonl").write_text('{"step": 1, "train_loss": 9.0}\n{"step": 2, "tra')
    Trainer(recipe(data, steps=6), out).run(QUIET)
    assert [line["step"] for line in log_of(out)] == [0, 1, 6, 6]


def test_a_place_for_the_model_that_is_taken_is_told_before_training(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="holds files that are not a model"):
        Trainer(recipe(data), tmp_path).run(QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_muon_trains_an_adapter_which_is_all_matrices(data: Path, tmp_path: Path) -> None:
    values = recipe_values(data, steps=3)
    values["model"] |= {"lora": {"rank": 2, "dropout": 0.0}}
    trainer = Trainer(parse_recipe(values, "test"), tmp_path / "run")
    assert list(trainer.optimizers) == ["muon"]
    trainer.run(QUIET)
    assert (tmp_path / "run" / "model" / "adapter_model.safetensors").is_file()


def test_the_order_of_tasks_and_the_cut_of_a_batch_are_no_other_recipe(
    data: Path, tmp_path: Path
) -> None:
    Trainer(recipe(data, steps=5), tmp_path / "run").run(QUIET)
    values = recipe_values(data, steps=8, micro_tokens=100)
    values["tasks"] = dict(reversed(values["tasks"].items()))
    Trainer(parse_recipe(values, "test"), tmp_path / "run").run(QUIET)
    assert weights_step(tmp_path / "run") == 8


def test_the_cut_of_a_batch_changes_no_loss(data: Path, tmp_path: Path) -> None:
    losses = []
    for micro_tokens in (400, 10_000):
        out = tmp_path / str(micro_tokens)
        values = recipe_values(data, steps=20, micro_tokens=micro_tokens, optimizer="adamw")
        Trainer(parse_recipe(values, "test"), out).run(QUIET)
        losses.append([line["train_loss"] for line in log_of(out) if "train_loss" in line])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_epochs_are_an_alternative_to_steps(data: Path, tmp_path: Path) -> None:
    optim = {"steps": None, "epochs": 2, "batch_tokens": None, "batch_sequences": 25}
    Trainer(recipe(data, **optim), tmp_path / "run").run(QUIET)
    assert weights_step(tmp_path / "run") == 5  # 120 examples


def test_a_run_without_progress_ends_early_and_keeps_its_best_weights(
    data: Path, tmp_path: Path
) -> None:
    # So fast that it forgets: the least loss is not the last.
    values = recipe_values(data, steps=400, learning_rate=0.5, ema=0.0, schedule="constant")
    values |= {"evaluate_every": 2, "checkpoint_every": 4, "patience": 3}
    whole = Trainer(parse_recipe(values, "test"), tmp_path / "run")
    assert not whole.run(QUIET)
    scored = [x["loss_mean"] for x in log_of(tmp_path / "run") if "loss_mean" in x]
    least = scored.index(min(scored))
    assert len(scored) == least + 1 + 3
    found = load_checkpoint(tmp_path / "run" / "checkpoint")
    assert found is not None
    assert found[1]["best_loss"] == min(scored)
    saved = load_file(tmp_path / "run" / "model" / "model.safetensors")
    for name, tensor in saved.items():
        assert torch.equal(tensor, found[0]["best"][name].bfloat16()), name
    assert any(not torch.equal(found[0]["best"][n], found[0]["weights"][n]) for n in saved)
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")
    # Told to end, it does not begin again.
    Trainer(parse_recipe(values, "test"), tmp_path / "run").run(QUIET)
    assert [x["loss_mean"] for x in log_of(tmp_path / "run") if "loss_mean" in x] == scored


def test_sample_checks_are_logged_and_change_no_weight(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    values = recipe_values(data)
    values["sample_checks"] = {
        "ipt_crystals": 2,
        "ipt_translations": 3,
        "sampled_crystals": 2,
        "sampled_max_atoms": 1,
    }
    Trainer(parse_recipe(values, "test"), tmp_path / "run").run(QUIET)
    assert_same_weights(tmp_path / "run", whole)
    probed = [line for line in log_of(tmp_path / "run") if line["step"] and "loss_mean" in line]
    assert len(probed) == 2
    for line in probed:
        assert line["ipt"] > 0
        assert 0 <= line["sampled_structure_valid"] <= line["sampled_parse"] <= 1
        assert 0 <= line["sampled_composition_valid"] <= line["sampled_parse"]


def test_the_resolved_recipe_lies_beside_the_model(data: Path, whole: Path) -> None:
    assert load_recipe(whole / "recipe.yaml") == recipe(data)


def test_a_folder_in_use_is_refused(data: Path, tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(RunError, match="another process is writing"):
        Trainer(recipe(data), tmp_path).run(QUIET)


def test_a_file_in_the_place_of_the_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="is a file"):
        Trainer(recipe(data), tmp_path / "file").run(QUIET)


@pytest.mark.parametrize(
    ("name", "what"), [("store.json", "a store"), ("attempts.jsonl", "a run of crystext sample")]
)
def test_a_folder_of_another_kind_is_refused(
    data: Path, tmp_path: Path, name: str, what: str
) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(RunError, match=f"holds {what}.*not a training run; give another --out"):
        Trainer(recipe(data), tmp_path).run(QUIET)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_with_files_of_the_user_is_fine(data: Path, tmp_path: Path) -> None:
    (tmp_path / "job.log").write_text("started")
    Trainer(recipe(data, steps=1), tmp_path).run(QUIET)
    assert (tmp_path / "model").is_dir()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_data_without_a_crystal_are_refused(data: Path, tmp_path: Path, split: str) -> None:
    records = [read_store(data, "train")[0]]
    splits = {"train": records, "validation": records} | {split: []}
    write_store(tmp_path / "empty", splits)
    values = recipe_values(tmp_path / "empty")
    with pytest.raises(InputError, match=f"empty holds no {split} crystal"):
        Trainer(parse_recipe(values, "test"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"optim": {"max_tokens": 4}}, SettingError, r"give no batch.*60 train crystals"),
        ({"model": {"base": "nowhere/at-all"}}, ModelError, "nowhere/at-all"),
        (
            {"model": {"base": "shipped", "lora": {"targets": ["q_prj"]}}},
            SettingError,
            r"'q_prj' does not exist. Did you mean 'q_proj'",
        ),
        ({"prompts": "nowhere"}, SettingError, "nowhere"),
    ],
)
def test_what_cannot_work_is_told_before_a_folder_is_written(
    data: Path,
    tmp_path: Path,
    changes: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    values = recipe_values(data)
    for key, value in changes.items():
        values[key] = values[key] | value if key == "optim" else value
    with pytest.raises(kind, match=message):
        Trainer(parse_recipe(values, "test"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_ends_the_run(data: Path, tmp_path: Path) -> None:
    # Weights that overflow: a rate no schedule would have.
    wild = recipe(data, learning_rate=1e30, warmup_steps=0)
    expected = r"gradient \(nan\) is not finite in step 2; try .*learning_rate \(it is 1e\+30\)$"
    with pytest.raises(RunError, match=expected):
        Trainer(wild, tmp_path / "run").run(QUIET)


def test_a_full_disk_is_told_of_the_log_as_well(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full, a file that is always full")
    (tmp_path / "log.jsonl").symlink_to(full)
    with pytest.raises(RunError, match=r"log.jsonl cannot be written: No space left on device; fr"):
        TrainingLog(tmp_path / "log.jsonl").write(0, {"loss_mean": 1.0})


def test_training_leaves_the_random_numbers_of_the_program_alone(
    data: Path, tmp_path: Path
) -> None:
    trainer = Trainer(recipe(data, steps=2), tmp_path / "run")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trainer.run(QUIET)
    assert torch.equal(torch.rand(3), expected)


def test_a_tracker_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # An installation without it, as far as the search for modules goes.
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    with pytest.raises(SettingError, match=r"tensorboard, wandb not installed.*pip install"):
        check_trackers(["tensorboard", "wandb"])


def test_tensorboard_gets_the_figures_of_the_log(data: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    values = recipe_values(data) | {"trackers": ["tensorboard"]}
    Trainer(parse_recipe(values, "test"), tmp_path / "run").run(QUIET)
    events = reader.EventAccumulator(str(tmp_path / "run" / "crystext"))
    events.Reload()
    logged = [x["loss_mean"] for x in log_of(tmp_path / "run") if "loss_mean" in x]
    assert [x.value for x in events.Scalars("loss_mean")] == pytest.approx(logged)
