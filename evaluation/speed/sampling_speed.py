"""Time `crystext sample` as a whole command, beside `generate` of transformers.

    python -m evaluation.speed.sampling_speed --model shipped --n 10000 --generate-n 250 \
        --out sampling_speed.json

The command is timed from its start to its end, imports and the loading of the model included, for
either text, at the model's own temperatures; its memory is that of all its processes together,
shared pages counted once (PSS). `generate` has the same weights, the prompt for plain texts, random
drawing and number of threads, batches of 250, no constraints, and is timed without imports and
loading. Both stop a text at its end. The share of texts that rounding changes is that of the first
crystals of the timed run by symmetry which come out otherwise in smaller batches.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console
from rich.table import Table

from crystext.generation.run import read_attempts
from crystext.models.load import load_model
from crystext.tasks.crystal_generation import generation_prompt
from crystext.text import decode
from crystext.tokenization.encode import prompt_ids
from evaluation.result_file import Report, write_result

BATCH, OTHER_BATCH = 250, 100
MAX_ATOMS = 20
TOKENS = 12 + 4 * MAX_ATOMS + 1
"""Of the longest text: two for each number of the cell, four for each atom, and the end."""
PAUSE = 2.0
"""Seconds between two looks at the memory, each of which takes the time of two crystals."""


def run_command(
    model: str, text: str, n: int, workers: int, out: Path, batch_size: int | None = None
) -> dict[str, float]:
    """Draw n crystals with the command; return seconds of wall time and the peak memory in GB."""
    options = {"--n": n, "--model": model, "--text-format": text, "--workers": workers}
    options |= {"--max-atoms": MAX_ATOMS, "--out": out}
    if batch_size is not None:
        options["--batch-size"] = batch_size
    command = [str(x) for pair in options.items() for x in pair]
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "crystext", "sample", *command], stdout=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory_gb(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(PAUSE)
    wall = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"crystext sample ended with status {process.returncode}")
    return {"seconds": wall, "crystals_per_second": n / wall, "peak_memory_gb": peak}


def memory_gb(pid: int) -> float:
    """Return the memory of a process and all its children together."""
    total = 0
    try:
        command = psutil.Process(pid)
        for process in [command, *command.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass  # It has just ended; what was counted so far is a lower bound.
    return total / 1e9


def run_generate(model: str, n: int, threads: int) -> dict[str, float]:
    """Draw n texts with `generate`; return seconds of wall time and the share of crystals."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    loaded = load_model(model)
    tokenizer = loaded.tokenizer
    ids = prompt_ids(tokenizer, generation_prompt(loaded.prompts))
    texts: list[str] = []

    def draw(rows: int, tokens: int) -> None:
        prompt = torch.tensor([ids] * rows)
        with torch.inference_mode():
            drawn = loaded.network.generate(  # type: ignore[operator]
                prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=True,
                temperature=1.0,
                top_p=1.0,
                top_k=0,
                max_new_tokens=tokens,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        texts.extend(tokenizer.batch_decode(drawn[:, len(ids) :], skip_special_tokens=True))

    draw(BATCH, 5)  # What is set up at the first call is not counted.
    texts.clear()
    started = time.perf_counter()
    for start in range(0, n, BATCH):
        draw(min(BATCH, n - start), TOKENS)
    wall = time.perf_counter() - started
    crystals = sum(decode(text).crystal is not None for text in texts)
    return {
        "seconds": wall,
        "crystals_per_second": n / wall,
        "share_that_are_crystals": crystals / n,
        "texts": n,
    }


def summary_of(run: Path) -> dict[str, float]:
    """Return what the timed run drew."""
    attempts = list(read_attempts(run))
    return {
        "texts": len(attempts),
        "share_that_are_crystals": sum(a["failure"] is None for a in attempts) / len(attempts),
        "mean_tokens": sum(a["tokens"] for a in attempts) / len(attempts),
    }


def share_changed(first: Path, second: Path) -> dict[str, float]:
    """Compare the texts of two runs as far as the shorter one goes."""
    pairs = list(zip(read_attempts(first), read_attempts(second), strict=False))
    changed = sum(a["text"] != b["text"] for a, b in pairs)
    return {
        "batch_size": OTHER_BATCH,
        "crystals": len(pairs),
        "share_changed": changed / len(pairs),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    columns = {
        "crystext sample, by symmetry": result["wyckoff"],
        "crystext sample, plain": result["plain"],
        "generate, plain": result["generate"],
    }
    rows = {
        "seconds": ("seconds", ".1f"),
        "texts": ("texts", ",d"),
        "texts per second": ("crystals_per_second", ".1f"),
        "tokens of a text": ("mean_tokens", ".1f"),
        "share that are crystals": ("share_that_are_crystals", ".2%"),
        "peak memory, GB": ("peak_memory_gb", ".2f"),
    }
    table = Table("", *columns, title=f"{result['n']} crystals, {result['threads']} threads")
    for title, (key, form) in rows.items():
        table.add_row(title, *(format(x[key], form) if key in x else "" for x in columns.values()))
    console = Console()
    console.print(table)
    console.print(f"ratio of the rates of plain texts: {result['ratio_of_plain_texts']:.1f}")
    other = result["other_batches"]
    console.print(
        f"texts that are others in batches of {other['batch_size']}: "
        f"{other['share_changed']:.2%} of {other['crystals']}"
    )


def measure(given: argparse.Namespace) -> Report:
    """Time the command in both texts and `generate`; print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        ours = {}
        for text in ("wyckoff", "plain"):
            run = Path(scratch) / text
            ours[text] = run_command(given.model, text, given.n, given.threads, run)
            ours[text] |= summary_of(run)
        compared, other = min(given.compare_n, given.n), Path(scratch) / "other"
        run_command(given.model, "wyckoff", compared, given.threads, other, OTHER_BATCH)
        changed = share_changed(Path(scratch) / "wyckoff", other)
    theirs = run_generate(given.model, given.generate_n, given.threads)
    result = {
        "cores": len(os.sched_getaffinity(0)),
        "n": given.n,
        "threads": given.threads,
        **ours,
        "generate": theirs,
        "ratio_of_plain_texts": ours["plain"]["crystals_per_second"]
        / theirs["crystals_per_second"],
        "other_batches": changed,
    }
    show(result)
    return result


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="shipped")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--generate-n", type=int, default=250)
    parser.add_argument("--compare-n", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.out,
        lambda: measure(given),
        script=__file__,
        arguments=arguments,
        packages=("crystext", "torch", "transformers"),
        model=given.model,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
