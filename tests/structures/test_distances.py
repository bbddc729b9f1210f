from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.lattice import Lattice

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.structures.crystal import Floats, basis_vectors
from crystext.structures.distances import (
    MIN_DISTANCE,
    blocked_z,
    clearances,
    has_free_z,
    is_wide_enough,
    min_distances,
    minkowski_reduce,
    shortest_lattice_vector,
)

seeds = st.integers(0, 2**32 - 1)


def open_cells(rng: np.random.Generator, count: int, contact: float = MIN_DISTANCE) -> Floats:
    """Return cells with heights of `contact` and more, among them flat, sharp and tiny ones."""
    found: list[Floats] = []
    while len(found) < count:
        lengths = contact * np.exp(rng.uniform(0, np.log(rng.choice([2.0, 8.0, 60.0])), 3))
        angles = rng.uniform(10, 170, 3) if rng.random() < 0.8 else np.full(3, rng.uniform(10, 119))
        if is_wide_enough(lengths, *np.cos(np.radians(angles)), contact):
            found.append(basis_vectors(lengths, angles))
    return np.array(found)


def skewed(rng: np.random.Generator, lattice: Floats, steps: int) -> Floats:
    """Return another basis of the same lattice."""
    for _ in range(steps):
        i, j = rng.permutation(3)[:2]
        lattice = lattice.copy()
        lattice[i] += rng.integers(-3, 4) * lattice[j]
    return lattice


def nearest_images(lattice: Floats, fractions: Floats) -> Floats:
    """Return how far the nearest lattice point is from each point, by trying all that could be."""
    fractions = fractions - np.round(fractions)
    away = np.linalg.norm(fractions @ lattice, axis=1)
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    spans = np.floor(away.max() / heights + 0.5).astype(int)
    steps = np.stack(np.mgrid[tuple(slice(-n, n + 1) for n in spans)], axis=-1).reshape(-1, 3)
    return np.array([np.linalg.norm((f + steps) @ lattice, axis=1).min() for f in fractions])


