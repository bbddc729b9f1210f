"""Make what the predictor's training set has more than the generator's: energies, and crystals.

    python -m evaluation.shipped_model.build_predictor_set --published mp20_train92.parquet \
        --published mpts52_val.csv.gz --members mp2019_le20.parquet --energies energies.jsonl \
        --draws draws --relaxed relaxed --judged run --references ELEMENTS.json.gz \
        --out crystext/data/sets/predictor.parquet

Of the training set's crystals, 13,836 have no published energy under their own id. They get, in
this order (column `origin`):

    published   the energies of a crystal that is the same by StructureMatcher (`--published`)
    estimated   M3GNet's formation energy (`calculate_energies`), and an energy above the hull by
                `estimated_energies`, from what is published for crystals of their kind: those in
                MP-20's training split (`in_mp20_train` of `--members`), and all others, which
                MP-20 left out, mostly for lying more than 0.08 eV/atom above the hull

Crystals are added:

    published   those of `--published` that equal no training crystal
    drawn       the model's own samples (`--draws`, at a seed of their own) as they are drawn, with
                the energies that M3GNet finds after relaxing them (`--relaxed`), on the hull of
                the training set alone

No label of MP-20's validation or test split is used, and no table of hull points.
What matches one of their crystals, or one of the samples on which the predictor is
judged (`--judged`), is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crystext.data.shipped import METADATA_KEY, TRAINING_SET, read_shipped_set, shipped_set
from crystext.data.store import build_dataset
from crystext.energies.corrections import corrected_energy
from crystext.energies.hull_folder import read_references
from crystext.energies.relaxation_files import RelaxedStructure, read_relaxed
from crystext.errors import CrystextError
from crystext.evaluate.samples import read_samples
from crystext.io.read import read_crystals
from crystext.metrics.novelty import find_matches
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.matching import PYMATGEN_TOLERANCES
from crystext.structures.record import Record
from evaluation.shipped_model.build_reference_sets import write_crystal
from evaluation.shipped_model.calculate_energies import energy_file
from evaluation.shipped_model.estimated_energies import (
    element_correction,
    element_fractions,
    formation_energies,
    heights_above,
    hull_of,
    quantiles_in_order,
)
from evaluation.sources import crystal_of_p1_cif

MOST_ATOMS = 20

MP20_LIMIT = 0.08
"""eV/atom above the hull up to which MP-20 has crystals."""

HIGHEST = 0.5
"""eV/atom above the hull: published crystals above it are not added, all else counts as it, and
samples above it have no formation energy."""


HIGHEST_FORMATION_ENERGY = 0.6
"""eV/atom: estimates above it are left out. The answers would spread over what is no crystal."""

STOPS_AT_MP20S_LIMIT = "members"
"""Mark of published crystals of a table without any above 0.08 eV/atom: it does not say how far
the crystals lie that MP-20 left out."""


class Row(NamedTuple):
    """A row of the file."""

    material_id: str
    text: str | None
    """None: the labels are those of a crystal of the training set."""
    formation_energy_per_atom: float | None
    band_gap: float | None
    e_above_hull: float
    origin: str


@dataclass(frozen=True)
class Scale:
    """What turns a potential's energies into formation energies, and those into heights."""

    references: Mapping[str, float]
    per_element: Floats

    def formation_energies(self, crystals: Sequence[Crystal], energies: Floats) -> Floats:
        """Return corrected formation energies in eV/atom of energies in eV/atom."""
        found = formation_energies(crystals, energies, self.references)
        return np.asarray(found + element_fractions(crystals) @ self.per_element)


def labels_of(records: Sequence[Record], name: str) -> Floats:
    """Return a label of records, nan where unknown."""
    return np.array([float(record.labels.get(name, np.nan)) for record in records])


