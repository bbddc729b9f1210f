"""The measurements of questions about crystals, on a few crystals that can be counted by hand."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crystext.io.write import write_crystals
from crystext.structures.crystal import Crystal
from evaluation.measure import cif_tasks, llamat_peers
from tests.example_crystals import NACL, SRTIO3
from tests.instructions import records


def generated(crystal: Crystal) -> dict[str, str]:
    return {
        "lengths": str(crystal.lengths.tolist()),
        "angles": str(crystal.angles.tolist()),
        "species": str(crystal.symbols),
        "coords": str(crystal.positions.tolist()),
    }


def test_generated_crystals_are_counted_over_all_rows(tmp_path: Path) -> None:
    right = generated(NACL)
    rows = [
        right,
        {**right, "species": right["species"].replace("Cl", "Br")},
        {**right, "species": right["species"].replace("Cl", "Xx")},
        {**right, "angles": "[]"},
        {**right, "lengths": "[0.4, 0.4, 0.4]"},
    ]
    path, table = tmp_path / "rows.csv.gz", tmp_path / "test.parquet"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(right))
        writer.writeheader()
        writer.writerows(rows)
    targets = {
        "pretty_formula": ["NaCl"] * 5,
        "spacegroup.number": [225] * 5,
        "cif": [NACL.structure.to(fmt="cif")] * 5,
    }
    pq.write_table(pa.table(targets), table)
    report = llamat_peers.measured(path, table)
    counts = {name: row["count"] for name, row in report["shares"].items()}
    assert report["not_read"] == {"unknown element": 1, "broken": 1}
    assert (counts["read"], counts["right formula"], counts["right elements"]) == (3, 2, 2)
    assert counts["right formula, structurally valid"] == 1
    assert counts["right formula and space group, structurally valid"] == 1
    assert report["by_crystal_system"]["cubic"]["rows"] == 5
    ceiling = report["ceiling"]["right space group of test crystals as printed"]
    assert ceiling["share"] == 1
    assert report["difference_from_published"]["formula"] == round(0.2 - 0.7908, 4)
    assert llamat_peers.misses(report)


def test_the_oracle_is_right_about_every_question(tmp_path: Path) -> None:
    entries = [(x.name, x.require_crystal()) for x in records()[:10]]
    write_crystals([*entries, ("SrTiO3", SRTIO3)], tmp_path / "table.parquet", "parquet")
    report = cif_tasks.measured([tmp_path / "table.parquet"], None, 0)
    assert not cif_tasks.misses(report)
    assert len(report["scores"]) == 14
    assert report["scores"]["space_group"]["always P1"]["as_published"] == {"exact": 1.0}
    assert report["scores"]["same_atom"]["always Yes"]["corrected"]["balanced_accuracy"] == 0.5
    assert sum(report["build"]["crystals"].values()) == 11
    report["scores"]["atom_count"]["oracle"]["corrected"]["accuracy"] = 0.9
    assert cif_tasks.misses(report)
