from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.errors import InputError
from crystext.structures.crystal import Crystal
from crystext.text import COORDINATE_FORMATS, PLAIN, Format, encode
from crystext.text.partial import Marks, UnknownParts, encode_partial, mask_element
from tests.example_crystals import NACL, SRTIO3, crystal
from tests.strategies import crystals

MASK, MORE = Marks().mask, Marks().more
each_format = pytest.mark.parametrize("fmt", COORDINATE_FORMATS, ids=lambda fmt: fmt.name)


def lines_of_elements(text: str) -> list[str]:
    return text.split("\n")[2::2]


def holding(*symbols: str) -> Crystal:
    return crystal([6.0] * 3, [90.0] * 3, [(s, [0.1 * i, 0, 0]) for i, s in enumerate(symbols)])


def fill(given: str, wanted: str) -> str:
    """Put the lines that were asked for where they belong, and sort the atoms into text order."""
    answers = iter(wanted.split("\n") if wanted else [])
    lines = [next(answers) if line == MASK else line for line in given.split("\n") if line != MORE]
    return "\n".join(lines + list(answers))


def atoms(text: str) -> list[tuple[str, str]]:
    lines = text.split("\n")
    return sorted(zip(lines[2::2], lines[3::2], strict=True))


def sites(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, count - 1), unique=True)


@given(crystal=crystals(), draw=st.data())
def test_what_is_given_and_what_is_asked_for_make_the_whole_crystal(
    crystal: Crystal, draw: st.DataObject
) -> None:
    unknown = UnknownParts(
        lengths=draw.draw(st.booleans()),
        angles=draw.draw(st.booleans()),
        elements=draw.draw(sites(len(crystal))),
        positions=draw.draw(sites(len(crystal))),
        missing=draw.draw(sites(len(crystal))),
    )
    whole = encode(crystal, PLAIN)
    filled = fill(*encode_partial(crystal, unknown, PLAIN))
    assert filled.split("\n")[:2] == whole.split("\n")[:2]
    assert atoms(filled) == atoms(whole)


HIDINGS: dict[str, tuple[UnknownParts, Callable[[Crystal], Crystal]]] = {
    "cell": (
        UnknownParts(lengths=True, angles=True),
        lambda c: Crystal(c.lengths + 1, np.array([80.0, 81.0, 82.0]), c.numbers, c.positions),
    ),
    "element": (
        UnknownParts(elements=[1]),
        lambda c: Crystal(c.lengths, c.angles, np.array([8, 20, 8, 22, 38]), c.positions),
    ),
    "coordinates": (
        UnknownParts(positions=[0]),
        lambda c: Crystal(
            c.lengths, c.angles, c.numbers, c.positions + np.array([[0.1]] + [[0.0]] * 4)
        ),
    ),
    "atom": (
        UnknownParts(missing=[2]),
        lambda c: Crystal(c.lengths, c.angles, np.array([8, 8, 20, 22, 38]), c.positions),
    ),
}


@each_format
@pytest.mark.parametrize("hiding", HIDINGS)
def test_what_is_hidden_does_not_touch_what_is_given(hiding: str, fmt: Format) -> None:
    unknown, other = HIDINGS[hiding]
    given_here, wanted_here = encode_partial(SRTIO3, unknown, fmt)
    given_there, wanted_there = encode_partial(other(SRTIO3), unknown, fmt)
    assert given_here == given_there
    assert wanted_here != wanted_there


def test_missing_atoms_leave_no_trace_but_the_dots() -> None:
    given_text, wanted = encode_partial(NACL, UnknownParts(missing=range(1, 8)), PLAIN)
    assert given_text == "5.64 5.64 5.64\n90.00 90.00 90.00\nNa\n0.000 0.000 0.000\n..."
    assert wanted.count("Na") == 3
    assert wanted.count("Cl") == 4


def test_a_site_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no site 8; the crystal has 8 sites, counted"):
        encode_partial(NACL, UnknownParts(positions=[8]), PLAIN)


def test_masking_nitrogen_leaves_sodium_and_nickel_alone() -> None:
    text = mask_element(holding("Na", "Ni", "N", "N"), "N", PLAIN)
    assert lines_of_elements(text) == ["Na", "Ni", MASK, MASK]


def test_masking_carbon_leaves_calcium_and_chlorine_alone() -> None:
    text = mask_element(holding("Ca", "C", "Cl"), "C", PLAIN)
    assert lines_of_elements(text) == ["Ca", MASK, "Cl"]


@each_format
def test_masking_changes_nothing_but_the_elements_lines(fmt: Format) -> None:
    for symbol in ("Sr", "Ti", "O"):
        masked = mask_element(SRTIO3, symbol, fmt)
        assert masked.replace(f"\n{MASK}\n", f"\n{symbol}\n") == encode(SRTIO3, fmt)
        assert masked.count(MASK) == SRTIO3.symbols.count(symbol)


def test_an_element_that_is_not_there_cannot_be_masked() -> None:
    with pytest.raises(InputError, match="no K to mask; the crystal holds Cl, Na"):
        mask_element(NACL, "K", PLAIN)