def published_crystals(path: Path, known: set[str]) -> list[Record]:
    """Return the crystals of a table with both energies whose ids are not known."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        table = table[~table.matches_heldout & ~table.material_id.isin(known)]
        found = [
            Record(
                crystal_of_p1_cif(row.cif),
                {
                    "formation_energy": row.formation_energy_per_atom,
                    "e_above_hull": row.e_above_hull,
                    "band_gap": row.band_gap,
                },
                row.material_id,
            )
            for row in table.itertuples()
        ]
    else:
        found = [r for r in read_crystals(path) if r.crystal is not None and r.name not in known]
    both = np.isfinite(labels_of(found, "e_above_hull") + labels_of(found, "formation_energy"))
    kept = [
        record
        for record, has_both in zip(found, both, strict=True)
        if has_both and len(record.require_crystal()) <= MOST_ATOMS
    ]
    stops = labels_of(kept, "e_above_hull").max() <= MP20_LIMIT
    return [replace(x, split=STOPS_AT_MP20S_LIMIT if stops else "") for x in kept]


def matches(records: Sequence[Record], others: Sequence[Record], *, strict: bool = False) -> Any:
    """Return for each record the index of the first of others that it equals, -1 if none.

    Args:
        records: with crystals.
        others: with crystals.
        strict: whether with pymatgen's own tolerances, and not with DiffCSP's, which are wider.
    """
    crystals = [record.require_crystal() for record in records]
    dataset = build_dataset([Record(record.require_crystal()) for record in others])
    tolerances = {"tolerances": PYMATGEN_TOLERANCES} if strict else {}
    found = find_matches(crystals, dataset, workers=os.cpu_count() or 1, **tolerances)
    return np.array([-1 if i is None else i for i in found], dtype=int)


def estimated_above_hull(
    train: Sequence[Record], formation: Floats, members: Any, published: Mapping[int, Record],
    references: Mapping[str, float],
) -> Floats:  # fmt: skip
    """Return estimated energies above the hull of the crystals without any label, else nan.

    Args:
        train: with labels.
        formation: their formation energies.
        members: (N,) whether a crystal is in MP-20's training split.
        published: equals of unlabelled crystals by their indices.
        references: energies of the elements.
    """
    crystals = [record.require_crystal() for record in train]
    above = labels_of(train, "e_above_hull")
    unlabelled = np.isnan(above)
    hull = hull_of(crystals, labels_of(train, "formation_energy") - above, references)
    order, evidence = heights_above(crystals, np.where(unlabelled, formation, np.nan), hull)
    covered, found = np.array(evidence), np.full(len(train), np.nan)
    for is_member in (True, False):
        kind = unlabelled & (members == is_member)
        known = labels_of(
            [
                x for i, x in published.items()
                if kind[i] and (is_member or x.split != STOPS_AT_MP20S_LIMIT)
            ],
            "e_above_hull",
        )  # fmt: skip
        print(f"{kind.sum():,} of {is_member=}, {len(known):,} of them published:",
              np.quantile(known, [0.05, 0.25, 0.5, 0.75, 0.95]).round(3))  # fmt: skip
        for of_evidence in sorted(set(evidence)):
            chosen = np.flatnonzero(kind & (covered == of_evidence))
            found[chosen] = quantiles_in_order(order[chosen], known)
    return found


def drawn_rows(
    pairs: Sequence[tuple[Record, RelaxedStructure]], formation: Floats, above: Floats
) -> Iterator[Row]:
    """Yield the rows of samples, as drawn, with the energies after relaxing."""
    for (draw, _), energy, high in zip(pairs, formation, above, strict=True):
        if np.isfinite(high):
            (text,) = draw.texts.values()
            height = float(np.clip(high, 0, HIGHEST))
            known = _formation_energy(energy) if height < HIGHEST else None
            yield Row(f"draw-{draw.name}", text, known, None, height, "drawn")


def relaxed_draws(
    draws: Path, relaxed: Path, unwanted: Sequence[Record]
) -> tuple[list[tuple[Record, RelaxedStructure]], Floats]:
    """Return samples with their relaxed structures, and corrected energies in eV/atom.

    Args:
        draws: a run of `crystext sample`.
        relaxed: the folder of `crystext relax` of it.
        unwanted: a sample that equals one of these before or after relaxing is left out.
    """
    by_name = {x.name: x for x in read_samples(draws).samples if x.crystal is not None}
    found = read_relaxed(relaxed)
    pairs = [
        (by_name[x.name], x)
        for x in found.structures
        if x.crystal is not None and x.energy is not None and x.name in by_name
    ]
    seen = (matches([a for a, _ in pairs], unwanted) >= 0) | (
        matches([b for _, b in pairs], unwanted) >= 0
    )
    print(f"{len(pairs):,} relaxed samples, {seen.sum():,} of them equal to what is held out")
    kept = [pair for pair, is_seen in zip(pairs, seen, strict=True) if not is_seen]
    energies = [
        corrected_energy(x.require_crystal(), float(x.energy or 0), found.correction)
        / len(x.require_crystal())
        for _, x in kept
    ]
    return kept, np.array(energies)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the file."""
    numbers = ("formation_energy_per_atom", "band_gap", "e_above_hull")
    schema = pa.schema(
        [
            (name, pa.float32() if name in numbers else pa.string())
            for name in Row._fields
        ]
    )  # fmt: skip
    table = pa.Table.from_pylist([row._asdict() for row in rows], schema=schema)
    about = {
        "made by": "evaluation/shipped_model/build_predictor_set.py",
        "data": "Materials Project, CC BY 4.0, doi:10.1063/1.4812323; energies of M3GNet-MP-2021."
        "2.8-PES (matgl, BSD-3) and samples of the shipped model",
    }
    metadata = {METADATA_KEY: json.dumps(about, sort_keys=True).encode()}
    pq.write_table(
        table.replace_schema_metadata(metadata), path, compression="brotli", compression_level=11,
        use_dictionary=["origin"], use_byte_stream_split=list(numbers), write_statistics=False,
        data_page_size=2**26, row_group_size=2**20,
    )  # fmt: skip


