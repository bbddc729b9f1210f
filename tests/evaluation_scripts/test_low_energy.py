"""Training stores of crystals that a committee of potentials places low: copper and gold by EMT."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase.calculators.emt import EMT
from ase.calculators.mixing import LinearCombinationCalculator

from crystext.data.store import read_store, write_store
from crystext.energies.potential import Potential
from crystext.io.write.cif_text import cif
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record
from evaluation.shipped_model import add_self_generated, score_samples, select_low_energy
from tests.process_tasks import COPPER, emt

COMMITTEE = "tests.process_tasks:emt,tests.evaluation_scripts.test_low_energy:doubled"
ATOMS = {"Fe": 26, "Ni": 28, "Cu": 29, "Au": 79}


def doubled() -> Potential:
    """Return a potential by which energies are twice those of EMT."""
    calculator = LinearCombinationCalculator([EMT()], [2.0])
    known = tuple((name, crystal, 2 * energy) for name, crystal, energy in emt().known_energies)
    return replace(emt(), name="twice EMT", calculator=calculator, known_energies=known)


def cell(symbols: str, length: float) -> Crystal:
    """Return the cell of a face-centred cubic lattice with these four atoms."""
    numbers = np.array([ATOMS[symbol] for symbol in symbols.split()])
    return Crystal(np.full(3, length), np.full(3, 90.0), numbers, COPPER.positions)


@pytest.fixture
def hull(tmp_path: Path) -> Path:
    """Elements at zero, where EMT has them."""
    folder = tmp_path / "hull"
    folder.mkdir()
    entries = {x: {"energy": 0.0, "composition": {x: 1.0}, "correction": 0.0} for x in ATOMS}
    with gzip.open(folder / "x-elemental-reference-entries.json.gz", "wt") as file:
        json.dump(entries, file)
    # What else is in the folder is not used.
    points = {"reduced_formula": ["AuCu3"], "e_form_per_atom_hull_point": [-9.0]}
    pq.write_table(pa.table(points), folder / "hull_points_x.parquet")
    return folder


def names(store: Path, split: str = "train") -> list[str]:
    data = read_store(store, split)
    return [data[i].name for i in range(len(data))]


def test_a_crystal_is_selected_if_it_is_known_or_low_by_each_potential(
    tmp_path: Path, hull: Path
) -> None:
    unlabelled = {"formation_energy": np.nan, "e_above_hull": np.nan}
    labelled = {"formation_energy": -0.02, "e_above_hull": 0.0}
    lengths = {"as it is": 3.75, "low by one": 1.02 * 3.75, "high": 1.06 * 3.75}
    train = [Record(cell("Au Cu Cu Cu", x), unlabelled, name) for name, x in lengths.items()]
    train += [
        Record(cell("Cu Cu Cu Cu", 4.0), labelled, "known"),
        Record(cell("Au Cu Cu Cu", 4.5), labelled, "high, the ground state by its labels"),
    ]
    held_out = [Record(cell("Cu Cu Cu Cu", 3.6), unlabelled, "held out")]
    write_store(tmp_path / "first", {"train": train, "validation": held_out})
    more = [Record(cell("Cu Au Au Au", 3.95), unlabelled, "of the second store")]
    write_store(tmp_path / "second", {"train": more})
    table = {"id": ["known", "high"], "known": [True, False]}
    pq.write_table(pa.table(table), tmp_path / "table.parquet")
    options = ["--known", f"{tmp_path / 'table.parquet'}:known", "--hull", str(hull)]
    options += ["--potential", COMMITTEE, "--workers", "1", "--out", str(tmp_path / "low")]
    stores = [str(tmp_path / "first"), str(tmp_path / "second")]
    assert select_low_energy.main([*stores, *options]) == 0
    # 0.051 eV/atom by EMT, 0.082 by the other, where 0.07 is the most.
    assert names(tmp_path / "low") == ["as it is", "known", "of the second store"]
    assert names(tmp_path / "low", "validation") == ["held out"]


def test_a_store_without_energies_is_told(
    tmp_path: Path, hull: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_store(tmp_path / "store", {"train": [Record(COPPER)]})
    pq.write_table(pa.table({"id": ["x"], "known": [True]}), tmp_path / "table.parquet")
    options = ["--known", f"{tmp_path / 'table.parquet'}:known", "--hull", str(hull)]
    store = str(tmp_path / "store")
    assert select_low_energy.main([store, *options, "--out", str(tmp_path / "low")]) == 2
    assert "has no label formation_energy" in capsys.readouterr().err


def test_draws_are_added_that_are_new_and_low_by_each_potential_when_relaxed(
    tmp_path: Path, hull: Path
) -> None:
    labels = {"formation_energy": -0.02, "e_above_hull": 0.0, "space_group": 221.0}
    known = Record(cell("Au Cu Cu Cu", 3.75), labels, "known")
    write_store(tmp_path / "store", {"train": [known]})
    draws = {
        "known": cell("Au Cu Cu Cu", 3.7),
        "new": cell("Cu Au Au Au", 4.0),
        "repeated": cell("Cu Au Au Au", 3.97),
        "low by one": cell("Ni Au Au Au", 3.93),
        "of another space group": cell("Au Cu Cu Au", 3.87),
        "high": cell("Au Ni Ni Ni", 4.4),
    }
    (tmp_path / "draws").mkdir()
    for number, crystal in enumerate(draws.values()):
        (tmp_path / "draws" / f"{number}.cif").write_text(cif(crystal))
    store = str(tmp_path / "store")
    options = ["--not-in", store, "--hull", str(hull), "--potential", COMMITTEE]
    options += ["--work", str(tmp_path / "work"), "--workers", "1", "--out", str(tmp_path / "own")]
    assert add_self_generated.main([store, str(tmp_path / "draws"), *options]) == 0
    data = read_store(tmp_path / "own", "train")
    formulas = [reduced_formula(data[i].crystal.numbers) for i in range(len(data))]
    assert formulas == ["Cu3Au", "CuAu3"]
    # NiAu3 has 0.064 eV/atom by EMT, relaxed, and 0.128 by the other.
    assert data[1].crystal.lengths == pytest.approx(3.95, abs=0.02)
    assert data[1].labels["space_group"] == 221


def test_a_crystal_that_a_potential_does_not_know_ends_nothing_and_has_no_energy() -> None:
    unknown = Crystal(COPPER.lengths, COPPER.angles, np.full(4, 26), COPPER.positions)
    found = select_low_energy.energies("tests.process_tasks:emt", [COPPER, unknown, COPPER])
    assert np.isnan(found).tolist() == [False, True, False]
    assert found[0] == pytest.approx(found[2])


def test_the_kind_of_a_crystal_is_that_of_its_orbits_where_no_label_says_it() -> None:
    record = add_self_generated.record_of(COPPER, "copper")
    assert add_self_generated.kinds(replace(record, labels={})) == (225, "Cu")
    assert add_self_generated.kinds(replace(record, wyckoff=None)) == (225, "Cu")


def test_samples_are_scored_by_energy_and_geometry(tmp_path: Path, hull: Path) -> None:
    labels = {"formation_energy": -0.02, "e_above_hull": 0.0}
    write_store(tmp_path / "store", {"train": [Record(cell("Au Cu Cu Cu", 3.75), labels, "data")]})
    samples = {
        "0 low": cell("Cu Au Au Au", 4.0),
        "1 higher": cell("Cu Au Au Au", 4.2),
        "2 crowded": cell("Cu Au Au Au", 2.9),
        "3 without an energy": cell("Cu Fe Fe Fe", 3.6),
    }
    (tmp_path / "samples").mkdir()
    for name, crystal in samples.items():
        (tmp_path / "samples" / f"{name}.cif").write_text(cif(crystal))
    arguments = [str(tmp_path / "samples"), str(tmp_path / "store"), "--hull", str(hull)]
    arguments += ["--potential", COMMITTEE.split(",")[0], "--workers", "1"]
    out = tmp_path / "scores.parquet"
    assert score_samples.main([*arguments, "--out", str(out)]) == 0
    rows = pq.read_table(out).to_pylist()
    low, higher, crowded, unknown = (row["reward"] for row in rows)
    assert -0.5 - score_samples.PENALTY <= crowded < higher < low <= 0.5
    assert unknown is None
    assert rows[0]["e_above_hull_ev_per_atom"] < rows[1]["e_above_hull_ev_per_atom"]
    assert score_samples.main([*arguments, "--out", str(out)]) == 2  # nothing is replaced


def test_what_lies_far_below_the_hull_has_no_reward() -> None:
    assert score_samples.reward(COPPER, -0.3) is None
    assert score_samples.reward(COPPER, None) is None
    assert score_samples.reward(COPPER, 0.0) > score_samples.reward(COPPER, 0.1)
