"""Crystals written with symmetry, in every setting of their group, come back as themselves.

The writer is the benchmark's own, made of gemmi's table of space groups, and is itself checked.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL


def _by_group(symbol: str, cell: list[float], atoms: dict[str, list[float]]) -> Crystal:
    structure = Structure.from_spacegroup(
        symbol, Lattice.from_parameters(*cell), list(atoms), list(atoms.values())
    )
    return Crystal.from_structure(structure)


CRYSTALS = {
    **EXAMPLE_CRYSTALS,
    "spinel": _by_group(
        "Fd-3m", [8.08] * 3 + [90] * 3, {"Mg": [0, 0, 0], "Al": [5 / 8] * 3, "O": [0.387] * 3}
    ),
    "corundum": _by_group(
        "R-3c", [4.759, 4.759, 12.99, 90, 90, 120], {"Al": [0, 0, 0.352], "O": [0.306, 0, 0.25]}
    ),
    "cementite": _by_group(
        "Pnma",
        [5.09, 6.743, 4.526, 90, 90, 90],
        {"Fe": [0.036, 0.852, 0.337], "C": [0.89, 0.25, 0.45]},
    ),
    "baddeleyite": _by_group(
        "P2_1/c",
        [5.15, 5.21, 5.32, 90, 99.2, 90],
        {"Zr": [0.275, 0.04, 0.208], "O": [0.07, 0.332, 0.345]},
    ),
    "triclinic": _by_group(
        "P-1", [4.1, 5.2, 6.3, 94, 101, 112], {"K": [0.1, 0.2, 0.3], "F": [0.6, 0.1, 0.7]}
    ),
}
"""With cells of every kind, two origins, two cells, and axes in any order."""


@pytest.fixture
def benchmark_modules() -> tuple[Any, Any, Any]:
    """The writer, the measurement, and what other libraries read."""
    from evaluation.measure import library_readings, reading_symmetrized, symmetrized_cifs

    return symmetrized_cifs, reading_symmetrized, library_readings


def _files(modules: tuple[Any, Any, Any], crystal: Crystal) -> list[Any]:
    writer, measurement, _ = modules
    rng = np.random.default_rng(7)
    return list(measurement.own_files(0, writer.standardize(crystal), True, rng))


@pytest.mark.parametrize("crystal", CRYSTALS.values(), ids=CRYSTALS)
def test_gemmi_expands_what_the_writer_writes_to_the_cell_it_was_given(
    benchmark_modules: tuple[Any, Any, Any], crystal: Crystal
) -> None:
    for written in _files(benchmark_modules, crystal):
        if written.layout.form == "operations":
            block = gemmi.cif.read_string(written.text).sole_block()
            sites = gemmi.make_small_structure_from_block(block).get_all_unit_cell_sites()
            expected = Counter(written.cell.numbers.tolist())
            assert Counter(site.element.atomic_number for site in sites) == expected


@pytest.mark.parametrize("crystal", CRYSTALS.values(), ids=CRYSTALS)
def test_a_crystal_comes_back_from_every_setting_where_the_file_names_it(
    benchmark_modules: tuple[Any, Any, Any], crystal: Crystal, tmp_path: Path
) -> None:
    _, reading_symmetrized, _ = benchmark_modules
    for written in _files(benchmark_modules, crystal):
        if written.layout.form in reading_symmetrized.DECISIVE and not written.layout.truncated:
            item = reading_symmetrized.read(written.text, tmp_path / "crystal.cif")
            outcome = reading_symmetrized.outcome(item, written, crystal)
            assert outcome in ("same", "same, noted"), f"{item.message}\n{written.text}"


@pytest.mark.parametrize("crystal", CRYSTALS.values(), ids=CRYSTALS)
def test_no_file_is_read_as_another_crystal_without_a_note(
    benchmark_modules: tuple[Any, Any, Any], crystal: Crystal, tmp_path: Path
) -> None:
    _, reading_symmetrized, _ = benchmark_modules
    for written in _files(benchmark_modules, crystal):
        item = reading_symmetrized.read(written.text, tmp_path / "crystal.cif")
        outcome = reading_symmetrized.outcome(item, written, crystal)
        assert outcome not in ("another", "moved"), written.text


def test_the_measurement_tells_another_crystal_from_the_same(
    benchmark_modules: tuple[Any, Any, Any],
) -> None:
    _, reading_symmetrized, _ = benchmark_modules
    crystal = NACL
    written = _files(benchmark_modules, crystal)[0]
    cell = written.cell
    lengths, angles = crystal.lengths, crystal.angles

    def outcome(numbers: Any, positions: Any) -> str:
        read = Crystal(lengths, angles, numbers, positions)
        return str(reading_symmetrized.outcome(Record(read, name="x"), written, crystal))

    assert outcome(cell.numbers, cell.positions) == "same"
    assert outcome(cell.numbers, cell.positions + np.array([0.01, 0, 0])) == "moved"
    first = np.arange(len(cell.numbers)) > 0
    assert outcome(cell.numbers[first], cell.positions[first]) == "another"
    assert outcome(np.where(first, cell.numbers, 19), cell.positions) == "another"


def test_readings_of_exchanged_or_missing_atoms_do_not_agree(
    benchmark_modules: tuple[Any, Any, Any],
) -> None:
    _, _, library_readings = benchmark_modules
    structure = NACL.structure
    reading = library_readings.structure_reading(structure)
    assert library_readings.agree(reading, reading)
    fewer, moved = structure.copy(), structure.copy()
    fewer.remove_sites([0])
    moved.translate_sites([0], [0.1, 0, 0])
    for other in (fewer, moved):
        assert not library_readings.agree(reading, library_readings.structure_reading(other))
