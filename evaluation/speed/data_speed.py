"""From a table of CIFs to training tokens, on one core: preparing, loading, feeding.

    python -m evaluation.speed.data_speed mp2019_le20.parquet --out data_speed.json

- preparing: `prepare` with one worker on all crystals of formulas drawn at random, so that as many
  crystals share a formula as in the whole table; with comparison and without;
- loading: `read_store` of 45,000 crystals, and then a first look at every byte of them;
- feeding: the shipped recipe's examples, augmented, written as text and cut into token ids.

Everything is measured by processor time, so that a busy machine changes little; loading also by the
clock. Of loading and feeding the best of several turns counts.
"""

from __future__ import annotations

import argparse
import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crystext.data.prepare_store import PrepareSettings, prepare
from crystext.data.store import Dataset, read_store, write_store
from crystext.tasks.prompts import load_prompts
from crystext.text import FORMATS
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from crystext.training.example_stream import Examples
from crystext.training.recipe import load_recipe
from evaluation.result_file import Report, write_result

CRYSTALS = 45_000
"""About as many as MP-20 has; how many are loaded."""

FORMULA_COLUMNS = ("reduced_formula", "pretty_formula")


def of_whole_formulas(path: Path, rows: int, seed: int) -> pa.Table:
    """Return about so many rows of a table: all rows of formulas drawn at random."""
    table = pq.read_table(path)
    column = next((name for name in FORMULA_COLUMNS if name in table.column_names), None)
    if column is None:
        raise SystemExit(f"{path} has no column {' or '.join(FORMULA_COLUMNS)}")
    formulas = np.array(table[column].to_pylist())
    names, counts = np.unique(formulas, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(names))
    chosen = names[drawn[: np.searchsorted(np.cumsum(counts[drawn]), rows) + 1]]
    return table.filter(pa.array(np.isin(formulas, chosen)))


def processor_seconds(function: Callable[[], object], turns: int = 1) -> float:
    """Return the processor time of the fastest turn."""
    taken = []
    for _ in range(turns):
        before = time.process_time()
        function()
        taken.append(time.process_time() - before)
    return min(taken)


def preparing(table: pa.Table, folder: Path) -> dict[str, Any]:
    """Measure `prepare`, and leave its store at folder/store."""
    pq.write_table(table, folder / "x.parquet")

    def run(store: str, **settings: Any) -> None:
        prepare(folder / "x.parquet", folder / store, PrepareSettings(**settings), workers=1)

    # The rate leaves out the imports of the first call.
    pq.write_table(table.slice(0, 20), folder / "first.parquet")
    prepare(folder / "first.parquet", folder / "first", PrepareSettings(split="1/0/0"), workers=1)
    without = processor_seconds(lambda: run("whole", keep_duplicates=True, split="1/0/0"))
    whole = processor_seconds(lambda: run("store", split="0.9/0.05/0.05"))
    return {
        "crystals": table.num_rows,
        "crystals_per_second": round(table.num_rows / whole, 1),
        "crystals_per_second_without_comparison": round(table.num_rows / without, 1),
        "comparison_share": round((whole - without) / without, 3),
    }


def loading(folder: Path, turns: int) -> dict[str, Any]:
    """Measure `read_store` on as many crystals as MP-20 has."""
    data = read_store(folder / "store", "train")
    write_store(folder / "large", {"train": (data[i % len(data)] for i in range(CRYSTALS))})

    def look() -> float:
        found = read_store(folder / "large", "train")
        arrays = found.lengths, found.angles, found.numbers, found.positions, found.offsets
        return float(sum(array.sum() for array in arrays))

    before = time.perf_counter()
    look()
    clock = time.perf_counter() - before
    return {
        "crystals": CRYSTALS,
        "megabytes": round((folder / "large" / "train.arrow").stat().st_size / 1e6, 1),
        "map_seconds": round(
            processor_seconds(lambda: read_store(folder / "large", "train"), turns), 5
        ),
        "map_and_read_all_seconds": round(processor_seconds(look, turns), 5),
        "first_map_and_read_all_seconds_by_the_clock": round(clock, 5),
    }


def feeding(data: Dataset, crystals: int, turns: int) -> dict[str, Any]:
    """Measure the examples of the shipped recipe."""
    recipe = load_recipe("shipped")
    prompts = load_prompts(recipe.prompts)
    examples = Examples(
        data,
        build_tokenizer(prompts.phrases()),
        prompts,
        FORMATS[recipe.format],
        task_weights=recipe.tasks,
        translate_probability=recipe.translate_probability,
        max_tokens=recipe.optim.max_tokens,
        seed=0,
    )
    positions = range(crystals)
    tokens = sum(len(ids) for ids, _ in examples.rows(positions))
    made = processor_seconds(lambda: examples.rows(positions), turns)

    def without_tokenizer() -> None:
        for position in positions:
            examples.example(position % len(data), 0)

    return {
        "examples": crystals,
        "tokens_per_example": round(tokens / crystals, 1),
        "tokens_per_second": round(tokens / made),
        "examples_per_second": round(crystals / made),
        "tokenizer_share": round(1 - processor_seconds(without_tokenizer, turns) / made, 2),
    }


def measure(options: argparse.Namespace) -> Report:
    """Measure the three parts, and print them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = of_whole_formulas(options.data, options.crystals, seed=0)
        result: Report = {"preparing": preparing(table, folder)}
        result["loading"] = loading(folder, options.turns)
        data = read_store(folder / "large", "train")
        result["feeding"] = feeding(data, options.crystals, options.turns)
    for part, figures in result.items():
        print(part, figures, file=sys.stdout)
    return result


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="From a table of CIFs to training tokens.")
    parser.add_argument("data", type=Path, help="Parquet file with cif and reduced_formula")
    parser.add_argument("--crystals", type=int, default=3000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measure(options),
        script=__file__,
        arguments=arguments,
        data=[options.data],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
