from __future__ import annotations

import math
import random
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import ELECTRONEGATIVITIES
from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Crystal
from crystext.text import (
    COORDINATE_FORMATS,
    FORMATS,
    PLAIN,
    DecodeFailure,
    decode,
    encode,
    get_format,
)
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL
from tests.strategies import LATTICE_SYSTEMS, corrupted_texts, crystals, texts_of_crystals

GOLDEN = Path(__file__).parents[1] / "golden"


def cyclic_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the largest difference of two sets of fractional coordinates, across the borders."""
    difference = np.abs(x - y) % 1.0
    return float(np.minimum(difference, 1.0 - difference).max())


# The round trip.


@pytest.mark.parametrize("format", [f.name for f in COORDINATE_FORMATS])
@pytest.mark.parametrize("system", LATTICE_SYSTEMS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_decode_inverts_encode_to_the_printed_precision(
    system: str, format: str, data: st.DataObject
) -> None:
    crystal = data.draw(crystals(system))
    fmt = FORMATS[format]
    if fmt.as_published:
        # Cutting may spoil the cell; what that gives has a test of its own.
        cut = [int(x) for x in crystal.angles]
        assume(2 * max(cut) < sum(cut) < 360)
    read = decode(encode(crystal, fmt), format=fmt)
    assert read.crystal is not None, read
    expected = crystal.in_text_order()
    half = 0.5 + 1e-6
    assert read.crystal.numbers.tolist() == expected.numbers.tolist()
    assert np.abs(read.crystal.lengths - expected.lengths).max() <= half / 10**fmt.length_decimals
    if fmt.as_published:
        assert read.crystal.angles.tolist() == [math.floor(x) for x in expected.angles]
    else:
        error = np.abs(read.crystal.angles - expected.angles).max()
        assert error <= half / 10**fmt.angle_decimals
    off = cyclic_distance(read.crystal.positions, expected.positions)
    assert off <= half / 10**fmt.coordinate_decimals
    assert (read.crystal.positions >= 0).all()
    assert (read.crystal.positions < 1).all()


@pytest.mark.parametrize("format", ["plain", "gruver2024-rounded"])
@given(crystal=crystals())
def test_reading_and_writing_again_changes_nothing(format: str, crystal: Crystal) -> None:
    text = encode(crystal, format)
    read = decode(text, format=format)
    assert read.crystal is not None
    assert encode(read.crystal, format) == text


@given(crystal=crystals())
def test_only_the_published_format_prints_a_coordinate_of_one(crystal: Crystal) -> None:
    for format in ("plain", "gruver2024-rounded"):
        for line in encode(crystal, format).split("\n")[3::2]:
            assert not any(x.startswith("1.") for x in line.split(" "))


def test_the_published_format_prints_one_where_rounding_follows_wrapping() -> None:
    crystal = Crystal(
        np.full(3, 4.0), np.full(3, 90.0), np.array([26]), np.array([[0.996, -1e-17, 0.995]])
    )
    assert encode(crystal, "gruver2024").endswith("\n1.00 1.00 0.99")
    read = decode(encode(crystal, "gruver2024"), format="gruver2024")
    assert read.crystal is not None
    assert read.crystal.positions[0].tolist() == [0.0, 0.0, 0.99]


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
@pytest.mark.parametrize("format", [f.name for f in COORDINATE_FORMATS])
def test_known_crystals_are_written_as_ever(name: str, format: str) -> None:
    expected = (GOLDEN / f"{name}.{format}.txt").read_bytes().decode("utf-8")
    assert encode(EXAMPLE_CRYSTALS[name], format) == expected


def published_encoder(crystal: Crystal) -> str:
    """Write a crystal as the paper's code does, from the facts known of it.

    Sites in pymatgen's sorted order, wrapped into the cell and then rounded to two decimals;
    lengths with one decimal; angles through int().
    """
    structure = crystal.structure.get_sorted_structure()
    structure.translate_sites(range(len(structure)), [0, 0, 0], to_unit_cell=True)
    lines = [
        " ".join(format(x, ".1f") for x in crystal.lengths.tolist()),
        " ".join(str(int(x)) for x in crystal.angles.tolist()),
    ]
    for site in structure:
        lines += [site.specie.symbol, " ".join(format(x, ".2f") for x in site.frac_coords)]
    return "\n".join(lines)


@settings(max_examples=150)
@given(crystal=crystals(max_atoms=8))
def test_gruver2024_is_bit_for_bit_the_published_text(crystal: Crystal) -> None:
    known = [z for z in crystal.numbers if not math.isnan(ELECTRONEGATIVITIES[z - 1])]
    assume(len(known) == len(crystal))
    assert encode(crystal, "gruver2024") == published_encoder(crystal)


def test_gruver2024_cuts_angles_and_rounds_halves_as_floating_point_has_them() -> None:
    crystal = Crystal(
        np.array([2.25, 3.35, 4.45]),
        np.array([119.99999999999999, 89.99999999999999, 90.0]),
        np.array([26]),
        np.array([[0.015, 0.285, 0.125]]),
    )
    assert encode(crystal, "gruver2024") == published_encoder(crystal)
    assert encode(crystal, "gruver2024").split("\n")[1] == "119 89 90"
    assert encode(crystal, "gruver2024-rounded").split("\n")[1] == "120 90 90"


def test_a_cell_that_cutting_spoils_is_printed_as_published_and_read_as_a_fault() -> None:
    crystal = Crystal(
        np.full(3, 5.0), np.array([119.5, 59.9, 60.9]), np.array([26]), np.zeros((1, 3))
    )
    text = encode(crystal, "gruver2024")
    assert text.split("\n")[1] == "119 59 60"
    assert decode(text).failure is DecodeFailure.NO_VOLUME


@settings(max_examples=60)
@given(crystal=crystals(max_atoms=20))
def test_atoms_come_in_the_order_of_pymatgens_sorted_structure(crystal: Crystal) -> None:
    assume(not any(math.isnan(ELECTRONEGATIVITIES[z - 1]) for z in crystal.numbers))
    expected = [site.specie.symbol for site in crystal.structure.get_sorted_structure()]
    assert encode(crystal).split("\n")[2::2] == expected


# What cannot be written.


@pytest.mark.parametrize(
    ("lengths", "angles", "position"),
    [
        ([5.0, 5.0, 0.001], [90.0, 90.0, 90.0], 0.0),
        ([5.0, 5.0, 12345.0], [90.0, 90.0, 90.0], 0.0),
        ([5.0, 5.0, -5.0], [90.0, 90.0, 90.0], 0.0),
        ([5.0, -5.0, -5.0], [90.0, 90.0, 90.0], 0.0),
        ([5.0, 5.0, math.nan], [90.0, 90.0, 90.0], 0.0),
        ([5.0, 5.0, 5.0], [90.0, 90.0, 179.999], 0.0),
        ([5.0, 5.0, 5.0], [60.0, 60.0, 120.0], 0.0),
        ([5.0, 5.0, 5.0], [60.001, 60.001, 120.0], 0.0),
        ([5.0, 5.0, 5.0], [120.0, 120.0, 120.0], 0.0),
        ([5.0, 5.0, 5.0], [90.0, math.inf, 90.0], 0.0),
        ([5.0, 5.0, 5.0], [90.0, 90.0, 90.0], math.nan),
        ([5.0, 5.0, 5.0], [90.0, 90.0, 90.0], -math.inf),
    ],
)
def test_what_would_not_read_back_is_refused(
    lengths: list[float], angles: list[float], position: float
) -> None:
    crystal = Crystal(
        np.array(lengths), np.array(angles), np.array([26]), np.array([[0.0, position, 0.0]])
    )
    with pytest.raises(InputError, match=r"volume|finite"):
        encode(crystal)


def test_a_crystal_without_atoms_is_refused() -> None:
    with pytest.raises(InputError, match="no atom"):
        encode(Crystal(np.full(3, 5.0), np.full(3, 90.0), np.zeros(0, int), np.zeros((0, 3))))


def test_an_unknown_format_is_named_with_those_that_exist() -> None:
    with pytest.raises(SettingError, match=r"gruver2023.*plain.*Did you mean 'gruver2024'"):
        get_format("gruver2023")
    with pytest.raises(SettingError):
        decode("", format="none")


# Faults.

CELL = "5.64 5.64 5.64\n90.00 90.00 90.00"


@pytest.mark.parametrize(
    ("text", "fault", "line"),
    [
        ("", DecodeFailure.EMPTY, 1),
        (" \n\t\n", DecodeFailure.EMPTY, 1),
        ("a crystal", DecodeFailure.BAD_LENGTHS, 1),
        ("5.64 5.64\n90 90 90\nNa\n0 0 0", DecodeFailure.BAD_LENGTHS, 1),
        ("5.64 0.00 5.64\n90 90 90\nNa\n0 0 0", DecodeFailure.BAD_LENGTHS, 1),
        ("-5.64 5.64 5.64\n90 90 90\nNa\n0 0 0", DecodeFailure.BAD_LENGTHS, 1),
        ("5.64 5.64 nan\n90 90 90\nNa\n0 0 0", DecodeFailure.BAD_LENGTHS, 1),
        ("1e3 5.64 5.64\n90 90 90\nNa\n0 0 0", DecodeFailure.BAD_LENGTHS, 1),
        ("٥.٦٤ 5.64 5.64\n90 90 90\nNa\n0 0 0", DecodeFailure.BAD_LENGTHS, 1),
        ("5.64 5.6", DecodeFailure.TRUNCATED, 1),
        ("5.64 5.64 5.64", DecodeFailure.TRUNCATED, 2),
        ("5.64 5.64 5.64\n", DecodeFailure.TRUNCATED, 2),
        ("5.64 5.64 5.64\n90.00 9", DecodeFailure.TRUNCATED, 2),
        ("5.64 5.64 5.64\n90.00 90.00 180.00\nNa\n0 0 0", DecodeFailure.BAD_ANGLES, 2),
        ("5.64 5.64 5.64\n0 90 90\nNa\n0 0 0", DecodeFailure.BAD_ANGLES, 2),
        ("5.64 5.64 5.64\nNa\n0 0 0", DecodeFailure.BAD_ANGLES, 2),
        ("5.64 5.64 5.64\n60.00 60.00 120.00\nNa\n0 0 0", DecodeFailure.NO_VOLUME, 2),
        ("5.64 5.64 5.64\n120.00 120.00 120.00\nNa\n0 0 0", DecodeFailure.NO_VOLUME, 2),
        ("5.64 5.64 5.64\n10.00 20.00 35.00\nNa\n0 0 0", DecodeFailure.NO_VOLUME, 2),
        (CELL, DecodeFailure.NO_ATOMS, 3),
        (CELL + "\n", DecodeFailure.NO_ATOMS, 3),
        (CELL + "\nT\n0 0 0", DecodeFailure.UNKNOWN_ELEMENT, 3),
        (CELL + "\nD\n0 0 0", DecodeFailure.UNKNOWN_ELEMENT, 3),
        (CELL + "\nna\n0 0 0", DecodeFailure.UNKNOWN_ELEMENT, 3),
        (CELL + "\n?\n0 0 0", DecodeFailure.UNKNOWN_ELEMENT, 3),
        (CELL + "\n0 0 0\nNa", DecodeFailure.UNKNOWN_ELEMENT, 3),
        (CELL + "\nNa\n0 0 0\nThat was it.", DecodeFailure.UNKNOWN_ELEMENT, 5),
        (CELL + "\nR", DecodeFailure.TRUNCATED, 3),
        (CELL + "\nNa", DecodeFailure.TRUNCATED, 4),
        (CELL + "\nNa\n", DecodeFailure.TRUNCATED, 4),
        (CELL + "\nNa\n0.5 0.25", DecodeFailure.TRUNCATED, 4),
        (CELL + "\nNa\n0.5 0.25 0.", DecodeFailure.TRUNCATED, 4),
        (CELL + "\nNa\n0 0 0\n", DecodeFailure.TRUNCATED, 5),
        (CELL + "\nNa\n0 0 0\nC", DecodeFailure.TRUNCATED, 6),
        (CELL + "\nNa\n0 0 1.5", DecodeFailure.BAD_POSITION, 4),
        (CELL + "\nNa\n0 0 -0.5", DecodeFailure.BAD_POSITION, 4),
        (CELL + "\nNa\n0 0\nCl\n0.5 0.5 0.5", DecodeFailure.BAD_POSITION, 4),
        (CELL + "\nNa\n0 0 0 0\nCl\n0.5 0.5 0.5", DecodeFailure.BAD_POSITION, 4),
        (CELL + "\nNa\n0  0 0", DecodeFailure.BAD_POSITION, 4),
        (CELL + "\nNa\n0 0 0 \nCl\n0.5 0.5 0.5", DecodeFailure.BAD_POSITION, 4),
        (CELL + "\r\nNa\r\n0 0 0", DecodeFailure.BAD_ANGLES, 2),
    ],
)
def test_a_broken_text_has_a_named_fault_and_the_line_where_reading_stopped(
    text: str, fault: DecodeFailure, line: int
) -> None:
    read = decode(text)
    assert (read.crystal, read.structure, read.failure, read.line) == (None, None, fault, line)
    assert not read


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("5.6 5.64 5.64\n90.00 90.00 90.00\nNa\n0.000 0.000 0.000", 1),
        ("5.64 5.64 5.64\n90 90 90\nNa\n0.000 0.000 0.000", 2),
        (CELL + "\nNa\n0.00 0.000 0.000", 4),
    ],
)
def test_another_precision_than_the_formats_is_a_fault_only_when_a_format_is_asked_for(
    text: str, line: int
) -> None:
    assert decode(text)
    read = decode(text, format="plain")
    assert (read.failure, read.line) == (DecodeFailure.WRONG_PRECISION, line)


def test_a_coordinate_of_one_is_read_only_where_the_published_format_may_be_meant() -> None:
    text = "5.6 5.6 5.6\n90 90 90\nNa\n1.00 0.00 0.00"
    assert decode(text, format="gruver2024")
    assert decode(text)
    assert decode(text, format="gruver2024-rounded").failure is DecodeFailure.BAD_POSITION


def test_a_fault_says_what_was_found() -> None:
    assert decode(CELL + "\nXy\n0 0 0").detail == "'Xy'"
    assert len(decode("y" * 10**6).detail) < 80


# The forgiving reader.


@pytest.mark.parametrize(
    ("change", "forgiven"),
    [
        (lambda t: t + "\n", "newline at the end"),
        (lambda t: "\n\n" + t, "blank lines"),
        (lambda t: t.replace("\n", "\n\n"), "blank lines"),
        (lambda t: t.replace("\n", " \n"), "spaces at the ends of lines"),
        (lambda t: t.replace("\n", "\r\n"), "spaces at the ends of lines"),
        (lambda t: " " + t, "spaces at the ends of lines"),
        (lambda t: "Sure! Here is rock salt:\n" + t, "text before the crystal"),
        (lambda t: "Na\n0.1 0.2 0.3\n0.4 0.5 0.6\n" + t, "text before the crystal"),
        (lambda t: t + "\nThis is rock salt.", "text after the crystal"),
        (lambda t: t + "\nAnother:\n" + t, "text after the crystal"),
        (lambda t: t.replace("Na", "NA").replace("Cl", "cl"), "element symbols in wrong case"),
        (lambda t: t.replace("0.500 ", "0.500, "), "numbers written or separated otherwise"),
        (lambda t: t.replace("0.500 ", "0.500\t"), "numbers written or separated otherwise"),
        (lambda t: t.replace("0.500", "5e-1"), "numbers written or separated otherwise"),
        (lambda t: t.replace("0.000", "-0.000"), "numbers written or separated otherwise"),
        (lambda t: t.replace("0.500", "+0.5"), "numbers written or separated otherwise"),
        (lambda t: t.replace("0.500", "-0.500"), "coordinates outside [0, 1)"),
        (lambda t: t.replace("0.500", "17.500"), "coordinates outside [0, 1)"),
    ],
)
def test_the_forgiving_reader_says_what_it_forgave_and_the_strict_one_refuses(
    change: object, forgiven: str
) -> None:
    assert callable(change)
    text = change(encode(NACL))
    assert decode(text).failure is not None
    read = decode(text, strict=False)
    assert read.crystal is not None, read
    assert forgiven in read.repairs
    assert encode(read.crystal) == encode(NACL)


@given(text=st.one_of(st.text(), corrupted_texts, texts_of_crystals))
def test_what_reads_strictly_reads_the_same_forgivingly_with_nothing_forgiven(text: str) -> None:
    strict, forgiving = decode(text), decode(text, strict=False)
    if strict.crystal is not None:
        assert forgiving.crystal == strict.crystal
        assert forgiving.repairs == ()
    elif forgiving.crystal is not None:
        assert forgiving.repairs


def test_forgiving_keeps_the_precision_a_format_asks_for() -> None:
    text = encode(NACL).replace("0.500", "-0.500") + "\n"
    assert decode(text, format="plain", strict=False)
    assert decode(text, format="gruver2024", strict=False).failure is DecodeFailure.WRONG_PRECISION


def test_the_line_of_a_fault_counts_the_lines_of_the_text_as_it_was_given() -> None:
    text = "Rock salt:\n\n5.64 5.64 5.64\n\n90 90 90\nNa\n\n0 0 0\nXx\n0.5 0.5 0.5"
    read = decode(text, strict=False)
    assert (read.failure, read.line) == (DecodeFailure.UNKNOWN_ELEMENT, 9)


@pytest.mark.parametrize(
    "text",
    [
        "0.03 0.31 0.44\n0.53 0.81 0.44\nSb\n0.35 0.00 0.13\n",
        " the 0.6\n0.46 0.85 0.90\n0.67 0.57 0.61\nTa\n0.51 0.16 0.63",
        "Na\n5.5 5.5 5.5\n60.5 60.5 60.5\nCl\n0.5 0.5 0.5",
    ],
)
def test_coordinates_are_never_taken_for_a_cell_by_the_forgiving_reader(text: str) -> None:
    assert decode(" " + text, strict=False).failure in (
        DecodeFailure.BAD_LENGTHS,
        DecodeFailure.BAD_ANGLES,
    )


@pytest.mark.parametrize("line", ["Xx", "0.1 0.2 0.3", "at.", "and"])
def test_an_unreadable_element_amid_atoms_is_no_end_of_the_crystal(line: str) -> None:
    text = f" {CELL}\nNa\n0 0 0\n{line}\n0.5 0.5 0.5\nCl\n0.25 0.5 0.5"
    assert decode(text, strict=False).failure is DecodeFailure.UNKNOWN_ELEMENT


# Any text at all.


@settings(max_examples=400)
@given(
    text=st.text() | corrupted_texts, strict=st.booleans(), format=st.sampled_from([None, *FORMATS])
)
@example(text="\ud800", strict=False, format=None)
@example(text="ﬂ\n²\n١ ١ ١", strict=False, format=None)
@example(text="1 1 1\n1e9 1e99 1e-99\n", strict=False, format=None)
@example(text=f"{CELL}\nNa\n-1e-99 1e-12 -1e-13", strict=False, format="plain")
def test_any_text_decodes_to_a_crystal_or_a_fault(
    text: str, strict: bool, format: str | None
) -> None:
    read = decode(text, strict=strict, format=format)
    assert (read.crystal is None) != (read.failure is None)
    assert (read.line is None) == (read.failure is None)
    if read.crystal is not None:
        read.crystal.check()
        assert read.crystal.volume > 0
        assert np.isfinite(read.crystal.lattice).all()
        assert ((read.crystal.positions >= 0) & (read.crystal.positions < 1)).all()
    else:
        assert read.line is not None
        assert 1 <= read.line <= text.count("\n") + 2


def _noise() -> dict[str, str]:
    size = 10**6
    rng = random.Random(0)  # noqa: S311
    letters = "".join(chr(rng.randrange(32, 1000)) for _ in range(10**5))
    atoms = CELL + "\nNa\n0.5 0.5 0.5" * (size // 50)
    return {
        "letters": letters * 100,
        "digits": "1" * 10**7,
        "spaces in a line": "1" + " " * 10**7 + "x",
        "commas in a line": "1" + " ," * (size // 2) + "x",
        "number, spaces": "1 " * (size // 2),
        "newlines": "x" + "\n" * size + "x",
        "triples": "0.1 0.2 0.3\n" * (size // 12),
        "cells": "5 5 5\n90 90 90\n" * (size // 15),
        "words behind atoms": atoms + "\nx" * (size // 10),
        "broken atoms": atoms + "\nNa\n0.5 0.5 x",
    }


def test_megabytes_of_noise_are_read_at_once() -> None:
    for name, text in _noise().items():
        for strict in (True, False):
            started = time.process_time()
            read = decode(text, strict=strict)
            assert time.process_time() - started < 20, name
            assert (read.crystal is None) != (read.failure is None)


# Published texts and crystals.


def test_published_failures_of_a_language_model_have_named_faults(shared_data: Path) -> None:
    import pandas as pd

    table = pd.read_csv(shared_data / "peers" / "llamat2_9046_failed_completions.csv")
    texts = table["original_gen_str"].astype(str).tolist()
    assert len(texts) == 193
    for text in texts:
        assert decode(text).failure is not None
        read = decode(text, strict=False)
        if read.crystal is None:
            assert read.failure is not None
        else:
            assert read.repairs
            # An Å and a degree: no coordinates were taken for a cell.
            assert read.crystal.lengths.min() > 1
            assert read.crystal.angles.min() > 1


def _metastable(shared_data: Path, share: int) -> list[str]:
    import pandas as pd

    files = sorted((shared_data / "peers").glob("metastable_*.csv.gz"))
    assert len(files) == 4
    return [cif for path in files for cif in pd.read_csv(path)["cif"].tolist()[::share]]


def _survives(cif: str) -> None:
    from pymatgen.core.structure import Structure

    structure = Structure.from_str(cif, fmt="cif")
    for fmt in COORDINATE_FORMATS:
        text = encode(structure, fmt)
        read = decode(text, format=fmt)
        if fmt.as_published and read.failure is DecodeFailure.NO_VOLUME:
            continue
        assert read.crystal is not None, (read, text)
        expected = structure.get_sorted_structure()
        assert read.crystal.symbols == [site.specie.symbol for site in expected]
        off = cyclic_distance(read.crystal.positions, expected.frac_coords)
        assert off <= (0.5 + 1e-6) / 10**fmt.coordinate_decimals
        if not fmt.as_published:
            assert encode(read.crystal, fmt) == text


@pytest.mark.filterwarnings("ignore")
def test_published_metastable_samples_round_trip(shared_data: Path) -> None:
    for cif in _metastable(shared_data, share=20):
        _survives(cif)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_published_metastable_samples_round_trip(shared_data: Path) -> None:
    for cif in _metastable(shared_data, share=1):
        _survives(cif)


def test_the_default_format_has_the_decimals_that_were_measured() -> None:
    assert FORMATS["plain"] is PLAIN
    assert (PLAIN.length_decimals, PLAIN.angle_decimals, PLAIN.coordinate_decimals) == (2, 2, 3)


@pytest.mark.parametrize("value", [None, 3, b"text", ["a", "b"]])
def test_what_is_no_text_is_refused_in_words(value: object) -> None:
    with pytest.raises(InputError, match=r"a crystal cannot be read from .*; expected a text"):
        decode(value)  # type: ignore[arg-type]
