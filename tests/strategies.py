"""Hypothesis strategies: crystals of every lattice system, and texts of many kinds."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.crystal import Crystal, angles_form_cell
from crystext.text import COORDINATE_FORMATS, encode

_lengths = st.floats(1.0, 60.0)
_angles = st.floats(20.0, 160.0)
_sharp_angles = st.floats(1.0, 20.0)
_oblique = st.tuples(_angles, _angles, _angles) | st.tuples(*[_sharp_angles] * 3)

# Angles of primitive cells: rhombohedral of face-centred cubic, body-centred cubic (arccos -1/3),
# their halves and supplements, and what floating-point arithmetic makes of 120 and 90.
_primitive_angles = st.sampled_from(
    [
        (60.0, 60.0, 60.0),
        (109.47122063449069,) * 3,
        (70.52877936550931,) * 3,
        (90.0, 90.0, 119.99999999999999),
        (89.99999999999999, 90.00000000000001, 60.00000000000001),
        (33.557309761920655,) * 3,
        (119.99999999999999, 90.0, 109.47122063449069),
    ]
)


def _cell(lengths: tuple[float, ...], angles: tuple[float, ...]) -> tuple[list[float], list[float]]:
    return list(lengths), list(angles)


_systems: dict[str, SearchStrategy[tuple[list[float], list[float]]]] = {
    "triclinic": st.builds(_cell, st.tuples(_lengths, _lengths, _lengths), _oblique),
    "monoclinic": st.builds(
        lambda abc, beta: _cell(abc, (90.0, beta, 90.0)),
        st.tuples(_lengths, _lengths, _lengths),
        _angles,
    ),
    "orthorhombic": st.builds(
        lambda abc: _cell(abc, (90.0, 90.0, 90.0)), st.tuples(_lengths, _lengths, _lengths)
    ),
    "tetragonal": st.builds(lambda a, c: _cell((a, a, c), (90.0, 90.0, 90.0)), _lengths, _lengths),
    "trigonal": st.builds(
        lambda a, alpha: _cell((a, a, a), (alpha, alpha, alpha)), _lengths, st.floats(1.0, 119.0)
    ),
    "hexagonal": st.builds(lambda a, c: _cell((a, a, c), (90.0, 90.0, 120.0)), _lengths, _lengths),
    "cubic": st.builds(lambda a: _cell((a, a, a), (90.0, 90.0, 90.0)), _lengths),
    "primitive": st.builds(lambda a, angles: _cell((a, a, a), angles), _lengths, _primitive_angles),
}

LATTICE_SYSTEMS = tuple(_systems)

# Values at which rounding, wrapping or cutting could go wrong.
_rounding_cases = st.sampled_from(
    [
        0.0,
        -0.0,
        1.0,
        0.5,
        1 / 3,
        2 / 3,
        0.015,
        0.285,
        0.995,
        0.9949999,
        0.9995,
        0.99949999999,
        0.9999999999999999,
        -1e-17,
        1e-17,
        -0.0004,
        1.0005,
        -1.0,
        17.25,
        0.0005,
        0.0015,
    ]
)
coordinates = st.floats(-2.0, 2.0) | st.floats(0.0, 1.0) | _rounding_cases


@st.composite
def crystals(draw: st.DrawFn, system: str | None = None, max_atoms: int = 12) -> Crystal:
    """Crystals of one lattice system, or of any; their cells still close by 0.02 degrees."""
    cells = _systems[system] if system else st.one_of(*_systems.values())
    lengths, angles = draw(cells.filter(lambda cell: _closes_when_rounded(cell[1])))
    elements = st.lists(st.integers(1, len(SYMBOLS)), min_size=1, max_size=max_atoms)
    numbers = draw(elements)
    positions = [[draw(coordinates) for _ in range(3)] for _ in numbers]
    return Crystal(np.array(lengths), np.array(angles), np.array(numbers), np.array(positions))


def _closes_when_rounded(angles: list[float]) -> bool:
    """Return whether whole degrees, too, form a cell: the coarsest format must hold it."""
    rounded = [round(x) for x in angles]
    return angles_form_cell(*angles) and angles_form_cell(*rounded)


def corrupt(text: str, start: int, stop: int, insert: str) -> str:
    """Return a text of which a part is replaced; places are taken modulo its length."""
    start, stop = sorted((start % (len(text) + 1), stop % (len(text) + 1)))
    return text[:start] + insert + text[stop:]


texts_of_crystals = st.builds(encode, crystals(max_atoms=5), st.sampled_from(COORDINATE_FORMATS))

_inserts = st.text(max_size=8) | st.sampled_from(
    ["\n", "\n\n", " ", "\t", "\r\n", "-", "1e400", "nan", "0.5 0.5 0.5\n", "Na\n", "?", "٣", "ﬂ"]
)
corrupted_texts = st.builds(
    corrupt, texts_of_crystals, st.integers(0, 500), st.integers(0, 500), _inserts
)
"""Texts of crystals with one part cut out or replaced: nearly right."""
