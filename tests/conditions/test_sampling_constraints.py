from __future__ import annotations

from typing import Any

import pytest

from crystext.chemistry.elements import SYMBOLS
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import SettingError

LIFEPO4 = (("Li", 1), ("Fe", 1), ("P", 1), ("O", 4))
LARGE = (("Al", 10), ("O", 14))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"max_atoms": 0}, "expected 1 to 1000"),
        ({"min_atoms": 0}, "expected 1 or more"),
        (
            {"min_atoms": 9, "max_atoms": 8},
            "(on the command line --max-atoms 9), or ask for 8 or fewer",
        ),
        ({"min_distance_ratio": 1.5}, "expected 0 (off) to 1"),
        ({"crystal_system": "cubik"}, "Did you mean 'cubic'?"),
        ({"require": ("fe",)}, "Did you mean 'Fe'?"),
        ({"only": ("Xx",)}, "no element 'Xx'"),
        ({"formula": (("Lj", 1),)}, "no element 'Lj'"),
        ({"require": ("Li", "O"), "exclude": ("O",)}, "O is both requested and excluded"),
        ({"formula": LIFEPO4, "exclude": ("P", "O")}, "P, O are both requested and excluded"),
        ({"require": ("Li",), "only": ("Na", "O")}, "that may occur (Na, O)"),
        ({"formula": LIFEPO4, "only": ("Li", "Fe", "O")}, "P is requested, but not among"),
        ({"formula": LIFEPO4, "require": ("Na",)}, "not in the formula LiFePO4"),
        ({"only": ("Na",), "exclude": ("Na",)}, "leave at least one of Na"),
        ({"only": ()}, "leave at least one"),
        ({"exclude": SYMBOLS}, "all elements are excluded"),
        (
            {"require": ("Li", "Na", "K"), "max_atoms": 2},
            "take max_atoms 3 (on the command line --max-atoms 3), or",
        ),
        ({"formula": LARGE}, "has 24 atoms, and a crystal may have 20; take max_atoms 24"),
        ({"formula": LIFEPO4, "min_atoms": 20, "max_atoms": 20}, "take 14 or 21 atoms"),
        ({"formula": LIFEPO4, "min_atoms": 8, "max_atoms": 12}, "take 7 or 14 atoms"),
        ({"formula": LIFEPO4, "min_atoms": 3, "max_atoms": 5}, "take 7 atoms"),
        ({"formula": (("Li", 0),)}, "counts of 1 or more"),
        ({"formula": (("Li", 1), ("Li", 2))}, "has Li more than once"),
    ],
)
def test_what_leaves_no_crystal_is_refused_with_what_would(
    asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingError) as refused:
        Constraints(**asked)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("least", "most", "units"), [(1, 20, (1, 2)), (7, 7, (1,)), (8, 21, (2, 3)), (14, 14, (2,))]
)
def test_formula_units_are_all_the_numbers_that_fit(
    least: int, most: int, units: tuple[int, ...]
) -> None:
    asked = Constraints(formula=LIFEPO4, min_atoms=least, max_atoms=most)
    assert asked.formula_units == units
