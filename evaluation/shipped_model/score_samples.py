"""Score the samples of a run by a potential, for a recipe with rewards.

    crystext sample --n 40000 --seed 1 --coordinate-temperature 0.2 --out samples
    python -m evaluation.shipped_model.score_samples samples mp2019 --hull hull \
        --potential FOLDER --out scores.parquet
    crystext train reward-shipped data=mp2019 rewards.samples=samples \
        rewards.tables=scores.parquet --out rewarded

A sample is placed on the hull of the store's crystals that have energies, as it was drawn: this is
one calculation, and a relaxation is thirty. Its reward falls from 0.5 to -0.5 with the energy above
that hull, half of it around 0.12 eV/atom, half evenly up to 0.5; two atoms closer than 0.75 of
their covalent radii, or one without a neighbour, cost 0.3. Samples far below the hull get no
reward: the potential errs there.

`--hull` is a folder of which the elements' energies are used, and nothing else.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from crystext.data.store import read_store
from crystext.errors import CrystextError, InputError
from crystext.evaluate.samples import read_samples
from crystext.metrics.contact_distances import contact_ratio, has_isolated_atom
from crystext.structures.crystal import Crystal
from evaluation.shipped_model.select_low_energy import above_hull, hull_of_labels

LEAST = -0.25
"""eV/atom; what lies further below the hull of the training crystals, the potential got wrong."""

MIDDLE, WIDTH, MOST = 0.12, 0.05, 0.5
"""eV/atom above the hull: where half of the reward is lost, over what range, and where all is."""

PENALTY, SHORTEST = 0.3, 0.75
"""What a fault of the geometry costs, and the shortest contact, in sums of covalent radii."""


def reward(crystal: Crystal, above: float | None) -> float | None:
    """Return the reward of a sample; None where the potential has no answer to trust.

    Args:
        crystal: as it was drawn.
        above: its energy above the hull, in eV/atom.
    """
    if above is None or not math.isfinite(above) or above < LEAST:
        return None
    near = 0.5 / (1 + math.exp(min((above - MIDDLE) / WIDTH, 50.0)))
    far = 0.5 * min(max(above, 0.0), MOST) / MOST
    is_faulty = contact_ratio(crystal) < SHORTEST or has_isolated_atom(crystal)
    return near - far - (PENALTY if is_faulty else 0.0)


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("samples", type=Path, help="folder of crystext sample")
    parser.add_argument("store", type=Path, help="folder of crystext data prepare, with energies")
    parser.add_argument("--hull", type=Path, required=True)
    parser.add_argument("--potential", default="m3gnet")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True, help="Parquet table")
    given = parser.parse_args(arguments)
    try:
        if given.out.exists():
            raise InputError(f"{given.out} is there already; give another --out")
        read = read_samples(given.samples).samples
        crystals = {i: x.crystal for i, x in enumerate(read) if x.crystal is not None}
        hull = hull_of_labels(read_store(given.store, "train"), given.hull)
        above = above_hull(crystals, hull, given.potential, given.workers)
        rewards = {i: reward(crystal, above.get(i)) for i, crystal in crystals.items()}
        write_scores(given.out, [x.name for x in read], above, rewards)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    scored = sum(x is not None for x in rewards.values())
    print(f"{scored:,} of {len(read):,} samples have a reward: {given.out}")
    return 0


def write_scores(
    path: Path,
    names: Sequence[str],
    above: dict[int, float | None],
    rewards: dict[int, float | None],
) -> None:
    """Write a row for each sample, with nothing where it has no energy or no reward."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "name": pa.array(names, pa.string()),
        "e_above_hull_ev_per_atom": pa.array(
            [above.get(i) for i in range(len(names))], pa.float64()
        ),
        "reward": pa.array([rewards.get(i) for i in range(len(names))], pa.float64()),
    }
    pq.write_table(pa.table(columns), path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
