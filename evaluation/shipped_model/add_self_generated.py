"""Add to a training store what a model drew itself, where potentials place it low in energy.

    python -m evaluation.shipped_model.add_self_generated mp2019_low draws \
        --not-in mp2019 --hull hull --potential FOLDER,chgnet --work own_work --out mp2019_own

What is drawn passes three sieves. The first costs nothing: structure and composition are valid, no
crystal of `--not-in` and no earlier draw matches. The second is one calculation: as it was drawn,
the crystal lies `--first` eV/atom above the hull or less. The third is `--steps` steps of
relaxation, by which it has to come to `--most` or less. If more potentials are given, each places
the relaxed crystal as low: a committee, which the errors of one do not pass. What is left is
standardised as `crystext data prepare` does it, and added to the training split with no label but
its space group, crystals of new prototypes first, unless there is much of its kind already
(`--share`, and `--of-prototype` for each prototype); validation and test are copied.

The hull is that of the training crystals that have energies and, for the third sieve, of the draws
themselves as far as they were relaxed: no energy of what is held out goes into it. The potential
errs, and so will what it chose: what lies far below the hull is left out, for what is too good
is wrong, and a second potential should judge the model that comes of it.

`--hull` is a folder of which the elements' energies are used, and nothing else.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from crystext.chemistry.formulas import sort_by_electronegativity
from crystext.data.store import check_store_path, read_store
from crystext.energies.corrections import corrected_energy
from crystext.energies.hull import Hull
from crystext.energies.phases import make_compounds
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import RelaxationLimits
from crystext.energies.relaxation_run import relax_all
from crystext.errors import CrystextError
from crystext.evaluate.samples import read_samples
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.novelty import find_matches
from crystext.metrics.prototypes import (
    Novelty,
    PrototypeIndex,
    equivalent_settings,
    prototype_of,
)
from crystext.metrics.structure_validity import structure_failure
from crystext.metrics.uniqueness import duplicates_of
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.structures.standardize import standardize
from crystext.structures.wyckoff.orbits import WyckoffCrystal, to_wyckoff_or_none
from evaluation.result_file import progress
from evaluation.shipped_model.select_low_energy import (
    hull_of_labels,
    low_by_all,
    write_like,
)

Letters = tuple[tuple[str, ...], ...]

LEAST = -0.2
"""eV/atom; what lies further below the hull of the training crystals, the potential got wrong."""


def new_ones(crystals: Sequence[Crystal], known: Path, workers: int) -> list[int]:
    """Return the indices of those that are valid, unique, and not in a store."""
    left = [
        i
        for i, crystal in enumerate(crystals)
        if structure_failure(crystal) is None and is_composition_valid(crystal.numbers)
    ]
    said(f"{len(left):,} of {len(crystals):,} draws are valid")
    rows = find_matches([crystals[i] for i in left], read_store(known, "train"), workers=workers)
    left = [i for i, row in zip(left, rows, strict=True) if row is None]
    said(f"{len(left):,} of them are not in {known}")
    repeats = duplicates_of([crystals[i] for i in left], workers=workers)
    left = [i for i, earlier in zip(left, repeats, strict=True) if earlier is None]
    said(f"{len(left):,} of them differ from each other")
    return left


def relaxed_below(
    crystals: Mapping[int, Crystal],
    hull: Hull,
    most: float,
    *,
    limits: RelaxationLimits,
    potential: str,
    work: Path,
    workers: int,
) -> list[Crystal]:
    """Return the crystals, relaxed, that lie so far above the hull of all of them at most."""
    relaxations = relax_all(
        crystals,
        work,
        potential=potential,
        limits=limits,
        workers=workers,
        report=progress("relaxing"),
    )
    scale = load_potential_once(potential).scale
    ended = [
        (r.crystal, corrected_energy(r.crystal, r.energy, scale))
        for r in relaxations.values()
        if r.crystal is not None and r.energy is not None
    ]
    sound = [(c, e) for c, e in ended if (x := hull.above(c, e)) is not None and x > LEAST]
    phases = [(Counter(c.symbols), hull.formation_energy(c, e) or 0.0) for c, e in sound]
    whole = Hull(hull.references, make_compounds([*hull.compounds, *phases]))
    return [c for c, e in sound if (x := whole.above(c, e)) is not None and x <= most]


def new_prototypes_first(records: Sequence[Record], known: Sequence[Record]) -> list[Record]:
    """Return the records, those first whose prototype is not in the data, then by exchanges."""
    index = PrototypeIndex()
    for record in known:
        if record.wyckoff is not None:
            index.add(prototype_of(record.wyckoff), record.name)
    order = [Novelty.NEW_PROTOTYPE, Novelty.KNOWN_PROTOTYPE, Novelty.SUBSTITUTION]

    def rank(record: Record) -> int:
        assert record.wyckoff is not None, "`main` keeps crystals with orbits only"
        return order.index(index.find(prototype_of(record.wyckoff))[0])

    return sorted(records, key=rank)


def balanced(
    records: Sequence[Record], known: Sequence[Record], share: float, of_prototype: int
) -> list[Record]:
    """Return so many that no kind of crystal becomes much more frequent than it was.

    What is easily drawn and easily low in energy, alloys of high symmetry above all, would take the
    place of the rest otherwise. A kind is a space group, or the most electronegative element.

    Args:
        records: those to be added; who comes first is kept.
        known: those that they are added to.
        share: how many of each kind are added at most, of how many there are.
        of_prototype: how many of each prototype are added at most.
    """
    room: dict[object, int] = {
        kind: math.ceil(share * n) for kind, n in Counter(chain(*map(kinds, known))).items()
    }
    kept = []
    for record in records:
        assert record.wyckoff is not None, "`main` keeps crystals with orbits only"
        shape = letters_of(record.wyckoff)
        room.setdefault(shape, of_prototype)
        own = (*kinds(record), shape)
        if all(room.get(kind, 0) > 0 for kind in own):
            kept.append(record)
            for kind in own:
                room[kind] -= 1
    return kept


def letters_of(crystal: WyckoffCrystal) -> tuple[int, Letters]:
    """Return the prototype of a crystal, whatever its elements and whatever its setting."""
    settings = equivalent_settings(prototype_of(crystal))
    return crystal.space_group, min(
        tuple(sorted(letters for _, letters in setting.letters)) for setting in settings
    )


def kinds(record: Record) -> tuple[int, str]:
    """Return the space group of a crystal and its most electronegative element.

    Crystals that ship have orbits and no label of their space group; those of `crystext data
    prepare` have the label, and some no orbits.
    """
    last = sort_by_electronegativity(set(record.crystal.symbols))[-1]
    if record.wyckoff is not None:
        return record.wyckoff.space_group, last
    return int(record.labels.get("space_group", 1)), last


def record_of(crystal: Crystal, name: str) -> Record:
    """Return a crystal in its standard description, with its space group."""
    standard, group = standardize(crystal)
    return Record(standard, {"space_group": float(group)}, name, to_wyckoff_or_none(standard))


def said(what: str) -> None:
    """Print a line at once."""
    print(what, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", type=Path, help="folder that crystext data prepare made")
    parser.add_argument("draws", type=Path, help="folder of crystext sample")
    parser.add_argument("--not-in", type=Path, required=True, help="store of what is known")
    parser.add_argument("--hull", type=Path, required=True)
    parser.add_argument("--potential", default="m3gnet", help="the first one relaxes")
    parser.add_argument("--first", type=float, default=0.2, help="eV/atom, as drawn")
    parser.add_argument("--steps", type=int, default=12, help="of relaxation")
    parser.add_argument("--most", type=float, default=0.07, help="eV/atom, relaxed")
    parser.add_argument("--share", type=float, default=0.3, help="added of each kind, at most")
    parser.add_argument("--of-prototype", type=int, default=20, help="added, at most")
    parser.add_argument("--work", type=Path, required=True, help="folder to go on with")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        check_store_path(given.out)
        read = [attempt.crystal for attempt in read_samples(given.draws).samples]
        crystals = [crystal for crystal in read if crystal is not None]
        new = new_ones(crystals, given.not_in, given.workers)
        hull = hull_of_labels(read_store(given.not_in, "train"), given.hull)
        first, *others = given.potential.split(",")
        drawn = {i: crystals[i] for i in new}
        low = low_by_all(drawn, hull, [first], least=LEAST, most=given.first, workers=given.workers)
        kept = relaxed_below(
            {i: drawn[i] for i in low},
            hull,
            given.most,
            limits=RelaxationLimits(steps=given.steps),
            potential=first,
            work=given.work,
            workers=given.workers,
        )
        said(f"{len(kept):,} of them lie low when relaxed")
        among = dict(enumerate(kept))
        left = low_by_all(among, hull, others, least=LEAST, most=given.most, workers=given.workers)
        data = read_store(given.store, "train")
        records = [data[i] for i in range(len(data))]
        added = [record_of(among[i], f"own-{i}") for i in left]
        added = [record for record in added if record.wyckoff is not None]
        added = new_prototypes_first(added, records)
        added = balanced(added, records, given.share, given.of_prototype)
        said(f"{len(added):,} of them are added")
        records += added
        write_like(given.store, given.out, records, given)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
