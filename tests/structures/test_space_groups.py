from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from pymatgen.symmetry.groups import SpaceGroup, sg_symbol_from_int_number

from crystext.errors import SettingError
from crystext.structures.crystal import Crystal
from crystext.structures.space_groups import find_space_group, moyo_space_group, parse_space_group
from tests.example_crystals import NACL, SRTIO3
from tests.strategies import crystals

groups = pytest.mark.parametrize("number", range(1, 231))


@groups
def test_every_symbol_of_pymatgens_names_its_group(number: int) -> None:
    symbol = sg_symbol_from_int_number(number)
    assert parse_space_group(symbol) == number
    assert parse_space_group(symbol.replace("_", "").lower()) == number
    assert parse_space_group(" ".join(symbol)) == number
    assert parse_space_group(number) == parse_space_group(str(number)) == number


def test_full_symbols_of_pymatgens_name_their_groups() -> None:
    found = 0
    for full, short in SpaceGroup.full_sg_mapping.items():
        try:
            number = parse_space_group(full)
        except SettingError:
            continue  # some are written without the screw axes that spglib's imply, or with more
        assert number == SpaceGroup(short).int_number
        found += 1
    assert found > 200


@pytest.mark.parametrize(
    ("spelling", "number"),
    [("Fm3m", 225), ("F m -3 m", 225), ("P21/n", 14), ("Pbnm", 62), ("Cmca", 64), ("I-42d", 122),
     ("Ia3d", 230), ("Pa3", 205), ("P 1 21/c 1", 14), ("225.0", 225), ("R-3m", 166),
     ("0000000225", 225), ("00001.0", 1)],
)  # fmt: skip
def test_common_spellings_are_understood(spelling: str, number: int) -> None:
    assert parse_space_group(spelling) == number


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (0, "expected 1 to 230. The nearest is 1"),
        (231, "The nearest is 230"),
        ("-5", "The nearest is 1"),
        ("0" * 12, "The nearest is 1"),
        ("9" * 5000, "The nearest is 230"),
        ("1e3", "no space group is called"),
        ("Fm-3x", "Did you mean"),
        ("", "such as Fm-3m"),
        (True, "such as Fm-3m"),
    ],
)
def test_what_is_no_group_is_refused_with_the_nearest(wanted: int | str, expected: str) -> None:
    with pytest.raises(SettingError) as refusal:
        parse_space_group(wanted)
    assert expected in str(refusal.value)


def test_known_crystals_have_their_groups() -> None:
    assert find_space_group(NACL) == 225
    assert find_space_group(SRTIO3) == 221


@given(crystal=crystals())
def test_any_crystal_has_a_group_or_none_is_found(crystal: Crystal) -> None:
    number = find_space_group(crystal)
    assert number is None or 1 <= number <= 230


def test_moyo_finds_the_groups_of_known_crystals_and_says_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for crystal, expected in ((NACL, 225), (SRTIO3, 221)):
        atoms = crystal.lattice, crystal.positions, crystal.numbers
        assert moyo_space_group(*atoms) == expected
    # A cell that is no whole multiple of the primitive one in the directions of its symmetry.
    lattice = np.array([[3.0, 0.0, 0.0], [1.5, 8.0, 0.0], [0.0, 0.0, 5.0]])
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    moyo_space_group(lattice, positions, np.array([3, 3]))
    assert capfd.readouterr() == ("", "")


def test_moyo_finds_no_group_where_there_is_no_cell() -> None:
    assert moyo_space_group(np.zeros((3, 3)), np.zeros((1, 3)), np.array([3])) is None
