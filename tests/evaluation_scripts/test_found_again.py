"""Whether known ground states are found again, where one training crystal has the prototype."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.io.write import cif
from crystext.structures.crystal import Crystal
from evaluation.measure.found_again import Text, compare, main, summarize
from tests.example_crystals import NACL, QUARTZ, SRTIO3, crystal

CSCL = crystal([3.4] * 3, [90] * 3, [("Na", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5])])
SMALL_SALT = crystal([3.99] * 3, [60] * 3, [("Na", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5])])


def perovskite(length: float, x: int, a: int) -> Crystal:
    return Crystal(np.full(3, length), SRTIO3.angles, np.array([x, x, x, 22, a]), SRTIO3.positions)


CATIO3, CATIF3 = perovskite(3.84, 8, 20), perovskite(3.9, 9, 20)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Strontium titanate to find, and calcium titanate to find it from."""
    rows = [("Sr", SRTIO3, 0.0), ("Ca", CATIO3, 0.0), ("F", CATIF3, 0.2), ("Si", QUARTZ, 0.0)]
    table = {
        "material_id": [name for name, _, _ in rows],
        "cif": [cif(each, name) for name, each, _ in rows],
        "e_above_hull": [above for _, _, above in rows],
    }
    pq.write_table(pa.table(table), tmp_path / "known.parquet")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "CaTiO3.cif").write_text(cif(CATIO3, "CaTiO3"))
    options = ("--n", 1, "--draws", 6, "--training", tmp_path / "training")
    folders = ("--work", tmp_path / "work", "--out", tmp_path / "out.json")
    return [str(tmp_path / "known.parquet"), *map(str, options + folders)]


def test_a_ground_state_is_found_by_an_exchange_of_a_training_crystal(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    # Of the stable crystals of three elements, one is in the training set.
    assert (report["crystals"], report["stable_ternaries"]) == (4, 2)
    (system,) = report["systems"]
    assert (system["target"], system["system"]) == ("Sr", "O-Sr-Ti")
    assert system["texts"] == {"draws": 6, "exchanges": 1}
    assert system["matches"]["exchanges"] == 1
    assert report["shares"]["found by exchanges"]["count"] == 1
    assert report["shares"]["prototype in training"]["count"] == 1
    assert report["median_rank"] == system["rank"] <= system["different_crystals"] <= 7
    # A system that is done is read: it may say anything.
    (part,) = (tmp_path / "work").glob("*_*.json")
    part.write_text(json.dumps(system | {"rank": 77}))
    assert main(arguments) == 0
    assert json.loads((tmp_path / "out.json").read_text())["median_rank"] == 77
    capsys.readouterr()
    assert main([*arguments, "--draws", "7"]) == 2
    assert "with other draws" in capsys.readouterr().err
    assert main([*arguments, "--n", "2"]) == 2
    assert "has 1 systems" in capsys.readouterr().err


def test_the_most_probable_match_has_the_rank() -> None:
    texts = [
        Text("draws", -9.0, SMALL_SALT),
        Text("draws", -5.0, CSCL),
        Text("draws", -6.0, CSCL),
        Text("exchanges", -7.0, NACL),
        Text("draws", -1.0, None),
        Text("draws", -8.0, SRTIO3),
    ]
    found = compare(texts, NACL)
    assert found["matches"] == {"draws": 1, "exchanges": 1}
    assert found["different_crystals"] == 3
    assert found["texts_of_the_formula"] == 4
    assert found["rank"] == 2
    missed = compare(texts, QUARTZ)
    assert missed["matches"] == {"draws": 0, "exchanges": 0}
    assert missed["rank"] is None


def part(draws: int, exchanges: int, rank: int | None, *, old: bool) -> dict[str, object]:
    return {
        "prototype_in_training": old,
        "texts": {"draws": 9, "exchanges": 4},
        "matches": {"draws": draws, "exchanges": exchanges},
        "strict_matches": {"draws": 0, "exchanges": exchanges},
        "different_crystals": 5,
        "rank": rank,
        "cpu_s": {"draws": 1.0, "exchanges": 0.5, "comparisons": 0.25},
    }


def test_ways_are_counted_by_system() -> None:
    parts = [
        part(3, 0, 2, old=True),
        part(1, 2, 4, old=True),
        part(0, 1, 9, old=False),
        part(0, 0, None, old=False),
    ]
    report = summarize(parts)
    assert {name: row["count"] for name, row in report["shares"].items()} == {
        "found": 3,
        "found by draws": 2,
        "found by exchanges": 2,
        "found by draws only": 1,
        "found by exchanges only": 1,
        "prototype in training": 2,
    }
    assert report["shares_under_pymatgen_tolerances"]["found"]["count"] == 2
    assert report["shares_by_prototype"]["found, prototype in training"]["share"] == 1
    assert report["shares_by_prototype"]["found, new prototype"]["share"] == 0.5
    assert report["median_rank"] == 4
    assert report["cpu_s"] == {"draws": 4.0, "exchanges": 2.0, "comparisons": 1.0}
    assert np.isclose(report["shares"]["found"]["interval_95"][0], 0.3006)
