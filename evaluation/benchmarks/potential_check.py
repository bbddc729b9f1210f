"""Compare the potential, corrections and hull with labels of Materials Project.

    python evaluation/benchmarks/potential_check.py mp20_test.parquet --n 24 \
        --potential M3GNET_FOLDER --hull HULL_FOLDER --out evaluation/results/potential_check.json

Crystals drawn at random from the file are relaxed; their formation energies and energies above the
hull are held against the columns `formation_energy_per_atom` and `e_above_hull`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from reports import Report, origin, progress, publish, read_records, rounded, share

from crystext.energies.campaign import relax_all
from crystext.energies.hull import load_hull
from crystext.energies.potential import M3GNET
from crystext.errors import InputError


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path, metavar="TABLE")
    parser.add_argument("--n", type=int, default=24, help="crystals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--potential", default=M3GNET, help="folder, or a name on the Hub")
    parser.add_argument("--hull", type=Path, required=True, help="folder of hull and references")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)

    def measured() -> Report:
        hull = load_hull(options.hull)
        records = [
            record
            for record in read_records(options.labelled)
            if {"formation_energy", "e_above_hull"} <= set(record.labels)
        ]
        if len(records) < options.n:
            raise InputError(f"{options.labelled} holds {len(records)} crystals with both labels")
        rng = np.random.default_rng(options.seed)
        chosen = [records[i] for i in rng.choice(len(records), options.n, replace=False)]
        with tempfile.TemporaryDirectory() as folder:
            relaxations = relax_all(
                {i: record.crystal for i, record in enumerate(chosen)},
                Path(folder),
                potential=options.potential,
                workers=options.workers,
                report=progress("relaxed"),
            )
        formation, above, energies = [], [], []
        for record, relaxation in zip(chosen, relaxations.values(), strict=True):
            crystal, energy = relaxation.crystal, relaxation.energy
            if crystal is None or energy is None:
                continue
            e_form, e_hull = hull.formation_energy(crystal, energy), hull.above(crystal, energy)
            if e_form is None or e_hull is None:
                continue
            formation.append(abs(e_form - record.labels["formation_energy"]))
            above.append(abs(e_hull - record.labels["e_above_hull"]))
            energies.append(e_hull)
        return {
            "crystals": options.n,
            "judged": len(energies),
            "outcomes": dict(Counter(r.outcome.name for r in relaxations.values())),
            "mean_steps": rounded(float(np.mean([r.steps for r in relaxations.values()])), 2),
            "formation_energy_mae_ev_per_atom": rounded(float(np.mean(formation))),
            "e_above_hull_mae_ev_per_atom": rounded(float(np.mean(above))),
            "shares": {
                "below 0.1 eV/atom": share(sum(e < 0.1 for e in energies), options.n),
            },
            "potential": M3GNET,
            "hull": list(hull.sources),
        }

    made = origin(__file__, arguments, ("ase", "matgl", "torch", "scipy"))
    return publish(options.out, measured, made)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
