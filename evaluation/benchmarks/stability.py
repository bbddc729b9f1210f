"""Relax what a run of `crystext sample` drew, and measure how far above the hull it lies.

    python evaluation/benchmarks/stability.py RUN_DIR --n 500 --potential M3GNET_FOLDER \
        --workers 2 --out evaluation/results/shipped_stability.json

All of the first n attempts count, those included that are no crystal or cannot be relaxed. What is
relaxed is kept in `--work` (RUN_DIR/relaxations); killed at any moment, the same command goes on.
Beside the report, OUT with the ending .jsonl holds one line per attempt.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reports import Report, origin, progress, publish, read_attempts, rounded, share

from crystext.energies.hull import Hull
from crystext.energies.hull_sources import open_hull
from crystext.energies.potential import Potential
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import PAPER_LIMITS, Relaxation
from crystext.energies.relaxation_run import relax_all
from crystext.energies.stability import METASTABLE_EV_PER_ATOM, STABLE_EV_PER_ATOM
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.text import Decoded


def row(
    index: int, attempt: Decoded, relaxation: Relaxation | None, hull: Hull, potential: Potential
) -> Report:
    """Return what is known of one attempt."""
    if attempt.crystal is None or relaxation is None:
        assert attempt.failure is not None
        return {"index": index, "outcome": attempt.failure.name}
    found: Report = {
        "index": index,
        "formula": reduced_formula(attempt.crystal.numbers),
        "atoms": len(attempt.crystal),
        "outcome": relaxation.outcome.name,
        "steps": relaxation.steps,
        "seconds": relaxation.seconds,
    }
    relaxed, energy = relaxation.crystal, relaxation.energy
    if relaxed is not None and energy is not None:
        position = hull.place(relaxed, energy, potential.scale)
        found |= {
            "energy_ev_per_atom": rounded(energy / len(relaxed), 5),
            "formation_energy_ev_per_atom": rounded(position.formation_energy, 5),
            "e_above_hull_ev_per_atom": rounded(position.above_hull, 5),
        }
        if position.unknown_elements:
            found["unknown_elements"] = list(position.unknown_elements)
    return found


def summary(rows: Sequence[Report]) -> Report:
    """Return the shares of all attempts."""
    n = len(rows)

    def below(limit: float) -> list[Report]:
        found = [(row, row.get("e_above_hull_ev_per_atom")) for row in rows]
        return [row for row, energy in found if energy is not None and energy < limit]

    metastable, stable = below(METASTABLE_EV_PER_ATOM), below(STABLE_EV_PER_ATOM)
    relaxed = [r for r in rows if "energy_ev_per_atom" in r]
    return {
        "attempts": n,
        "denominator": "all attempts, those included that are no crystal or were not relaxed",
        "shares": {
            "below 0.1 eV/atom": share(len(metastable), n),
            "below 0 eV/atom": share(len(stable), n),
            "formulas below 0.1 eV/atom": share(len({r["formula"] for r in metastable}), n),
            "formulas below 0 eV/atom": share(len({r["formula"] for r in stable}), n),
            "relaxed": share(len(relaxed), n),
            "unknown, an element is not in the hull": share(
                sum("unknown_elements" in r for r in rows), n
            ),
        },
        "outcomes": {
            name: share(count, n)
            for name, count in Counter(r["outcome"] for r in rows).most_common()
        },
        "median_steps": sorted(r["steps"] for r in relaxed)[len(relaxed) // 2] if relaxed else None,
        "relaxation_seconds": round(sum(r.get("seconds", 0.0) for r in rows), 1),
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--n", type=int, default=500, help="attempts, from the first")
    parser.add_argument("--potential", default="m3gnet", help="a name, or a folder")
    parser.add_argument("--hull", default="mp2020", help="as of `crystext hull`")
    parser.add_argument("--work", type=Path, help="folder of relaxations; RUN_DIR/relaxations")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)

    def measured() -> Report:
        hull, potential = open_hull(options.hull), load_potential_once(options.potential)
        hull.check_comparable(potential.name, potential.scale)
        attempts = read_attempts(options.run / "attempts.jsonl", options.n)
        crystals: dict[int, Crystal] = {
            i: a.crystal for i, a in enumerate(attempts) if a.crystal is not None
        }
        relaxations = relax_all(
            crystals,
            options.work or options.run / "relaxations",
            potential=options.potential,
            workers=options.workers,
            report=progress("relaxed"),
        )
        rows = [row(i, a, relaxations.get(i), hull, potential) for i, a in enumerate(attempts)]
        lines = "".join(json.dumps(r) + "\n" for r in rows)
        options.out.with_suffix(".jsonl").write_text(lines, encoding="utf-8")
        return {
            **summary(rows),
            "potential": potential.name,
            "energies": potential.scale.value,
            "hull": hull.summary(),
            "limits": vars(PAPER_LIMITS),
        }

    made = origin(__file__, arguments, ("ase", "matgl", "torch", "scipy"))
    return publish(options.out, measured, made)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
