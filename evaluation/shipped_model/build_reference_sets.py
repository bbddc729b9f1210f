"""Make the sets of crystals that ship: the training set, and MP-20's test and validation splits.

    python -m evaluation.shipped_model.build_reference_sets --train mp2019_le20.parquet \
        --ids mp20_train92.parquet --test mp20_test.parquet --val mp20_val.parquet \
        --out crystext/data/sets

Each crystal is written by its symmetry, with more decimals than the model's texts have, so that
figures of an evaluation stay what they are with the original files. One that does not come back (no
match under pymatgen's StructureMatcher with its own tolerances, or another space group at 0.1 Å) is
written as a plain text of the published cell. The same tables and versions give the same bytes.

The training set's ids are those of matbench (`matbench_mp_gap`); the Materials Project's stand in
their place where `--ids` has a row of the same formula, formation energy and energy above the hull,
to the last digit, or of the same CIF.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crystext.data.shipped import (
    FINGERPRINT_COLUMN,
    FINGERPRINT_SCALE,
    LABEL_BY_COLUMN,
    METADATA_KEY,
    MISSING_FINGERPRINT,
    SHIPPED_SETS,
)
from crystext.data.standardize import MIN_LENGTH
from crystext.errors import InputError
from crystext.evaluate.stages.distributions import space_group_cache_name
from crystext.metrics.matminer.fingerprints import FINGERPRINT_METHOD, fingerprints
from crystext.metrics.space_group_distribution import NO_SPACE_GROUP
from crystext.structures.crystal import Crystal
from crystext.structures.matching import PYMATGEN_TOLERANCES, is_same, reduce_for_matching
from crystext.structures.space_groups import SYMPREC, find_space_group
from crystext.text import PLAIN, WYCKOFF, decode, encode
from crystext.text.coordinates import CoordinateFormat
from crystext.text.wyckoff import WyckoffFormat
from evaluation.sources import crystal_of_p1_cif

SYMMETRIC = WyckoffFormat("wyckoff", 4, 3, 5, title=WYCKOFF.title)
"""Format of the texts."""

WHOLE = CoordinateFormat("plain", 6, 5, 6, title=PLAIN.title)
"""Format of what a text by symmetry would change."""

LABELS = tuple(LABEL_BY_COLUMN)
ENERGIES = ("formation_energy_per_atom", "e_above_hull")


class Written(NamedTuple):
    """A crystal's text, and what it lost."""

    text: str
    reason: str
    """Why it is not in the Wyckoff format; empty if it is."""
    shortest: float
    """Cell length in Å of the primitive cell."""
    group: int
    """Space group that spglib finds in what is read, at 0.1 Å."""


def write(cif: str) -> Written:
    """Write the crystal of a CIF."""
    return write_crystal(crystal_of_p1_cif(cif))


def write_crystal(crystal: Crystal) -> Written:
    """Write a crystal by its symmetry, or in full where it would not come back."""
    warnings.simplefilter("ignore")
    try:
        text = encode(crystal, SYMMETRIC)
        read = decode(text).crystal
        assert read is not None
        # The text begins with the group that spglib found at 0.1 Å.
        reason = difference(crystal, int(text.partition("\n")[0]), read)
    except InputError as error:
        read, reason = crystal, str(error)
    if reason:
        text = encode(crystal, WHOLE)
    return written(text, reason, float(read.lengths.min()))


def written(text: str, reason: str, shortest: float) -> Written:
    """Return a text with the space group of the crystal that is read from it."""
    first = text.partition("\n")[0]
    # Of a text by symmetry that came back, spglib's is its own.
    found = int(first) if first.isdigit() else find_space_group(decode(text).crystal)
    return Written(text, reason, shortest, found or NO_SPACE_GROUP)


def difference(crystal: Crystal, group: int, read: Crystal) -> str:
    """Return why what is read is not the crystal of that space group; empty if it is."""
    if not is_same(
        PYMATGEN_TOLERANCES.matcher(), reduce_for_matching(crystal), reduce_for_matching(read)
    ):
        return "no match"
    found = find_space_group(read)
    return "" if found == group else f"space group {group} became {found}"


