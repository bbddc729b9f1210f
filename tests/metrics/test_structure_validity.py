import numpy as np
import pytest
from pymatgen.core.lattice import Lattice

from crystext.metrics.structure_validity import (
    StructureFailure,
    is_structure_valid,
    structure_failure,
)
from crystext.structures.crystal import Crystal


def crystal(lengths, angles, numbers, positions):
    return Crystal(
        np.array(lengths, float),
        np.array(angles, float),
        np.array(numbers),
        np.array(positions, float),
    )


ROCK_SALT = crystal([3.99, 3.99, 3.99], [60, 60, 60], [11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]])


def random_crystals(seed, n):
    """Cells from ordinary to needles and sheets, most of them skewed, with one to eight atoms."""
    rng = np.random.default_rng(seed)
    made = []
    while len(made) < n:
        lengths = np.exp(rng.uniform(np.log(0.6), np.log(30), 3))
        angles = rng.uniform(8, 172, 3)
        atoms = rng.integers(1, 9)
        candidate = crystal(lengths, angles, [6] * atoms, rng.uniform(-1, 2, (atoms, 3)))
        if candidate.volume > 1:
            made.append(candidate)
    return made


def shortest_distances(c):
    """By brute force over all lattice points in reach: between atoms, and to own images."""
    lattice = Lattice.from_parameters(*c.lengths, *c.angles)
    points, own = lattice.get_points_in_sphere([[0, 0, 0]], [0, 0, 0], 3.5, zip_results=False)[:2]
    own = np.sort(own)[1] if len(points) > 1 else np.inf
    between = np.inf
    for i in range(len(c)):
        center = lattice.get_cartesian_coords(c.positions[i])
        for j in range(i):
            near = lattice.get_points_in_sphere([c.positions[j]], center, 3.5, zip_results=False)[1]
            between = min(between, near.min(initial=np.inf))
    return between, own


def test_rock_salt_is_valid():
    assert structure_failure(ROCK_SALT) is None


def test_atoms_across_the_cell_boundary_are_neighbours():
    overlapping = crystal([4, 4, 4], [90] * 3, [11, 17], [[0, 0, 0.02], [0, 0, 0.98]])
    assert structure_failure(overlapping) is StructureFailure.ATOMS_TOO_CLOSE


def test_a_skewed_cell_needs_more_than_rounded_differences():
    sheared = crystal([1.2, 7, 4], [90, 90, 20], [6, 6], [[0, 0, 0], [0.8, 0.87, 0]])
    rounded = sheared.positions[1] - np.rint(sheared.positions[1])
    assert np.linalg.norm(rounded @ sheared.lattice) > 1
    assert sheared.structure.distance_matrix[0, 1] == pytest.approx(0.33, abs=0.01)
    assert structure_failure(sheared) is StructureFailure.ATOMS_TOO_CLOSE


@pytest.mark.parametrize("cutoff", [0.5, 1.0, 3.0])
def test_verdict_is_that_of_all_lattice_points_within_reach(cutoff):
    seen = set()
    for c in random_crystals(seed=1, n=150):
        between, own = shortest_distances(c)
        expected = None
        if between < cutoff:
            expected = StructureFailure.ATOMS_TOO_CLOSE
        elif own < cutoff:
            expected = StructureFailure.IMAGES_TOO_CLOSE
        assert structure_failure(c, min_distance=cutoff) is expected
        seen.add(expected)
    assert len(seen) >= 2


def test_cdvae_rule_is_that_of_pymatgens_distance_matrix():
    verdicts = set()
    for c in random_crystals(seed=2, n=200):
        distances = c.structure.distance_matrix + np.diag(np.full(len(c), 10.0))
        assert is_structure_valid(c) == (distances.min() >= 0.5)
        verdicts.add(is_structure_valid(c))
    assert verdicts == {True, False}


def test_an_atom_too_close_to_its_own_image_counts_only_when_asked():
    wire = crystal([0.3, 9, 9], [90] * 3, [29], [[0, 0, 0]])
    assert structure_failure(wire) is StructureFailure.IMAGES_TOO_CLOSE
    assert is_structure_valid(wire)
    assert not is_structure_valid(wire, self_images=True)


@pytest.mark.parametrize(
    ("lengths", "angles"), [([0.4, 0.4, 0.4], [90] * 3), ([5, 5, 5], [120, 120, 120])]
)
def test_a_cell_without_volume_is_named(lengths, angles):
    flat = crystal(lengths, angles, [3], [[0, 0, 0]])
    assert structure_failure(flat) is StructureFailure.NO_VOLUME
    assert not is_structure_valid(flat)


def test_extreme_cells_are_decided_without_listing_millions_of_images():
    grid = crystal([0.01, 0.01, 9000], [90] * 3, [3] * 4, np.linspace(0, 0.8, 12).reshape(4, 3))
    sliver = crystal([9000, 9000, 9], [90, 90, 0.01], [3, 3], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert structure_failure(grid) is StructureFailure.IMAGES_TOO_CLOSE
    assert structure_failure(sliver) is None


def test_translation_does_not_change_the_verdict():
    rng = np.random.default_rng(3)
    for c in random_crystals(seed=4, n=50):
        moved = Crystal(c.lengths, c.angles, c.numbers, c.positions + rng.uniform(-3, 3, 3))
        assert structure_failure(moved) is structure_failure(c)
