from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.augment import permute_within_species, translate
from crystext.codec import Fault
from crystext.codec.symmetric import decode_symmetric, encode_symmetric, is_symmetric
from crystext.crystal import Crystal
from crystext.errors import InputError
from tests.conftest import Run
from tests.handmade import HANDMADE, NACL, QUARTZ, SRTIO3, crystal

TEXTS = {
    "nacl": "225\nNa 4a\nCl 4b\n5.64",
    "srtio3": "221\nSr 1a\nTi 1b\nO 3c\n3.90",
    "wurtzite": "186\nZn 2b 0.000\nS 2b 0.375\n3.82 6.26",
    "iron": "229\nFe 2a\n2.87",
}


def space_group(found: Crystal) -> int:
    dataset = spglib.get_symmetry_dataset((found.lattice, found.positions, found.numbers), 0.1)
    return int(dataset.number)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_well_known_crystals_are_written_as_the_tables_have_them(name: str) -> None:
    lines = encode_symmetric(HANDMADE[name]).split("\n")
    wanted = TEXTS[name].split("\n")
    assert lines[0] == wanted[0]
    # 3.905 is half-way between two texts.
    cells = [[float(x) for x in text[-1].split()] for text in (lines, wanted)]
    assert cells[0] == pytest.approx(cells[1], abs=0.011)
    # Which of two alike origins is taken is spglib's choice.
    assert [line.split()[0] for line in lines] == [line.split()[0] for line in wanted]
    assert [len(line.split()) for line in lines] == [len(line.split()) for line in wanted]


@settings(max_examples=30)
@given(st.sampled_from(sorted(HANDMADE)), st.integers(0, 2**32))
def test_any_description_of_a_crystal_comes_back_as_the_same_crystal(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    other = permute_within_species(translate(HANDMADE[name], rng), rng)
    decoded = decode_symmetric(encode_symmetric(other))
    assert decoded.crystal is not None, decoded
    assert space_group(decoded.crystal) == space_group(HANDMADE[name])
    assert StructureMatcher().fit(decoded.crystal.structure, other.structure)


def test_a_crystal_comes_back_in_a_primitive_cell() -> None:
    decoded = decode_symmetric(TEXTS["nacl"])
    assert decoded.crystal is not None
    assert sorted(decoded.crystal.symbols) == ["Cl", "Na"]
    assert decoded.crystal.volume == pytest.approx(5.64**3 / 4)


def test_the_hand_of_a_crystal_is_kept() -> None:
    mirrored = Crystal(QUARTZ.lengths, QUARTZ.angles, QUARTZ.numbers, -QUARTZ.positions % 1.0)
    assert {encode_symmetric(x).split("\n")[0] for x in (QUARTZ, mirrored)} == {"152", "154"}


@pytest.mark.parametrize(
    ("text", "fault", "line"),
    [
        ("", Fault.EMPTY, 1),
        ("231\nNa 4a\n5.64", Fault.UNKNOWN_SPACE_GROUP, 1),
        ("Fm-3m\nNa 4a\n5.64", Fault.UNKNOWN_SPACE_GROUP, 1),
        ("225\n5.64", Fault.NO_ATOMS, 2),
        ("225\nXx 4a\n5.64", Fault.UNKNOWN_ELEMENT, 2),
        ("225\nNa 4c\n5.64", Fault.UNKNOWN_POSITION, 2),
        ("225\nNa a\n5.64", Fault.UNKNOWN_POSITION, 2),
        ("225\nNa 4a 0.100\n5.64", Fault.BAD_POSITION, 2),
        ("225\nNa 24e\n5.64", Fault.BAD_POSITION, 2),
        ("225\nNa 24e 1.000\n5.64", Fault.BAD_POSITION, 2),
        ("225\nNa 4a\nCl 4a\n5.64", Fault.POINT_TAKEN, 3),
        ("225\nNa 24e 0.500\nCl 4a\n5.64", Fault.HIGHER_SYMMETRY, 2),
        ("225\nNa 4a\n5.64 5.64", Fault.BAD_CELL, 3),
        ("225\nNa 4a\n0.00", Fault.BAD_CELL, 3),
        ("2\nNa 1a\n5.00 5.00 5.00 10.00 90.00 170.00", Fault.NO_VOLUME, 3),
        ("15\nNa 4a\n5.00 5.00 5.00 180.00", Fault.NO_VOLUME, 3),
    ],
)
def test_what_is_no_crystal_has_a_fault_and_a_line(text: str, fault: Fault, line: int) -> None:
    decoded = decode_symmetric(text)
    assert (decoded.crystal, decoded.fault, decoded.line) == (None, fault, line)


@given(st.text("0123456789. \nNaClabceio", max_size=60))
def test_any_text_is_a_crystal_or_has_a_fault(text: str) -> None:
    decoded = decode_symmetric("225\n" + text)
    assert (decoded.crystal is None) == (decoded.fault is not None)


@pytest.mark.parametrize(
    ("text", "atoms"),
    [
        # The reduced vectors are long sums of those that are given, and so are the coordinates.
        ("155\nNa 9e 0.280067499833\n0.71 0.04", 3),
        # spglib finds no reduced cell.
        ("4\nNa 2a 0.100 0.200 0.300\n0.03 29.60 73.60 143.78", 2),
    ],
)
def test_a_cell_of_any_shape_is_read(text: str, atoms: int) -> None:
    decoded = decode_symmetric(text)
    assert decoded.crystal is not None
    assert len(decoded.crystal) == atoms
    assert decoded.crystal.volume > 0


def test_plain_texts_are_told_apart() -> None:
    assert is_symmetric(TEXTS["nacl"])
    assert not is_symmetric("5.64 5.64 5.64\n90.00 90.00 90.00\nNa\n0.000 0.000 0.000")


def test_atoms_on_top_of_each_other_are_refused() -> None:
    twice = crystal([4.0] * 3, [90.0] * 3, [("Na", [0, 0, 0]), ("Na", [0, 0, 0.001])])
    with pytest.raises(InputError, match="spglib"):
        encode_symmetric(twice)


def test_the_command_line_writes_and_reads_it(cli: Run, tmp_path: Path) -> None:
    from crystext.write import write_crystals

    write_crystals([("salt", NACL), ("titanate", SRTIO3)], tmp_path / "in", "cif")
    encoded = cli("encode", tmp_path / "in", "--format", "wyckoff")
    assert (encoded.returncode, encoded.stderr) == (0, "")
    assert encoded.stdout.startswith("225\n")
    decoded = cli("decode", "-", "--to", "extxyz", input=encoded.stdout)
    assert (decoded.returncode, decoded.stderr) == (0, "")
    assert [line for line in decoded.stdout.splitlines() if line.strip().isdigit()] == ["2", "5"]


def test_crystals_of_the_data_come_back(shared_data: Path) -> None:
    from crystext.read import read_crystals

    items = itertools.islice(read_crystals(shared_data / "mp20_val.parquet"), 60)
    lost = []
    for item in items:
        assert item.crystal is not None
        decoded = decode_symmetric(encode_symmetric(item.crystal))
        if (
            decoded.crystal is None
            or space_group(decoded.crystal) != space_group(item.crystal)
            or not StructureMatcher().fit(decoded.crystal.structure, item.crystal.structure)
        ):
            lost.append(item.name)
    assert len(lost) <= 1, lost