def project_ids(train: Any, known: Any) -> dict[str, str]:
    """Return ids of the Materials Project by those of matbench."""
    known = known[known.material_id.str.startswith(("mp-", "mvc-"))]
    keys = ["reduced_formula", *ENERGIES]
    labelled = train.dropna(subset=ENERGIES).merge(known.dropna(subset=ENERGIES), on=keys)
    equal = train.merge(known, on="cif")
    found: dict[str, str] = {}
    for pairs in (equal, labelled):
        # Of several rows that fit none is known to be it.
        for side in ("id", "material_id"):
            pairs = pairs[~pairs[side].duplicated(keep=False)]
        found |= dict(zip(pairs.id, pairs.material_id, strict=True))
    return found


def known(row: Any, labels: Sequence[str]) -> dict[str, float | None]:
    """Return the labels of a row, None where unknown."""
    return {x: None if row[x] != row[x] else row[x] for x in labels}


def write_set(
    path: Path, rows: list[dict[str, Any]], about: dict[str, Any], groups: Any, print_of: Any
) -> None:
    """Write a set, with columns of space groups and of fingerprints where they are given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields: list[Any] = [
        ("material_id", pa.string()),
        ("text", pa.string()),
        *(
            (x, pa.int16() if x == "spacegroup.number" else pa.float32())
            for x in LABELS
            if x in rows[0]
        ),
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema(fields))
    # Numbers of one kind lie together, which halves what they take.
    split = [name for name, kind in fields if kind == pa.float32()]
    if groups is not None:
        table = table.append_column(space_group_cache_name(SYMPREC), pa.array(groups, pa.int16()))
    if print_of is not None:
        scaled = np.where(
            np.isfinite(print_of), np.rint(print_of * FINGERPRINT_SCALE), MISSING_FINGERPRINT
        ).astype(np.int16)
        column = pa.FixedSizeListArray.from_arrays(pa.array(scaled.ravel()), scaled.shape[1])
        table = table.append_column(FINGERPRINT_COLUMN, column)
        about = {**about, "fingerprints": FINGERPRINT_METHOD}
    metadata = {METADATA_KEY: json.dumps(about, sort_keys=True, ensure_ascii=False).encode()}
    pq.write_table(
        table.replace_schema_metadata(metadata), path, compression="brotli", compression_level=11,
        use_dictionary=False, use_byte_stream_split=split, write_statistics=False,
        data_page_size=2**26, row_group_size=2**20,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all three."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("train", "ids", "test", "val", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", choices=SHIPPED_SETS, help="one of them")
    asked = parser.parse_args(arguments)
    train = pd.read_parquet(asked.train)
    train = train[~train.matches_heldout]
    ids = project_ids(train, pd.read_parquet(asked.ids))
    train = train.assign(material_id=[ids.get(name, name) for name in train.id])
    tables = {"mp20_test": pd.read_parquet(asked.test), "mp20_val": pd.read_parquet(asked.val),
              "shipped": train}  # fmt: skip
    asked.out.mkdir(parents=True, exist_ok=True)
    lost: dict[str, Any] = {}
    for name, table in tables.items():
        if asked.only not in (None, name):
            continue
        with ProcessPoolExecutor(asked.workers) as pool:
            written_rows = list(pool.map(write, table.cif, chunksize=50))
        labels = [x for x in LABELS if x in table.columns]
        rows = [
            {"material_id": row["material_id"], "text": one.text, **known(row, labels)}
            for one, (_, row) in zip(written_rows, table.iterrows(), strict=True)
            if one.shortest >= MIN_LENGTH
        ]
        prints = groups = None
        if name != "shipped":
            groups = [one.group for one in written_rows]
        if name == "mp20_test":
            assert len(rows) == len(table)
            crystals = [crystal_of_p1_cif(cif) for cif in table.cif]
            prints = fingerprints(crystals, workers=asked.workers).structures
        reasons = [(r["material_id"], w.reason) for w, (_, r) in
                   zip(written_rows, table.iterrows(), strict=True) if w.reason]  # fmt: skip
        assert len(rows) == SHIPPED_SETS[name].n_crystals, f"{name}: {len(rows)}"
        about = {
            "made by": "evaluation/shipped_model/build_reference_sets.py",
            "data": "Materials Project, CC BY 4.0, doi:10.1063/1.4812323",
            "in full": len(reasons),
        }
        path = asked.out / SHIPPED_SETS[name].file
        write_set(path, rows, about, groups, prints)
        lost[name] = {"crystals": len(rows), "bytes": path.stat().st_size,
                      "project ids": sum(r["material_id"].startswith("m") and "-" in
                                         r["material_id"] for r in rows),
                      "in full": dict(reasons)}  # fmt: skip
        print(json.dumps({name: lost[name]}, indent=1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
