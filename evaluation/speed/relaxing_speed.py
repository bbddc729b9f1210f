"""Relax the crystals of a run one by one and together, on one core, and compare ends and times.

    python -m evaluation.speed.relaxing_speed run --potential FOLDER --n 100 \
        --out relaxing_speed.json

Both ways take the same steps but for rounding. Where a crystal starts on a saddle, as crystals of
exact symmetry may, rounding decides on which side it goes down, and so where it ends.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from crystext.energies.batched_relaxation import relax_batched
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import RelaxationOutcome, relax
from crystext.errors import InputError
from crystext.evaluate.samples import read_samples
from evaluation.result_file import Report, rounded, share, write_result

SAME = 1e-3
"""eV/atom; ends that are no further apart count as one."""


def compared(run: Path, potential: str, n: int) -> Report:
    """Relax the first n crystals in both ways."""
    attempts = read_samples(run, n).samples
    crystals = [attempt.crystal for attempt in attempts if attempt.crystal is not None]
    found = load_potential_once(potential)
    if found.evaluate is None:
        raise InputError(f"the potential {found.name} calculates one crystal at a time")
    started = time.perf_counter()
    alone = [relax(crystal, found.calculator, cutoff=found.cutoff) for crystal in crystals]
    seconds_alone = time.perf_counter() - started
    started = time.perf_counter()
    together = relax_batched(crystals, found.evaluate, max_atoms=found.at_once, cutoff=found.cutoff)
    seconds_together = time.perf_counter() - started
    differences = np.array(
        [
            abs(one.energy - other.energy) / len(crystal)
            for one, other, crystal in zip(alone, together, crystals, strict=True)
            if one.energy is not None and other.energy is not None
        ]
    )
    steps = [sum(r.steps + 1 for r in way) for way in (alone, together)]
    return {
        "potential": found.name,
        "crystals": len(crystals),
        "mean_atoms": rounded(float(np.mean([len(crystal) for crystal in crystals])), 2),
        "atoms_at_once": found.at_once,
        "seconds": {
            "alone": rounded(seconds_alone, 1),
            "together": rounded(seconds_together, 1),
        },
        "milliseconds_a_step": {
            "alone": rounded(1e3 * seconds_alone / steps[0], 2),
            "together": rounded(1e3 * seconds_together / steps[1], 2),
        },
        "ratio_a_step": rounded(seconds_alone / steps[0] / (seconds_together / steps[1]), 2),
        "mean_steps": {
            "alone": rounded(steps[0] / len(crystals) - 1, 1),
            "together": rounded(steps[1] / len(crystals) - 1, 1),
        },
        "shares": {
            "ends within 1 meV/atom": share(int((differences <= SAME).sum()), len(differences)),
            **{
                f"converged, {name}": share(
                    sum(r.outcome is RelaxationOutcome.CONVERGED for r in way), len(way)
                )
                for name, way in (("alone", alone), ("together", together))
            },
        },
        "median_difference_ev_per_atom": float(np.median(differences)),
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run of crystext sample")
    parser.add_argument("--potential", default="m3gnet")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    return write_result(
        given.out,
        lambda: compared(given.run, given.potential, given.n),
        script=__file__,
        arguments=arguments,
        packages=("torch", "matgl", "ase"),
        data=[given.run],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
