"""Every setting of every group, by its list, its symbol and its Hall symbol, is one crystal.

The atoms expected are made here by gemmi's operations on exact coordinates, one by one.
"""

from __future__ import annotations

import gemmi
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crystext.io.read.cif import read_cif
from crystext.structures.crystal import Floats, lengths_and_angles

SETTINGS = list(gemmi.spacegroup_table())


def matrices(setting: gemmi.SpaceGroup) -> tuple[Floats, Floats]:
    """Return rotations (n, 3, 3) and translations (n, 3) of all operations."""
    operations = list(setting.operations())
    rotations = np.array([operation.rot for operation in operations]) / 24
    return rotations, np.array([operation.tran for operation in operations]) / 24


def metric(rotations: Floats, rng: np.random.Generator) -> Floats:
    """Return a random metric that all rotations keep; shape (3, 3)."""
    vectors = np.diag(rng.uniform(9, 16, 3)) + rng.uniform(-2, 2, (3, 3))
    tensor = vectors @ vectors.T
    kept: Floats = np.mean([r.T @ tensor @ r for r in rotations], axis=0)
    return kept


def special_position(rotations: Floats, translations: Floats, rng: np.random.Generator) -> Floats:
    """Return a position that an operation, picked at random, maps to itself.

    A glide or a screw has no such position: what comes out is a general one.
    """
    pick = rng.integers(len(rotations))
    first: Floats = rng.uniform(0, 1, 3)
    path = [first]
    for _ in range(5):
        image = rotations[pick] @ path[-1] + translations[pick]
        if np.allclose(image, first):
            break
        path.append(image)
    mean: Floats = np.mean(path, axis=0)
    return mean


def images(position: Floats, rotations: Floats, translations: Floats) -> Floats:
    """Return the different images of a position, modulo lattice translations."""
    found: list[Floats] = []
    for rotation, translation in zip(rotations, translations, strict=True):
        image = rotation @ position + translation
        shifts = np.array(found).reshape(-1, 3) - image
        if not found or np.abs(shifts - np.round(shifts)).max(axis=1).min() > 1e-9:
            found.append(image)
    return np.array(found)


def nearest(first: Floats, second: Floats, vectors: Floats) -> Floats:
    """Return the distances from each position to each other one, in Å."""
    shifts = first[:, None, :] - second[None, :, :]
    shifts -= np.round(shifts)
    distances: Floats = np.linalg.norm(shifts @ vectors, axis=2)
    return distances


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SETTINGS),
    st.integers(0, 10**6),
    st.sampled_from([3, 4, 5, 8]),
    st.sampled_from(["list", "symbol", "hall", "all"]),
)
def test_a_setting_makes_its_atoms_however_it_is_named(
    setting: gemmi.SpaceGroup, seed: int, digits: int, said_by: str
) -> None:
    rng = np.random.default_rng(seed)
    rotations, translations = matrices(setting)
    vectors = np.linalg.cholesky(metric(rotations, rng)).astype(np.float64)
    lengths, angles = lengths_and_angles(vectors)
    positions = [special_position(rotations, translations, rng) for _ in range(3)]
    orbits = [images(p, rotations, translations) for p in positions]
    expected = np.concatenate(orbits)
    apart = nearest(expected, expected, vectors) + 9 * np.eye(len(expected))
    assume(apart.min() > 1)
    lines = ["data_x"]
    for name, value in zip("abc", lengths, strict=True):
        lines.append(f"_cell_length_{name} {value:.5f}")
    for name, value in zip(("alpha", "beta", "gamma"), angles, strict=True):
        lines.append(f"_cell_angle_{name} {value:.4f}")
    if said_by in ("symbol", "all"):
        lines.append(f"_space_group_name_H-M_alt '{setting.xhm()}'")
    if said_by in ("hall", "all"):
        lines.append(f"_space_group_name_Hall '{setting.hall}'")
    if said_by in ("list", "all"):
        lines += ["loop_", "_space_group_symop_operation_xyz"]
        lines += [f"'{operation.triplet()}'" for operation in setting.operations()]
    lines += ["loop_", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    for symbol, position in zip(("Na", "Mg", "Al"), positions, strict=True):
        lines.append(" ".join([symbol, *(f"{x:.{digits}f}" for x in position)]))
    crystal = read_cif("\n".join(lines) + "\n").crystal
    assert len(crystal) == len(expected)
    found = nearest(crystal.positions, expected, vectors)
    assert found.min(axis=1).max() < 40 * 10.0**-digits
    sizes = [int((crystal.numbers == z).sum()) for z in (11, 12, 13)]
    assert sizes == [len(orbit) for orbit in orbits]
