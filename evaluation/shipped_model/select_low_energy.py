"""Make a training store of the crystals of others that lie low in energy.

    python -m evaluation.shipped_model.select_low_energy mp2019 \
        --known mp2019_le20.parquet:in_mp20_train --hull hull --potential FOLDER --out mp2019_low
    python -m evaluation.shipped_model.select_low_energy mp2019 extra \
        --known mp2019_le20.parquet:in_mp20_train --hull hull --potential FOLDER,chgnet --out low

Kept are the crystals that a column of a table says are known to lie low (here those of MP-20's
training split, which holds nothing above 0.08 eV/atom), and of the others those that each potential
places between `--least` and `--most` on the hull of the crystals of the first store that have
energies, as they are, not relaxed. With two potentials, both have to: what one alone calls low is
often its error. That hull lacks what is held out, so it is too high where much is: what lies far
below it is no better known than what lies above. Validation and test of the first store are copied.

`--hull` is a folder of which the elements' energies are used, and nothing else.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from crystext.data.store import (
    SPLITS,
    Dataset,
    check_store_path,
    read_metadata,
    read_store,
    write_store,
)
from crystext.energies.corrections import corrected_energy
from crystext.energies.hull import Hull
from crystext.energies.hull_folder import read_hull_folder
from crystext.energies.phases import make_compounds
from crystext.energies.potential import to_atoms
from crystext.energies.potentials import load_potential_once
from crystext.errors import CrystextError, InputError
from crystext.runtime.processes import run_tasks
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from evaluation.result_file import progress

AT_ONCE = 20
"""Crystals whose energies are calculated together."""


def energies_maker(potential: str) -> Callable[[Sequence[Crystal]], list[float]]:
    """Return what calculates energies, corrections included, in eV."""
    return partial(energies, potential)


def energies(potential: str, crystals: Sequence[Crystal]) -> list[float]:
    """Return the energies of crystals as they are, NaN of those that the potential cannot do.

    M3GNet-MP-2021.2.8 has none of the elements from polonium to radium, and matgl raises KeyError
    for the whole batch.
    """
    used = load_potential_once(potential)
    try:
        if used.energies is not None:
            whole = used.energies([to_atoms(c) for c in crystals])
        elif used.evaluate is None:
            whole = [used.energy(crystal) for crystal in crystals]
        else:
            whole = [float(x["energy"]) for x in used.evaluate([to_atoms(c) for c in crystals])]
    # Each calculator raises its own errors.
    except Exception:
        if len(crystals) == 1:
            return [math.nan]
        return [energy for crystal in crystals for energy in energies(potential, [crystal])]
    return [corrected_energy(c, e, used.scale) for c, e in zip(crystals, whole, strict=True)]


def above_hull(
    crystals: Mapping[int, Crystal], hull: Hull, potential: str, workers: int
) -> dict[int, float | None]:
    """Return how far above a hull crystals lie as they are, in eV/atom; None where unknown."""
    # Of one size together, so that no process waits for the largest.
    order = sorted(crystals, key=lambda i: -len(crystals[i]))
    parts = [tuple(order[i : i + AT_ONCE]) for i in range(0, len(order), AT_ONCE)]
    tasks = ((part, [crystals[i] for i in part]) for part in parts)
    report = progress("calculating")
    found: dict[int, float | None] = {}
    for part, calculated in run_tasks(partial(energies_maker, potential), tasks, workers):
        for i, energy in zip(part, calculated or (), strict=False):
            found[i] = hull.above(crystals[i], energy) if math.isfinite(energy) else None
        report(len(found), len(order))
    return found


def hull_of_labels(data: Dataset, folder: Path) -> Hull:
    """Return the hull of the crystals that have energies.

    Raises:
        InputError: none has one.
    """
    for name in ("formation_energy", "e_above_hull"):
        if name not in data.labels:
            raise InputError(f"the store has no label {name}; the hull is made of its energies")
    formation, above = data.labels["formation_energy"], data.labels["e_above_hull"]
    phases = []
    for i in np.flatnonzero(np.isfinite(formation) & np.isfinite(above)).tolist():
        amounts = Counter(data[i].crystal.symbols)
        if len(amounts) > 1:
            phases.append((dict(amounts), float(formation[i] - above[i])))
    return Hull(read_hull_folder(folder).references, make_compounds(phases))


def low_by_all(
    crystals: Mapping[int, Crystal],
    hull: Hull,
    potentials: Sequence[str],
    *,
    least: float,
    most: float,
    workers: int,
) -> list[int]:
    """Return the crystals that each potential places within two limits above the hull.

    A potential is asked about what those before it have left.
    """
    left = dict(crystals)
    for potential in potentials:
        above = above_hull(left, hull, potential, workers)
        left = {
            i: c for i, c in left.items() if (x := above.get(i)) is not None and least < x <= most
        }
        print(f"{len(left):,} of {len(above):,} crystals are low by {potential}", flush=True)
    return list(left)


def known_names(source: str) -> set[str]:
    """Return the ids of the rows of TABLE:COLUMN in which the column is true."""
    path, _, column = source.rpartition(":")
    try:
        table = pq.read_table(path, columns=["id", column])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{source} is not a table with such a column: {error}") from None
    rows = zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True)
    return {name for name, is_known in rows if is_known}


def write_like(
    store: Path, out: Path, train: Sequence[Record], settings: argparse.Namespace
) -> None:
    """Write a store with other training crystals than one that is there, and all else as in it."""
    held_out = [s for s in SPLITS[1:] if s in read_metadata(store)["splits"]]
    splits = {s: read_store(store, s) for s in held_out}
    write_store(
        out,
        {"train": train, **{s: [x[i] for i in range(len(x))] for s, x in splits.items()}},
        {"settings": {name: str(value) for name, value in vars(settings).items()}},
    )


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stores", type=Path, nargs="+", help="folders of crystext data prepare")
    parser.add_argument("--known", required=True, metavar="TABLE:COLUMN")
    parser.add_argument("--hull", type=Path, required=True)
    parser.add_argument("--potential", default="m3gnet", help="several are separated by commas")
    parser.add_argument("--least", type=float, default=-0.1, help="eV/atom above the hull")
    parser.add_argument("--most", type=float, default=0.07, help="eV/atom above the hull")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        check_store_path(given.out)
        stores = [read_store(store, "train") for store in given.stores]
        known = known_names(given.known)
        records = [data[i] for data in stores for i in range(len(data))]
        others = {i: r.crystal for i, r in enumerate(records) if r.name not in known}
        low = set(
            low_by_all(
                others,
                hull_of_labels(stores[0], given.hull),
                given.potential.split(","),
                least=given.least,
                most=given.most,
                workers=given.workers,
            )
        )
        kept = [r for i, r in enumerate(records) if r.name in known or i in low]
        write_like(given.stores[0], given.out, kept, given)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(kept):,} of {len(records):,} crystals, {len(low):,} of them by their energy")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
