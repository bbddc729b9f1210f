"""Measure how often a search meets the known ground state of a system that it is not shown.

    python -m evaluation.measure.found_again mp20_test --n 100 --draws 1000 --work /tmp/again \
        --out evaluation/results/YYYY-MM-DD_weights-DIGEST7/found_again.json

The targets are crystals of three elements, at most `STABLE` above the hull by their labels, that
equal no training crystal; of each chemical system one, drawn at random. For each, only the chemical
system is given, and crystals are made in the two ways of `crystext discover`:

- draws of the model with the system enforced, as `crystext sample --chemical-system` makes them;
- exchanges: training crystals with elements exchanged for those of the system, whose cell the model
  draws, the most probable first (`crystext.discover.exchanges`). No other known crystals take part,
  so those of the test split do not.

Nothing is relaxed. A target is found if one of these crystals equals it by StructureMatcher under
DiffCSP's tolerances, those of `crystext evaluate`; under pymatgen's stricter ones it is counted
too. The rank of a target is that of the most probable text that equals it, among the different
crystals of both ways by the log-probability of their texts.

Each system is a file in `--work`: the same command continues after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
import torch

from crystext.conditions import Conditions
from crystext.data.shipped import TRAINING_SET, shipped_set
from crystext.discover.exchanges import ExchangeSampler
from crystext.discover.known_crystals import KnownCrystals
from crystext.discover.sampler import ArmSampler
from crystext.discover.settings import SearchSettings
from crystext.errors import InputError
from crystext.evaluate.reference_sets import (
    is_shipped_set,
    open_reference_set,
    specify_reference_set,
)
from crystext.inference.types import DEFAULT_CONSTRAINTS
from crystext.metrics.prototypes import Novelty
from crystext.models.layout import SHIPPED, open_model
from crystext.models.load import load_model
from crystext.runtime.files import write_json
from crystext.runtime.processes import run_in_order
from crystext.structures.crystal import Crystal
from crystext.structures.matching import (
    DIFFCSP_TOLERANCES,
    PYMATGEN_TOLERANCES,
    FormulaGroup,
    group_by_formula,
)
from crystext.structures.properties import chemical_system, reduced_formula
from crystext.structures.record import Record
from evaluation.result_file import (
    Report,
    described,
    progress,
    rounded,
    share,
    write_result,
)

STABLE = 0.001
"""eV/atom above the hull."""

_BATCH = 250
"""Texts that are drawn together."""

WAYS = ("draws", "exchanges")

PARTS_OF_TIME = (*WAYS, "comparisons")


@dataclass(frozen=True)
class Target:
    """A crystal to find."""

    number: int
    name: str
    crystal: Crystal
    prototype_in_training: bool
    """Whether a training crystal has its prototype, with whatever elements."""

    @property
    def system(self) -> str:
        """Its chemical system."""
        return chemical_system(self.crystal)


@dataclass(frozen=True)
class Sizes:
    """What is made for each target."""

    draws: int
    exchanges: int
    """At most."""
    seed: int


@dataclass(frozen=True)
class Text:
    """A text that was made, and how."""

    way: str
    log_probability: float
    crystal: Crystal | None


def measure(given: argparse.Namespace) -> Report:
    """Return how many targets are found, and each of them."""
    known = KnownCrystals([given.training], shipped=False)
    records, eligible = _read_eligible(given.data)
    targets = list(islice(choose_targets(eligible, known, given.seed), given.n))
    if len(targets) < given.n:
        raise InputError(
            f"{given.data} has {len(targets)} systems with a stable crystal of three elements that "
            f"equals no training crystal: expected {given.n}; try a smaller --n"
        )
    sizes = Sizes(given.draws, given.exchanges, given.seed)
    parts = run_parts(targets, sizes, given)
    return {
        "draws": sizes.draws,
        "exchanges_at_most": sizes.exchanges,
        "stable_up_to_ev_per_atom": STABLE,
        "training": given.training,
        "crystals": records,
        "stable_ternaries": len(eligible),
        **summarize(parts),
        "systems": parts,
    }


def _read_eligible(source: str) -> tuple[int, list[Record]]:
    """Return the number of crystals of a set, and those that are stable, of three elements.

    Raises:
        InputError: there is no such set, or it has no energies above the hull.
    """
    data = open_reference_set(specify_reference_set(source, None)).dataset
    records = [data[i] for i in range(len(data))]
    if not any("e_above_hull" in record.labels for record in records):
        raise InputError(
            f"{source} has no e_above_hull, which says what is stable; expected a set with that "
            "column, such as mp20_test"
        )
    return len(records), [record for record in records if _is_eligible(record)]


def _is_eligible(record: Record) -> bool:
    """Return whether a crystal is stable, of three elements, and small enough to be drawn."""
    above, crystal = record.labels.get("e_above_hull"), record.require_crystal()
    return (
        isinstance(above, float)
        and above <= STABLE
        and len(set(crystal.symbols)) == 3
        and len(crystal) <= DEFAULT_CONSTRAINTS.max_atoms
    )


def choose_targets(records: Sequence[Record], known: KnownCrystals, seed: int) -> Iterator[Target]:
    """Yield crystals at random that equal no training crystal, one of each chemical system."""
    systems: set[str] = set()
    for i in np.random.default_rng(seed).permutation(len(records)).tolist():
        crystal = records[i].require_crystal()
        system = chemical_system(crystal)
        if system in systems or known.match(crystal) is not None:
            continue
        novelty = known.novelty(crystal)
        in_training = novelty is not None and novelty.novelty is not Novelty.NEW_PROTOTYPE
        name = records[i].name or f"row {i}"
        yield Target(len(systems), name, crystal, in_training)
        systems.add(system)


def run_parts(targets: Sequence[Target], sizes: Sizes, given: argparse.Namespace) -> list[Report]:
    """Return the part of each target; those in the folder are taken from it.

    Raises:
        InputError: the folder has parts of other settings.
    """
    _check_folder(given, sizes)
    files = [given.work / f"{target.number:05}_{target.system}.json" for target in targets]
    left = [i for i, file in enumerate(files) if not file.is_file()]
    report = progress("systems")
    make = partial(_make_function, given.model, given.training, sizes)
    here = cache(make)
    tasks = [targets[i] for i in left]
    answers = run_in_order(make, tasks, given.workers, here=lambda target: here()(target))
    with closing(answers):
        for done, (i, part) in enumerate(zip(left, answers, strict=False), start=1):
            write_json(files[i], part)
            report(len(files) - len(left) + done, len(files))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _check_folder(given: argparse.Namespace, sizes: Sizes) -> None:
    """Write what the parts depend on into the folder, or compare it with what is there."""
    settings = {
        "data": Path(given.data).name,
        "training": Path(given.training).name,
        "model": described(given.model),
        "draws": sizes.draws,
        "exchanges": sizes.exchanges,
        "seed": sizes.seed,
    }
    file = given.work / "settings.json"
    if not file.is_file():
        given.work.mkdir(parents=True, exist_ok=True)
        write_json(file, settings)
    elif (found := json.loads(file.read_text(encoding="utf-8"))) != settings:
        names = ", ".join(key for key in settings if found.get(key) != settings[key])
        raise InputError(
            f"{given.work} has parts of a measurement with other {names}; give the same, or "
            "another --work"
        )


def _make_function(model: str, training: str, sizes: Sizes) -> Callable[[Target], Report]:
    """Load the model in a worker process; return the function that measures a target."""
    torch.set_num_threads(1)
    files = open_model(model)
    loaded = load_model(files)
    known = KnownCrystals([training], shipped=False)

    def run(target: Target) -> Report:
        times = [time.process_time()]
        conditions = Conditions.from_keywords(chemical_system=target.system)
        sampler = ArmSampler(files, SearchSettings(conditions, seed=sizes.seed), loaded)
        made = [sampler.draw(conditions, some) for some in _batches(range(sizes.draws))]
        times.append(time.process_time())
        exchanges = ExchangeSampler(sampler, known)
        found = exchanges.next(conditions, 0, sizes.exchanges)
        exchanged = [
            exchanges.draw(conditions, [found[i] for i in some], [sizes.draws + i for i in some])
            for some in _batches(range(len(found)))
        ]
        texts = [
            Text(way, attempt.log_probability, sampler.text_format.decode(attempt.text).crystal)
            for way, batches in zip(WAYS, (made, exchanged), strict=True)
            for attempt in chain.from_iterable(batches)
        ]
        times.append(time.process_time())
        compared = compare(texts, target.crystal)
        times.append(time.process_time())
        spent = (round(after - before, 1) for before, after in pairwise(times))
        return {
            "target": target.name,
            "system": target.system,
            "formula": reduced_formula(target.crystal.numbers),
            "n_atoms": len(target.crystal),
            "prototype_in_training": target.prototype_in_training,
            "texts": {way: sum(text.way == way for text in texts) for way in WAYS},
            **compared,
            "cpu_s": dict(zip(PARTS_OF_TIME, spent, strict=True)),
        }

    return run


def _batches(indices: range) -> Iterator[range]:
    return (indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH))


def compare(texts: Sequence[Text], target: Crystal) -> Report:
    """Return how many texts of each way equal a target, its rank, and how many crystals differ.

    Args:
        texts: all that were made.
        target: the crystal to find.
    """
    ordered = sorted(texts, key=lambda text: -text.log_probability)
    made = [(text.way, crystal) for text in ordered if (crystal := text.crystal) is not None]
    crystals = [crystal for _, crystal in made]
    by_formula = group_by_formula(crystal.numbers for crystal in crystals)
    groups = {
        formula: FormulaGroup.of_crystals(
            [target, *(crystals[i] for i in rows)], DIFFCSP_TOLERANCES
        )
        for formula, rows in by_formula.items()
    }
    same = reduced_formula(target.numbers)
    found = {"matches": list[int](), "strict_matches": list[int]()}
    if same in groups:
        strict = groups[same].with_tolerances(PYMATGEN_TOLERANCES)
        for name, group in (("matches", groups[same]), ("strict_matches", strict)):
            rows = enumerate(by_formula[same], start=1)
            found[name] = [place for row, place in rows if group.match(0, row)]
    different = sorted(
        place
        for formula, group in groups.items()
        for place in _different(group, by_formula[formula])
    )
    first = min(found["matches"], default=None)
    return {
        name: {way: sum(made[place][0] == way for place in places) for way in WAYS}
        for name, places in found.items()
    } | {
        "texts_of_the_formula": len(by_formula.get(same, ())),
        "different_crystals": len(different),
        "rank": None if first is None else 1 + sum(place < first for place in different),
    }


def _different(group: FormulaGroup, places: Sequence[int]) -> list[int]:
    """Return the places of crystals that equal none before them; row 0 of the group is another."""
    rows: list[int] = []
    for row in range(1, len(places) + 1):
        if not any(group.match(earlier, row) for earlier in group.candidates(row, rows)):
            rows.append(row)
    return [places[row - 1] for row in rows]


def summarize(parts: Sequence[Report]) -> Report:
    """Return shares, ranks and CPU time of all systems."""
    old = [part for part in parts if part["prototype_in_training"]]
    new = [part for part in parts if not part["prototype_in_training"]]
    ranks = [part["rank"] for part in parts if part["rank"] is not None]
    return {
        "shares": _shares(parts, "matches")
        | {"prototype in training": share(len(old), len(parts))},
        "shares_under_pymatgen_tolerances": _shares(parts, "strict_matches"),
        "shares_by_prototype": {
            f"found, {name}": share(_found(some, WAYS), len(some))
            for name, some in (("prototype in training", old), ("new prototype", new))
            if some
        },
        "median_rank": _median(ranks),
        "median_different_crystals": _median(part["different_crystals"] for part in parts),
        "median_exchanges": _median(part["texts"]["exchanges"] for part in parts),
        "cpu_s": {
            name: round(sum(part["cpu_s"][name] for part in parts), 1) for name in PARTS_OF_TIME
        },
    }


def _shares(parts: Sequence[Report], key: str) -> Report:
    by_way = {way: _found(parts, (way,), key) for way in WAYS}
    either = _found(parts, WAYS, key)
    counts = {
        "found": either,
        "found by draws": by_way["draws"],
        "found by exchanges": by_way["exchanges"],
        "found by draws only": either - by_way["exchanges"],
        "found by exchanges only": either - by_way["draws"],
    }
    return {name: share(count, len(parts)) for name, count in counts.items()}


def _found(parts: Sequence[Report], ways: Sequence[str], key: str = "matches") -> int:
    return sum(any(part[key][way] for way in ways) for part in parts)


def _median(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return rounded(float(np.median(numbers)), 1) if numbers else None


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", help="mp20_test, or a table with e_above_hull")
    parser.add_argument("--n", type=int, default=100, help="chemical systems")
    parser.add_argument("--draws", type=int, default=1000, help="of the model, for each system")
    parser.add_argument("--exchanges", type=int, default=1000, help="at most, for each system")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default=SHIPPED, help="`shipped`, or a model folder")
    parser.add_argument("--training", default=TRAINING_SET, help="what the model learned from")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="folder of the parts")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    data = shipped_set(given.data) if is_shipped_set(given.data) else Path(given.data)
    return write_result(
        given.out,
        lambda: measure(given),
        script=__file__,
        arguments=arguments,
        packages=("torch", "spglib"),
        model=given.model,
        data=[data],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
