"""The table of energies: ranked, named as the source names, and read by others as it is meant."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.hull import Hull
from crystext.energies.hull_sources import hull_of_phases
from crystext.energies.relaxation_files import RelaxedSet, RelaxedStructure
from crystext.energies.stability import assess_stability
from crystext.energies.stability_table import rank_results, write_energy_table
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure

CENTRE = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
PHASES = {"Na": -1.3, "N": -8.3, "Cl": -1.8, "NaCl": -3.6, "NaN3": -7.0}


def cell(*numbers: int) -> Crystal:
    return Crystal(np.full(3, 4.0), np.full(3, 90.0), np.array(numbers), CENTRE[: len(numbers)])


def hull() -> Hull:
    return hull_of_phases(PHASES.items(), name="own", date="2026-11-29", potential="EMT")


ROWS = (
    RelaxedStructure(cell(11, 17), name="salt", energy=-7.0, steps=4, converged=True),
    RelaxedStructure(
        name="lost",
        failure=Failure("TOO_CLOSE", "atoms are closer than 0.5 Å"),
        given_formula="NaCl",
        given_atoms=2,
    ),
    RelaxedStructure(cell(11, 17), name="2", energy=-7.4, steps=4, converged=True),
    RelaxedStructure(cell(11, 7), name="nitride", energy=-9.0, steps=4, converged=False),
    RelaxedStructure(cell(11, 54), name="strange", energy=-9.0, steps=4, converged=True),
)


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"energies{suffix}"
    found = RelaxedSet("EMT", EnergyCorrection.OWN, ROWS)
    write_energy_table(assess_stability(found, hull()), hull(), "EMT", path)
    return path


def test_the_lowest_comes_first_and_what_has_no_energy_last_without_a_rank(
    tmp_path: Path,
) -> None:
    table = pq.read_table(written(tmp_path, ".parquet")).to_pylist()
    above = [row["e_above_hull_ev_per_atom"] for row in table]
    assert above[:3] == sorted(above[:3])
    assert above[3:] == [None, None]
    assert [row["rank"] for row in table] == [1, 2, 3, None, None]
    assert [row["name"] for row in table] == ["000002", "salt", "nitride", "lost", "strange"]
    assert [row["index"] for row in table] == [2, 0, 3, 1, 4]


def test_what_lies_below_a_hull_without_evidence_comes_after_what_has_evidence() -> None:
    rows = (
        RelaxedStructure(cell(11, 7), name="deep", energy=-20.0, steps=4, converged=True),
        *ROWS[:1],
    )
    results = assess_stability(RelaxedSet("EMT", EnergyCorrection.OWN, rows), hull())
    assert [result.relaxed.name for _, result in rank_results(results)] == ["salt", "deep"]


def test_each_row_says_its_hull_its_evidence_and_what_competes(tmp_path: Path) -> None:
    first, _, nitride, lost, strange = pq.read_table(written(tmp_path, ".parquet")).to_pylist()
    assert first["stability"] == "candidate"
    assert first["decomposition"] == "1.00 NaCl"
    assert first["evidence"] == "composition"
    assert (first["hull"], first["hull_date"]) == ("own", "2026-11-29")
    assert (first["phases_in_system"], first["phases_with_all_elements"]) == (3, 1)
    assert (first["space_group"], first["space_group_symbol"]) == (221, "Pm-3m")
    assert nitride["decomposition"] == "0.67 NaN3 + 0.33 Na"
    assert (nitride["evidence"], nitride["converged"]) == ("none", False)
    assert lost["stability"] == "no_energy"
    assert (lost["failure"], lost["message"]) == ("TOO_CLOSE", "atoms are closer than 0.5 Å")
    assert (lost["formula"], lost["n_atoms"], lost["space_group"]) == ("NaCl", 2, None)
    assert (strange["stability"], strange["unknown_elements"]) == ("unknown", "Xe")
    assert strange["decomposition"] is None


@pytest.mark.parametrize(
    "read",
    [
        lambda path: pd.read_csv(path)["formula"].tolist(),
        lambda path: pyarrow.csv.read_csv(path)["formula"].to_pylist(),
        lambda path: [row["formula"] for row in csv.DictReader(path.open())],
    ],
    ids=["pandas", "pyarrow", "csv"],
)
def test_sodium_nitride_is_no_missing_value(read, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert read(written(tmp_path, ".csv"))[2] == "Na1N1"
    assert pq.read_table(written(tmp_path, ".parquet"))["formula"].to_pylist()[2] == "NaN"
