"""Compare a potential, corrections and a hull with labels of Materials Project.

    python -m evaluation.measure.energies mp20_test.parquet --n 200 --potential M3GNET_FOLDER \
        --workers 2 --work WORK_FOLDER --out energies.json

Crystals drawn at random from the file are relaxed; their formation energies and energies above the
hull are held against the columns `formation_energy_per_atom` and `e_above_hull`. Relaxations are
kept in `--work`; killed at any moment, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crystext.energies.hull_sources import open_hull
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import PAPER_LIMITS
from crystext.energies.relaxation_files import RelaxedSet, relaxed_structure
from crystext.energies.relaxation_run import relax_all
from crystext.energies.stability import METASTABLE_EV_PER_ATOM, assess_stability
from crystext.errors import InputError
from evaluation.result_file import Report, progress, rounded, share, write_result
from evaluation.sources import read_records

BARS = {"formation_energy": 0.03, "e_above_hull": 0.05}
"""eV/atom; mean absolute errors that are not to be exceeded."""


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path, metavar="TABLE")
    parser.add_argument("--n", type=int, default=200, help="crystals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--potential", default="m3gnet", help="a name, or a folder")
    parser.add_argument("--hull", default="mp2020", help="as of `crystext hull`")
    parser.add_argument("--work", type=Path, required=True, help="folder of relaxations")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)

    def measured() -> Report:
        hull, potential = open_hull(options.hull), load_potential_once(options.potential)
        records = [
            record for record in read_records(options.labelled) if set(BARS) <= set(record.labels)
        ]
        if len(records) < options.n:
            raise InputError(f"{options.labelled} holds {len(records)} crystals with both labels")
        rng = np.random.default_rng(options.seed)
        chosen = [records[i] for i in rng.choice(len(records), options.n, replace=False)]
        relaxations = relax_all(
            {i: record.crystal for i, record in enumerate(chosen)},
            options.work,
            potential=options.potential,
            workers=options.workers,
            report=progress("relaxed"),
        )
        rows = tuple(relaxed_structure(f"{i}", relaxation) for i, relaxation in relaxations.items())
        judged = assess_stability(RelaxedSet(potential.name, potential.scale, rows), hull)
        errors: dict[str, list[float]] = {name: [] for name in BARS}
        for record, one in zip(chosen, judged, strict=True):
            if one.position is None or one.position.above_hull is None:
                continue
            found = (one.position.formation_energy, one.position.above_hull)
            for name, value in zip(BARS, found, strict=True):
                assert value is not None
                errors[name].append(value - record.labels[name])
        above = [j.position.above_hull for j in judged if j.position is not None]
        near = sum(value is not None and value < METASTABLE_EV_PER_ATOM for value in above)
        return {
            "crystals": options.n,
            "judged": len(errors["e_above_hull"]),
            "outcomes": dict(Counter(r.outcome.name for r in relaxations.values())),
            "mean_steps": rounded(float(np.mean([r.steps for r in relaxations.values()])), 2),
            "relaxation_seconds": round(sum(r.seconds for r in relaxations.values()), 1),
            "errors_ev_per_atom": {
                name: {
                    "mean_absolute": rounded(float(np.abs(values).mean())),
                    "median_absolute": rounded(float(np.median(np.abs(values)))),
                    "mean": rounded(float(np.mean(values))),
                    "largest": rounded(float(np.abs(values).max())),
                    "mean_absolute_at_most": BARS[name],
                    "met": bool(np.abs(values).mean() <= BARS[name]),
                }
                for name, values in errors.items()
            },
            "shares": {f"below {METASTABLE_EV_PER_ATOM:g} eV/atom": share(near, options.n)},
            "proof_ev_per_atom": {
                name: [rounded(potential.energy(crystal) / len(crystal), 5), expected]
                for name, crystal, expected in potential.known_energies
            },
            "potential": potential.name,
            "hull": hull.summary(),
            "limits": vars(PAPER_LIMITS),
        }

    return write_result(
        options.out,
        measured,
        script=__file__,
        arguments=arguments,
        packages=("ase", "matgl", "torch", "scipy"),
        data=[options.labelled],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
