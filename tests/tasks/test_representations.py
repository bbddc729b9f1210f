"""Representations write what a record has, and say what it lacks."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.chemistry.molecules import canonical_smiles
from crystext.errors import SettingError
from crystext.structures.record import Failure, Record
from crystext.tasks.representations import get_representation, text_and_problem
from crystext.text import FORMATS, PLAIN
from tests.example_crystals import NACL

ALLOY = Record(texts={"formula": "Fe0.620C0.000953Mn0.000521"})


def test_a_composition_lists_fractions_by_electronegativity() -> None:
    text, problem = text_and_problem(ALLOY, get_representation("composition"))
    assert not problem
    assert text == "Mn 0.00084\nFe 0.998\nC 0.0015"


def test_a_crystal_has_formula_composition_cif_and_every_format() -> None:
    record = Record(NACL)
    assert text_and_problem(record, get_representation("composition"))[0] == "Na 0.500\nCl 0.500"
    assert text_and_problem(record, get_representation("plain"))[0] == PLAIN.encode(NACL)
    for name in ("formula", "cif", *FORMATS):
        assert text_and_problem(record, get_representation(name))[0], name


@pytest.mark.parametrize("name", ["smiles", "description", "cif", "wyckoff"])
def test_what_a_record_lacks_is_said(name: str) -> None:
    text, problem = text_and_problem(ALLOY, get_representation(name))
    assert text == ""
    assert name in problem


def test_the_reason_of_a_failure_is_passed_on() -> None:
    record = Record(failure=Failure("UNREADABLE", "the file is empty"))
    assert text_and_problem(record, get_representation("formula")) == ("", "the file is empty")


def test_a_formula_that_is_none_is_a_problem_and_no_error() -> None:
    record = Record(texts={"formula": "Xx2"})
    assert "Xx2" in text_and_problem(record, get_representation("composition"))[1]


def test_an_unknown_representation_is_refused_with_what_there_is() -> None:
    with pytest.raises(SettingError, match="Did you mean"):
        get_representation("smile")


def test_random_smiles_are_of_the_same_molecule_and_follow_from_the_seed() -> None:
    pytest.importorskip("rdkit")
    record = Record(texts={"smiles": "CC(=O)Oc1ccccc1C(=O)O"})
    smiles = get_representation("smiles")
    drawn = [smiles.write(record, np.random.default_rng(i)) for i in range(20)]
    assert len(set(drawn)) > 10
    assert {canonical_smiles(x or "") for x in drawn} == {canonical_smiles(record.texts["smiles"])}
    assert drawn[3] == smiles.write(record, np.random.default_rng(3))
    assert smiles.write(record) == record.texts["smiles"]
