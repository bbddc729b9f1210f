"""Records to predict for: each row of a table stays, with its text or the reason for failing."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.errors import InputError
from crystext.io.write.cif_text import cif
from crystext.predict.sources import read_records
from tests.example_crystals import NACL


def test_every_row_of_a_table_of_formulas_is_a_record_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("formula,x\nNaCl,1\nsoot,2\nFe0.62Ni0.38,3\n")
    records = read_records(path)
    assert [record.texts.get("formula") for record in records] == ["NaCl", None, "Fe0.62Ni0.38"]
    assert records[1].message == "not a formula"


def test_formulas_and_structures_are_read_as_they_are_given(tmp_path: Path) -> None:
    assert read_records("SrTiO3")[0].texts == {"formula": "SrTiO3"}
    (tmp_path / "salt.cif").write_text(cif(NACL))
    (record,) = read_records(tmp_path / "salt.cif")
    assert record.crystal is not None
    with pytest.raises(InputError, match="not a formula either"):
        read_records("soot.csv")
