"""The files between relaxing and placing."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.relax import Relaxation, RelaxationOutcome
from crystext.energies.relaxation_files import (
    FRAMES,
    TABLE,
    RelaxedSet,
    RelaxedStructure,
    describe_failures,
    read_relaxed,
    relaxed_structure,
    write_relaxed,
)
from crystext.errors import InputError, SettingError
from crystext.io.read import read_crystals
from crystext.structures.record import UNREADABLE, Failure, Record
from tests.process_tasks import COPPER


def unreadable(name, message):
    return relaxed_structure(Record.failed(name, UNREADABLE, message), None)


ROWS = (
    relaxed_structure(
        Record(COPPER, name="a"), Relaxation(RelaxationOutcome.CONVERGED, COPPER, -0.02, 7, 0.5)
    ),
    relaxed_structure(
        Record(COPPER, name="b"), Relaxation(RelaxationOutcome.TOO_CLOSE, None, None, 0, 0.1)
    ),
    relaxed_structure(
        Record(COPPER, name="c"), Relaxation(RelaxationOutcome.STEPS_SPENT, COPPER, -0.01, 500, 9.0)
    ),
    unreadable("d", "it is empty"),
)
SET = RelaxedSet("EMT", EnergyCorrection.OWN, ROWS)


def test_what_is_written_is_read_failures_included(tmp_path):
    write_relaxed(SET, tmp_path)
    for source in (tmp_path, tmp_path / TABLE):
        assert read_relaxed(source) == SET
    assert [row.failure_kind for row in ROWS] == [None, "TOO_CLOSE", None, "UNREADABLE"]
    assert pq.read_table(tmp_path / TABLE)["formula"].to_pylist() == ["Cu", "Cu", "Cu", None]
    assert pq.read_table(tmp_path / TABLE)["n_atoms"].to_pylist() == [4, 4, 4, None]
    crystals = [item.crystal for item in read_crystals(tmp_path / TABLE)]
    assert [crystal is not None for crystal in crystals] == [True, False, True, False]


def test_the_frames_are_read_by_ase_and_by_us(tmp_path):
    write_relaxed(SET, tmp_path)
    frames = read(tmp_path / FRAMES, index=":")
    assert [frame.get_potential_energy() for frame in frames] == [-0.02, -0.01]
    assert [frame.info["converged"] for frame in frames] == [True, False]
    found = read_relaxed(tmp_path / FRAMES)
    assert (found.potential, found.correction) == ("EMT", EnergyCorrection.OWN)
    assert [(row.name, row.energy) for row in found.structures] == [("a", -0.02), ("c", -0.01)]
    # A hull counts converged relaxations alone.
    assert [row.converged for row in found.structures] == [True, False]
    assert np.allclose(found.structures[0].crystal.positions, COPPER.positions)


def frame(energy=None, **info):
    atoms = Atoms("Cu", cell=np.eye(3) * 3, pbc=True, info=info)
    if energy is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def test_energies_of_another_program_are_told_what_they_are(tmp_path):
    path = tmp_path / "dft.extxyz"
    write(path, [frame(-3.7), frame()])
    with pytest.raises(SettingError, match="--potential NAME and --energies"):
        read_relaxed(path)
    found = read_relaxed(path, potential="VASP", scale=EnergyCorrection.UNCORRECTED)
    assert [(row.energy, row.failure_kind) for row in found.structures] == [
        (-3.7, None),
        (None, "NO_ENERGY"),
    ]
    assert [(row.formula, row.n_atoms) for row in found.structures] == [("Cu", 1)] * 2


def test_what_a_file_says_of_its_energies_is_not_overruled(tmp_path):
    write_relaxed(SET, tmp_path)
    with pytest.raises(SettingError, match="of EMT, not of M3GNet"):
        read_relaxed(tmp_path, potential="M3GNet")
    with pytest.raises(SettingError, match="are own, not corrected"):
        read_relaxed(tmp_path, scale=EnergyCorrection.CORRECTED)


def test_frames_of_two_potentials_are_refused(tmp_path):
    path = tmp_path / "mixed.extxyz"
    write(path, [frame(-3.7, potential="A", energies="own"), frame(-3.7, potential="B")])
    with pytest.raises(InputError, match="mixes frames of different potential"):
        read_relaxed(path)


@pytest.mark.parametrize("text", ["", "3\n", "noise\n", "1\nLattice=\nCu 0 0 0\n"])
def test_what_holds_no_energies_is_refused(tmp_path, text):
    path = tmp_path / "x.extxyz"
    path.write_text(text)
    with pytest.raises(InputError):
        read_relaxed(path, potential="x", scale=EnergyCorrection.OWN)


def test_a_relaxation_that_is_not_done_is_told_to_be_gone_on_with(tmp_path):
    with pytest.raises(InputError, match="run it again to continue"):
        read_relaxed(tmp_path)


def test_a_row_without_an_energy_has_a_fault_and_its_sentence():
    assert ROWS[1] == RelaxedStructure(
        name="b",
        failure=Failure("TOO_CLOSE", ROWS[1].message),
        steps=0,
        seconds=0.1,
        given_formula="Cu",
        given_atoms=4,
    )
    assert "too close" in ROWS[1].message


def test_every_structure_without_an_energy_is_named_with_its_reason():
    broken = [unreadable(str(i), f"reason {i}") for i in range(4)]
    dense = [
        relaxed_structure(
            Record(name="123"), Relaxation(RelaxationOutcome.TOO_DENSE, None, None, 0, 0.1)
        )
    ]
    assert describe_failures([*ROWS[:1], *dense, *broken], max_names=3) == [
        "UNREADABLE, 4 structures:",
        "  0: reason 0",
        "  1: reason 1",
        "  2: reason 2",
        f"  and 1 more, in the column message of {TABLE}",
        f"TOO_DENSE, 1 structure ({RelaxationOutcome.TOO_DENSE.value}): 123",
    ]
    alike = [unreadable(name, "it is empty") for name in "abcd"]
    assert describe_failures(alike, max_names=3) == [
        "UNREADABLE, 4 structures (it is empty): a, b, c and 1 more"
    ]


def test_the_table_holds_a_reason_for_each(tmp_path):
    broken = tuple(unreadable(str(i), f"reason {i}") for i in range(3))
    write_relaxed(RelaxedSet("EMT", EnergyCorrection.OWN, (*ROWS[:1], *broken)), tmp_path)
    rows = read_relaxed(tmp_path).structures
    assert [row.message for row in rows] == [None, "reason 0", "reason 1", "reason 2"]


def test_a_table_of_version_0_1_is_read(tmp_path):
    write_relaxed(SET, tmp_path)
    table = pq.read_table(tmp_path / TABLE)
    old = {"failure": "fault", "message": "problem"}
    columns = [old.get(name, name) for name in table.column_names]
    renamed = table.rename_columns(columns).replace_schema_metadata(table.schema.metadata)
    pq.write_table(renamed, tmp_path / TABLE)
    assert read_relaxed(tmp_path) == SET


def test_what_a_source_says_of_a_structure_is_kept_with_its_energy():
    before = Record(COPPER, {"band_gap": 0.0}, "copper", id="7", split="test", notes=("old",))
    relaxation = Relaxation(RelaxationOutcome.CONVERGED, COPPER, -0.02, 7, 0.5)
    after = relaxed_structure(before, relaxation)
    assert (after.name, after.id, after.split) == ("copper", "7", "test")
    assert (after.labels, after.notes) == ({"band_gap": 0.0}, ("old",))
    assert (after.energy, after.failure, after.converged) == (-0.02, None, True)
