"""Megabytes of text per second through `crystext corpus build`, beside the plain tokenizer.

    python -m evaluation.speed.corpus_speed papers.jsonl.gz --field question --out corpus_speed.json

The documents are made of sentences of the given file, drawn at random, so that there are enough;
and of CIFs of the shipped MP-20 test set. For each kind, one after another, in turns, of which the
best counts:

- one core, by its processor time: `encode_batch_fast` of tokenizers, and the encoder of the build,
  both with a vocabulary that is trained on the documents (32,768; single digits);
- all cores, by the clock: `encode_batch_fast` with the threads of the library; the whole command,
  from JSON lines to packed blocks, the start of its processes included;
- the same command by the processor time of all of its processes, which a busy machine changes
  little, without and with a search for near duplicates.

The load of the machine before each turn is in the file: what else runs slows the clock.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tokenizers import Tokenizer

from crystext.corpus.recipe import TokenizerSettings
from crystext.corpus.tokenizer import TextEncoder, train_tokenizer
from crystext.data.shipped import read_shipped_set, shipped_set
from crystext.io.write.cif_text import cif
from evaluation.result_file import Report, write_result

VOCABULARY = 32_768
SENTENCES_PER_DOCUMENT = 40


def documents_of_sentences(file: Path, field: str, size: int) -> list[str]:
    """Return documents of sentences that are drawn from a JSON lines file."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)[field] for line in lines]
    sentences = [x for text in texts for x in re.split(r"(?<=[.?!])\s+|\n", text) if x]
    rng = np.random.default_rng(0)
    documents: list[str] = []
    total = 0
    while total < size:
        drawn = rng.integers(len(sentences), size=SENTENCES_PER_DOCUMENT)
        documents.append(" ".join(sentences[i] for i in drawn))
        total += len(documents[-1].encode())
    return documents


def cif_documents(crystals: int, size: int) -> list[str]:
    """Return CIFs of the shipped MP-20 test set, moved at random until there are enough."""
    records = list(islice(read_shipped_set(shipped_set("mp20_test")), crystals))
    documents: list[str] = []
    total = i = 0
    while total < size:
        documents.append(cif(records[i % len(records)].require_crystal(), f"crystal_{i}"))
        total += len(documents[-1])
        i += 1
    return documents


def processor_seconds() -> float:
    """Return the processor time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rate(megabytes: float, clock: Callable[[], float], work: Callable[[], object]) -> float:
    """Return megabytes per second of a clock."""
    started = clock()
    work()
    return megabytes / (clock() - started)


def measure_kind(documents: list[str], folder: Path, turns: int) -> Report:
    """Measure one kind of documents."""
    megabytes = sum(len(text.encode()) for text in documents) / 1e6
    source = folder / "documents.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    few = documents[: len(documents) // 8]
    few_megabytes = sum(len(text.encode()) for text in few) / 1e6
    settings = TokenizerSettings(train="bpe", vocabulary=VOCABULARY)
    about = train_tokenizer(few, folder / "tokenizer", settings)
    plain = Tokenizer.from_file(str(about.folder / "tokenizer.json"))

    def plain_call(texts: list[str]) -> None:
        for start in range(0, len(texts), 256):
            plain.encode_batch_fast(texts[start : start + 256], add_special_tokens=False)

    def own_call() -> None:
        encoder = TextEncoder(about)  # with an empty table of words
        for start in range(0, len(few), 256):
            encoder.encode(few[start : start + 256])

    def build(number: int, near: str) -> None:
        command = ["corpus", "build", str(recipe), "--out", str(folder / f"corpus{number}-{near}")]
        subprocess.run(
            [sys.executable, "-m", "crystext", *command, f"duplicates.near={near}"],
            check=True,
            capture_output=True,
        )

    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"context_tokens: 2048\ntokenizer: {about.folder}\nstages: [weights: {{documents: 1}}]\n"
        f"sources:\n  documents: {{jsonl: {source}, when_dry: stop}}\n"
    )
    best: dict[str, float] = {}
    loads = []
    for turn in range(turns):
        loads.append(round(os.getloadavg()[0], 1))

        def note(name: str, value: float) -> None:
            best[name] = max(best.get(name, 0.0), value)

        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        note("plain, one core", rate(few_megabytes, time.process_time, lambda: plain_call(few)))
        note("encoder, one core", rate(few_megabytes, time.process_time, own_call))
        os.environ["TOKENIZERS_PARALLELISM"] = "true"
        note("plain, all cores", rate(megabytes, time.perf_counter, lambda: plain_call(documents)))
        before = processor_seconds()
        note(
            "build, all cores", rate(megabytes, time.perf_counter, lambda t=turn: build(t, "null"))
        )
        note("build, per processor second", megabytes / (processor_seconds() - before))
        before = processor_seconds()
        build(turn, "0.8")
        note(
            "build with near duplicates, per processor second",
            megabytes / (processor_seconds() - before),
        )
        print(f"turn {turn + 1} of {turns}: {best}", file=sys.stderr)
    return {
        "megabytes": round(megabytes, 1),
        "documents": len(documents),
        "megabytes_per_second": {name: round(value, 1) for name, value in best.items()},
        "ratio_to_plain": {
            "one core": round(best["encoder, one core"] / best["plain, one core"], 1),
            "all cores": round(best["build, all cores"] / best["plain, all cores"], 1),
        },
        "largest_process_megabytes": round(
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        ),
        "load_before_each_turn": loads,
    }


def measure(options: argparse.Namespace) -> Report:
    """Measure both kinds of documents."""
    size = options.megabytes * 1_000_000
    kinds = {
        "papers": lambda: documents_of_sentences(options.data, options.field, size),
        "cif": lambda: cif_documents(options.crystals, size),
    }
    report: Report = {"cores": len(os.sched_getaffinity(0)), "vocabulary": VOCABULARY}
    for name, make in kinds.items():
        with TemporaryDirectory() as folder:
            report[name] = measure_kind(make(), Path(folder), options.turns)
        print(name, json.dumps(report[name], indent=2))
    return report


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Megabytes per second through the corpus build.")
    parser.add_argument("data", type=Path, help="JSON lines with texts of papers")
    parser.add_argument("--field", default="text")
    parser.add_argument("--megabytes", type=int, default=64, help="of each kind")
    parser.add_argument("--crystals", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
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
