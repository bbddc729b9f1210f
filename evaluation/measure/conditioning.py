"""Ask a model for formulas and space groups of a data set, and see what of it comes.

    python -m evaluation.measure.conditioning mp20_test.parquet --n 500 --samples 4 \
        --model shipped --out conditioning.json

Four ways of asking: the formula; the formula and the number of atoms in the cell; the number of the
space group; formula and space group of one crystal. Each is measured twice: by the prompt alone,
when the automaton sees to any crystal and nothing but the model to the one that is asked for, and
enforced, when the automaton sees to the formula, the number of atoms and the cell of the crystal
system as well. Space groups are also asked for with redraws: up to `--tries` texts, until one has
the group. What is asked for is drawn from the file with a seed. A formula matches if the reduced
formulas are equal; a space group if spglib finds its number at 0.1 Å. The prompts are those of
training.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from crystext.conditions import Conditions
from crystext.errors import InputError, SettingError
from crystext.generation.rejection_sampling import sample_until_satisfied
from crystext.generation.requests import make_request, temperatures_for_conditions
from crystext.inference.generate import TextGenerator
from crystext.inference.types import DEFAULT_CONSTRAINTS, Attempt, SamplingSettings
from crystext.models.layout import Temperatures, open_model
from crystext.models.load import LoadedModel, load_model
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record
from crystext.structures.space_groups import SYMPREC
from crystext.text import PLAIN, WYCKOFF, get_format
from evaluation.result_file import Report, progress, share, write_result
from evaluation.sources import read_records

WAYS = {"formula": ("composition",), "cell": ("composition", "n_atoms"),
        "space group": ("space_group",), "both": ("composition", "space_group"),
        "chemical system": ("chemical_system",), "exclusion": ("exclude",),
        "size": ("n_atoms",)}  # fmt: skip
"""What is asked for in each way, by the names of conditions."""


_FREQUENT = ("O", "F", "S", "P", "Li", "Mg", "N", "Si", "Fe", "Mn")


def asked_of(record: Record, names: Sequence[str], max_atoms: int) -> Conditions | None:
    """Return the conditions that ask for what a crystal has; None if it is too large."""
    known = {
        "composition": reduced_formula(record.crystal.numbers),
        "n_atoms": len(record.crystal),
        "space_group": int(record.labels["space_group"]),
        "chemical_system": sorted(set(record.crystal.symbols)),
        # Those that the crystal lacks of the ten most frequent ones of Materials Project.
        "exclude": [symbol for symbol in _FREQUENT if symbol not in record.crystal.symbols],
    }
    conditions = Conditions.from_keywords(**{name: known[name] for name in names})
    try:
        conditions.constraints(max_atoms=max_atoms)
    except SettingError:
        return None
    return conditions


def counted(attempts: Sequence[Attempt], names: Sequence[str]) -> Report:
    """Return the shares of attempts that are crystals, and that keep each condition and all."""
    n = len(attempts)
    shares = {"crystals": share(sum(x.failure is None for x in attempts), n)}
    for name in names:
        kept = sum(r.satisfied is True for x in attempts for r in x.conditions if r.name == name)
        shares[f"{name} as asked for"] = share(kept, n)
    if len(names) > 1:
        shares["all as asked for"] = share(sum(x.satisfied for x in attempts), n)
    return shares


def ask(
    model: LoadedModel,
    wanted: Sequence[Conditions],
    names: Sequence[str],
    options: argparse.Namespace,
    asked: Temperatures,
    *,
    enforced: bool,
    max_attempts: int = 1,
) -> Report:
    """Ask for each of the conditions, so many times; return the shares.

    A prompt that comes more than once is answered anew each time: each answer has its own index,
    and so its own random numbers.
    """
    settings = SamplingSettings(
        seed=options.seed,
        temperature=asked.text,
        element_temperature=asked.element,
        coordinate_temperature=asked.coordinate,
        cell_temperature=asked.cell,
        guidance=options.guidance,
    )
    fmt = get_format(options.text_format)
    sampler = TextGenerator(model, settings).sampler(fmt)
    attempts: list[Attempt] = []
    prompts_kept, refused = 0, []
    how = "enforced" if enforced else "prompt alone"
    tokens, started = 0, time.process_time()
    report = progress(f"{' and '.join(names)}, {how}, {max_attempts} attempts")
    for conditions in wanted:
        try:
            request = make_request(conditions, model.prompts, max_atoms=options.max_atoms, fmt=fmt)
        except SettingError as error:
            refused.append(f"{conditions.requested()}: {error}")
            continue
        if not enforced:
            any_crystal = replace(DEFAULT_CONSTRAINTS, max_atoms=options.max_atoms)
            request = replace(request, constraints=any_crystal)
        drawn = sample_until_satisfied(
            sampler,
            request,
            conditions,
            range(len(attempts), len(attempts) + options.samples),
            fmt=fmt,
            constrained=enforced,
            max_attempts_per_sample=max_attempts,
        )
        attempts += drawn
        tokens += sum(x.tokens for x in drawn)
        prompts_kept += any(x.satisfied for x in drawn)
        report(len(attempts), len(wanted) * options.samples)
    shares = counted(attempts, names)
    shares["prompts with an answer as asked for"] = share(prompts_kept, len(wanted) - len(refused))
    mean = sum(x.attempts for x in attempts) / len(attempts)
    spent = time.process_time() - started
    return {
        **shares,
        "tries_of_an_attempt": round(mean, 2),
        "refused": refused,
        "processor_ms_per_token": round(1000 * spent / tokens, 3),
    }


def measured(options: argparse.Namespace) -> Report:
    """Measure all that is asked for on the command line."""
    records = [r for r in read_records(options.data) if "space_group" in r.labels]
    if len(records) < options.n:
        raise InputError(f"{options.data} holds {len(records)} crystals with a space group")
    rng = np.random.default_rng(options.seed)
    chosen = [records[i] for i in rng.choice(len(records), options.n, replace=False)]
    model = load_model(options.model)
    report: Report = {
        "prompts_of_each_kind": options.n,
        "answers_to_each": options.samples,
        "symprec": SYMPREC,
        "guidance": options.guidance,
        "text": options.text_format,
    }
    for way in options.ways:
        names = WAYS[way]
        found = [asked_of(record, names, options.max_atoms) for record in chosen]
        wanted = [conditions for conditions in found if conditions is not None]
        asked = temperatures_for_conditions(open_model(options.model).temperatures, wanted)
        if options.temperature is not None:
            asked = Temperatures(options.temperature)
        rows: Report = {"too_large_to_ask_for": len(found) - len(wanted)}
        rows["temperatures"] = asdict(asked)
        for name, enforced in (("prompt alone", False), ("enforced", True)):
            if name in options.hows:
                rows[name] = ask(model, wanted, names, options, asked, enforced=enforced)
        if "space_group" in names and options.tries > 1:
            rows[f"enforced, up to {options.tries} tries"] = ask(
                model, wanted, names, options, asked, enforced=True, max_attempts=options.tries
            )
        report[way] = rows
    return report


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="TABLE", help="crystals with space groups")
    parser.add_argument("--n", type=int, default=500, help="prompts of each kind")
    parser.add_argument("--samples", type=int, default=4, help="answers to each prompt")
    parser.add_argument("--tries", type=int, default=20, help="most redraws of a space group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="shipped", help="`shipped`, or a model folder")
    parser.add_argument("--temperature", type=float, help="of all fields; else the model's own")
    texts = [PLAIN.name, WYCKOFF.name]
    parser.add_argument("--text-format", default=PLAIN.name, choices=texts, help="that is drawn")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--max-atoms", type=int, default=20)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    hows = ["prompt alone", "enforced"]
    parser.add_argument("--hows", nargs="*", default=hows, choices=hows)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measured(options),
        script=__file__,
        arguments=arguments,
        packages=("spglib", "torch"),
        model=options.model,
        data=[options.data],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