@given(seeds)
@settings(max_examples=100)
def test_a_cell_is_open_if_volume_and_heights_say_so(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths, angles = np.exp(rng.uniform(-1, 4, 3)), rng.uniform(1, 179, (3, 30))
    contact = float(rng.choice([0.0, MIN_DISTANCE, 2.0]))
    found = is_wide_enough(lengths, *np.cos(np.radians(angles)), contact)
    for abc, is_found in zip(angles.T, found, strict=True):
        closes = abc.sum() < 360 and 2 * abc.max() < abc.sum()
        margin = -1.0
        if closes:
            lattice = Lattice.from_parameters(*lengths, *abc)
            heights = 1 / np.array(lattice.reciprocal_lattice_crystallographic.abc)
            openness = lattice.volume / lengths.prod()
            margin = min(openness / 0.01 - 1, heights.min() / contact - 1 if contact else np.inf)
        if abs(margin) > 1e-6:
            assert is_found == (margin > 0), (lengths, abc)


@given(seeds)
@settings(max_examples=40)
def test_no_lattice_vector_of_an_open_cell_is_shorter_than_the_contact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    contact = float(rng.choice([MIN_DISTANCE, 1.5]))
    for matrix in open_cells(rng, 3, contact):
        near = Lattice(matrix).get_points_in_sphere([[0, 0, 0]], [0, 0, 0], contact - 1e-6)
        assert len(near) == 1, "more than the point itself"


def test_a_cell_with_a_height_just_below_the_contact_is_not_open() -> None:
    lengths = np.array([2.0, 3.0, 4.0])
    angle = np.degrees(np.arcsin(1.5 / 2.0))
    for off, expected in ((0.01, True), (-0.01, False)):
        gamma = np.cos(np.radians(angle + off))
        assert is_wide_enough(lengths, 0.0, 0.0, gamma, 1.5) == expected


@given(seeds)
@settings(max_examples=60)
def test_the_shortest_lattice_vector_is_found_in_any_basis(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bases = np.array([skewed(rng, cell, int(rng.integers(6))) for cell in open_cells(rng, 4)])
    for basis, shortest in zip(bases, shortest_lattice_vector(bases), strict=True):
        lattice = Lattice(basis).get_lll_reduced_lattice()
        near = lattice.get_points_in_sphere([[0, 0, 0]], [0, 0, 0], float(shortest) + 1e-4)
        distances = sorted(float(point[1]) for point in near)
        assert distances[1] == pytest.approx(shortest, abs=1e-6)


@given(seeds)
@settings(max_examples=60)
def test_a_reduced_basis_spans_the_same_lattice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bases = np.array([skewed(rng, cell, 4) for cell in open_cells(rng, 4)])
    reduced = minkowski_reduce(bases)
    change = reduced @ np.linalg.inv(bases)
    assert np.abs(change - np.round(change)).max() < 1e-5
    assert np.abs(np.linalg.det(change)) == pytest.approx(np.ones(4))
    lengths = np.linalg.norm(reduced, axis=2)
    assert (np.diff(lengths, axis=1) > -1e-9).all()
    # Minkowski's conditions: no sum with its neighbours shortens a vector.
    for i, j in np.ndindex(3, 3):
        a, b, c = np.moveaxis(reduced, 1, 0)
        assert (np.linalg.norm(b + (i - 1) * a, axis=1) > lengths[:, 1] - 1e-6).all()
        combined = c + (i - 1) * a + (j - 1) * b
        assert (np.linalg.norm(combined, axis=1) > lengths[:, 2] - 1e-6).all()


@given(seeds)
@settings(max_examples=60)
def test_a_place_is_blocked_if_and_only_if_some_image_of_an_atom_is_too_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, atoms, grid = 3, int(rng.integers(1, 4)), 12
    lattice = open_cells(rng, rows)
    positions = rng.integers(0, grid, (rows, atoms, 3)) / grid
    # The automaton asks for no more than the shortest lattice vector; here it may be more.
    distances = shortest_lattice_vector(lattice)[:, None] * rng.uniform(0.3, 1.2, (rows, atoms))
    distances[rng.random((rows, atoms)) < 0.1] = 0.0
    columns = rng.integers(0, grid, (rows, 2)) / grid
    blocked = blocked_z(lattice, positions, distances, columns, grid)
    for row in range(rows):
        places = np.concatenate(
            [np.tile(columns[row], (grid, 1)), np.arange(grid)[:, None] / grid], axis=1
        )
        spare = np.min(
            [
                nearest_images(lattice[row], places - position) - distance
                for position, distance in zip(positions[row], distances[row], strict=True)
            ],
            axis=0,
        )
        clear = np.abs(spare) > 1e-5
        assert (blocked[row] == (spare < 0))[clear].all()
    room = has_free_z(lattice, positions, distances, columns, grid)
    assert (room == ~blocked.all(axis=1)).all()


@given(seeds)
@settings(max_examples=30)
def test_columns_of_a_crystal_agree_with_pymatgen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattice = Lattice.from_parameters(*rng.uniform(2, 9, 3), *rng.uniform(62, 115, 3))
    positions, distances = rng.random((5, 3)), rng.uniform(0.5, 3, 5)
    x, y = rng.random(2)
    places = np.stack([np.full(100, x), np.full(100, y), np.arange(100) / 100], axis=1)
    spare = (lattice.get_all_distances(places, positions) - distances).min(axis=1)
    args = lattice.matrix[None], positions[None], distances[None], np.array([[x, y]])
    blocked = blocked_z(*args, 100)[0]
    clear = np.abs(spare) > 1e-5
    assert (blocked == (spare < 0))[clear].all()
    assert clearances(lattice.matrix, positions, distances, places) == pytest.approx(spare)


def test_a_place_at_exactly_the_distance_is_blocked_and_the_next_is_free() -> None:
    cube = 10.0 * np.eye(3)[None]
    blocked = blocked_z(cube, np.zeros((1, 1, 3)), np.array([[2.0]]), np.zeros((1, 2)), 100)
    assert np.nonzero(~blocked[0])[0].tolist() == list(range(21, 80))


def test_a_large_sphere_blocks_its_column_all_around() -> None:
    lattice = basis_vectors(np.array([[4.0, 4.0, 1.0]]), np.array([[90.0, 90.0, 90.0]]))
    args = lattice, np.zeros((1, 1, 3)), np.array([[0.9]])
    assert blocked_z(*args, np.array([[0.1, 0.0]]), 10).all()
    assert not has_free_z(*args, np.array([[0.1, 0.0]]), 10).any()
    assert not blocked_z(*args, np.array([[0.5, 0.0]]), 10).any()


def test_without_atoms_nothing_is_blocked() -> None:
    empty = np.eye(3)[None], np.zeros((1, 0, 3)), np.zeros((1, 0)), np.zeros((1, 2))
    assert not blocked_z(*empty, 10).any()
    assert has_free_z(*empty, 10).all()


def test_rows_do_not_influence_each_other_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    lattice = open_cells(rng, 40)
    positions, columns = rng.random((40, 3, 3)), rng.random((40, 2))
    distances = shortest_lattice_vector(lattice)[:, None] * rng.uniform(0.2, 1, (40, 3))
    together = blocked_z(lattice, positions, distances, columns, 50)
    for i in range(40):
        one = slice(i, i + 1)
        alone = blocked_z(lattice[one], positions[one], distances[one], columns[one], 50)
        assert (together[i] == alone[0]).all()
    monkeypatch.setattr("crystext.structures.distances._PAIRS_PER_BLOCK", 100)
    in_pieces = blocked_z(lattice, positions, distances, columns, 50)
    assert (together == in_pieces).all()


@given(seeds)
@settings(max_examples=40)
def test_clearances_see_the_nearest_image_in_any_basis(seed: int) -> None:
    rng = np.random.default_rng(seed)
    (cell,) = open_cells(rng, 1)
    positions, places, distances = rng.random((2, 3)), rng.random((4, 3)), rng.random(2)
    expected = np.min(
        [nearest_images(cell, places - p) - d for p, d in zip(positions, distances, strict=True)],
        axis=0,
    )
    assert clearances(cell, positions, distances, places) == pytest.approx(expected, abs=1e-7)
    other = skewed(rng, cell, 3)
    change = cell @ np.linalg.inv(other)
    found = clearances(other, positions @ change, distances, places @ change)
    assert found == pytest.approx(expected, abs=1e-5)


def test_least_distances_scale_the_sum_of_covalent_radii() -> None:
    # Cordero et al. 2008, Å.
    radii = {"H": 0.31, "O": 0.66, "Na": 1.66, "Cl": 1.02, "Cs": 2.44, "U": 1.96}
    table = min_distances(0.65)
    for one, r in radii.items():
        for other, s in radii.items():
            found = table[ATOMIC_NUMBERS[one], ATOMIC_NUMBERS[other]]
            assert found == pytest.approx(max(MIN_DISTANCE, 0.65 * (r + s)))


@pytest.mark.parametrize("scale", [0.0, 0.3, 0.65, 1.0])
def test_least_distances_are_symmetric_and_never_below_the_contact(scale: float) -> None:
    table = min_distances(scale)
    assert table.shape == (119, 119)
    assert (table == table.T).all()
    assert table.min() == MIN_DISTANCE
    # So two elements that each fit in a cell beside their own image fit beside each other's.
    own = np.diagonal(table)
    assert (table <= np.maximum(own[:, None], own[None, :]) + 1e-12).all()
