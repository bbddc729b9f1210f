"""Tables that people wrote list what the package has."""

from __future__ import annotations

import re
from pathlib import Path

from crystext import FORMATS, decode, encode
from crystext.conditions import CONDITION_NAMES
from crystext.metrics.registry import METRICS
from crystext.runtime.shipped_files import shipped_path
from tests.documents import blocks


def first_cells(path: Path, heading: str) -> str:
    """Return the first cells of the tables of a section."""
    section = path.read_text(encoding="utf-8").partition(f"{heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return " ".join(cells)


def test_the_table_lists_every_format_with_its_decimals(root: Path) -> None:
    text = (root / "docs/reference/text_formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)`.*?\| (\d)\D*?\| (\d)\D*?\| (\d)\D*?\|", text, re.MULTILINE)
    assert {name: tuple(map(int, decimals)) for name, *decimals in rows} == {
        f.name: (f.length_decimals, f.angle_decimals, f.coordinate_decimals)
        for f in FORMATS.values()
    }


def test_the_table_of_conditions_lists_every_condition(root: Path) -> None:
    cells = first_cells(root / "docs/how_to/condition.md", "## The conditions")
    assert sorted(re.findall(r"`(\w+)`", cells)) == sorted(CONDITION_NAMES)


def test_the_metrics_are_listed_by_name(root: Path) -> None:
    cells = first_cells(root / "docs/reference/metrics.md", "# Metrics")
    assert sorted(re.findall(r"`(\w+)`", cells)) == sorted(METRICS)


def test_the_recipes_are_listed_as_they_are(root: Path) -> None:
    cells = first_cells(root / "docs/how_to/train.md", "## Recipes")
    recipes = sorted(path.stem for path in shipped_path("recipes").glob("*.yaml"))
    assert sorted(re.findall(r"`([\w-]+)`", cells)) == recipes


def test_the_texts_shown_are_caesium_chloride_and_quartz(root: Path) -> None:
    text = (root / "docs/explanation/text_formats.md").read_text(encoding="utf-8")
    plain, wyckoff = (content for _, content in blocks(text, ""))
    salt, quartz = decode(plain, format="plain"), decode(wyckoff, format="wyckoff")
    assert salt.crystal is not None
    assert encode(salt.crystal) == plain
    assert quartz.structure is not None
    assert quartz.structure.composition.reduced_formula == "SiO2"
    assert len(quartz.structure) == 9
    assert quartz.structure.get_space_group_info(0.1)[1] == 152
