from __future__ import annotations

import numpy as np
import pytest

from crystext.conditions.sampling_constraints import CRYSTAL_SYSTEMS
from crystext.grammar.lattices import LatticeCharacter, lattice_characters
from crystext.structures.crystal import Floats

ALL = {x.number: x for system in CRYSTAL_SYSTEMS for x in lattice_characters(system)}

HOLOHEDRY_ORDERS = {"a": 2, "m": 4, "o": 8, "t": 16, "hR": 12, "hP": 24, "c": 48}
"""How many rotations and rotoinversions map a lattice of the type on itself."""


def metric(character: LatticeCharacter, seed: int) -> Floats:
    """Return products of basis vectors at random that keep the ties, those of a cell or not."""
    ties = character.equations
    free = (
        np.linalg.svd(np.concatenate([ties, np.zeros((1, 6))]))[2][np.linalg.matrix_rank(ties) :]
        if len(ties)
        else np.eye(6)
    )
    a, b, c, d, e, f = np.random.default_rng(seed).normal(size=len(free)) @ free
    return np.array([[a, f, e], [f, b, d], [e, d, c]])


def changes_of_basis() -> Floats:
    """Return the matrices of -1, 0 and 1 that take a basis to another of the same lattice."""
    every = np.indices((3,) * 9).reshape(9, -1).T.reshape(-1, 3, 3) - 1.0
    return every[np.isclose(abs(np.linalg.det(every)), 1)]


@pytest.mark.parametrize("number", sorted(ALL))
def test_a_characters_ties_give_the_lattice_the_symmetry_of_its_type(number: int) -> None:
    character = ALL[number]
    changes, gram = changes_of_basis(), metric(character, number)
    kept = np.isclose(changes @ gram @ changes.transpose(0, 2, 1), gram).all(axis=(1, 2))
    bravais = character.bravais
    order = HOLOHEDRY_ORDERS.get(bravais) or HOLOHEDRY_ORDERS[bravais[0]]
    assert kept.sum() == order


@pytest.mark.parametrize("system", CRYSTAL_SYSTEMS)
def test_no_character_of_a_system_is_a_case_of_another(system: str) -> None:
    own = lattice_characters(system)
    assert own
    assert not [
        (x.number, y.number) for x in own for y in own if x is not y and x.is_special_case_of(y)
    ]
