"""The whole way to a language model of crystals and words, on two cores, and what it is worth.

    python -m evaluation.measure.language_model --work language_model --out language_model.json

Seven commands, each as a user types it: build a corpus of the shipped crystals, as CIF, as text and
in sentences; pretrain a small LLaMA on it; make instructions of thirteen kinds from other crystals
of the set; train the model on them; score it on crystals that it has never seen, beside the
baselines; teach it by an adapter to generate; sample and evaluate. The model is small and trains
for minutes: the figures say that the way is whole, not that such a model is of use.

Killed, the same command goes on. `--crystals textbook --scale 0.01` is a small one, of a few
crystals that ship, in a minute or two.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.errors import RunError
from crystext.models.layout import base_folder
from crystext.runtime.files import write_json
from evaluation.result_file import INDEPENDENT, Report, rounded, weights_digest, write_result

_TOKENS = 1_200_000
"""Of the corpus."""
_INSTRUCTED_CRYSTALS = 800
_INSTRUCTION_STEPS = 225
_TEST_CRYSTALS = 60
_GENERATION_STEPS = 150
_SAMPLES = 100


@dataclass(frozen=True)
class Step:
    """A command of the way."""

    name: str
    arguments: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Go the way and write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("language_model"))
    parser.add_argument("--out", type=Path, default=INDEPENDENT / "language_model.json")
    parser.add_argument("--crystals", default="shipped", help="a store, shipped or textbook")
    parser.add_argument("--scale", type=float, default=1.0, help="part of all sizes")
    parser.add_argument("--network", help="sizes of the network, in place of those of cpt-new")
    options = parser.parse_args(arguments)
    work: Path = options.work
    return write_result(
        options.out,
        lambda: go(steps(work, options.crystals, options.scale, options.network), work),
        script=__file__,
        arguments=sys.argv[1:] if arguments is None else arguments,
        packages=("torch", "transformers", "tokenizers", "peft"),
    )


def steps(work: Path, crystals: str, scale: float, network: str | None) -> list[Step]:
    """Return the commands, with what they read and write in a folder."""

    def part(size: int, least: int) -> int:
        return max(least, round(size * scale))

    corpus, conversations = work / "corpus", work / "conversations"
    pretrained, assistant, generator = (work / x for x in ("pretrained", "assistant", "generator"))
    generation = (
        "tasks={unconditional: 0.5, conditional: 0.5}",
        "sample_format=plain",
        f"optim.steps={part(_GENERATION_STEPS, 6)}",
        "optim.batch_sequences=16",
        "optim.max_tokens=512",
        "model.quantize=none",
        f"data.validation_crystals={part(100, 4)}",
        "patience=null",
    )
    commands = {
        "corpus build": (
            *("crystals-and-words", f"tokens={part(_TOKENS, 20_000)}", "tokenizer.vocabulary=2048"),
            *(f"sources.{form}.crystals={crystals}" for form in ("cif", "plain", "prose")),
            *("--out", corpus),
        ),
        "train cpt-new": (
            *(f"data={corpus}", f"data.validation_crystals={part(10, 1)}"),
            *(() if network is None else (f"model.new={network}",)),
            *("--out", pretrained),
        ),
        "instruct build": (
            *(crystals, "--n", part(_INSTRUCTED_CRYSTALS, 30), "--decimals", 3),
            *("--out", conversations),
        ),
        "train instruct-new": (
            *(f"data={conversations}", f"model.base={pretrained / 'model'}"),
            *(
                f"optim.steps={part(_INSTRUCTION_STEPS, 6)}",
                f"data.validation_crystals={part(10, 1)}",
            ),
            *("--out", assistant),
        ),
        "benchmark cif-tasks": (
            *("--data", conversations, "--n", part(_TEST_CRYSTALS, 2)),
            *("--method", f"chat:{assistant / 'model'}", "--method", "constant"),
            *("--compat", "llamat", "--max-new-tokens", part(300, 30), "--out", work / "scores"),
        ),
        "train finetune-your-own": (
            *(f"data={crystals}", f"model.base={assistant / 'model'}", *generation),
            *("--out", generator),
        ),
        "sample": (
            *("--model", generator / "model", "--n", part(_SAMPLES, 4)),
            *("--out", work / "samples"),
        ),
        "evaluate": (
            *(work / "samples", "--train", "shipped", "--only", "validity,novelty"),
            *("--out", work / "report"),
        ),
    }
    return [Step(name, tuple(map(str, given))) for name, given in commands.items()]


def run_command(arguments: Sequence[str]) -> int:
    """Run `crystext ARGUMENTS`, and return its exit status."""
    command = [sys.executable, "-m", "crystext", *arguments]
    return subprocess.run(command, check=False).returncode


def go(way: Sequence[Step], work: Path, run: Callable[..., int] = run_command) -> Report:
    """Run the commands that have not run yet, and return the figures.

    Args:
        way: the commands.
        work: the folder of all that they write.
        run: runs a command.

    Raises:
        RunError: a command fails; its own words stand above.
    """
    work.mkdir(parents=True, exist_ok=True)
    record = work / "seconds.json"
    seconds: dict[str, float] = (
        json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    )
    for step in way:
        if step.name in seconds:
            continue
        started = time.monotonic()
        print(f"crystext {step.name} ...", file=sys.stderr, flush=True)
        if run([*step.name.split(), *step.arguments]):
            raise RunError(f"crystext {step.name} failed; run this again when it is mended")
        seconds[step.name] = round(time.monotonic() - started, 1)
        write_json(record, seconds)
    return figures(way, work, seconds)


def figures(way: Sequence[Step], work: Path, seconds: dict[str, float]) -> Report:
    """Return what the commands have measured."""
    model = base_folder(work / "assistant" / "model")
    return {
        "commands": {
            step.name: " ".join(x.replace(f"{work}/", "") for x in step.arguments) for step in way
        },
        "seconds_of_commands": seconds,
        "minutes": round(sum(seconds.values()) / 60, 1),
        "parameters": _parameters(model),
        "weights_sha256": weights_digest(model),
        "corpus": _corpus(work / "corpus"),
        "loss_nats_per_token": {
            name: _losses(work / name / "log.jsonl")
            for name in ("pretrained", "assistant", "generator")
        },
        "cif_tasks": _scores(work / "scores" / "results.json"),
        "samples": _funnel(work / "report" / "report.json"),
    }


def _parameters(model: Path) -> int:
    from crystext.models.network import network_without_weights

    return sum(weight.numel() for weight in network_without_weights(model).parameters())


def _corpus(folder: Path) -> Report:
    from crystext.corpus.packed import PackedCorpus

    corpus = PackedCorpus.open(folder)
    return {
        "tokens": corpus.train.n_tokens,
        "validation_tokens": {name: x.n_tokens for name, x in corpus.validation.items()},
        "vocabulary": corpus.manifest["tokenizer"]["vocabulary"],
    }


def _losses(log: Path) -> Report:
    """Return the validation losses before training and after."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    scored = [line for line in lines if "loss_mean" in line]
    return {
        name.removeprefix("loss_"): [rounded(scored[0][name]), rounded(scored[-1][name])]
        for name in scored[-1]
        if name.startswith("loss_") and name in scored[0]
    }


def _scores(path: Path) -> Report:
    """Return the first measure of each task for the model and for the constant answer."""
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found: Report = {}
    for task in results["tasks"]:
        measure, score = next(iter(task["measures"].items()))
        found.setdefault(task["task"], {})[task["method"]] = {
            measure: rounded(score["value"]),
            "n": task["n"],
            "n_valid": task["n_valid"],
            "compat": task["compat"],
        }
    return found


def _funnel(path: Path) -> Report:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        step["name"]: {"count": step["count"], "of": step["total"]} for step in report["funnel"]
    }


if __name__ == "__main__":
    sys.exit(main())
