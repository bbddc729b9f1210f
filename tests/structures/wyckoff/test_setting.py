from __future__ import annotations

import numpy as np
import pytest

from crystext.errors import InputError
from crystext.io.read.cif.operations import operations_of_setting
from crystext.io.read.cif.symbols import settings_of_number
from crystext.structures.crystal import basis_vectors
from crystext.structures.wyckoff.cell_parameters import cell_parameters
from crystext.structures.wyckoff.metric_tensor import consistent_cells, fill_tied
from crystext.structures.wyckoff.positions import wyckoff_positions
from crystext.structures.wyckoff.setting import GroupSetting, group_setting

FREE = np.array([0.1137, 0.2951, 0.0653])
OPEN = np.full(3, np.nan)


def table_settings(number: int) -> list[GroupSetting]:
    found = [operations_of_setting(setting) for setting in settings_of_number(number)]
    return [group_setting(number, each.rotations, each.translations) for each in found]


@pytest.mark.parametrize("number", [1, 14, 36, 70, 141, 148, 227])
def test_an_orbit_in_any_setting_is_that_of_its_wyckoff_position(number: int) -> None:
    """Other axes, other origins and rhombohedral axes: sites, position and size agree."""
    for setting in table_settings(number)[:6]:
        lattice = setting.file_lattice(basis_vectors(np.array([9.0, 9.5, 10.0]), np.full(3, 90.0)))
        for position in wyckoff_positions(number).values():
            free = FREE[: len(position.free_axes)]
            map_ = setting.orbit_map(position)
            sites = map_.sites(free)
            assert len(sites) == round(position.multiplicity * abs(np.linalg.det(setting.matrix)))
            found = setting.expand(8, sites[0], lattice)
            assert found.orbit.position is position
            away = found.sites[:, None] - sites
            away -= np.rint(away)
            assert (np.abs(away).max(axis=2).min(axis=1) < 1e-6).all()


def test_lattice_points_count_the_primitive_cells() -> None:
    hexagonal, rhombohedral = table_settings(166)
    assert (hexagonal.lattice_points, rhombohedral.lattice_points) == (3, 1)


def test_operations_of_another_group_are_refused() -> None:
    (setting,) = settings_of_number(136)
    operations = operations_of_setting(setting)
    with pytest.raises(InputError, match="not those of space group 137"):
        group_setting(137, operations.rotations, operations.translations)


@pytest.mark.parametrize(
    ("number", "lengths", "angles", "expected"),
    [
        (136, [4.6, np.nan, np.nan], OPEN, [4.6, 4.6, np.nan, 90, 90, 90]),
        (194, [np.nan, 3.2, 5.2], OPEN, [3.2, 3.2, 5.2, 90, 90, 120]),
        (225, [np.nan, np.nan, 5.6], np.full(3, 90.0), [5.6, 5.6, 5.6, 90, 90, 90]),
        (14, [5.0, 6.0, np.nan], OPEN, [5.0, 6.0, np.nan, 90, np.nan, 90]),
    ],
)
def test_what_symmetry_ties_is_filled_in(
    number: int, lengths: list[float], angles: list[float], expected: list[float]
) -> None:
    setting = table_settings(number)[0]
    given = np.array(lengths), np.array(angles)
    cells = consistent_cells(setting.rotations, *given, 0.02)
    found = np.concatenate(fill_tied(*given, cells))
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_a_cell_that_symmetry_rules_out_is_found_out() -> None:
    tetragonal = table_settings(136)[0].rotations
    assert consistent_cells(tetragonal, np.array([4.6, 4.9, np.nan]), OPEN, 0.02) == ()
    assert consistent_cells(tetragonal, np.array([4.6, 4.6, 3]), np.array([90, 80, 90]), 0.02) == ()
    lengths, angles = cell_parameters(136, [4.6, 3.0])
    cells = consistent_cells(tetragonal, lengths, angles, 0.02)
    assert all(np.allclose(cell[0], lengths) and np.allclose(cell[1], angles) for cell in cells)
