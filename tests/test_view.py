from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from crystext.errors import InputError
from crystext.view import draw_crystals
from tests.handmade import HANDMADE, IRON, NACL, SRTIO3, crystal

ALL = list(HANDMADE.values())


def circles(path: Path) -> int:
    """Count the atoms of a picture: each is a patch of its own colour."""
    return path.read_text().count('<g id="patch_')


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


def test_a_picture_shows_something(tmp_path: Path) -> None:
    draw_crystals([NACL], tmp_path / "x.png")
    pixels = imread(tmp_path / "x.png")[..., :3].reshape(-1, 3)
    assert len(np.unique(pixels.round(2), axis=0)) > 20


def test_each_cell_is_titled_by_formula_and_space_group(tmp_path: Path) -> None:
    titles = {
        "nacl": "NaCl|Fm-3m (225)",
        "srtio3": "SrTiO|Pm-3m (221)",
        "wurtzite": "ZnS|P6_3mc (186)",
        "iron": "Fe|Im-3m (229)",
        "quartz": "SiO|P3_221 (154)",
    }
    for name, title in titles.items():
        draw_crystals([HANDMADE[name]], tmp_path / "x.svg")
        written = (tmp_path / "x.svg").read_text()
        # matplotlib leaves the text that a path spells in a comment.
        comments = [line.strip() for line in written.splitlines() if "<!--" in line]
        assert any(title.split("|")[1] in comment for comment in comments), (name, comments)


def test_an_atom_on_a_corner_is_drawn_on_all_corners(tmp_path: Path) -> None:
    def drawn(position: list[float]) -> int:
        draw_crystals([crystal([3.0] * 3, [90] * 3, [("Fe", position)])], tmp_path / "x.svg")
        return circles(tmp_path / "x.svg")

    inside = drawn([0.5, 0.5, 0.5])
    assert drawn([0.0, 0.5, 0.5]) == inside + 1
    assert drawn([0.0, 0.999, 0.5]) == inside + 3
    assert drawn([0.0, 0.0, 0.0]) == inside + 7
    assert drawn([-1.0, 2.0, 1.0]) == inside + 7


def test_an_odd_cell_is_drawn_all_the_same(tmp_path: Path) -> None:
    flat = replace(SRTIO3, angles=np.array([60.0, 60.0, 119.0]))
    close = replace(IRON, numbers=np.array([26, 26]), positions=np.zeros((2, 3)))
    draw_crystals([flat, close], tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["x.gif", "x", "x.cif"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"end it in \.png, \.svg, \.pdf"):
        draw_crystals([NACL], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_more_crystals_than_a_raster_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too many for one picture"):
        draw_crystals([IRON] * 1000, tmp_path / "x.png", columns=1)
