from __future__ import annotations

from collections import Counter
from math import gcd
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.conditions.sampling_constraints import CRYSTAL_SYSTEMS, Constraints
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.fields import END, FieldKind, value_count
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.distances import MIN_DISTANCE, min_distances
from crystext.structures.properties import crystal_system
from crystext.structures.standardize import standardize
from crystext.text import COORDINATE_FORMATS, FORMATS, PLAIN, Format, decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.grammar.random_crystals import next_values, random_crystals, seeded
from tests.grammar.test_fields import values_of

formats = st.sampled_from(COORDINATE_FORMATS)
each_format = pytest.mark.parametrize("fmt", COORDINATE_FORMATS, ids=lambda fmt: fmt.name)
randoms = st.integers(0, 2**32 - 1).map(seeded)
LIGHT = SYMBOLS[:54]
GRUVER = FORMATS["gruver2024-rounded"]


def at_element(automaton: CoordinateAutomaton, cell: list[list[float]]) -> CoordinateAutomaton:
    """Return the automaton with this cell in all its rows."""
    fmt = automaton.format
    for numbers, decimals in zip(cell, (fmt.length_decimals, fmt.angle_decimals), strict=True):
        for number in numbers:
            automaton.push(np.full(len(automaton), round(number * 10**decimals)))
    return automaton


def push_all(automaton: CoordinateAutomaton, values: list[int]) -> CoordinateAutomaton:
    for value in values:
        automaton.push(np.full(len(automaton), value))
    return automaton


@given(
    formats,
    randoms,
    st.integers(1, 5),
    st.sampled_from([0.0, 0.4, 0.65, 1.0]),
    st.sampled_from([(), ("H",), ("N", "B", "S"), LIGHT, tuple(s for s in SYMBOLS if s != "Cs")]),
)
@settings(max_examples=60)
def test_whatever_is_chosen_a_crystal_comes_of_it(
    fmt: Format, random: Random, max_atoms: int, scale: float, exclude: tuple[str, ...]
) -> None:
    automaton = CoordinateAutomaton(
        fmt, 2, Constraints(max_atoms=max_atoms, min_distance_ratio=scale, exclude=exclude)
    )
    crystals = random_crystals(automaton, random)
    assert len(crystals) == 2
    for crystal in crystals:
        decoded = decode(encode(crystal, fmt), format=fmt)
        assert decoded, decoded
        assert decoded.crystal == crystal.in_text_order()
        assert crystal.volume > 0
        assert 1 <= len(crystal) <= max_atoms
        assert not set(crystal.symbols) & set(exclude)
        for i, j, distance in pairs_too_near(crystal, scale):
            assert i != j, f"an image of the atom itself at {distance} Å"
            assert is_crowded(crystal, max(i, j), fmt, scale), f"atoms {i} and {j}: {distance} Å"


@given(
    formats,
    randoms,
    st.sampled_from([0.0, 0.65, 1.0]),
    st.sampled_from([None, *CRYSTAL_SYSTEMS]),
    st.sampled_from(
        [
            {"formula": (("Cs", 1), ("H", 2)), "min_atoms": 4},
            {"formula": (("O", 1),)},
            {"require": ("Cs", "F"), "min_atoms": 3},
            {"require": ("Cs", "F"), "only": ("F", "Cs")},
            {"only": ("Na", "Cl"), "min_atoms": 5},
        ]
    ),
)
@settings(max_examples=40)
def test_whatever_is_chosen_the_crystal_is_as_asked(
    fmt: Format, random: Random, scale: float, system: str | None, asked: dict[str, Any]
) -> None:
    constraints = Constraints(max_atoms=6, min_distance_ratio=scale, crystal_system=system, **asked)
    for crystal in random_crystals(CoordinateAutomaton(fmt, 2, constraints), random):
        counts = Counter(crystal.symbols)
        assert constraints.min_atoms <= len(crystal) <= 6
        assert counts.keys() >= set(constraints.require)
        assert constraints.only is None or counts.keys() <= set(constraints.only)
        if constraints.formula:
            units = {counts[symbol] / count for symbol, count in constraints.formula}
            assert len(units) == 1
            assert sum(counts.values()) == units.pop() * sum(n for _, n in constraints.formula)
        if constraints.formula or constraints.require:
            assert crystal == crystal.in_text_order()
        for i, j, distance in pairs_too_near(crystal, scale):
            assert i != j, f"an image of the atom itself at {distance} Å"


