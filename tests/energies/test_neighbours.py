"""An atom without a neighbour within a cutoff, images included."""

from __future__ import annotations

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from crystext.energies.neighbours import has_isolated_atom
from crystext.energies.potential import to_atoms
from crystext.structures.crystal import Crystal


def isolated(crystal: Crystal, cutoff: float) -> bool:
    return has_isolated_atom(crystal.positions @ crystal.lattice, crystal.lattice, cutoff)


COORDINATES = st.floats(-1.0, 2.0) | st.sampled_from([0.0, 0.5, 1 / 3])


@st.composite
def crystals(draw: st.DrawFn) -> Crystal:
    """Skewed cells, too, but not so flat that they hold thousands of neighbours."""
    lengths = [draw(st.floats(2.0, 12.0)) for _ in range(3)]
    angles = draw(st.sampled_from([(90, 90, 90), (60, 60, 60), (90, 90, 120), (100, 75, 50)]))
    positions = [[draw(COORDINATES) for _ in range(3)] for _ in range(draw(st.integers(1, 4)))]
    return Crystal(
        np.array(lengths),
        np.array(angles, dtype=float),
        np.full(len(positions), 29),
        np.array(positions),
    )


@given(crystals(), st.floats(1.0, 8.0))
def test_it_is_what_ase_finds_among_all_neighbours(crystal: Crystal, cutoff: float) -> None:
    atoms = to_atoms(crystal)
    # Where two libraries round a distance at the cutoff differently, neither is right.
    nearest = [neighbor_list("i", atoms, cutoff + off) for off in (-1e-6, 1e-6)]
    expected = {len(set(centers.tolist())) < len(crystal) for centers in nearest}
    if len(expected) == 1:
        assert isolated(crystal, cutoff) == expected.pop()


@pytest.mark.parametrize(("length", "alone"), [(4.99, False), (5.0, False), (5.01, True)])
def test_an_image_of_an_atom_is_a_neighbour(length: float, alone: bool) -> None:
    one = Crystal(np.full(3, length), np.full(3, 90.0), np.array([55]), np.zeros((1, 3)))
    assert isolated(one, 5.0) == alone


def test_one_atom_far_from_a_cluster_is_isolated() -> None:
    places = np.array([[0.0, 0, 0], [0.1, 0, 0], [0.5, 0.5, 0.5]])
    crystal = Crystal(np.full(3, 20.0), np.full(3, 90.0), np.array([8, 8, 55]), places)
    assert isolated(crystal, 6.0)
    assert not isolated(crystal, 17.0)
