from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crystext.errors import SettingError
from crystext.runtime.validate_numbers import real_number, whole_number


@pytest.mark.parametrize("value", [8, 8.0, np.int64(8), np.uint8(8), np.float32(8), np.array(8)])
def test_a_whole_number_of_any_type_becomes_a_plain_one(value: Any) -> None:
    found = whole_number("n", value)
    assert (found, type(found)) == (8, int)


@pytest.mark.parametrize("value", [8, 8.0, np.int64(8), np.float32(8), np.float64(8)])
def test_a_number_of_any_type_becomes_a_plain_float(value: Any) -> None:
    found = real_number("x", value)
    assert (found, type(found)) == (8.0, float)


@pytest.mark.parametrize("value", [None, "8", True, [8], 8j, {}], ids=repr)
def test_what_is_no_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(SettingError, match=r"seed is .*; expected a whole number"):
        whole_number("seed", value)
    with pytest.raises(SettingError, match=r"top_p is .*; expected a number"):
        real_number("top_p", value)


@pytest.mark.parametrize("value", [2.5, float("nan"), float("inf"), np.float32(0.1)])
def test_a_number_that_is_not_whole_is_not_cut(value: float) -> None:
    with pytest.raises(SettingError, match="expected a whole number"):
        whole_number("n", value)