def pairs_too_near(crystal: Crystal, scale: float) -> list[tuple[int, int, float]]:
    """Return pairs of atoms that are nearer than they may be, found by pymatgen."""
    if scale == 0:
        return []
    least = min_distances(scale)[np.ix_(crystal.numbers, crystal.numbers)]
    neighbours = crystal.structure.get_all_neighbors(float(least.max()))
    return [
        (i, int(found.index), float(found.nn_distance))
        for i, near in enumerate(neighbours)
        for found in near
        if found.nn_distance < least[i, found.index] - 1e-6
    ]


def is_crowded(crystal: Crystal, atom: int, fmt: Format, scale: float) -> bool:
    """Tell whether an atom had no place in its plane, by looking at a net of places there."""
    net = np.arange(0, 1, max(0.02, 10.0**-fmt.coordinate_decimals))
    y, z = np.meshgrid(net, net)
    places = np.stack([np.full(y.size, crystal.positions[atom, 0]), y.ravel(), z.ravel()], axis=1)
    least = min_distances(scale)[crystal.numbers[atom], crystal.numbers[:atom]]
    lattice = crystal.structure.lattice
    spare = lattice.get_all_distances(places, crystal.positions[:atom]) - least
    return bool((spare < 1e-5).any(axis=1).all())


@given(randoms, st.sampled_from([0.65, 1.0]))
@settings(max_examples=15)
def test_in_cells_of_common_size_atoms_keep_their_distance(random: Random, scale: float) -> None:
    automaton = CoordinateAutomaton(PLAIN, 2, Constraints(max_atoms=8, min_distance_ratio=scale))
    cell = [[random.uniform(4, 12) for _ in range(3)], [random.uniform(65, 110) for _ in range(3)]]
    for crystal in random_crystals(at_element(automaton, cell), random):
        for i, j, distance in pairs_too_near(crystal, scale):
            assert i != j
            assert is_crowded(crystal, max(i, j), PLAIN, scale), f"{i}, {j}: {distance} Å"


@given(formats, randoms, st.sampled_from([0.0, 0.65]))
@settings(max_examples=15)
def test_a_batch_equals_its_rows_one_by_one(fmt: Format, random: Random, scale: float) -> None:
    rows = 3
    together = CoordinateAutomaton(fmt, rows, Constraints(max_atoms=3, min_distance_ratio=scale))
    alone = [
        CoordinateAutomaton(fmt, 1, Constraints(max_atoms=3, min_distance_ratio=scale))
        for _ in range(rows)
    ]
    while len(together):
        allowed = together.allowed()
        for row, automaton in enumerate(alone):
            assert (automaton.allowed()[0] == allowed[row]).all()
        values = next_values(together, random)
        if together.field.kind is FieldKind.ELEMENT:
            stay = np.nonzero(values != END)[0][::-1]
            together.keep(stay)
            alone, values = [alone[row] for row in stay], values[stay]
        if len(together):
            together.push(values)
            for value, automaton in zip(values, alone, strict=True):
                automaton.push(np.array([value]))
    assert alone == []


@given(formats, randoms)
@settings(max_examples=15)
def test_copies_go_their_own_way(fmt: Format, random: Random) -> None:
    automaton = CoordinateAutomaton(fmt, 1, Constraints(max_atoms=2, min_distance_ratio=0.65))
    while len(automaton) and automaton.atoms < 2:
        twin, before = automaton.copy(), automaton.allowed()
        random_crystals(twin, random)
        assert (automaton.allowed() == before).all()
        values = next_values(automaton, random)
        other = automaton.copy()
        if automaton.field.kind is FieldKind.ELEMENT and values[0] == END:
            return
        automaton.push(values)
        other.push(values)
        assert other.crystal(0) == automaton.crystal(0)
        assert (other.allowed() == automaton.allowed()).all()


