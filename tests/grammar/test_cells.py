from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.conditions.sampling_constraints import CRYSTAL_SYSTEMS, Constraints
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.cells import CellRules
from crystext.grammar.fields import FieldKind
from crystext.structures.crystal import Crystal, Floats, basis_vectors
from crystext.structures.properties import crystal_system
from crystext.structures.standardize import standardize
from crystext.text import FORMATS, PLAIN, Format
from tests.grammar.random_crystals import choose_value, seeded

ROUNDED = FORMATS["gruver2024-rounded"]
SMALLEST, LARGEST = 3.2, 12.0
"""Å. Lengths that are chosen lie between these; the first is above 0.65 x 2 radii of Cs."""

HIGHER = {
    "triclinic": CRYSTAL_SYSTEMS,
    "monoclinic": CRYSTAL_SYSTEMS[1:],
    "orthorhombic": ("orthorhombic", "tetragonal", "hexagonal", "cubic"),
    "tetragonal": ("tetragonal", "cubic"),
    "trigonal": ("trigonal", "hexagonal", "cubic"),
    "hexagonal": ("hexagonal",),
    "cubic": ("cubic",),
}
"""By the point groups: each of these holds the holohedry of the system, or of its lattices."""

randoms = st.integers(0, 2**32 - 1).map(seeded)
each_system = pytest.mark.parametrize("system", CRYSTAL_SYSTEMS)
each_format = pytest.mark.parametrize("fmt", [PLAIN, ROUNDED], ids=lambda fmt: fmt.name)


def system_of_lattice(lengths: Floats, angles: Floats, symprec: float) -> str:
    """Return the crystal system of one atom in a cell, by spglib."""
    cell = (basis_vectors(lengths, angles), [[0.0, 0.0, 0.0]], [1])
    dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
    assert dataset is not None
    return crystal_system(dataset.number)


def random_cell(automaton: CoordinateAutomaton, random: Random) -> tuple[Floats, Floats]:
    while automaton.field.kind is not FieldKind.ELEMENT:
        allowed = automaton.allowed()[0]
        if automaton.field.kind is FieldKind.LENGTH:
            unit = 10**automaton.format.length_decimals
            allowed[: round(SMALLEST * unit)] = allowed[round(LARGEST * unit) :] = False
        automaton.push(np.array([choose_value(allowed, automaton.field.kind, random)]))
    return automaton.lengths[0], automaton.angles[0]


@each_system
@given(randoms)
@settings(max_examples=40)
def test_whatever_is_chosen_the_lattice_is_of_the_system_or_higher(
    system: str, random: Random
) -> None:
    constraints = Constraints(min_distance_ratio=0.65, require=("Cs",), crystal_system=system)
    lengths, angles = random_cell(CoordinateAutomaton(PLAIN, 1, constraints), random)
    found = system_of_lattice(lengths, angles, symprec=0.05)
    assert found in HIGHER[system], (lengths, angles, found)


@each_system
@each_format
@pytest.mark.parametrize("scale", [0.0, 0.65, 1.0])
def test_cells_of_a_system_have_no_dead_end(system: str, fmt: Format, scale: float) -> None:
    constraints = Constraints(min_distance_ratio=scale, crystal_system=system)
    for seed in range(5):
        automaton, random = CoordinateAutomaton(fmt, 3, constraints), seeded(seed)
        while automaton.field.kind is not FieldKind.COORDINATE:
            kind = automaton.field.kind
            rows = automaton.allowed()
            rows[:, 0] &= kind is not FieldKind.ELEMENT
            automaton.push(np.array([choose_value(row, kind, random) for row in rows]))


def accepts(system: str, lengths: Floats, angles: Floats, fmt: Format = PLAIN) -> bool:
    """Tell whether a cell can be written, number for number."""
    rules = CellRules(fmt, system, 0.5)
    unit, degree = 10**fmt.length_decimals, 10**fmt.angle_decimals
    a, b = np.rint(lengths * unit)[None], np.rint(angles * degree)[None]
    return all(
        rules.allowed_lengths(a / unit, axis)[0, int(a[0, axis])]
        and rules.allowed_angles(a / unit, b / degree, axis)[0, int(b[0, axis])]
        for axis in range(3)
    )


CELLS: dict[str, tuple[list[float], list[float], str]] = {
    "a primitive cube": ([4, 4, 4], [90, 90, 90], "cubic"),
    "a face-centred cube": ([4, 4, 4], [60, 60, 60], "cubic"),
    "a body-centred cube": ([4, 4, 4], [109.47, 109.47, 109.47], "cubic"),
    "a rhombohedron": ([4, 4, 4], [80, 80, 80], "trigonal"),
    "a hexagonal prism": ([4, 4, 7], [90, 90, 120], "hexagonal"),
    "a hexagonal prism that is flat": ([3, 4, 4], [120, 90, 90], "hexagonal"),
    "a square prism": ([4, 4, 7], [90, 90, 90], "tetragonal"),
    "a box": ([4, 5, 7], [90, 90, 90], "orthorhombic"),
    "a box centred in one face": ([4, 4, 7], [90, 90, 100], "orthorhombic"),
    "a box centred in its faces": ([3.40, 3.40, 4.92], [103.82, 103.82, 107.95], "orthorhombic"),
    "a box centred in its middle": ([4, 5, 5.52], [116.91, 111.23, 90], "orthorhombic"),
    "a box sheared along a": ([4, 5, 7], [90, 100, 90], "monoclinic"),
    "a box sheared along b": ([4, 5, 7], [90, 90, 100], "monoclinic"),
    "a sheared box centred in one face": ([4, 4, 7], [95, 95, 100], "monoclinic"),
    "a cell of no symmetry": ([4, 5, 7], [95, 100, 105], "triclinic"),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_taken_for_its_own_system_and_lower_ones_alone(name: str) -> None:
    given_lengths, given_angles, own = CELLS[name]
    lengths, angles = np.array(given_lengths, dtype=float), np.array(given_angles, dtype=float)
    assert system_of_lattice(lengths, angles, symprec=0.02) == own
    taken = {system for system in CRYSTAL_SYSTEMS if accepts(system, lengths, angles)}
    assert taken == {system for system in CRYSTAL_SYSTEMS if own in HIGHER[system]}


@pytest.mark.filterwarnings("ignore:Issues encountered while parsing CIF")
@each_format
def test_the_cells_of_known_crystals_are_taken_for_their_systems(
    fmt: Format, shared_data: Path
) -> None:
    import pyarrow.parquet as pq
    from pymatgen.core.structure import Structure

    cifs = pq.read_table(shared_data / "mp20_val.parquet", columns=["cif"])["cif"].to_pylist()
    for cif in cifs[:: len(cifs) // 90]:
        crystal, group = standardize(Crystal.from_structure(Structure.from_str(cif, fmt="cif")))
        assert accepts(crystal_system(group), crystal.lengths, crystal.angles, fmt), crystal
