"""Numbers of files: short, and never another text of the crystal."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.io.read import read_crystal
from crystext.io.write import cif, write_crystals
from crystext.io.write.decimals import format_decimal, format_text_decimal
from crystext.structures.crystal import Crystal
from crystext.text import FORMATS, encode
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.strategies import crystals


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.357249760838112, "5.35725"),
        (5.64, "5.64"),
        (90.0, "90.0"),
        (1 / 3, "0.333333"),
        (-1e-9, "0.0"),
        (1e22, "10000000000000000000000.0"),
    ],
)
def test_a_number_has_six_decimals_at_most_and_no_exponent(value: float, text: str) -> None:
    assert format_decimal(value) == text
    assert format_text_decimal(value) == text


def test_a_number_that_would_round_otherwise_afterwards_has_more_decimals() -> None:
    assert f"{0.12549996:.3f}" == "0.125"
    assert format_decimal(0.12549996) == "0.1255"
    assert format_text_decimal(0.12549996) == "0.12549996"


@given(st.floats(-1e3, 1e3))
def test_every_text_format_rounds_the_written_number_as_it_rounds_the_number(value: float) -> None:
    written = float(format_text_decimal(value))
    assert written == pytest.approx(value, abs=5.1e-7)
    for fmt in FORMATS.values():
        for places in (fmt.length_decimals, fmt.angle_decimals, fmt.coordinate_decimals):
            assert f"{written:.{places}f}" in (f"{value:.{places}f}", f"{value:.{places}f}"[1:])


@given(crystals(max_atoms=6))
def test_a_crystal_that_is_written_as_cif_keeps_its_text(crystal: Crystal) -> None:
    block = gemmi.cif.read_string(cif(crystal)).sole_block()
    cell = [float(block.find_value(f"_cell_length_{axis}")) for axis in "abc"]
    angles = [float(block.find_value(f"_cell_angle_{x}")) for x in ("alpha", "beta", "gamma")]
    places = [list(map(float, block.find_values(f"_atom_site_fract_{x}"))) for x in "xyz"]
    again = Crystal(np.array(cell), np.array(angles), crystal.numbers, np.transpose(places))
    assert list(block.find_values("_atom_site_type_symbol")) == crystal.symbols
    assert encode(again) == encode(crystal)
    assert encode(again, "gruver2024-rounded") == encode(crystal, "gruver2024-rounded")


@pytest.mark.parametrize("crystal", EXAMPLE_CRYSTALS.values(), ids=list(EXAMPLE_CRYSTALS))
def test_our_reader_finds_the_text_again_in_a_cif(crystal: Crystal, tmp_path: Path) -> None:
    write_crystals([("x", crystal)], tmp_path / "x.cif")
    assert encode(read_crystal(tmp_path / "x.cif")) == encode(crystal)
