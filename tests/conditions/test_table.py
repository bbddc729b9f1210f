from __future__ import annotations

from pathlib import Path

import pytest

from crystext.conditions import Conditions, read_condition_table
from crystext.errors import InputError


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_each_row_asks_for_what_its_cells_say(written: Path) -> None:
    written.write_text(
        '\ufeffcomposition, space_group,exclude\nLiFePO4,Pnma,\n,,\n\nNaCl,, U Th \n,225,"U,Th"\n'
    )
    table = read_condition_table(written, max_atoms=20)
    assert table.errors == ()
    assert [(row.line, row.conditions) for row in table.rows] == [
        (2, Conditions.from_keywords(composition="LiFePO4", space_group=62)),
        (5, Conditions.from_keywords(composition="NaCl", exclude="U-Th")),
        (6, Conditions.from_keywords(space_group=225, exclude="U-Th")),
    ]


def test_a_bad_row_is_told_and_the_others_are_read(written: Path) -> None:
    written.write_text("composition,n_atoms\nNaCl,8\nNaXl,8\nNaCl,5\nNaCl\nNaCl,24\nMgO,4\n")
    table = read_condition_table(written, max_atoms=20)
    assert [row.line for row in table.rows] == [2, 7]
    starts = [
        "line 3: 'NaXl' is no",
        "line 4: NaCl has 2",
        "line 5: 1 cell below",
        "line 6: 24 atoms",
    ]
    for fault, start in zip(table.errors, starts, strict=True):
        assert fault.startswith(start)


def test_conditions_of_all_rows_give_way_to_a_row_of_its_own(written: Path) -> None:
    written.write_text("space_group,n_atoms\n225,\n,4\n")
    table = read_condition_table(written, {"space_group": 221, "exclude": ["U"]}, max_atoms=20)
    assert [row.conditions for row in table.rows] == [
        Conditions.from_keywords(space_group=225, exclude="U"),
        Conditions.from_keywords(space_group=221, exclude="U", n_atoms=4),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "has no header"),
        (b"composition\n\n", "no rows below its header"),
        (b"compositon\nNaCl\n", "Did you mean 'composition'?"),
        (b"density,density\n1,2\n", "'density' twice"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'composition\n"NaCl\n', "line 2, is not CSV"),
    ],
)
def test_what_is_no_table_of_conditions_is_refused(
    written: Path, content: bytes, expected: str
) -> None:
    written.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_condition_table(written, max_atoms=20)
    assert expected in str(refusal.value)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_condition_table(tmp_path / "none.csv", max_atoms=20)