def build(given: argparse.Namespace) -> list[Row]:
    """Return all rows."""
    train = list(read_shipped_set(shipped_set(TRAINING_SET)))
    held_out = [x for s in ("mp20_val", "mp20_test") for x in read_shipped_set(shipped_set(s))]
    above = labels_of(train, "e_above_hull")
    known = {x.name for x in held_out} | {
        x.name for x, e in zip(train, above, strict=True) if np.isfinite(e)
    }
    published = [x for path in given.published for x in published_crystals(path, known)]
    published = list({x.name: x for x in published}.values())
    free = matches(published, held_out) < 0
    published = [x for x, is_free in zip(published, free, strict=True) if is_free]
    print(f"{len(published):,} published with other ids, {np.sum(~free):,} equal to held-out ones")
    equal = matches(published, train, strict=True)
    by_index = {
        i: x for i, x in zip(equal, published, strict=True) if i >= 0 and np.isnan(above[i])
    }

    crystals = [record.require_crystal() for record in train]
    energies = dict(energy_file(given.energies))
    potential = np.array([energies.get(c.digest()) for c in crystals], dtype=float)
    references = read_references(given.references)
    published_energies = labels_of(train, "formation_energy")
    scale = Scale(
        references,
        element_correction(
            element_fractions(crystals),
            published_energies - formation_energies(crystals, potential, references),
        ),
    )
    formation = scale.formation_energies(crystals, potential)
    table = pd.read_parquet(given.members, columns=["id", "in_mp20_train"])
    outside = set(table.id[~table.in_mp20_train])
    estimated = estimated_above_hull(
        train,
        formation,
        np.array([record.name not in outside for record in train]),
        by_index,
        references,
    )
    rows = [_label(train[i], by_index.get(i), formation[i], estimated[i])
            for i in np.flatnonzero(np.isnan(above))]  # fmt: skip
    rows += [_added(x) for x, i in zip(published, equal, strict=True)
             if i < 0 and x.labels["e_above_hull"] <= HIGHEST]  # fmt: skip

    # Where it is estimated how far crystals lie above it, the hull lies that much lower.
    for row, i in zip(rows, np.flatnonzero(np.isnan(above)), strict=False):
        published_energies[i], above[i] = row.formation_energy_per_atom, row.e_above_hull
    hull = hull_of(crystals, published_energies - above, references)
    judged = [x for x in read_samples(given.judged).samples if x.crystal is not None]
    pairs, relaxed = relaxed_draws(given.draws, given.relaxed, [*held_out, *judged])
    structures = [structure.require_crystal() for _, structure in pairs]
    formation = scale.formation_energies(structures, relaxed)
    high, evidence = heights_above(structures, formation, hull)
    print(pd.Series(high).groupby(evidence).describe(percentiles=[0.1, 0.25, 0.5, 0.75, 0.9]))
    return [*rows, *drawn_rows(pairs, formation, high)]


def _label(record: Record, published: Record | None, formation: float, above: float) -> Row:
    if published is not None:
        labels = published.labels
        return Row(record.name, None, float(labels["formation_energy"]), None,
                   min(float(labels["e_above_hull"]), HIGHEST), "published")  # fmt: skip
    return Row(
        record.name, None, _formation_energy(formation), None, min(above, HIGHEST), "estimated"
    )


def _formation_energy(estimated: float) -> float | None:
    return float(estimated) if estimated <= HIGHEST_FORMATION_ENERGY else None


def _added(record: Record) -> Row:
    labels = record.labels
    gap = float(labels.get("band_gap", np.nan))
    return Row(
        record.name, write_crystal(record.require_crystal()).text,
        float(labels["formation_energy"]), gap if np.isfinite(gap) else None,
        float(labels["e_above_hull"]), "published",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--published", type=Path, action="append", required=True)
    for name in ("members", "energies", "draws", "relaxed", "judged", "references", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        rows = build(given)
        write_rows(given.out, rows)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    table = pd.DataFrame(rows)
    print(table.groupby(["origin", table.text.isna()]).e_above_hull.describe())
    print(f"{len(rows):,} rows, {given.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
