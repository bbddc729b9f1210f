"""Check that a faster `crystext sample` still draws what grammar and network say.

    python -m evaluation.speed.sampling_quality --baseline ../crystext-660befb --n 2000 \
        --out sampling_quality.json

Of n crystals in the Wyckoff text, drawn by the present code:

- how many texts the automaton of the grammar allows, read character by character, and how many of
  the finished crystals it would not have redrawn;
- how far the sampler's network, in bfloat16 with its cache, is from that of transformers in
  float32: the mean Kullback-Leibler divergence a token, over the whole vocabulary;
- how far the shares of `crystext evaluate`, without relaxing, are from those of the crystals that
  another version draws: of the shares with an interval, which lie outside that of the other.

The exit status is 1 if a text is not allowed or the divergence is above `MAX_DIVERGENCE`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from crystext.conditions import Conditions
from crystext.generation.requests import make_request
from crystext.generation.run import read_attempts
from crystext.grammar.any_tokenizer import TextReader
from crystext.grammar.base import grammar_of
from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.kv_batch import KVBatch
from crystext.inference.types import Request
from crystext.models.load import LoadedModel, load_model
from crystext.runtime.provenance import git_commit
from crystext.text import WYCKOFF
from crystext.tokenization.encode import completion_ids, prompt_ids
from evaluation.result_file import ROOT, Report, progress, rounded, share, write_result
from evaluation.speed.sampling_cpu import own_name, run_command, unpacked

MAX_DIVERGENCE = 2e-4
"""Nats a token. Mean divergence of a bfloat16 network from the same one in float32, at most."""

COMMAND = (sys.executable, "-m", "crystext")
STAGES = ("validity", "novelty", "coverage", "distributions")


def allowed_texts(texts: Sequence[str], request: Request) -> Report:
    """Return how many texts the automaton allows, and how many crystals are kept."""
    grammar = grammar_of(WYCKOFF)
    assert grammar is not None
    start = TextReader.at_start(grammar.automaton(request.constraints))
    allowed = kept = 0
    report = progress("texts read")
    for number, text in enumerate(texts, 1):
        reader = start.read(text)
        allowed += reader is not None and reader.may_end
        crystal = WYCKOFF.decode(text).crystal
        kept += crystal is not None and not grammar.must_be_redrawn(
            text, crystal, request.constraints
        )
        report(number, len(texts))
    return {
        "allowed_by_the_automaton": share(allowed, len(texts)),
        "not_redrawn_by_the_grammar": share(kept, len(texts)),
    }


def divergence(model: LoadedModel, prompt: str, texts: Sequence[str]) -> Report:
    """Return the mean divergence a token of the sampler's network from that in float32."""
    before = torch.tensor(prompt_ids(model.tokenizer, prompt))
    rows = [torch.tensor(completion_ids(model.tokenizer, text)) for text in texts]
    rows.sort(key=len, reverse=True)
    network = model.network.float()
    exact = []
    with torch.inference_mode():
        for row in rows:
            logits = network(torch.cat([before, row])[None]).logits[0, len(before) - 1 : -1]
            exact.append(logits.double().log_softmax(dim=1))
        batch = KVBatch(
            CpuLlama(network, torch.bfloat16), before, len(rows), len(before) + len(rows[0])
        )
        found: list[torch.Tensor] = []
        for step in range(len(rows[0])):
            # The longest come first, so those that go on keep their places.
            going = sum(len(row) > step for row in rows)
            batch.keep(torch.arange(batch.rows) < going)
            ours = batch.model.logits(batch.hidden_B_D).double().log_softmax(dim=1)
            theirs = torch.stack([each[step] for each in exact[:going]])
            found.append((theirs.exp() * (theirs - ours)).sum(dim=1))
            batch.append(torch.stack([row[step] for row in rows[:going]]))
    every = torch.cat(found)
    return {
        "texts": len(rows),
        "tokens": len(every),
        "mean": rounded(float(every.mean()), 7),
        "largest": rounded(float(every.max()), 5),
    }


def evaluated(run: Path, report: Path) -> dict[str, Any]:
    """Evaluate a run without relaxing; return the figures with an interval, by their names."""
    stages = ",".join(STAGES)
    subprocess.run(
        [*COMMAND, "evaluate", str(run), "--only", stages, "--out", str(report)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    figures = json.loads((report / "report.json").read_text(encoding="utf-8"))["figures"]
    return {f"{x['stage']}: {x['name']}": x for x in figures if x.get("low") is not None}


def compared(before: dict[str, Any], after: dict[str, Any]) -> Report:
    """Return each figure of both versions, and the names of those outside the interval."""
    figures, outside = {}, []
    for name, known in before.items():
        value = after[name]["value"]
        figures[name] = {
            "baseline": rounded(known["value"]),
            "interval_of_baseline": [rounded(known["low"]), rounded(known["high"])],
            "present": rounded(value),
        }
        if not known["low"] <= value <= known["high"]:
            outside.append(name)
    return {"figures": figures, "outside_the_interval": outside}


def measure(given: argparse.Namespace) -> Report:
    """Draw crystals with both versions, and compare them."""
    model = load_model("shipped")
    request = make_request(Conditions(), model.prompts, fmt=WYCKOFF)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        versions = {"baseline": unpacked(given.baseline, scratch), "present": ROOT}
        options = ["--n", str(given.n), "--seed", str(given.seed), "--text-format", "wyckoff"]
        figures = {}
        for name, root in versions.items():
            own = [own_name(root, option) for option in options]
            run_command(root, [*own, "--out", str(scratch / name)], scratch)
            figures[name] = evaluated(scratch / name, scratch / f"{name}-report")
        texts = [attempt["text"] for attempt in read_attempts(scratch / "present")]
    return {
        "baseline_commit": git_commit(given.baseline) if given.baseline.is_dir() else None,
        "n": given.n,
        **allowed_texts(texts, request),
        "divergence_from_float32": divergence(model, request.prompt, texts[: given.texts]),
        "evaluation": compared(figures["baseline"], figures["present"]),
    }


def misses(report: Report) -> bool:
    """Return whether a text is not allowed, or the network is too far from float32."""
    allowed = report["allowed_by_the_automaton"]["count"] == report["n"]
    return not allowed or report["divergence_from_float32"]["mean"] > MAX_DIVERGENCE


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--baseline", type=Path, required=True, help="a checkout or a wheel")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--texts", type=int, default=200, help="texts read by both networks")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.out,
        lambda: measure(given),
        script=__file__,
        arguments=arguments,
        packages=("crystext", "torch", "transformers", "spglib", "moyopy"),
        model="shipped",
        misses=misses,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
