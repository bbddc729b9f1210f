import pytest

from crystext.errors import SettingError
from crystext.metrics.conditioning import check_conditions
from tests.example_crystals import NACL, SRTIO3

ASKED = {"composition": "NaCl", "space_group": 225, "n_atoms": "2-8", "band_gap": 5.0}


def kept(crystal):
    return {record.name: record.satisfied for record in check_conditions(ASKED, crystal)}


def test_each_condition_is_looked_for_in_the_crystal():
    alike = {"composition": True, "space_group": True, "n_atoms": True, "band_gap": None}
    assert kept(NACL) == alike
    assert kept(SRTIO3) == alike | {"composition": False, "space_group": False}


def test_what_is_no_crystal_keeps_nothing():
    assert set(kept(None).values()) == {False, None}
    assert kept(None)["composition"] is False


def test_an_unknown_condition_is_named():
    with pytest.raises(SettingError, match="colour"):
        check_conditions({"colour": "red"}, NACL)
