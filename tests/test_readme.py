"""What the README shows is what happens."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crystext import FORMATS, decode, encode
from crystext.cli.main import app
from crystext.conditions import CONDITION_NAMES
from tests.documents import blocks, calls, lines, words


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


ELSEWHERE = {
    "python3 -m venv": "makes the environment that runs this test",
    ".venv/bin/pip install": "installs what this test runs; needs a package index",
    ".venv/bin/pytest": "is how this test is run",
    ". .venv/bin/activate": "puts crystext on the path; here it is called in this process",
}
"""Beginnings of commands that are not run here, and why."""

SHORTER = {
    r"--n 100 --out run": "--n 30 --workers 1 --out run",
    r"--n 10000 --out run": "--n 60 --workers 1 --out run",
    r"--until satisfied": "--until satisfied --n 3 --workers 1",
    r"train smoke": "train smoke optim.steps=2",
    r"train finetune-your-own": "train finetune-your-own optim.steps=2 "
    "optim.warmup_steps=1 optim.batch_sequences=4",
    r"--n 1000 --out draws": "--n 4 --workers 1 --out draws",
    r"data prepare run": "data prepare run --workers 1",
    r"--relax 100\b": "--relax 1 --workers 1",
    r"--relax 1000\b": "--relax 1 --workers 1",
    r"relax titanates": "relax titanates --n 1 --steps 2 --workers 1",
}
"""What makes minutes of a command seconds: fewer crystals or steps, and no second process."""

CHECKS = {
    0: "assert decoded.failure is None\n"
    "assert decoded.structure.composition == structure.composition\n"
    "assert len(moved) == len(crystal) == 2\n",
    1: "assert {x.formula for x in samples} == {'SrTiO3'}\n"
    "assert [x.name for x in samples[0].conditions] == ['composition', 'space_group']\n"
    "assert score.total < 0 and len(score.readings) == 10\n",
}
"""What has to hold after the Python blocks, by their number."""

ENERGIES = ("evaluate", "relax", "hull")
"""Commands that need energies; they are tested by themselves."""


@pytest.fixture(scope="module")
def clone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with those files of the repository that the README's commands read."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(root / "examples", folder / "examples")
    return folder


def type_in(command: str) -> None:
    """Run a line of a shell block in this process, each command of it with its input piped."""
    for pattern, shorter in SHORTER.items():
        command = re.sub(pattern, shorter, command)
    output = None
    for arguments in calls(command):
        ended = CliRunner().invoke(app, arguments, input=output)
        told = f"crystext {' '.join(arguments)}\n{ended.output}\n{ended.exception!r}"
        assert ended.exit_code == 0, told
        output = ended.stdout


def needs_energies(command: str) -> bool:
    return any(arguments[0] in ENERGIES for arguments in calls(command))


def test_what_is_shown_runs_in_order_from_a_fresh_clone(
    readme: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone)
    scripts = 0
    for language, content in blocks(readme, "sh", "python"):
        if language == "python":
            script = clone / "script.py"
            script.write_text(f"{content}\n{CHECKS[scripts]}", encoding="utf-8")
            runpy.run_path(str(script))
            scripts += 1
            continue
        for command in lines(content):
            if not needs_energies(command):
                type_in(command)
    assert scripts == len(CHECKS)


def test_what_is_evaluated_runs_offline_after_it(
    readme: str, clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(clone)
    # Whatever the user has downloaded before.
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))
    if not (clone / "run").exists():
        type_in("crystext sample --n 10000 --out run")
        type_in("crystext sample --composition SrTiO3 --until satisfied --out titanates")
    ran = 0
    for _, content in blocks(readme, "sh"):
        for command in filter(needs_energies, lines(content)):
            type_in(command)
            ran += 1
    assert ran >= 4


def test_what_is_not_run_is_listed_with_its_reason(readme: str) -> None:
    shown = [line for _, content in blocks(readme, "sh") for line in lines(content)]
    left = set()
    for line in shown:
        for command in " ".join(words(line)).split(" && "):
            if not list(calls(command)):
                (reason,) = [start for start in ELSEWHERE if command.startswith(start)]
                left.add(reason)
    assert left == set(ELSEWHERE)


def test_every_reduction_is_still_of_use(readme: str) -> None:
    shown = "\n".join(content for _, content in blocks(readme, "sh"))
    assert [pattern for pattern in SHORTER if not re.search(pattern, shown)] == []


def test_continuous_integration_finds_its_one_command_in_the_readme(
    root: Path, readme: str
) -> None:
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -E '(.*)' README.md", script)
    (command,) = re.findall(pattern, readme, flags=re.MULTILINE)
    assert "pip install -c constraints.txt -e '.[test]'" in command


def test_the_first_command_stands_on_one_line_and_ends_in_crystals(readme: str) -> None:
    _, first = blocks(readme, "sh")[0]
    assert "\n" not in first
    assert re.search(r"pip install -c constraints.txt .*&& \S*crystext sample ", first)


def test_the_text_shown_is_the_text_written(readme: str) -> None:
    _, text = blocks(readme, "")[0]
    decoded = decode(text)
    assert decoded.crystal is not None
    assert encode(decoded.crystal) == text


def test_the_wyckoff_text_shown_is_quartz(readme: str) -> None:
    decoded = decode(blocks(readme, "")[1][1], format="wyckoff")
    assert decoded.structure is not None
    assert decoded.structure.composition.reduced_formula == "SiO2"
    assert len(decoded.structure) == 9
    assert decoded.structure.get_space_group_info(0.1)[1] == 152


def test_the_table_lists_every_format_with_its_decimals(readme: str) -> None:
    rows = re.findall(r"^\| `([\w-]+)`.*?\| (\d)\D*?\| (\d)\D*?\| (\d)\D*?\|", readme, re.MULTILINE)
    assert {name: tuple(map(int, decimals)) for name, *decimals in rows} == {
        f.name: (f.length_decimals, f.angle_decimals, f.coordinate_decimals)
        for f in FORMATS.values()
    }


def test_the_table_of_control_lists_every_condition(readme: str) -> None:
    section = readme.partition("## Control")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(cells))) == sorted(CONDITION_NAMES)
