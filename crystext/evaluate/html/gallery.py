"""Crystals of a report that can be turned, and the choice of those that are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError
from crystext.evaluate.html.markup import Child, details, tag, typeset_formula, typeset_group
from crystext.evaluate.words import without_sign_of_zero
from crystext.io.render import VIEW_ROTATION, repeat_face_atoms
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula, space_group_symbols
from crystext.structures.space_groups import find_space_group
from crystext.text import encode

MAX_SHOWN = 24
"""Crystals of a gallery."""

_MAX_ATOMS = 200
"""Of a crystal that is shown; more are slow to turn, and nothing is seen."""

_RADIUS_SCALE = 0.5
"""What covalent radii are multiplied by, so that atoms do not hide each other."""

ENERGY_COLUMN, TRAINING_MATCH_COLUMN = "e_above_hull_ev_per_atom", "training_match"

Columns = Mapping[str, Sequence[Any]]
"""A value per attempt, by name: the columns of `structures.parquet`."""


def choose_samples(
    columns: Columns, crystals: Sequence[Crystal | None], n: int = MAX_SHOWN
) -> list[int]:
    """Return which attempts are shown: valid and unique ones first, then the lowest energies.

    Args:
        columns: `valid`, `unique` and `e_above_hull_ev_per_atom` count, where they are there.
        crystals: of all attempts.
        n: how many at most.
    """

    def rank(i: int) -> tuple[bool, bool, float, int]:
        energy = _value(columns, ENERGY_COLUMN, i)
        return (
            _value(columns, "valid", i) is not True,
            _value(columns, "unique", i) is not True,
            float("inf") if energy is None else float(energy),
            i,
        )

    able = [i for i, c in enumerate(crystals) if c is not None and len(c) <= _MAX_ATOMS]
    return sorted(able, key=rank)[:n]


def gallery(columns: Columns, crystals: Sequence[Crystal | None]) -> Element:
    """Return the cards of the crystals that `choose_samples` chooses."""
    cards = []
    for i in choose_samples(columns, crystals):
        crystal = crystals[i]
        assert crystal is not None
        name = str(_value(columns, "name", i) or i)
        energy, known = _value(columns, ENERGY_COLUMN, i), _value(columns, TRAINING_MATCH_COLUMN, i)
        cards.append(_card(name, crystal, energy, known))
    return tag("div", *cards, class_="gallery")


def _card(
    name: str, crystal: Crystal, e_above_hull: float | None, training_match: str | None
) -> Element:
    formula = reduced_formula(crystal.numbers)
    number = find_space_group(crystal)
    group = "no space group found"
    if number is not None:
        group = f"{space_group_symbols()[number]} ({number})"
    facts = [group, format_count(len(crystal), "atom")]
    if e_above_hull is not None:
        energy = without_sign_of_zero(f"{e_above_hull:.3f}")
        facts.append(f"{energy} eV/atom above the hull")
    if training_match is not None:
        facts.append(f"matches {training_match} of the training set")
    canvas = tag(
        "canvas",
        class_="crystal",
        tabindex="0",
        role="img",
        aria_label=f"Unit cell of {formula}, {', '.join(facts)}. Arrow keys turn it.",
        data_crystal=json.dumps(_viewer_data(crystal), separators=(",", ":")),
    )
    return tag(
        "article",
        canvas,
        tag("h3", *typeset_formula(formula)),
        tag("p", *typeset_group(group), "; " + "; ".join(facts[1:])),
        tag("p", *_legend(crystal), class_="legend"),
        details(f"Text of {name}", tag("pre", _text(crystal))),
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


def _legend(crystal: Crystal) -> list[Child]:
    return [
        tag("span", tag("i", style=f"background:{_color(z)}"), SYMBOLS[z - 1])
        for z in sorted(set(crystal.numbers.tolist()))
    ]


def _color(number: int) -> str:
    from ase.data.colors import jmol_colors

    # Elements beyond those that Jmol colours take the last colour.
    rgb = jmol_colors[min(number, len(jmol_colors) - 1)]
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in rgb)


def _text(crystal: Crystal) -> str:
    try:
        return encode(crystal)
    except InputError as error:
        return str(error)


def _value(columns: Columns, name: str, i: int) -> Any:
    """Return a value, None where there is none: no column, or not a number."""
    value = columns[name][i] if name in columns else None
    return None if isinstance(value, float) and np.isnan(value) else value
