from __future__ import annotations

import numpy as np
import pytest

from crystext.chemistry.elements import SYMBOLS
from crystext.grammar.fields import (
    END,
    FieldKind,
    decimals_of,
    field_at,
    kind_after_coordinates,
    value_count,
    value_texts,
)
from crystext.structures.crystal import Crystal
from crystext.text import COORDINATE_FORMATS, Format, decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS

each_format = pytest.mark.parametrize("fmt", COORDINATE_FORMATS, ids=lambda fmt: fmt.name)
VALUED_KINDS = [kind for kind in FieldKind if kind is not FieldKind.CELL]
each_kind = pytest.mark.parametrize("kind", VALUED_KINDS)


def values_of(crystal: Crystal, fmt: Format) -> list[int]:
    """Return the values that spell a crystal, read off the numbers of its printed text."""
    decoded = decode(encode(crystal, fmt), format=fmt).crystal
    assert decoded is not None
    units = {
        kind: 10 ** decimals_of(kind, fmt) for kind in VALUED_KINDS if kind is not FieldKind.ELEMENT
    }
    values = np.rint(decoded.lengths * units[FieldKind.LENGTH]).astype(int).tolist()
    values += np.rint(decoded.angles * units[FieldKind.ANGLE]).astype(int).tolist()
    for number, position in zip(decoded.numbers.tolist(), decoded.positions, strict=True):
        values.append(number)
        values += np.rint(position * units[FieldKind.COORDINATE]).astype(int).tolist()
    return [*values, END]


@each_format
@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_fields_and_separators_spell_the_text_that_encode_writes(name: str, fmt: Format) -> None:
    text = ""
    # The published format may print a coordinate as 1, which is not written here.
    expected = encode(EXAMPLE_CRYSTALS[name], fmt).replace("1.00", "0.00")
    for place, value in enumerate(values_of(EXAMPLE_CRYSTALS[name], fmt)):
        field = field_at(place)
        written = value_texts(field.kind, fmt)[value]
        text += field.separator * (written != "") + written
    assert text == expected


@each_format
@pytest.mark.parametrize("kind", [FieldKind.LENGTH, FieldKind.ANGLE])
def test_every_length_and_angle_is_written_as_encode_writes_it(
    kind: FieldKind, fmt: Format
) -> None:
    unit = 10 ** decimals_of(kind, fmt)
    texts = value_texts(kind, fmt)
    for value in np.unique(np.geomspace(1, value_count(kind, fmt) - 1, 300).astype(int)).tolist():
        cell = np.array([[value / unit, 5.0, 5.0], [90.0, 90.0, 90.0]])
        if kind is FieldKind.ANGLE:
            cell = np.array([[5.0, 5.0, 5.0], [value / unit, 90.0, 90.0]])
        text = encode(Crystal(cell[0], cell[1], np.array([1]), np.zeros((1, 3))), fmt)
        assert text.split("\n")[0 if kind is FieldKind.LENGTH else 1].split(" ")[0] == texts[value]


@each_format
def test_every_coordinate_is_written_as_encode_writes_it(fmt: Format) -> None:
    count = value_count(FieldKind.COORDINATE, fmt)
    positions = np.repeat(np.arange(count)[:, None] / 10.0**fmt.coordinate_decimals, 3, axis=1)
    cell = np.array([[5.0, 5.0, 5.0], [90.0, 90.0, 90.0]])
    text = encode(Crystal(cell[0], cell[1], np.ones(count, dtype=np.int64), positions), fmt)
    assert tuple(line.split(" ")[2] for line in text.split("\n")[3::2]) == value_texts(
        FieldKind.COORDINATE, fmt
    )


@each_format
def test_an_element_is_written_as_its_symbol_and_the_end_as_nothing(fmt: Format) -> None:
    texts = value_texts(FieldKind.ELEMENT, fmt)
    assert texts[END] == ""
    assert texts[1:] == SYMBOLS


@each_format
@each_kind
def test_no_two_values_are_written_alike(kind: FieldKind, fmt: Format) -> None:
    texts = value_texts(kind, fmt)
    assert len(set(texts)) == len(texts) == value_count(kind, fmt)


@each_format
def test_values_end_below_one_for_coordinates_and_below_a_straight_angle(fmt: Format) -> None:
    assert float(value_texts(FieldKind.COORDINATE, fmt)[-1]) < 1
    assert float(value_texts(FieldKind.ANGLE, fmt)[-1]) < 180


def test_atoms_follow_the_cell_for_ever() -> None:
    kinds = [field_at(place).kind for place in range(6 + 4 * 50)]
    atom = [FieldKind.ELEMENT, *[FieldKind.COORDINATE] * 3]
    assert kinds == [FieldKind.LENGTH] * 3 + [FieldKind.ANGLE] * 3 + atom * 50


@each_format
@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_the_kind_behind_each_beginning_of_a_text_is_that_of_its_field(
    name: str, fmt: Format
) -> None:
    text = ""
    for place, value in enumerate(values_of(EXAMPLE_CRYSTALS[name], fmt)[:-1]):
        field = field_at(place)
        before = field_at(place - 1) if place else field
        # An element may have a second letter, and a number without decimals a further digit.
        if before.kind is not FieldKind.ELEMENT and decimals_of(before.kind, fmt):
            assert kind_after_coordinates(text, fmt) is field.kind
        text += field.separator
        for character in value_texts(field.kind, fmt)[value]:
            assert kind_after_coordinates(text, fmt) is field.kind
            text += character
    assert kind_after_coordinates(text, fmt) is FieldKind.ELEMENT
