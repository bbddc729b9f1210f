"""Which completion comes first."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crystext.generation.infilling.ranking import rank_keys
from crystext.generation.infilling.specify import InfillSpec, specify
from crystext.io.read.partial_structures import partial_structure_of
from crystext.structures.crystal import Crystal
from tests.example_crystals import SRTIO3

SITES = partial_structure_of(SRTIO3)
CELL = specify(SITES, InfillSpec(cell=True), 20)[0]
ELEMENT = specify(SITES, InfillSpec({"Ti": "?"}), 20)[0]


def cube(length: float) -> Crystal:
    return replace(SRTIO3, lengths=np.full(3, length))


def first(found: list[tuple[Crystal, float, int]]) -> Crystal:
    keys = rank_keys(CELL, found)
    return found[min(range(len(found)), key=keys.__getitem__)][0]


def test_of_cells_the_one_of_middle_size_comes_first_however_probable_others_are() -> None:
    found = [(cube(3.0), -1.0, 1), (cube(3.9), -5.0, 1), (cube(4.4), -2.0, 1)]
    assert first(found) == cube(3.9)


def test_what_was_drawn_more_often_counts_for_more() -> None:
    found = [(cube(3.0), -1.0, 1), (cube(3.9), -5.0, 1), (cube(4.4), -2.0, 4)]
    assert first(found) == cube(4.4)


def test_of_elements_the_most_probable_comes_first() -> None:
    found = [(SRTIO3, -3.0, 1), (SRTIO3, -1.0, 1), (SRTIO3, -2.0, 9)]
    keys = rank_keys(ELEMENT, found)
    assert sorted(range(3), key=keys.__getitem__) == [1, 2, 0]


@given(st.lists(st.floats(2.0, 9.0), min_size=1, max_size=15))
def test_the_first_cell_has_as_many_larger_as_smaller_ones(lengths: list[float]) -> None:
    chosen = first([(cube(length), 0.0, 1) for length in lengths]).lengths[0]
    half = len(lengths) // 2 + 1
    assert sum(length <= chosen + 1e-6 for length in lengths) >= len(lengths) // 2
    assert sum(length >= chosen - 1e-6 for length in lengths) >= len(lengths) - half
