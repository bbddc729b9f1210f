from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.structures.augment import permute_within_species, translate
from crystext.structures.crystal import Crystal
from tests.example_crystals import NACL, QUARTZ
from tests.strategies import crystals

seeds = st.integers(0, 2**32)


@given(crystal=crystals(), seed=seeds)
def test_a_translation_moves_all_atoms_alike(crystal: Crystal, seed: int) -> None:
    moved = translate(crystal, np.random.default_rng(seed))
    assert moved.numbers is crystal.numbers
    assert moved.lengths is crystal.lengths
    assert moved.angles is crystal.angles
    assert ((moved.positions >= 0) & (moved.positions <= 1)).all()
    shift = moved.positions - crystal.positions
    shift -= shift[0]
    assert np.abs(shift - np.round(shift)).max() < 1e-9


def test_translations_fill_the_cell_uniformly() -> None:
    rng = np.random.default_rng(0)
    first = np.array([translate(NACL, rng).positions[0] for _ in range(4000)])
    counts = np.histogram(first, bins=10, range=(0, 1))[0] / first.size
    assert np.abs(counts - 0.1).max() < 0.015
    assert np.abs(np.corrcoef(first.T) - np.eye(3)).max() < 0.06


@settings(max_examples=60)
@given(crystal=crystals(), seed=seeds)
def test_a_permutation_keeps_every_atom_and_the_sequence_of_elements(
    crystal: Crystal, seed: int
) -> None:
    shuffled = permute_within_species(crystal, np.random.default_rng(seed))
    assert shuffled.numbers.tolist() == crystal.numbers.tolist()

    def atoms(x: Crystal) -> list[tuple[int, list[float]]]:
        return sorted(zip(x.numbers.tolist(), x.positions.tolist(), strict=True))

    assert atoms(shuffled) == atoms(crystal)


def test_permutations_reach_all_orders_within_an_element_alike() -> None:
    rng = np.random.default_rng(0)
    seen: dict[bytes, int] = {}
    for _ in range(1200):
        silicon = permute_within_species(QUARTZ, rng).positions[:3].tobytes()
        seen[silicon] = seen.get(silicon, 0) + 1
    assert len(seen) == 6
    assert min(seen.values()) > 140


def test_the_same_seed_gives_the_same_augmentation() -> None:
    for change in (translate, permute_within_species):
        one, two, other = (change(QUARTZ, np.random.default_rng(s)) for s in (5, 5, 6))
        assert one == two
        assert one != other


@settings(max_examples=30)
@given(seed=seeds)
def test_augmentation_leaves_the_distances_between_atoms_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    changed = permute_within_species(translate(QUARTZ, rng), rng)
    before = np.sort(QUARTZ.structure.distance_matrix, axis=None)
    assert np.allclose(before, np.sort(changed.structure.distance_matrix, axis=None), atol=1e-8)
