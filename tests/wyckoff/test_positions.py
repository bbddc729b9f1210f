from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spglib

from crystext.crystal import basis_vectors
from crystext.errors import SettingError
from crystext.wyckoff.cells import cell_parameters, free_parameters
from crystext.wyckoff.derivation import derive
from crystext.wyckoff.orbits import orbit_sites
from crystext.wyckoff.positions import hall_number, operations, positions

GROUPS = range(1, 231)
PARAMETERS = {"a": 5.9, "b": 7.1, "c": 8.7, "alpha": 84.0, "beta": 104.0, "gamma": 98.0}
GENERAL = np.array([0.0713, 0.1931, 0.3377])


def test_there_are_as_many_positions_as_in_the_international_tables() -> None:
    assert sum(len(positions(group)) for group in GROUPS) == 1731
    assert list(positions(47)) == [*"abcdefghijklmnopqrstuvwxyz", "A"]
    assert [p.name for p in positions(225).values()][:4] == ["4a", "4b", "8c", "24d"]


@pytest.mark.parametrize("group", [1, 2, 15, 47, 63, 88, 129, 148, 152, 166, 194, 205])
def test_the_table_is_what_the_operations_give(group: int) -> None:
    table = [(p.letter, p.multiplicity, p.free) for p in positions(group).values()]
    derived = derive(group)
    assert [row[:2] for row in table] == [row[:2] for row in derived]


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_the_whole_table_is_what_the_operations_give(group: int) -> None:
    test_the_table_is_what_the_operations_give(group)


@pytest.mark.parametrize("group", GROUPS)
def test_an_orbit_has_as_many_sites_as_its_name_says(group: int) -> None:
    most = len(operations(group)[0])
    for position in positions(group).values():
        free = GENERAL[: len(position.free)]
        assert len(orbit_sites(position, free)) == position.multiplicity
        assert most % position.multiplicity == 0
    assert position.multiplicity == most
    assert len(position.free) == 3


@pytest.mark.parametrize("group", range(1, 231, 7))
def test_spglib_gives_atoms_put_there_the_same_letter(group: int) -> None:
    cell = cell_parameters(group, [PARAMETERS[name] for name in free_parameters(group)])
    lattice = basis_vectors(*(x[None] for x in cell))[0]
    known = positions(group)
    general = known[list(known)[-1]]
    backdrop = [orbit_sites(general, GENERAL), orbit_sites(general, GENERAL[::-1] + 0.01)]
    for position in known.values():
        sites = [
            *backdrop,
            orbit_sites(position, np.array([0.1137, 0.2351, 0.0853])[list(position.free)]),
        ]
        numbers = np.repeat([1, 2, 3], [len(x) for x in sites])
        crystal: Any = (lattice, np.concatenate(sites), numbers)
        found: Any = spglib.get_symmetry_dataset(crystal, 1e-4, hall_number=hall_number(group))
        assert found.number == group
        if np.abs(found.origin_shift).max() < 1e-6 and (
            np.abs(found.transformation_matrix - np.eye(3)).max() < 1e-6
        ):
            assert found.wyckoffs[-1] == position.letter


def test_a_group_that_is_none_is_refused() -> None:
    for number in (0, 231):
        with pytest.raises(SettingError, match="expected 1 to 230"):
            positions(number)
