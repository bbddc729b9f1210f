from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spglib

from crystext.errors import SettingError
from crystext.structures.crystal import Floats, Ints, basis_vectors
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_names
from crystext.structures.wyckoff.derivation import derive_positions
from crystext.structures.wyckoff.orbits import orbit_sites, representatives
from crystext.structures.wyckoff.positions import (
    WyckoffPosition,
    hall_number,
    parse_triplet,
    symmetry_operations,
    wyckoff_positions,
)

GROUPS = range(1, 231)
PARAMETERS = {"a": 5.9, "b": 7.1, "c": 8.7, "alpha": 84.0, "beta": 104.0, "gamma": 98.0}
GENERAL = np.array([0.0713, 0.1931, 0.3377])


def lattice_of(group: int) -> Floats:
    return basis_vectors(
        *cell_parameters(group, [PARAMETERS[name] for name in free_parameter_names(group)])
    )


def with_backdrop(position: WyckoffPosition) -> tuple[Floats, Ints]:
    """Return sites and numbers of a crystal whose last orbit is on a position.

    Two orbits in general positions keep the symmetry from being higher.
    """
    general = list(wyckoff_positions(position.space_group).values())[-1]
    free = np.array([0.1137, 0.2351, 0.0853])[list(position.free_axes)]
    sites = [
        orbit_sites(general, GENERAL),
        orbit_sites(general, GENERAL[::-1] + 0.01),
        orbit_sites(position, free),
    ]
    return np.concatenate(sites), np.repeat([1, 2, 3], [len(x) for x in sites])


def test_there_are_as_many_positions_as_in_the_international_tables() -> None:
    assert sum(len(wyckoff_positions(group)) for group in GROUPS) == 1731
    assert list(wyckoff_positions(47)) == [*"abcdefghijklmnopqrstuvwxyz", "A"]
    assert [p.name for p in wyckoff_positions(225).values()][:4] == ["4a", "4b", "8c", "24d"]


@pytest.mark.parametrize("group", [1, 2, 15, 47, 63, 88, 129, 148, 152, 166, 194, 205])
def test_the_table_is_what_the_operations_give(group: int) -> None:
    derived = [(a, n, *parse_triplet(triplet)) for a, n, triplet in derive_positions(group)]
    for position, row in zip(wyckoff_positions(group).values(), derived, strict=True):
        letter, multiplicity, free, matrix, offset = row
        assert (position.letter, position.multiplicity, position.free_axes) == (
            letter,
            multiplicity,
            free,
        )
        assert np.array_equal(position.matrix, matrix)
        assert np.array_equal(position.offset, offset)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_the_whole_table_is_what_the_operations_give(group: int) -> None:
    test_the_table_is_what_the_operations_give(group)


@pytest.mark.parametrize("group", GROUPS)
def test_an_orbit_has_as_many_sites_as_its_name_says(group: int) -> None:
    most = len(symmetry_operations(group)[0])
    for position in wyckoff_positions(group).values():
        free = GENERAL[: len(position.free_axes)]
        assert len(orbit_sites(position, free)) == position.multiplicity
        assert most % position.multiplicity == 0
    assert position.multiplicity == most
    assert len(position.free_axes) == 3


@pytest.mark.parametrize("group", range(1, 231, 7))
def test_spglib_finds_atoms_on_the_position_where_they_were_put(group: int) -> None:
    """spglib may move the origin to one that is alike, which may change a letter."""
    known = wyckoff_positions(group)
    for position in known.values():
        sites, numbers = with_backdrop(position)
        crystal: Any = (lattice_of(group), sites, numbers)
        found: Any = spglib.get_symmetry_dataset(crystal, 1e-4, hall_number=hall_number(group))
        assert found.number == group
        seen = known[found.wyckoffs[-1]]
        moved = sites[numbers == 3] @ found.transformation_matrix.T + found.origin_shift
        assert len(representatives(seen, moved))
        assert seen.multiplicity == position.multiplicity


def test_letters_are_those_of_spglib_where_it_leaves_the_origin() -> None:
    compared = 0
    for group in (1, 2, 12, 47, 62, 71, 123, 139, 148, 166, 191, 194, 216, 221, 225, 229):
        for position in wyckoff_positions(group).values():
            sites, numbers = with_backdrop(position)
            crystal: Any = (lattice_of(group), sites, numbers)
            found: Any = spglib.get_symmetry_dataset(crystal, 1e-4)
            if np.allclose(found.origin_shift, 0) and np.allclose(
                found.transformation_matrix, np.eye(3)
            ):
                assert found.wyckoffs[-1] == position.letter
                compared += 1
    assert compared > 150


@pytest.mark.parametrize("group", range(1, 231, 7))
def test_spglib_takes_the_setting_of_the_table_unasked(group: int) -> None:
    """Whichever way round the axes are given."""
    position = next(iter(wyckoff_positions(group).values()))
    sites, numbers = with_backdrop(position)
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        crystal: Any = (lattice_of(group)[order], sites[:, order], numbers)
        found: Any = spglib.get_symmetry_dataset(crystal, 1e-4)
        assert found.hall_number == hall_number(group)


def test_a_group_that_is_none_is_refused() -> None:
    for number in (0, 231):
        with pytest.raises(SettingError, match="expected 1 to 230"):
            wyckoff_positions(number)
