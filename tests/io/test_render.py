from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystext.errors import InputError
from crystext.io.render import draw_crystals, render_png
from tests.example_crystals import EXAMPLE_CRYSTALS, IRON, NACL, SRTIO3, crystal

ALL = list(EXAMPLE_CRYSTALS.values())


def iron_atoms(path: Path) -> int:
    """Count the discs of iron's colour in a picture."""
    return path.read_text().count("fill: #e06633")


@pytest.mark.parametrize("ending", [".png", ".PNG", ".svg", ".pdf"])
def test_a_picture_is_written_in_the_format_of_its_ending(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"picture{ending}"
    draw_crystals(ALL, out)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending.lower()]
    assert out.read_bytes().startswith(start)


def test_crystals_stand_in_rows(tmp_path: Path) -> None:
    shapes = {}
    for columns in (1, 2, 5, 9):
        draw_crystals(ALL, tmp_path / "x.png", columns=columns)
        height, width = imread(tmp_path / "x.png").shape[:2]
        shapes[columns] = (round(height / 435), round(width / 390))
    assert shapes == {1: (5, 1), 2: (3, 2), 5: (1, 5), 9: (1, 5)}


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_titles_and_atoms_stay_within_the_picture(tmp_path: Path, n: int) -> None:
    draw_crystals(ALL[:n], tmp_path / "x.png", columns=3)
    ink = imread(tmp_path / "x.png")[..., :3].min(axis=2) < 1
    for edge in (ink[:4], ink[-4:], ink[:, :4], ink[:, -4:]):
        assert not edge.any()


def test_a_picture_shows_something(tmp_path: Path) -> None:
    draw_crystals([NACL], tmp_path / "x.png")
    pixels = imread(tmp_path / "x.png")[..., :3].reshape(-1, 3)
    assert len(np.unique(pixels.round(2), axis=0)) > 20


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_a_cell_is_titled_by_formula_and_space_group(tmp_path: Path, name: str) -> None:
    draw_crystals([EXAMPLE_CRYSTALS[name]], tmp_path / "x.svg")
    # matplotlib leaves the text that its outlines spell in comments.
    found = re.findall(r"<!-- (.*) -->", (tmp_path / "x.svg").read_text())
    structure = EXAMPLE_CRYSTALS[name].structure
    symmetry = SpacegroupAnalyzer(structure, symprec=0.1)
    symbol, number = symmetry.get_space_group_symbol(), symmetry.get_space_group_number()
    formula = re.sub(r"(\d+)", r"$_{\1}$", structure.composition.reduced_formula)
    assert found == [formula, f"{symbol} ({number})"]


def test_atoms_at_one_place_are_drawn_without_a_space_group(tmp_path: Path) -> None:
    twice = crystal([3.0] * 3, [90] * 3, [("Fe", [0, 0, 0]), ("Fe", [0, 0, 0])])
    draw_crystals([twice], tmp_path / "x.svg")
    assert "<!-- no space group found -->" in (tmp_path / "x.svg").read_text()
    assert render_png([twice]).startswith(b"\x89PNG")


def test_an_atom_on_a_corner_is_drawn_on_all_corners(tmp_path: Path) -> None:
    def drawn(position: list[float]) -> int:
        draw_crystals([crystal([3.0] * 3, [90] * 3, [("Fe", position)])], tmp_path / "x.svg")
        return iron_atoms(tmp_path / "x.svg")

    assert drawn([0.5, 0.5, 0.5]) == 1
    assert drawn([0.0, 0.5, 0.5]) == 2
    assert drawn([0.0, 0.999, 0.5]) == 4
    assert drawn([0.0, 0.0, 0.0]) == 8
    assert drawn([-1.0, 2.0, 1.0]) == 8


def test_an_odd_cell_is_drawn_all_the_same(tmp_path: Path) -> None:
    flat = replace(SRTIO3, angles=np.array([60.0, 60.0, 119.0]))
    close = replace(IRON, numbers=np.array([26, 26]), positions=np.zeros((2, 3)))
    draw_crystals([flat, close], tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["x.gif", "x", "x.cif"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"name ending in \.png, \.svg, \.pdf"):
        draw_crystals([NACL], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_more_crystals_than_a_raster_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too many for one picture"):
        draw_crystals([IRON] * 1000, tmp_path / "x.png", columns=1)
