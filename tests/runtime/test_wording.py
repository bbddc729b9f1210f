from __future__ import annotations

import pytest

from crystext.runtime.wording import format_count


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "attempt", "1 attempt"), (0, "crystal", "0 crystals"), (1200, "row", "1,200 rows"),
     (2, "try", "2 tries"), (1, "try", "1 try")],
)  # fmt: skip
def test_a_noun_agrees_with_its_number(number: int, noun: str, text: str) -> None:
    assert format_count(number, noun) == text
