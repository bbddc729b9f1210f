"""What a search is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.conditions import Conditions
from crystext.discover.settings import Budget, SearchSettings, parse_duration
from crystext.errors import SettingError


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_read_as_it_is_written(hours, minutes, seconds):
    total = 3600 * hours + 60 * minutes + seconds
    text = f"{hours}h{minutes}m{seconds}s"
    if total:
        assert parse_duration(text) == parse_duration(str(total)) == total
    else:
        with pytest.raises(SettingError):
            parse_duration(text)


@pytest.mark.parametrize("text", ["", "ten", "5 days", "-3m", "20mm", "inf", "nan"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(SettingError, match="20m"):
        parse_duration(text)


def test_subsystems_are_all_parts_of_two_or_more_elements():
    conditions = Conditions.from_keywords(chemical_system="Li-P-O", n_atoms="2-9")
    targets = SearchSettings(conditions, subsystems=True).targets
    systems = ["-".join(sorted(x.chemical_system)) for x in targets]
    assert systems[0] == "Li-O-P"
    assert sorted(systems[1:]) == ["Li-O", "Li-P", "O-P"]
    assert all(x.n_atoms == (2, 9) for x in targets)


@pytest.mark.parametrize("conditions", [{}, {"chemical_system": "Li-O"}, {"composition": "Li3PO4"}])
def test_subsystems_need_a_system_of_three(conditions):
    with pytest.raises(SettingError, match="subsystems"):
        SearchSettings(Conditions.from_keywords(**conditions), subsystems=True)


def test_the_first_round_is_small():
    settings = SearchSettings(Conditions(), texts_per_round=160, relaxed_per_round=12)
    assert settings.sizes(1) == (40, 4)
    assert settings.sizes(2) == settings.sizes(9) == (160, 12)


@pytest.mark.parametrize("limits", [{"n": 0}, {"seconds": 0.0}, {"rounds": -1}])
def test_a_budget_of_nothing_is_refused(limits):
    with pytest.raises(SettingError, match="expected"):
        Budget(**{"n": None, "seconds": None, **limits})
