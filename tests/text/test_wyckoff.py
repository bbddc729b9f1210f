from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError
from crystext.structures.augment import permute_within_species, translate
from crystext.structures.crystal import Crystal
from crystext.structures.wyckoff.cell_parameters import free_parameter_names
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions
from crystext.text import WYCKOFF, DecodeFailure, decode, encode
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, QUARTZ, SRTIO3, crystal

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
    lines = WYCKOFF.encode(EXAMPLE_CRYSTALS[name]).split("\n")
    wanted = TEXTS[name].split("\n")
    assert lines[0] == wanted[0]
    # 3.905 is half-way between two texts.
    cells = [[float(x) for x in text[-1].split()] for text in (lines, wanted)]
    assert cells[0] == pytest.approx(cells[1], abs=0.011)
    # Which of two alike origins is taken is spglib's choice.
    assert [line.split()[0] for line in lines] == [line.split()[0] for line in wanted]
    assert [len(line.split()) for line in lines] == [len(line.split()) for line in wanted]


@settings(max_examples=30)
@given(st.sampled_from(sorted(EXAMPLE_CRYSTALS)), st.integers(0, 2**32))
def test_any_description_of_a_crystal_comes_back_as_the_same_crystal(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    other = permute_within_species(translate(EXAMPLE_CRYSTALS[name], rng), rng)
    decoded = decode(WYCKOFF.encode(other))
    assert decoded.crystal is not None, decoded
    assert space_group(decoded.crystal) == space_group(EXAMPLE_CRYSTALS[name])
    assert StructureMatcher().fit(decoded.crystal.structure, other.structure)


def test_a_crystal_comes_back_in_a_primitive_cell() -> None:
    decoded = decode(TEXTS["nacl"])
    assert decoded.crystal is not None
    assert sorted(decoded.crystal.symbols) == ["Cl", "Na"]
    assert decoded.crystal.volume == pytest.approx(5.64**3 / 4)


def test_the_hand_of_a_crystal_is_kept() -> None:
    mirrored = Crystal(QUARTZ.lengths, QUARTZ.angles, QUARTZ.numbers, -QUARTZ.positions % 1.0)
    assert {WYCKOFF.encode(x).split("\n")[0] for x in (QUARTZ, mirrored)} == {"152", "154"}


@pytest.mark.parametrize(
    ("text", "fault", "line"),
    [
        ("231\nNa 4a\n5.64", DecodeFailure.UNKNOWN_SPACE_GROUP, 1),
        ("Fm-3m\nNa 4a\n5.64", DecodeFailure.UNKNOWN_SPACE_GROUP, 1),
        ("225\n5.64", DecodeFailure.NO_ATOMS, 2),
        ("225", DecodeFailure.TRUNCATED, 2),
        ("225\n", DecodeFailure.TRUNCATED, 2),
        ("225\n5.", DecodeFailure.TRUNCATED, 2),
        ("225\nX", DecodeFailure.TRUNCATED, 2),
        ("225\nNa 4a", DecodeFailure.TRUNCATED, 2),
        ("225\nNa 4a\n", DecodeFailure.TRUNCATED, 3),
        ("225\nNa 4a\nCl", DecodeFailure.TRUNCATED, 3),
        ("225\nNa 4a\nCl ", DecodeFailure.TRUNCATED, 3),
        ("225\nNa 4a\nCl 4", DecodeFailure.TRUNCATED, 3),
        ("225\nNa 4a\n5.", DecodeFailure.TRUNCATED, 3),
        ("152\nSi 3a 0.470\nO 6c 0.41", DecodeFailure.TRUNCATED, 3),
        ("152\nSi 3a 0.470\nO 6c 0.413 0.", DecodeFailure.TRUNCATED, 3),
        ("152\nSi 3a 0.470\n4.91", DecodeFailure.TRUNCATED, 3),
        ("152\nSi 3a 0.470\n4.91 ", DecodeFailure.TRUNCATED, 3),
        ("225\nNa 4a\nIn this cell", DecodeFailure.BAD_CELL, 3),
        ("225\nNa 4a\nXx", DecodeFailure.BAD_CELL, 3),
        ("225\nXx 4a\n5.64", DecodeFailure.UNKNOWN_ELEMENT, 2),
        ("225\nNa 4c\n5.64", DecodeFailure.UNKNOWN_POSITION, 2),
        ("225\nNa a\n5.64", DecodeFailure.UNKNOWN_POSITION, 2),
        ("225\nNa 4a 0.100\n5.64", DecodeFailure.BAD_POSITION, 2),
        ("225\nNa 24e\n5.64", DecodeFailure.BAD_POSITION, 2),
        ("225\nNa 24e 1.000\n5.64", DecodeFailure.BAD_POSITION, 2),
        ("225\nNa 4a\nCl 4a\n5.64", DecodeFailure.POINT_TAKEN, 3),
        ("225\nNa 24e 0.500\nCl 4a\n5.64", DecodeFailure.HIGHER_SYMMETRY, 2),
        ("225\nNa 4a\n5.64 5.64", DecodeFailure.BAD_CELL, 3),
        ("225\nNa 4a\n0.00", DecodeFailure.BAD_CELL, 3),
        ("2\nNa 1a\n5.00 5.00 5.00 10.00 90.00 170.00", DecodeFailure.NO_VOLUME, 3),
        ("15\nNa 4a\n5.00 5.00 5.00 180.00", DecodeFailure.NO_VOLUME, 3),
        # The primitive cell is flatter than the conventional one.
        ("167\nH 6b\n7.749 0.000001", DecodeFailure.NO_VOLUME, 3),
    ],
)
def test_what_is_no_crystal_has_a_fault_and_a_line(
    text: str, fault: DecodeFailure, line: int
) -> None:
    # A format would find fault with the decimals of some, and a group is wanted to know the others.
    decoded = decode(text) if WYCKOFF.recognizes(text) else decode(text, format="wyckoff")
    assert (decoded.crystal, decoded.failure, decoded.line) == (None, fault, line)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Texts of the right shape, with any values; now and then a character is another."""
    group = draw(st.integers(1, N_SPACE_GROUPS))
    lines = [str(group)]
    for position in draw(
        st.lists(st.sampled_from(list(wyckoff_positions(group).values())), max_size=4)
    ):
        free = draw(
            st.lists(
                _coordinates, min_size=len(position.free_axes), max_size=len(position.free_axes)
            )
        )
        lines.append(" ".join([draw(st.sampled_from(SYMBOLS)), position.name, *free]))
    names = free_parameter_names(group)
    lines.append(" ".join(draw(_lengths if len(name) == 1 else _angles) for name in names))
    text = "\n".join(lines)
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(text) - 1))
        text = text[:place] + draw(st.sampled_from("0.9 \nNa-")) + text[place + 1 :]
    return text


_coordinates = st.decimals(0, "0.999", places=3).map(str)
_lengths = st.decimals("0.01", 40, places=2).map(str) | st.sampled_from(["0.000001", "999.99"])
_angles = st.decimals(60, 119, places=2).map(str) | st.decimals("0.01", 180, places=2).map(str)


def test_any_text_is_a_sound_crystal_or_has_a_fault() -> None:
    found = []

    @settings(max_examples=300)
    @given(texts())
    def reads(text: str) -> None:
        decoded = decode(text)
        found.append(bool(decoded))
        assert (decoded.crystal is None) == (decoded.failure is not None)
        if decoded.crystal is not None:
            decoded.crystal.check()
            assert decoded.crystal.volume > 0
            assert (decoded.crystal.positions >= 0).all()
            assert (decoded.crystal.positions < 1).all()
            assert decode(text, strict=False).repairs == ()

    reads()
    # What finds nothing to read shows nothing.
    assert 0.25 < sum(found) / len(found) < 0.95


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
    decoded = decode(text)
    assert decoded.crystal is not None
    assert len(decoded.crystal) == atoms
    assert decoded.crystal.volume > 0


def test_plain_texts_are_told_apart() -> None:
    assert WYCKOFF.recognizes(TEXTS["nacl"])
    assert not WYCKOFF.recognizes("5.64 5.64 5.64\n90.00 90.00 90.00\nNa\n0.000 0.000 0.000")


def test_atoms_on_top_of_each_other_are_refused() -> None:
    twice = crystal([4.0] * 3, [90.0] * 3, [("Na", [0, 0, 0]), ("Na", [0, 0, 0.001])])
    with pytest.raises(InputError, match="spglib"):
        WYCKOFF.encode(twice)


@pytest.mark.parametrize(
    ("twice", "reason"),
    [
        (crystal([4.0] * 3, [90] * 3, [("Na", [0, 0, 0]), ("Cl", [0, 0, 0])]), "occupied twice"),
        (
            crystal([4.0, 4.0, 900.0], [90] * 3, [("Na", [0, 0, 3e-4]), ("Na", [0, 0, -3e-4])]),
            "fewer atoms",
        ),
    ],
)
def test_what_would_not_be_read_is_not_written(twice: Crystal, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        WYCKOFF.encode(twice)


# The forgiving reader.


@pytest.mark.parametrize("format", [None, "wyckoff"])
@pytest.mark.parametrize(
    ("change", "forgiven"),
    [
        (lambda t: t + "\n", "newline at the end"),
        (lambda t: t.replace("\n", "\n\n"), "blank lines"),
        (lambda t: t.replace("\n", "\r\n"), "spaces at the ends of lines"),
        (lambda t: " " + t, "spaces at the ends of lines"),
        (lambda t: "Here it is:\n" + t, "text before the crystal"),
        (lambda t: "1 of 2\n2\n" + t, "text before the crystal"),
        (lambda t: t + "\nThis is rutile.", "text after the crystal"),
        (lambda t: f"```\n{t}\n```", "text after the crystal"),
        (lambda t: f"{t}\n\nAnother:\n{t}", "text after the crystal"),
        (lambda t: t.replace("Ti", "TI").replace("O ", "o "), "element symbols in wrong case"),
        (lambda t: t.replace(" 2a", "  2a"), "numbers written or separated otherwise"),
        (lambda t: t.replace(" 4f ", ", 4f, "), "numbers written or separated otherwise"),
        (lambda t: t.replace("4.59 ", "4.59, "), "numbers written or separated otherwise"),
        (lambda t: t.replace("0.305", "-0.695"), "coordinates outside [0, 1)"),
        (lambda t: t.replace("0.305", "17.305"), "coordinates outside [0, 1)"),
    ],
)
def test_the_forgiving_reader_takes_what_the_strict_one_refuses(
    change: Callable[[str], str], forgiven: str, format: str | None
) -> None:
    text = "136\nTi 2a\nO 4f 0.305\n4.59 2.96"
    assert decode(change(text), format=format).failure is not None
    read = decode(change(text), format=format, strict=False)
    assert read.crystal == decode(text).crystal, read
    assert forgiven in read.repairs


def test_the_first_crystal_of_a_text_is_taken_whichever_way_it_is_written() -> None:
    listed = encode(SRTIO3)
    for first, second in ((TEXTS["nacl"], listed), (listed, TEXTS["nacl"])):
        read = decode(f"One:\n{first}\n\nTwo:\n{second}", strict=False)
        assert read.crystal == decode(first).crystal


@pytest.mark.parametrize(
    ("text", "fault", "line"),
    [
        ("Here:\n\n225\nNa 4a\nCl", DecodeFailure.TRUNCATED, 5),
        ("Here:\n225\nNa 4c\n5.64", DecodeFailure.UNKNOWN_POSITION, 3),
        # An atom would be lost.
        ("225\nNa 4a\n5.64\nCl 4b", DecodeFailure.UNKNOWN_ELEMENT, 3),
        ("225\nNa 4a\n-5.64", DecodeFailure.BAD_CELL, 3),
    ],
)
def test_what_cannot_be_forgiven_keeps_its_line(text: str, fault: DecodeFailure, line: int) -> None:
    read = decode(text, strict=False)
    assert (read.crystal, read.failure, read.line) == (None, fault, line)


def test_the_command_line_writes_and_reads_it(cli: Run, tmp_path: Path) -> None:
    from crystext.io.write import write_crystals

    write_crystals([("salt", NACL), ("titanate", SRTIO3)], tmp_path / "in", "cif")
    encoded = cli("encode", tmp_path / "in", "--format", "wyckoff")
    assert (encoded.returncode, encoded.stderr) == (0, "")
    assert encoded.stdout.startswith("225\n")
    decoded = cli("decode", "-", "--to", "extxyz", input=encoded.stdout)
    assert (decoded.returncode, decoded.stderr) == (0, "")
    assert [line for line in decoded.stdout.splitlines() if line.strip().isdigit()] == ["2", "5"]


def test_forgiving_the_command_line_loses_none_of_several(cli: Run) -> None:
    document = f"{TEXTS['nacl']} \n\n{TEXTS['iron']}\n\nThese two."
    ended = cli("decode", "-", "--lenient", "--to", "extxyz", input=document)
    assert ended.returncode == 0
    assert [line for line in ended.stdout.splitlines() if line.strip().isdigit()] == ["2", "1"]
    one = cli("decode", "-", "--lenient", input=f"Here:\n\n{TEXTS['nacl']}\n\nThat was it.")
    assert (one.returncode, one.stdout.count("data_")) == (0, 1)


def test_crystals_of_the_data_come_back(shared_data: Path) -> None:
    from crystext.io.read import read_crystals

    items = itertools.islice(read_crystals(shared_data / "mp20_val.parquet"), 60)
    lost = []
    for item in items:
        assert item.crystal is not None
        decoded = decode(WYCKOFF.encode(item.crystal))
        if (
            decoded.crystal is None
            or space_group(decoded.crystal) != space_group(item.crystal)
            or not StructureMatcher().fit(decoded.crystal.structure, item.crystal.structure)
        ):
            lost.append(item.name)
    assert len(lost) <= 1, lost
