from __future__ import annotations

import numpy as np
import pytest

from crystext.errors import InputError
from crystext.grammar.wyckoff.site_table import site_table
from crystext.structures.crystal import Floats, Ints, basis_vectors
from crystext.structures.standardize import find_symmetry
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_names
from crystext.structures.wyckoff.extra_symmetry import surely_no_extra_symmetry
from crystext.structures.wyckoff.orbits import inverse_primitive_basis, primitive_basis

SYMPREC = 0.1


def crystal_of(
    group: int, orbits: list[tuple[int, str, list[float]]], cell: list[float]
) -> tuple[Floats, Floats, Ints]:
    """Return the conventional lattice, and the atoms of a primitive cell."""
    table, sites, numbers = site_table(group), [], []
    letters = [position.letter for position in table.positions]
    for number, letter, free in orbits:
        place = letters.index(letter)
        sites.append(table.sites(place, np.array(free))[table.primitive_rows[place]])
        numbers += [number] * len(sites[-1])
    return (
        basis_vectors(*cell_parameters(group, cell)),
        np.concatenate(sites),
        np.array(numbers),
    )


def random_crystal(group: int, rng: np.random.Generator) -> tuple[Floats, Floats, Ints]:
    """Return a crystal that often has more symmetry than its group, exactly or nearly."""
    table = site_table(group)
    orbits = []
    for number in rng.choice([11, 17], size=rng.integers(1, 4)):
        position = table.positions[rng.integers(len(table.positions))]
        free = rng.choice([0.0, 0.125, 0.25, 0.3, 0.5], size=len(position.free_axes))
        orbits.append((int(number), position.letter, free + rng.choice([0, 0.004, 0.02, 0.1])))
    values = {"a": [6.0, 6.1, 8.5], "b": [6.0, 6.1, 10.4], "c": [6.0, 6.3, 14.7]}
    names = free_parameter_names(group)
    cell = [rng.choice(values.get(name, [90.0, 91.0, 101.0])) for name in names]
    return crystal_of(group, orbits, cell)


def found_group(group: int, lattice: Floats, positions: Floats, numbers: Ints) -> int | None:
    to_primitive = inverse_primitive_basis(group)
    try:
        found = find_symmetry(
            primitive_basis(group) @ lattice, positions @ to_primitive, numbers, SYMPREC
        )
    except InputError:
        return None
    return int(found.number)


def test_where_no_extra_symmetry_is_promised_spglib_finds_none() -> None:
    rng = np.random.default_rng(5)
    sure, unsure, wrong = 0, 0, []
    for _ in range(400):
        group = int(rng.integers(1, 231))
        crystal = random_crystal(group, rng)
        positions = crystal[1]
        apart = positions[:, None] - positions
        apart -= np.rint(apart)
        if (
            len(positions) > 24
            or np.sort(abs(apart).sum(axis=2), axis=1)[:, 1:2].min(initial=1) < 0.1
        ):
            continue  # Atoms that overlap, for which spglib gives up.
        found = found_group(group, *crystal)
        if surely_no_extra_symmetry(group, *crystal, SYMPREC):
            sure += 1
            wrong += [] if found == group else [(group, found)]
        else:
            unsure += 1
    assert not wrong
    assert min(sure, unsure) > 20


@pytest.mark.parametrize(
    ("group", "orbits", "cell", "expected"),
    [
        (225, [(11, "a", []), (17, "b", [])], [5.64], True),
        # Rock salt and caesium chloride, with operations left out.
        (216, [(11, "a", []), (17, "b", [])], [5.64], False),
        (47, [(55, "a", []), (17, "h", [])], [4.1, 4.1, 4.1], False),
        (47, [(55, "a", []), (17, "h", [])], [4.1, 4.9, 6.2], True),
        # A cell of two equal halves.
        (123, [(55, "a", []), (55, "b", [])], [4.1, 8.2], False),
        (123, [(55, "a", []), (11, "b", [])], [4.1, 8.0], True),
        # A shift of 0.03 Å from the mirror, and one of 0.4 Å.
        (99, [(22, "a", [0.0]), (8, "b", [0.505])], [4.0, 6.0], False),
        (99, [(22, "a", [0.0]), (8, "b", [0.57])], [4.0, 6.0], True),
    ],
)
def test_known_crystals(
    group: int, orbits: list[tuple[int, str, list[float]]], cell: list[float], expected: bool
) -> None:
    crystal = crystal_of(group, orbits, cell)
    assert surely_no_extra_symmetry(group, *crystal, SYMPREC) == expected
    assert (found_group(group, *crystal) == group) == expected
