from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crystext.errors import InputError, SettingError
from crystext.generation.infilling.similar_elements import similar_elements
from crystext.generation.infilling.specify import InfillSpec, specify
from crystext.io.read.partial_structures import PartialStructure, partial_structure_of
from crystext.text.partial import PartialCrystal
from tests.example_crystals import SRTIO3, crystal

SITES = partial_structure_of(SRTIO3)
N_NA_NI = partial_structure_of(
    crystal([6.0] * 3, [90] * 3, [("N", [0, 0, 0]), ("Na", [0.5, 0, 0]), ("Ni", [0, 0.5, 0.5])])
)


def blanked(sites: PartialStructure = SITES, max_atoms: int = 20, **asked: Any) -> PartialCrystal:
    return specify(sites, InfillSpec(**asked), max_atoms)[0]


def test_masking_nitrogen_leaves_sodium_and_nickel_alone() -> None:
    partial = blanked(N_NA_NI, species={"N": "?"})
    assert partial.numbers.tolist() == [0, 11, 28]
    assert np.array_equal(partial.positions, N_NA_NI.positions)


def test_an_element_is_replaced_at_all_its_sites_by_one() -> None:
    partial = blanked(species={"O": "?"})
    assert partial.same_element_groups == ((0, 1, 2),)
    assert partial.is_element_infilling


@pytest.mark.parametrize("reference", [1, "1", "O2"])
def test_a_site_is_named_by_index_or_label(reference: int | str) -> None:
    partial = blanked(species={reference: "F,S"})
    assert np.flatnonzero(partial.numbers == 0).tolist() == [1]
    assert partial.candidates == {1: ("F", "S")}
    assert partial.same_element_groups == ()


def test_candidates_serve_every_question_mark_and_similar_ones_their_site() -> None:
    partial = blanked(species={"O": "?", "Ti": "similar"}, candidates="S,Se")
    assert partial.candidates[0] == partial.candidates[2] == ("S", "Se")
    assert partial.candidates[3] == similar_elements("Ti")


def test_what_is_settled_is_told_to_the_model_where_something_else_is_open() -> None:
    assert blanked(species={"Ti": "Zr"}, coordinates="0").numbers.tolist() == [8, 8, 8, 40, 38]


def test_coordinates_of_an_element_are_those_of_all_its_sites() -> None:
    partial = blanked(coordinates=["O"])
    assert np.isnan(partial.positions).all(axis=1).tolist() == [True, True, True, False, False]


def test_named_atoms_are_sites_without_a_place_and_others_are_missing() -> None:
    partial = blanked(add=["2 O", "2 ?"])
    assert partial.numbers.tolist() == [8, 8, 8, 22, 38, 8, 8]
    assert np.isnan(partial.positions[5:]).all()
    assert partial.missing_atoms == (2, 2)
    assert blanked(add=["..."], max_atoms=12).missing_atoms == (1, 7)


def test_one_text_asks_for_what_a_list_does() -> None:
    for one, listed in (("2 O", ["2 O"]), ("2 O, ?", ["2 O", "?"]), ("...", ["..."])):
        together, apart = blanked(add=one), blanked(add=listed)
        assert together.numbers.tolist() == apart.numbers.tolist()
        assert together.missing_atoms == apart.missing_atoms
    for one, given in (("Ti1", ["Ti1"]), ("0,3", [0, 3]), (3, [3]), (np.int64(3), [3])):
        alone = blanked(coordinates=one).positions
        assert np.array_equal(alone, blanked(coordinates=given).positions, equal_nan=True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "nothing to fill in"),
        ({"species": {"Fe": "?"}}, "has no Fe; it holds O, Ti, Sr"),
        ({"species": {5: "?"}}, "no site 5; sites count from 0 to 4"),
        ({"species": {-1: "?"}}, "no site -1"),
        ({"species": {0.7: "?"}}, "a site is 0.7; expected a whole number from 0 to 4, a label"),
        ({"species": {None: "?"}}, "a site is None"),
        ({"species": "Ti"}, "expected new elements by site"),
        ({"species": {"Ti": 22}}, "22 is given; expected a text or several"),
        ({"coordinates": 0.5}, "a site is 0.5"),
        ({"add": 2}, "2 is given"),
        ({"species": {"Tj1": "?"}}, "Did you mean 'Ti1'"),
        ({"species": {"Ti9": "?"}}, "Did you mean 'Ti1'"),
        (
            {"species": {"Ti": "zr"}},
            "no element 'zr'; expected a symbol such as Fe. Did you mean 'Zr'",
        ),
        ({"species": {"Ti": "Zr,?"}}, "is given with other elements"),
        ({"species": {"Ti": ""}}, "no element is named"),
        ({"species": {"Ti": "?", 3: "?"}}, "named twice"),
        ({"coordinates": "0,9"}, "no site 9"),
        ({"add": ["two O"]}, "does not name atoms to add"),
        ({"add": ["0 O"]}, "does not name atoms to add"),
        ({"add": ["2 Ox"]}, "Did you mean 'O'"),
        ({"add": ["20 O"]}, "5 atoms and those to add make 25"),
        ({"add": ["..."], "max_atoms": 5}, "above the maximum of 5"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        blanked(**asked)


def test_some_angles_of_a_cell_are_refused_and_nothing_to_be_similar_to() -> None:
    angles = SITES.angles.copy()
    angles[1] = np.nan
    with pytest.raises(InputError, match="expected all or none"):
        blanked(SITES._replace(angles=angles))
    numbers = SITES.numbers.copy()
    numbers[0] = 0
    with pytest.raises(SettingError, match="O1 has no element"):
        blanked(SITES._replace(numbers=numbers), candidates="similar")