@pytest.mark.parametrize("fields_before", range(10))
def test_what_a_copy_takes_is_not_seen_by_the_other(fields_before: int) -> None:
    values = [400, 500, 600, 9000, 9100, 9200, 8, 100, 200, 300]
    automaton = push_all(
        CoordinateAutomaton(PLAIN, 1, Constraints(max_atoms=1)), values[:fields_before]
    )
    twin = automaton.copy()
    for value in values[fields_before:]:
        push_all(automaton, [value])
        push_all(twin, [value + 1])
    expected = push_all(CoordinateAutomaton(PLAIN, 1, Constraints(max_atoms=1)), values)
    assert automaton.crystal(0) == expected.crystal(0)
    assert twin.crystal(0) != expected.crystal(0)


def test_keep_goes_on_with_the_rows_asked_for_in_their_order() -> None:
    cells = np.array([[300, 400, 500], [600, 700, 800], [900, 1000, 1100]])
    automaton = CoordinateAutomaton(PLAIN, 3, Constraints(max_atoms=2, min_distance_ratio=0.65))
    for values in [*cells.T, *[np.full(3, 9000)] * 3, np.array([3, 11, 19]), *cells.T]:
        automaton.push(values)
    crystals = [automaton.crystal(row) for row in range(3)]
    by_mask = automaton.copy()
    by_mask.keep(np.array([True, False, True]))
    assert [by_mask.crystal(row) for row in range(2)] == [crystals[0], crystals[2]]
    automaton.keep(np.array([2, 0]))
    assert [automaton.crystal(row) for row in range(2)] == [crystals[2], crystals[0]]
    automaton.push(np.array([55, 8]))
    assert automaton.leaves_free_z(np.array([0, 0])).all()


def test_an_atom_is_a_whole_one_once_its_last_coordinate_is_there() -> None:
    automaton = at_element(
        CoordinateAutomaton(PLAIN, 1, Constraints(max_atoms=2)), [[4.0] * 3, [90.0] * 3]
    )
    assert [len(push_all(automaton, [value]).crystal(0)) for value in (11, 0, 0, 0, 17)] == [
        0, 0, 0, 1, 1,
    ]  # fmt: skip


@each_format
def test_a_text_ends_behind_an_atom_and_not_before_the_first(fmt: Format) -> None:
    automaton = at_element(
        CoordinateAutomaton(fmt, 1, Constraints(max_atoms=2)), [[5.0] * 3, [90.0] * 3]
    )
    assert not automaton.allowed()[0, END]
    push_all(automaton, [3, 0, 0, 0])
    assert automaton.allowed()[0].all()
    push_all(automaton, [3, 1, 1, 1])
    assert np.nonzero(automaton.allowed()[0])[0].tolist() == [END]


def test_an_element_that_would_touch_its_image_is_not_allowed() -> None:
    automaton = at_element(
        CoordinateAutomaton(PLAIN, 1, Constraints(max_atoms=2, min_distance_ratio=0.65)),
        [[3.0] * 3, [60.0] * 3],
    )
    allowed = automaton.allowed()[0]
    # 0.65 x 2 x 2.44 Å is too much for caesium and 0.65 x 2 x 2.20 Å is not for rubidium.
    assert not allowed[ATOMIC_NUMBERS["Cs"]]
    assert allowed[ATOMIC_NUMBERS["Rb"]]
    automaton = at_element(
        CoordinateAutomaton(PLAIN, 1, Constraints(max_atoms=2, min_distance_ratio=0.0)),
        [[3.0] * 3, [60.0] * 3],
    )
    assert automaton.allowed()[0, 1:].all()


def test_where_only_caesium_is_left_cells_are_made_for_caesium() -> None:
    others = tuple(symbol for symbol in SYMBOLS if symbol != "Cs")
    automaton = CoordinateAutomaton(
        PLAIN, 1, Constraints(max_atoms=1, min_distance_ratio=0.65, exclude=others)
    )
    own = 0.65 * 2 * 2.44
    assert np.nonzero(automaton.allowed()[0])[0].min() == np.ceil(own * 100)
    batch = CoordinateAutomaton(
        PLAIN, 20, Constraints(max_atoms=1, min_distance_ratio=0.65, exclude=others)
    )
    crystals = random_crystals(batch, seeded(0))
    assert {symbol for crystal in crystals for symbol in crystal.symbols} == {"Cs"}


