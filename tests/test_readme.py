"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from crystext import FORMATS, decode, encode
from crystext.conditions import NAMES


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def blocks(readme: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)\n```$", readme, flags=re.DOTALL | re.MULTILINE)
    return [content for found, content in fenced if found == language]


def test_continuous_integration_finds_its_one_command_in_the_readme(
    root: Path, readme: str
) -> None:
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -E '(.*)' README.md", script)
    (command,) = re.findall(pattern, readme, flags=re.MULTILINE)
    assert "pip install -c constraints.txt -e '.[test]'" in command


def test_the_first_command_stands_on_one_line_and_ends_in_crystals(readme: str) -> None:
    first = blocks(readme, "sh")[0]
    assert "\n" not in first
    assert re.search(r"pip install -c constraints.txt .*&& \S*crystext sample ", first)


def test_the_text_shown_is_the_text_written(readme: str) -> None:
    text = blocks(readme, "")[0]
    decoded = decode(text)
    assert decoded.crystal is not None
    assert encode(decoded.crystal) == text


def test_the_python_shown_runs(readme: str, tmp_path: Path) -> None:
    structure = decode(blocks(readme, "")[0]).structure
    assert structure is not None
    structure.to(str(tmp_path / "CsCl.cif"))
    check = (
        "\nassert decoded.fault is None\n"
        "assert decoded.structure.composition == structure.composition\n"
        "assert len(moved) == len(crystal) == 2\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", blocks(readme, "python")[0] + check],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_table_lists_every_format_with_its_decimals(readme: str) -> None:
    rows = re.findall(r"^\| `([\w-]+)`.*?\| (\d)\D*?\| (\d)\D*?\| (\d)\D*?\|", readme, re.MULTILINE)
    assert {name: tuple(map(int, decimals)) for name, *decimals in rows} == {
        f.name: (f.length_decimals, f.angle_decimals, f.coordinate_decimals)
        for f in FORMATS.values()
    }


def test_every_file_that_the_readme_links_to_exists(root: Path, readme: str) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", readme)
    assert links
    assert [link for link in links if not (root / link).exists()] == []


def test_the_python_api_shown_runs(readme: str, tmp_path: Path) -> None:
    check = (
        "\nassert {x.formula for x in samples} == {'SrTiO3'}\n"
        "assert [x.name for x in samples[0].conditions] == ['composition', 'space_group']\n"
        "assert score.total < 0 and len(score.readings) == 10\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", blocks(readme, "python")[1] + check],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_table_of_control_lists_every_condition(readme: str) -> None:
    section = readme.partition("## Control")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(cells))) == sorted(NAMES)
