"""Time `crystext sample` as a whole command, beside `generate` of transformers.

    python evaluation/benchmarks/sampling_speed.py --model shipped --n 10000 --generate-n 250 \
        --out evaluation/results/sampling_speed.json

The command is timed from its start to its end, imports and the loading of the model included; its
memory is that of all its processes together, shared pages counted once (PSS). `generate` has the
same weights, prompt, random drawing and number of threads, batches of 250, no constraints, and is
timed without imports and loading. Both stop a text at its end. The share of texts that rounding
changes is that of the first crystals of the timed run which come out otherwise in smaller batches.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from common import circumstances
from rich.console import Console
from rich.table import Table

from crystext import __version__
from crystext.codec import decode
from crystext.models.folder import model_hash
from crystext.models.load import load_model
from crystext.sampling.run import read_attempts, unconditional_prompt
from crystext.tokens import prompt_ids

BATCH, OTHER_BATCH = 250, 100
MAX_ATOMS = 20
TOKENS = 12 + 4 * MAX_ATOMS + 1
"""Of the longest text: two for each number of the cell, four for each atom, and the end."""
PAUSE = 0.1
"""Seconds between two looks at the memory."""


def run_command(model: str, n: int, batch_size: int, workers: int, out: Path) -> dict[str, float]:
    """Draw n crystals with the command; return seconds of wall time and the peak memory in GB."""
    options = {"--n": n, "--model": model, "--batch-size": batch_size, "--workers": workers}
    options |= {"--max-atoms": MAX_ATOMS, "--out": out}
    command = [str(x) for pair in options.items() for x in pair]
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "crystext", "sample", *command], stdout=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory_gb(process.pid))
        time.sleep(PAUSE)
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
    ids = prompt_ids(tokenizer, unconditional_prompt(loaded.folder))
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
        "attempts": len(attempts),
        "share_that_are_crystals": sum(a["fault"] is None for a in attempts) / len(attempts),
        "mean_tokens": sum(a["tokens"] for a in attempts) / len(attempts),
    }


def share_changed(first: Path, second: Path) -> dict[str, Any]:
    """Compare the texts of two runs as far as the shorter one goes."""
    pairs = list(zip(read_attempts(first), read_attempts(second), strict=False))
    changed = sum(a["text"] != b["text"] for a, b in pairs)
    return {
        "batch_sizes": [BATCH, OTHER_BATCH],
        "crystals": len(pairs),
        "share_changed": changed / len(pairs),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(title=f"{result['n']} crystals, {result['threads']} threads")
    table.add_column("")
    for name in ("crystext sample", "generate"):
        table.add_column(name, justify="right")
    ours, theirs = result["crystext_sample"], result["generate"]
    table.add_row("seconds", f"{ours['seconds']:.1f}", f"{theirs['seconds']:.1f}")
    table.add_row("texts", f"{ours['attempts']}", f"{theirs['texts']}")
    rates = [f"{x['crystals_per_second']:.1f}" for x in (ours, theirs)]
    table.add_row("texts per second", *rates)
    shares = [f"{x['share_that_are_crystals']:.2%}" for x in (ours, theirs)]
    table.add_row("share that are crystals", *shares)
    table.add_row("peak memory, GB", f"{ours['peak_memory_gb']:.2f}", "")
    console = Console()
    console.print(table)
    console.print(f"ratio of the rates: {result['ratio']:.1f}")
    batches = result["other_batches"]
    console.print(
        f"texts that are others in batches of {OTHER_BATCH} instead of {BATCH}: "
        f"{batches['share_changed']:.2%} of {batches['crystals']}"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--model", default="shipped")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--generate-n", type=int, default=250)
    parser.add_argument("--compare-n", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("evaluation/results/sampling_speed.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run, other = Path(scratch) / "run", Path(scratch) / "other"
        ours = run_command(given.model, given.n, BATCH, given.threads, run)
        ours |= summary_of(run)
        compared = min(given.compare_n, given.n)
        run_command(given.model, compared, OTHER_BATCH, given.threads, other)
        changed = share_changed(run, other)
    theirs = run_generate(given.model, given.generate_n, given.threads)
    result = {
        **circumstances(),
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {
            "crystext": __version__,
            **{name: version(name) for name in ("torch", "transformers", "numpy")},
        },
        "model": given.model,
        "model_sha256": model_hash(load_model(given.model).folder),
        "n": given.n,
        "threads": given.threads,
        "crystext_sample": ours,
        "generate": theirs,
        "ratio": ours["crystals_per_second"] / theirs["crystals_per_second"],
        "other_batches": changed,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    show(result)


if __name__ == "__main__":
    main()
