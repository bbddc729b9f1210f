"""A crystal in a question: the text, and the crystal that the text holds."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.errors import SettingError
from crystext.instruct.printed import CELL_TAGS, SYMMETRY_TAGS, Writer, mask_sites, wrap_rounded
from crystext.io.read.parse import Piece, parse_piece
from tests.example_crystals import IRON, NACL, QUARTZ
from tests.instructions import records


@pytest.mark.parametrize("decimals", [1, 3, 6])
def test_the_printed_crystal_is_what_a_reader_finds_in_the_text(decimals: int) -> None:
    for record in records()[:10]:
        printed = Writer(decimals=decimals).print_file(record.require_crystal())
        (read,) = parse_piece(Piece("x", "cif", printed.text))
        if read.crystal is None:  # One decimal may put two atoms on one point.
            assert decimals == 1
            continue
        assert np.array_equal(read.crystal.lengths, printed.crystal.lengths)
        assert np.array_equal(read.crystal.angles, printed.crystal.angles)
        assert np.array_equal(read.crystal.numbers, printed.crystal.numbers)
        assert np.array_equal(read.crystal.positions, printed.crystal.positions)


def test_coordinates_lie_in_the_cell_after_rounding() -> None:
    assert wrap_rounded(0.99996, 3) == wrap_rounded(-1e-9, 3) == wrap_rounded(2.0, 3) == 0.0
    assert wrap_rounded(-0.25, 3) == 0.75
    positions = Writer(decimals=3).print_file(IRON).crystal.positions
    assert positions.tolist() == [[0.0, 0.75, 0.25]]


def test_lines_and_loops_are_left_out_whole() -> None:
    text = Writer().print_file(NACL, (*SYMMETRY_TAGS, *CELL_TAGS)).text
    assert "x, y, z" not in text
    assert "_cell_length" not in text
    assert text.count("loop_") == 1
    assert text.count("\n  Na  Na") == 4


def test_masked_sites_keep_their_coordinates() -> None:
    text = Writer().print_file(NACL).text
    masked = mask_sites(text, [0, 2], "?").split("\n")
    rows = [line.split() for line in masked if line.startswith("  ?")]
    assert [row[1] for row in rows] == ["X1", "X3"]
    assert [row[3:6] for row in rows] == [["0.0", "0.0", "0.0"], ["0.5", "0.0", "0.5"]]


def test_formats_without_sites_and_odd_decimals_are_refused() -> None:
    with pytest.raises(SettingError, match="does not list every site"):
        Writer("wyckoff")
    with pytest.raises(SettingError, match="no format is called 'plan'"):
        Writer("plan")
    for decimals in (0, 7):
        with pytest.raises(SettingError, match="expected 1 to 6"):
            Writer(decimals=decimals)


def test_texts_show_the_volume_of_the_cell_they_print() -> None:
    printed = Writer(decimals=1).print_file(QUARTZ)
    assert f"_cell_volume   {printed.crystal.volume:.6f}" in printed.text