@each_format
@pytest.mark.parametrize("scale", [0.0, 0.65, 1.0])
def test_the_smallest_cell_still_has_angles_and_an_element(fmt: Format, scale: float) -> None:
    automaton = CoordinateAutomaton(fmt, 1, Constraints(max_atoms=1, min_distance_ratio=scale))
    while automaton.field.kind is not FieldKind.COORDINATE:
        values = np.nonzero(automaton.allowed()[0])[0]
        assert len(values)
        automaton.push(values[:1])
    assert automaton.lengths.min() >= (MIN_DISTANCE if scale else 10.0**-fmt.length_decimals)


@pytest.mark.parametrize("scale", [0.0, 0.65])
def test_angles_lie_between_10_and_170_degrees(scale: float) -> None:
    automaton = CoordinateAutomaton(PLAIN, 1, Constraints(max_atoms=1, min_distance_ratio=scale))
    push_all(automaton, [5000, 5000, 5000])
    values = np.nonzero(automaton.allowed()[0])[0]
    assert (values[0], values[-1]) == (1000, 17000)
    push_all(automaton, [1000, 1000])
    gammas = np.nonzero(automaton.allowed()[0])[0]
    assert gammas[0] == 1000
    assert gammas[-1] < 2000, "alpha and beta together are 20 degrees"


@each_format
@pytest.mark.parametrize("angle", [10, 11, 33, 60, 90, 109, 119])
def test_rhombohedral_cells_are_allowed_however_sharp_or_blunt(fmt: Format, angle: int) -> None:
    automaton = CoordinateAutomaton(fmt, 1, Constraints(max_atoms=1, min_distance_ratio=0.65))
    values = [20 * 10**fmt.length_decimals] * 3 + [angle * 10**fmt.angle_decimals] * 3
    for value in values:
        assert automaton.allowed()[0, value]
        push_all(automaton, [value])


def test_a_crowded_plane_leaves_its_roomiest_place_alone() -> None:
    # Two caesium atoms in the plane x = 0 of a cube of 3.2 Å: the face's centre is the best.
    for fmt in COORDINATE_FORMATS:
        automaton = at_element(
            CoordinateAutomaton(fmt, 1, Constraints(max_atoms=2, min_distance_ratio=0.65)),
            [[3.2] * 3, [90.0] * 3],
        )
        half = value_count(FieldKind.COORDINATE, fmt) // 2
        push_all(automaton, [ATOMIC_NUMBERS["Cs"], 0, 0, 0, ATOMIC_NUMBERS["Cs"], 0])
        assert not automaton.leaves_free_z(np.array([half]))[0]
        assert np.nonzero(automaton.allowed()[0])[0].tolist() == [half]
        assert np.nonzero(automaton.free_y(0))[0].tolist() == [half]
        push_all(automaton, [half])
        assert np.nonzero(automaton.allowed()[0])[0].tolist() == [half]


@given(randoms)
@settings(max_examples=15)
def test_leaves_free_z_foresees_whether_a_z_is_left(random: Random) -> None:
    automaton = CoordinateAutomaton(GRUVER, 1, Constraints(max_atoms=3, min_distance_ratio=0.65))
    cell = [[random.uniform(2.5, 4) for _ in range(3)], [random.uniform(60, 110) for _ in range(3)]]
    at_element(automaton, cell)
    while automaton.field_index < 6 + 2 * 4 + 2:  # the y of the third atom
        if automaton.field.kind is FieldKind.ELEMENT:
            elements = np.nonzero(automaton.allowed()[0, 1:])[0] + 1
            push_all(automaton, [random.choice(elements.tolist())])
        else:
            automaton.push(next_values(automaton, random))
    allowed = automaton.allowed()[0]
    every_y = np.arange(100)
    room = automaton.leaves_free_z(every_y, np.zeros(100, dtype=np.int64))
    if room.any():
        assert (room == allowed).all()
    for y in every_y.tolist():
        twin = push_all(automaton.copy(), [y])
        distances = spare(twin)
        if (distances > 1e-5).any():
            assert room[y]
        elif (distances < -1e-5).all():
            assert not room[y]


