"""Time predicting: 10,000 structures and five properties, and the readout beside `generate`.

    crystext sample --n 10000 --out run
    python -m evaluation.speed.predicting_speed run --out predicting_speed.json

The whole command `crystext predict RUN --out table.csv` is timed as a user gives it. On one core,
the readout of all answers in one pass is compared with transformers' `generate` of the same answers
by the same weights, one question at a time, in alternation.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from crystext.errors import InputError
from crystext.evaluate.samples import read_samples
from crystext.inference.property_readout import read_distributions
from crystext.models.load import load_model
from crystext.models.prediction_settings import read_prediction_settings
from crystext.runtime.shipped_files import shipped_predictor
from crystext.structures.record import Record
from crystext.tasks.property_prediction import property_prompt
from crystext.tasks.representations import get_representation, text_and_problem
from crystext.tokenization.encode import prompt_ids
from evaluation.result_file import INDEPENDENT, Report, rounded, write_result

_ROUNDS = 3
_TEXTS = 1024
"""Structures of a round of the comparison."""
_BATCH = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Time and write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=INDEPENDENT / "predicting_speed.json")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measure(options.run),
        script=__file__,
        arguments=sys.argv[1:] if arguments is None else arguments,
        packages=("torch", "transformers"),
        model=shipped_predictor(),
        data=[options.run],
    )


def measure(run: Path) -> Report:
    """Return the times."""
    with TemporaryDirectory() as folder:
        before, started = os.times(), time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "crystext", "predict", str(run), "--out", f"{folder}/t.csv"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        wall, after = time.monotonic() - started, os.times()
    records = read_samples(run).samples
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return {
        "structures": len(records),
        "command_wall_s": rounded(wall, 1),
        "command_cpu_s": rounded(cpu, 1),
        **_one_core(records),
    }


def _one_core(records: Sequence[Record]) -> Report:
    torch.set_num_threads(1)
    model = load_model(shipped_predictor())
    settings = read_prediction_settings(model.folder)
    if settings is None:
        raise InputError(f"{model.folder} predicts nothing")
    form = get_representation(settings.inputs[0])
    texts = [x for record in records if (x := text_and_problem(record, form)[0])][:_TEXTS]
    ours, plain = [], []
    for _ in range(_ROUNDS):
        started = time.monotonic()
        read_distributions(model.network, model.tokenizer, model.prompts, settings.scales, texts)
        ours.append(len(texts) / (time.monotonic() - started))
        started = time.monotonic()
        for name in settings.scales:
            prompts = [
                property_prompt(model.prompts, text, [settings.scales[name].target])
                for text in texts
            ]
            _generate(model, prompts)
        plain.append(len(texts) / (time.monotonic() - started))
    return {
        "structures_per_second_one_core": rounded(statistics.median(ours), 1),
        "structures_per_second_generate_one_core": rounded(statistics.median(plain), 1),
        "ratio": rounded(statistics.median(a / b for a, b in zip(ours, plain, strict=True)), 2),
    }


def _generate(model: object, prompts: Sequence[str]) -> None:
    """Let transformers write one answer token to each prompt, in padded batches."""
    network, tokenizer = model.network, model.tokenizer  # type: ignore[attr-defined]
    rows = sorted((prompt_ids(tokenizer, prompt) for prompt in prompts), key=len)
    pad = tokenizer.pad_token_id
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        width = max(map(len, part))
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in part])
        network.generate(
            ids, attention_mask=(ids != pad).long(), max_new_tokens=1, do_sample=False,
            pad_token_id=pad,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
