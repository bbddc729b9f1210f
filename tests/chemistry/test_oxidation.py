from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.oxidation import nearest_neutral_formula
from crystext.metrics.composition_validity import is_composition_valid


def is_neutral(*formula: tuple[str, int]) -> bool:
    numbers = [ATOMIC_NUMBERS[symbol] for symbol, count in formula for _ in range(count)]
    return is_composition_valid(np.array(numbers))


@pytest.mark.parametrize("formula", [("Na", 1, "Cl", 2), ("Al", 5, "O", 3), ("Ca", 1, "F", 5)])
def test_the_nearest_neutral_formula_is_neutral_and_none_is_nearer(
    formula: tuple[str, int, str, int],
) -> None:
    first, m, second, n = formula
    assert not is_neutral((first, m), (second, n))
    found = nearest_neutral_formula({first: m, second: n}, max_atoms=20)
    distances = {
        abs(i - m) + abs(j - n): (i, j)
        for i, j in product(range(1, 10), repeat=2)
        if is_neutral((first, i), (second, j))
    }
    nearest = min(distances)
    assert found is not None
    assert is_neutral(*found.items())
    scales = [k for k in range(1, 10) if distance(found, k, formula) == nearest]
    assert scales


def distance(found: dict[str, int], scale: int, formula: tuple[str, int, str, int]) -> int:
    first, m, second, n = formula
    return abs(scale * found[first] - m) + abs(scale * found[second] - n)


def test_no_formula_is_proposed_beyond_the_largest_cell() -> None:
    assert nearest_neutral_formula({"Na": 1, "Cl": 2}, max_atoms=1) is None
