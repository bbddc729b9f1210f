"""Make a hull of a potential's own: the phases that it finds stable among known crystals.

    python evaluation/make_hull.py mp2019 --elements MP-PBE-Element-Refs.json.gz \
        --potential FOLDER --work hull_work --out m3gnet_hull.parquet --report m3gnet_hull.json

What it writes is named to `crystext hull` and `crystext evaluate` as `--hull m3gnet_hull.parquet`.

Crystals of a training store, and the elements' ground states, are relaxed with the potential by the
rule of `crystext relax`, and written as `crystext hull --make` does. Killed at any moment, the same
command goes on.

An element of which a structure has atoms too near for the potential is left out, with all that
holds it: hydrogen, since its molecule is one.

`--elements` is matcalc's file of elemental structures (BSD-3, github.com/materialsvirtuallab/
matcalc): pymatgen structures as JSON, by symbol. No energy of it is used.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.reports import Report, origin, progress, publish
from pymatgen.core.structure import Structure

from crystext.crystal import Crystal
from crystext.data.store import read_store
from crystext.energies.campaign import relax_all
from crystext.energies.potentials import loaded
from crystext.energies.relax import Outcome
from crystext.energies.relaxed import RelaxedSet, relaxed_row
from crystext.energies.verdict import make_hull
from crystext.errors import InputError


def elements_of(path: Path) -> list[Crystal]:
    """Read the elements' structures."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            entries: dict[str, Any] = json.load(file)
        structures = [
            structure
            for entry in entries.values()
            for structure in (
                entry["structure"] if isinstance(entry["structure"], list) else [entry["structure"]]
            )
        ]
        return [Crystal.from_structure(Structure.from_dict(structure)) for structure in structures]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no elemental structures: {error!r}") from None


def made(given: argparse.Namespace) -> Report:
    """Relax, and write the hull."""
    store = read_store(given.store, "train")
    crystals = [store[i].crystal for i in range(len(store))]
    elements = elements_of(given.elements)
    everything = dict(enumerate([*crystals, *elements]))
    relaxations = relax_all(
        everything,
        given.work,
        potential=given.potential,
        workers=given.workers,
        report=progress("relaxing"),
    )
    potential = loaded(given.potential)
    # What it has of such an element is no ground state: hydrogen without its molecule, whose atoms
    # are nearer than the potential was trained for, would make every hydride look stable.
    lost = {
        symbol
        for i in range(len(crystals), len(everything))
        for symbol in everything[i].symbols
        if relaxations[i].outcome is Outcome.TOO_CLOSE
    }
    rows = tuple(
        relaxed_row(str(i), relaxations[i])
        for i, crystal in everything.items()
        if lost.isdisjoint(crystal.symbols)
    )
    hull = make_hull(RelaxedSet(potential.name, potential.scale, rows), given.out, "m3gnet")
    outcomes = [r.outcome for r in relaxations.values()]
    return {
        "potential": potential.name,
        "crystals": len(crystals),
        "elements": len(elements),
        "elements_without_a_ground_state": sorted(lost),
        "outcomes": {outcome.name: outcomes.count(outcome) for outcome in Outcome},
        "mean_steps": round(sum(r.steps for r in relaxations.values()) / len(relaxations), 2),
        "compounds_on_the_hull": sum(map(len, hull.points.values())),
        "elements_known": len(hull.references),
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", type=Path, help="folder that crystext data prepare made")
    parser.add_argument("--elements", type=Path, required=True)
    parser.add_argument("--potential", default="m3gnet")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return publish(given.report, lambda: made(given), origin(__file__, arguments, ["matgl"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
