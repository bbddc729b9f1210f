"""Make a hull of a potential's own: the phases that it finds stable among known crystals.

    python -m evaluation.shipped_model.build_m3gnet_hull mp2019 \
        --elements MP-PBE-Element-Refs.json.gz --potential FOLDER --work hull_work \
        --out hull.parquet --report m3gnet_hull.json
    python -m evaluation.shipped_model.build_m3gnet_hull mp20_val.parquet mp20_test.parquet \
        --where e_above_hull=0 --onto hull.parquet --potential FOLDER --work more_work \
        --out larger.parquet --report m3gnet_hull_mp20.json

What it writes is named to `crystext hull` and `crystext evaluate` as `--hull hull.parquet`.

Crystals of stores (their training splits), and of whatever else can be read, and the elements'
ground states are relaxed with the potential by the rule of `crystext relax`, and written as
`crystext hull --make` does. Killed at any moment, the same command goes on. What lies on no hull of
some phases lies on none of more, so that a hull can be added to (`--onto`).

An element of which a structure has atoms too near for the potential is left out, with all that
holds it.

`--elements` is matcalc's file of elemental structures (BSD-3, github.com/materialsvirtuallab/
matcalc): pymatgen structures as JSON, by symbol. No energy of it is used.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pymatgen.core.structure import Structure

from crystext.data.store import STORE_FILE, read_store
from crystext.energies.hull_sources import open_hull, save_hull
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import RelaxationOutcome
from crystext.energies.relaxation_files import RelaxedSet, relaxed_structure
from crystext.energies.relaxation_run import relax_all
from crystext.energies.stability import converged_phases
from crystext.errors import InputError
from crystext.io.read import read_crystals
from crystext.structures.crystal import Crystal
from evaluation.result_file import Report, progress, write_result


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


def crystals_of(source: Path, where: dict[str, str]) -> Iterator[Crystal]:
    """Read a store's training split, or another source; failures are left out."""
    if (source / STORE_FILE).is_file():
        store = read_store(source, "train")
        yield from (store[i].crystal for i in range(len(store)))
    else:
        yield from (
            found.crystal
            for found in read_crystals(source, where=where)
            if found.crystal is not None
        )


def made(given: argparse.Namespace) -> Report:
    """Relax, and write the hull."""
    holding = frozenset(given.holding or ())

    def wanted(crystal: Crystal) -> bool:
        return not holding or not holding.isdisjoint(crystal.symbols)

    where = dict([given.where.split("=", 1)]) if given.where else {}
    crystals = [c for source in given.sources for c in crystals_of(source, where) if wanted(c)]
    elements = [] if given.elements is None else [*filter(wanted, elements_of(given.elements))]
    potential = load_potential_once(given.potential)
    before = [] if given.onto is None else phases_on(given.onto, potential.name)
    everything = dict(enumerate([*crystals, *elements]))
    relaxations = relax_all(
        everything,
        given.work,
        potential=given.potential,
        workers=given.workers,
        report=progress("relaxing"),
    )
    # Its phases of such an element are not the ground state, and make all compounds look stable.
    lost = {
        symbol
        for i in range(len(crystals), len(everything))
        for symbol in everything[i].symbols
        if relaxations[i].outcome is RelaxationOutcome.TOO_CLOSE
    }
    rows = tuple(
        relaxed_structure(str(i), relaxations[i])
        for i, crystal in everything.items()
        if lost.isdisjoint(crystal.symbols)
    )
    found = converged_phases(RelaxedSet(potential.name, potential.scale, rows))
    hull = save_hull(
        [*before, *found], given.out, name="m3gnet", date=given.date, potential=potential.name
    )
    outcomes = [r.outcome for r in relaxations.values()]
    return {
        "potential": potential.name,
        "phases_before": len(before),
        "crystals": len(crystals),
        "elements": len(elements),
        "elements_without_a_ground_state": sorted(lost),
        "outcomes": {outcome.name: outcomes.count(outcome) for outcome in RelaxationOutcome},
        "mean_steps": round(sum(r.steps for r in relaxations.values()) / len(relaxations), 2),
        "compounds_on_the_hull": len(hull.compounds),
        "elements_known": len(hull.references),
    }


def phases_on(table: Path, potential: str) -> list[tuple[str, float]]:
    """Return formulas and energies in eV/atom of a hull that this script wrote."""
    theirs = open_hull(table).potential
    if theirs != potential:
        raise InputError(f"{table} holds energies of {theirs}; expected those of {potential}")
    columns = pq.read_table(table, columns=["formula", "energy_ev_per_atom"]).to_pydict()
    return [*zip(columns["formula"], columns["energy_ev_per_atom"], strict=True)]


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+", help="stores, and sources of crystals")
    parser.add_argument("--where", help="COLUMN=VALUE of the rows, e.g. e_above_hull=0")
    parser.add_argument("--holding", nargs="+", metavar="SYMBOL", help="only what holds one")
    parser.add_argument("--onto", type=Path, metavar="HULL", help="a table whose phases stay")
    parser.add_argument("--elements", type=Path, help="needed where --onto does not have them")
    parser.add_argument("--date", default="", help="of the structures, as reports tell it")
    parser.add_argument("--potential", default="m3gnet")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.report,
        lambda: made(given),
        script=__file__,
        arguments=arguments,
        packages=("matgl",),
        data=given.sources,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