def spare(automaton: CoordinateAutomaton) -> Floats:
    """Return how much room there is at each z, by pymatgen's distances."""
    atom = automaton.atoms - 1
    count = value_count(FieldKind.COORDINATE, automaton.format)
    places = np.tile(automaton.positions[0, atom], (count, 1))
    places[:, 2] = np.arange(count) / count
    numbers = automaton.numbers[0]
    least = min_distances(automaton.min_distance_ratio)[numbers[atom], numbers[:atom]]
    lattice = Crystal(
        automaton.lengths[0], automaton.angles[0], numbers[:1], automaton.positions[0, :1]
    ).structure.lattice
    found = lattice.get_all_distances(places, automaton.positions[0, :atom])
    return np.asarray((found - least).min(axis=1))


def test_a_cell_is_large_enough_for_the_largest_atom_that_has_to_be_in_it() -> None:
    asked = Constraints(min_distance_ratio=0.65, require=("H", "Cs"))
    automaton = CoordinateAutomaton(PLAIN, 1, asked)
    assert np.nonzero(automaton.allowed()[0])[0].min() == np.ceil(0.65 * 2 * 2.44 * 100)
    # 3.85 Å at 60 degrees keep caesium 3.17 Å apart, though the heights of the cell are lower.
    for value in (385, 385, 385, 6000, 6000, 6000, ATOMIC_NUMBERS["Cs"]):
        assert automaton.allowed()[0, value]
        push_all(automaton, [value])


def test_a_cell_is_large_enough_for_one_formula_unit() -> None:
    # Spheres of 0.65 x 2.44 Å, twelve of them, at 0.44 of the volume.
    least = 12 * np.pi / 6 * (0.65 * 2 * 2.44) ** 3 / 0.44
    asked = Constraints(min_distance_ratio=0.65, formula=(("Cs", 12),), crystal_system="cubic")
    lengths = np.nonzero(CoordinateAutomaton(PLAIN, 1, asked).allowed()[0])[0]
    assert lengths.min() == np.ceil(100 * least ** (1 / 3))


@each_format
@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_known_crystals_are_allowed(name: str, fmt: Format) -> None:
    assert refused(EXAMPLE_CRYSTALS[name], fmt) is None


@pytest.mark.filterwarnings("ignore:Issues encountered while parsing CIF")
def test_crystals_of_the_materials_project_are_allowed(shared_data: Path) -> None:
    import pyarrow.parquet as pq
    from pymatgen.core.structure import Structure

    cifs = pq.read_table(shared_data / "mp20_val.parquet", columns=["cif"])["cif"].to_pylist()
    for cif in cifs[:: len(cifs) // 60]:
        crystal = Crystal.from_structure(Structure.from_str(cif, fmt="cif"))
        assert refused(crystal, PLAIN) is None, crystal
        standard, group = standardize(crystal)
        counts = Counter(standard.symbols)
        unit = gcd(*counts.values())
        asked = {
            "formula": tuple((symbol, n // unit) for symbol, n in counts.items()),
            "crystal_system": crystal_system(group),
        }
        assert refused(standard, PLAIN, **asked) is None, standard


def refused(crystal: Crystal, fmt: Format, **asked: Any) -> str | None:
    """Return the first field whose value the automaton does not allow."""
    constraints = Constraints(max_atoms=len(crystal), min_distance_ratio=0.65, **asked)
    automaton = CoordinateAutomaton(fmt, 1, constraints)
    for value in values_of(crystal, fmt):
        if not automaton.allowed()[0, value]:
            return f"{automaton.field} = {value}"
        if automaton.field.kind is FieldKind.ELEMENT and value == END:
            return None
        automaton.push(np.array([value]))
    return "no end"
