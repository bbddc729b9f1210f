"""Rates of sampling in words."""

import pytest

from crystext.cli.progress import format_rate


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(1234.6, "1235/s"), (10.0, "10/s"), (9.96, "10.0/s"), (1.0, "1.0/s"), (0.25, "4.0 s each")],
)
def test_a_slow_rate_is_not_zero(per_second: float, text: str) -> None:
    assert format_rate(per_second) == text
