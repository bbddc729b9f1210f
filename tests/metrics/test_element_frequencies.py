"""How often elements occur, compared with the reference."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.metrics.element_frequencies import element_ratios, expected_out_of_range, out_of_range
from crystext.structures.crystal import Crystal


def pair(*numbers: int) -> Crystal:
    return Crystal([4.0] * 3, [60.0] * 3, numbers, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))


SALT, SYLVITE, MAGNESIA = pair(11, 17), pair(19, 17), pair(12, 8)


def test_a_ratio_is_of_all_samples_failures_included():
    ratios = element_ratios([SALT, SALT, SYLVITE], [SALT, SYLVITE], n_samples=4)
    assert [(x.symbol, x.n) for x in ratios] == [("K", 1), ("Cl", 3), ("Na", 2)]
    assert [x.ratio for x in ratios] == pytest.approx([0.5, 0.75, 1.0])
    assert [x.symbol for x in out_of_range(ratios)] == ["K"]
    assert [x.symbol for x in out_of_range(ratios, (0.4, 0.9))] == ["Na"]


def test_an_element_that_is_never_drawn_has_the_ratio_zero():
    (lowest, *_) = element_ratios([SALT], [SALT, MAGNESIA], n_samples=1)
    assert (lowest.symbol, lowest.n, lowest.ratio) == ("Mg", 0, 0.0)


def test_elements_that_are_rare_in_the_reference_are_not_compared():
    reference = [SALT] * 98 + [SYLVITE] + [MAGNESIA]
    symbols = {x.symbol for x in element_ratios([SALT], reference, n_samples=1)}
    assert symbols == {"Na", "Cl", "K", "Mg", "O"}
    symbols = {
        x.symbol for x in element_ratios([SALT], reference, n_samples=1, min_proportion=0.02)
    }
    assert symbols == {"Na", "Cl"}


def test_by_chance_alone_few_samples_leave_elements_out_of_range():
    reference = [SALT] * 99 + [MAGNESIA]
    rng = np.random.default_rng(0)
    counted, draws = 0, 400
    for _ in range(draws):
        drawn = [reference[i] for i in rng.integers(len(reference), size=60)]
        ratios = element_ratios(drawn, reference, n_samples=60)
        counted += len(out_of_range(ratios))
    expected = expected_out_of_range(ratios, 60)
    assert counted / draws == pytest.approx(expected, abs=0.15)
    assert expected_out_of_range(ratios, 10**6) == pytest.approx(0, abs=1e-9)
