"""What it costs to see to conditions while drawing, beside the same prompts with nothing seen to.

    python -m evaluation.speed.enforcement_cost --n 500 --out enforcement_cost.json

Texts are drawn behind the prompt of each condition, once with the condition enforced and once with
what is always seen to alone: that a text is a crystal, and its atoms keep their distance. The two
take turns, batch by batch, in one process on one thread. What enforcing changes of the crystals
changes the time as well, for a formula of many atoms is a long text: seconds are told for a text
and for a token.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from crystext.conditions import Conditions
from crystext.generation.requests import make_request
from crystext.inference.generate import TextGenerator
from crystext.inference.types import DEFAULT_CONSTRAINTS, SamplingSettings
from crystext.models.layout import open_model
from crystext.models.load import LoadedModel, load_model
from crystext.text import get_format
from evaluation.result_file import Report, rounded, write_result

ASKED = {
    "formula": Conditions.from_keywords(composition="LiFePO4"),
    "formula and atoms": Conditions.from_keywords(composition="SrTiO3", n_atoms=10),
    "chemical system": Conditions.from_keywords(chemical_system="Li-Fe-P-O"),
    "excluded elements": Conditions.from_keywords(exclude="Pb,Cd,Hg,U"),
    "crystal system": Conditions.from_keywords(crystal_system="tetragonal"),
}
BATCH = 250


def cost(model: LoadedModel, text: str, asked: Conditions, n: int, seed: int) -> Report:
    """Draw n texts in each way."""
    fmt = get_format(text)
    temperatures = open_model(model.folder).temperatures
    settings = SamplingSettings(
        seed=seed,
        temperature=temperatures.text,
        element_temperature=temperatures.element,
        coordinate_temperature=temperatures.coordinate,
        cell_temperature=temperatures.cell,
    )
    own = None if fmt == model.format else fmt
    sampler = TextGenerator(model, settings).sampler(own)
    enforced = make_request(asked, model.prompts, fmt=own)
    requests = {
        "enforced": enforced,
        "asked alone": replace(enforced, constraints=DEFAULT_CONSTRAINTS),
    }
    for request in requests.values():
        sampler.draw(request, range(10))  # What is set up at the first call is not counted.
    seconds, tokens = dict.fromkeys(requests, 0.0), dict.fromkeys(requests, 0)
    for start in range(0, n, BATCH):
        batch = range(start, min(start + BATCH, n))
        for name, request in requests.items():
            started = time.perf_counter()
            drawn = sampler.draw(request, batch)
            seconds[name] += time.perf_counter() - started
            tokens[name] += sum(attempt.tokens for attempt in drawn)
    by_text = {name: seconds[name] / n for name in requests}
    by_token = {name: seconds[name] / tokens[name] for name in requests}
    return {
        "milliseconds_a_text": {k: rounded(1e3 * x, 3) for k, x in by_text.items()},
        "milliseconds_a_token": {k: rounded(1e3 * x, 4) for k, x in by_token.items()},
        "throughput_lost_in_texts": lost(by_text),
        "throughput_lost_in_tokens": lost(by_token),
    }


def lost(seconds: dict[str, float]) -> float:
    """Return the share of the throughput that enforcing costs; below 0 where it saves time."""
    return round(1 - seconds["asked alone"] / seconds["enforced"], 3)


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=500, help="texts of each kind")
    parser.add_argument("--model", default="shipped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)

    def measure() -> Report:
        model = load_model(given.model)
        found: Report = {"n": given.n}
        for text in ("plain", "wyckoff"):
            found[text] = {
                name: cost(model, text, asked, given.n, given.seed) for name, asked in ASKED.items()
            }
            for name, row in found[text].items():
                print(f"{text}, {name}: {row['throughput_lost_in_texts']:.1%} lost", flush=True)
        return found

    return write_result(
        given.out,
        measure,
        script=__file__,
        arguments=arguments,
        packages=("torch",),
        model=given.model,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
