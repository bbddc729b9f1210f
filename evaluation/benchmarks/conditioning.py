"""Ask a model for formulas and space groups of a data set, and see whether it obeys.

    python evaluation/benchmarks/conditioning.py mp20_test.parquet --n 500 --model shipped \
        --out evaluation/results/shipped_conditioning.json

Three ways of asking: the formula; the number of the space group; both, of one crystal. What is
asked for is drawn from the file with a seed; each prompt is answered once, and nothing but the
model sees to it that the answer has the formula. A formula matches if the reduced formulas are
equal; a space group if spglib finds its number at 0.1 Å. The prompts are those of training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np
import spglib
from reports import Report, origin, progress, publish, read_records, share

from crystext.codec import decode
from crystext.crystal import Crystal
from crystext.errors import InputError
from crystext.models.folder import Temperatures, default_temperatures
from crystext.models.load import load_model
from crystext.properties import reduced_formula, written_properties
from crystext.sampling.attempt import DrawSettings, Request
from crystext.sampling.samplers import make_sampler
from crystext.tasks.base import Record
from crystext.tasks.generate import generation_prompt

SYMPREC = 0.1
"""Å; the tolerance at which the field reports space groups."""

WAYS = {"formula": ("formula",), "space group": ("space_group",),
        "both": ("formula", "space_group")}  # fmt: skip
"""Properties asked for, in the order in which the prompt names them."""


def space_group(crystal: Crystal) -> str | None:
    """Return the number of the space group that spglib finds; None if it finds none."""
    cell = (crystal.lattice, crystal.positions, crystal.numbers)
    try:
        found = spglib.get_symmetry_dataset(cell, symprec=SYMPREC)
    except spglib.SpglibError:
        found = None
    return None if found is None else str(found.number)


def judged(wanted: Report, text: str) -> Report:
    """Say of one answer whether it is a crystal, and which of what was asked for it has."""
    decoded = decode(text)
    crystal = decoded.crystal
    if crystal is None:
        return {"crystal": False, "formula": False, "space_group": False}
    return {
        "crystal": True,
        "formula": reduced_formula(crystal.numbers) == wanted.get("formula"),
        "space_group": space_group(crystal) == wanted.get("space_group"),
    }


def ask(
    records: Sequence[Record], names: Sequence[str], model: str, seed: int, asked: Temperatures
) -> Report:
    """Ask for the named properties of each record, once; return the shares."""
    loaded = load_model(model)
    settings = DrawSettings(
        seed=seed,
        temperature=asked.text,
        element_temperature=asked.element,
        coordinate_temperature=asked.coordinate,
    )
    sampler = make_sampler(loaded, settings)
    requests = []
    for record in records:
        known = written_properties(record.crystal, record.labels)
        requests.append({name: known[name] for name in names})
    # Equal prompts are drawn together; each answer has an index, so random numbers, of its own.
    requests.sort(key=lambda wanted: tuple(wanted.values()))
    verdicts: list[Report] = []
    report = progress(" and ".join(names))
    for values, same in groupby(requests, key=lambda wanted: tuple(wanted.values())):
        indices = range(len(verdicts), len(verdicts) + len(list(same)))
        wanted = dict(zip(names, values, strict=True))
        attempts = sampler.draw(Request(generation_prompt(loaded.prompts, wanted)), indices)
        verdicts += [judged(wanted, attempt.text) for attempt in attempts]
        report(len(verdicts), len(requests))
    n = len(verdicts)
    shares = {"crystals": share(sum(v["crystal"] for v in verdicts), n)}
    for name in names:
        shares[f"{name} as asked for"] = share(sum(v[name] for v in verdicts), n)
    if len(names) > 1:
        both = sum(all(v[name] for name in names) for v in verdicts)
        shares["all as asked for"] = share(both, n)
    return {"shares": shares}


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="TABLE", help="crystals with space groups")
    parser.add_argument("--n", type=int, default=500, help="prompts of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="shipped", help="`shipped`, or a model folder")
    parser.add_argument("--temperature", type=float, help="of all fields; else the model's own")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)

    def measured() -> Report:
        records = [r for r in read_records(options.data) if "space_group" in r.labels]
        if len(records) < options.n:
            raise InputError(f"{options.data} holds {len(records)} crystals with a space group")
        asked = default_temperatures(options.model)
        if options.temperature is not None:
            asked = Temperatures(options.temperature)
        rng = np.random.default_rng(options.seed)
        chosen = [records[i] for i in rng.choice(len(records), options.n, replace=False)]
        return {
            "prompts_of_each_kind": options.n,
            "symprec": SYMPREC,
            "temperatures": asdict(asked),
            **{
                way: ask(chosen, WAYS[way], options.model, options.seed, asked)
                for way in options.ways
            },
        }

    return publish(options.out, measured, origin(__file__, arguments, ("spglib", "torch")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
