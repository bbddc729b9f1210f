"""Draw pictures of crystals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystext.errors import InputError
from crystext.structures.crystal import Crystal, Floats, Ints
from crystext.structures.properties import reduced_formula
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import find_symmetry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IMAGE_SUFFIXES = (".png", ".svg", ".pdf")

_WIDTH, _HEIGHT, _DPI = 2.6, 2.9, 150
"""Size of a cell's picture in inches, and pixels per inch."""

_TITLE_HEIGHT, _MARGIN = 0.45, 0.08
"""Height of the two lines of a title, and the margin around a picture, in inches."""

_MAX_PIXELS = 2**16 - 1
"""Maximum pixels along a side of a raster picture."""

VIEW_ROTATION = "-75x,-12y,4z"
"""Rotation of the cell before projection, in ASE's notation: c up, a to the right."""


def draw_crystals(crystals: Sequence[Crystal], out: Path, *, columns: int = 4) -> None:
    """Draw unit cells side by side, titled by formula and space group (spglib, symprec 0.1 Å).

    Atoms on the faces of a cell are drawn on the opposite faces, too.

    Args:
        crystals: at least one.
        out: a .png, .svg or .pdf file; its folder is made if it is missing.
        columns: cells per row.

    Raises:
        InputError: the suffix is another one, or the crystals do not fit in a raster picture.
    """
    if out.suffix.lower() not in _IMAGE_SUFFIXES:
        raise InputError(
            f"{out} is not a supported picture; expected a name ending in "
            f"{', '.join(_IMAGE_SUFFIXES)}"
        )
    columns = min(columns, len(crystals))
    rows = -(-len(crystals) // columns)
    size = _WIDTH * columns, _HEIGHT * rows
    if out.suffix.lower() == ".png" and max(size) * _DPI > _MAX_PIXELS:
        raise InputError(
            f"{len(crystals)} crystals in {rows} rows and {columns} columns are too many for one "
            "picture; draw fewer, or write .svg or .pdf"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    _figure(crystals, columns).savefig(out, dpi=_DPI)


def render_png(crystals: Sequence[Crystal], *, columns: int = 4, dpi: int = 100) -> bytes:
    """Return the picture that `draw_crystals` would write, as the bytes of a PNG file.

    Args:
        crystals: at least one, and at most a page.
        columns: cells per row.
        dpi: pixels per inch; a cell has 2.6 by 2.9 inches.
    """
    buffer = BytesIO()
    _figure(crystals, min(columns, len(crystals))).savefig(buffer, dpi=dpi, format="png")
    return buffer.getvalue()


def _figure(crystals: Sequence[Crystal], columns: int) -> Figure:
    from ase import Atoms
    from ase.visualize.plot import plot_atoms
    from matplotlib.figure import Figure

    rows = -(-len(crystals) // columns)
    width, height = _WIDTH * columns, _HEIGHT * rows
    # Fixed places: matplotlib's constrained layout puts the titles of a single row over the edge.
    figure = Figure(figsize=(width, height))
    size = (_WIDTH - 2 * _MARGIN) / width, (_HEIGHT - _TITLE_HEIGHT - 2 * _MARGIN) / height
    for place, crystal in enumerate(crystals):
        row, column = divmod(place, columns)
        left, bottom = column * _WIDTH + _MARGIN, (rows - 1 - row) * _HEIGHT + _MARGIN
        axes = figure.add_axes((left / width, bottom / height, *size))
        numbers, positions = repeat_face_atoms(crystal)
        atoms = Atoms(numbers, scaled_positions=positions, cell=crystal.lattice)
        plot_atoms(atoms, axes, radii=0.45, rotation=VIEW_ROTATION)
        axes.set_axis_off()
        axes.set_title(
            f"{_formula_markup(reduced_formula(crystal.numbers))}\n{_space_group_title(crystal)}",
            fontsize=9,
        )
    return figure


def repeat_face_atoms(crystal: Crystal) -> tuple[Ints, Floats]:
    """Return the atoms that a picture shows: those on faces are repeated on opposite faces.

    Returns:
        Atomic numbers of shape (M,), and fractional positions of shape (M, 3), with M >= N.
    """
    numbers, positions = [], []
    for number, position in zip(crystal.numbers.tolist(), crystal.positions % 1.0, strict=True):
        shifts = [(0, 1) if x < 0.01 else (0, -1) if x > 0.99 else (0,) for x in position]
        for i in shifts[0]:
            for j in shifts[1]:
                for k in shifts[2]:
                    numbers.append(number)
                    positions.append(position + np.array([i, j, k]))
    return np.array(numbers), np.array(positions)


def _formula_markup(formula: str) -> str:
    return re.sub(r"(\d+)", r"$_{\1}$", formula)


def _space_group_title(crystal: Crystal) -> str:
    try:
        found = find_symmetry(crystal.lattice, crystal.positions, crystal.numbers, SYMPREC)
    except InputError:
        return "no space group found"
    return f"{found.international} ({found.number})"
