"""Crystals of a report that can be turned, and the choice of those that are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError
from crystext.evaluate.html.tables import Columns
from crystext.evaluate.stages.registry import loadable_stages
from crystext.io.render import VIEW_ROTATION, repeat_face_atoms
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula, space_group_symbols
from crystext.structures.space_groups import find_space_group
from crystext.text import encode

MAX_SHOWN = 24
"""Crystals of a gallery."""

_MAX_ATOMS = 200
"""Maximum number of atoms of a crystal in the gallery; larger ones are slow to turn and too dense
to see."""

_RADIUS_SCALE = 0.5
"""Factor of covalent radii, so that atoms do not hide each other."""


class Card(NamedTuple):
    """A crystal of the gallery."""

    name: str
    formula: str
    group: str
    facts: list[str]
    legend: list[tuple[str, str]]
    """Colour and symbol of each element."""
    data: str
    """The data of the viewer, as JSON."""
    text: str


def choose_samples(
    columns: Columns, crystals: Sequence[Crystal | None], n: int = MAX_SHOWN
) -> list[int]:
    """Return which samples are shown: those that the stages put first.

    Args:
        columns: those in `ReportSection.gallery_order` of a stage decide.
        crystals: of all samples.
        n: maximum number of samples.
    """
    order = [
        name
        for stage in loadable_stages()
        for name in stage.section.gallery_order
        if name in columns
    ]

    def rank(i: int) -> tuple[list[float], int]:
        return [_rank(_value(columns, name, i)) for name in order], i

    able = [i for i, c in enumerate(crystals) if c is not None and len(c) <= _MAX_ATOMS]
    return sorted(able, key=rank)[:n]


def cards(columns: Columns, crystals: Sequence[Crystal | None]) -> list[Card]:
    """Return the crystals that `choose_samples` chooses, with their captions."""
    found = []
    for i in choose_samples(columns, crystals):
        crystal = crystals[i]
        assert crystal is not None
        name = str(_value(columns, "name", i) or i)
        captions = [
            caption(value)
            for stage in loadable_stages()
            for column, caption in stage.section.captions.items()
            if (value := _value(columns, column, i)) is not None
        ]
        found.append(make_card(name, crystal, captions))
    return found


def introduction(columns: Columns) -> str:
    """Return a description of the order of the crystals, with the notes of stages."""
    words, notes = [], []
    for stage in loadable_stages():
        section = stage.section
        measured = [name for name in section.gallery_order if _is_measured(columns, name)]
        words += [section.gallery_order[name] for name in measured]
        notes += [section.gallery_note] if measured and section.gallery_note else []
    order = f"First come {', then '.join(words)}" if words else "Crystals are in sampling order"
    return " ".join([f"{order}. Drag one to turn it.", *notes])


def _is_measured(columns: Columns, name: str) -> bool:
    return any(value is not None for value in columns.get(name, ()))


def _rank(value: Any) -> float:
    """Return a sort key: 0 for true, 1 for false, a number unchanged, None last."""
    if value is None:
        return float("inf")
    return float(not value) if value is True or value is False else float(value)


def make_card(name: str, crystal: Crystal, captions: Sequence[str]) -> Card:
    """Return a crystal with what stands below its picture."""
    number = find_space_group(crystal)
    group = "no space group found"
    if number is not None:
        group = f"{space_group_symbols()[number]} ({number})"
    elements = sorted(set(crystal.numbers.tolist()))
    return Card(
        name,
        reduced_formula(crystal.numbers),
        group,
        [format_count(len(crystal), "atom"), *captions],
        [(_color(z), SYMBOLS[z - 1]) for z in elements],
        json.dumps(_viewer_data(crystal), separators=(",", ":")),
        _text(crystal),
    )


def _viewer_data(crystal: Crystal) -> dict[str, Any]:
    """Return atoms and cell in Å about the middle of the cell, turned as pictures show them."""
    from ase.data import covalent_radii
    from ase.utils import rotate

    turned = crystal.lattice @ rotate(VIEW_ROTATION)
    numbers, positions = repeat_face_atoms(crystal)
    elements = sorted(set(numbers.tolist()))
    atoms = np.column_stack(
        [
            (positions - 0.5) @ turned,
            _RADIUS_SCALE * covalent_radii[numbers],
            [elements.index(z) for z in numbers.tolist()],
        ]
    )
    return {
        "cell": turned.round(3).tolist(),
        "atoms": [[*map(float, row[:4]), int(row[4])] for row in atoms.round(3).tolist()],
        "colours": [_color(z) for z in elements],
    }


def _color(number: int) -> str:
    from ase.data.colors import jmol_colors

    # Elements without a Jmol colour take the last colour.
    rgb = jmol_colors[min(number, len(jmol_colors) - 1)]
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in rgb)


def _text(crystal: Crystal) -> str:
    try:
        return encode(crystal)
    except InputError as error:
        return str(error)


def _value(columns: Columns, name: str, i: int) -> Any:
    """Return a value; None for a missing column or nan."""
    value = columns[name][i] if name in columns else None
    return None if isinstance(value, float) and np.isnan(value) else value
