"""The wheel holds what the repository holds, and works away from it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

MAPPED = {
    "crystext/": "crystext/",
    "prompts/": "crystext/shipped/prompts/",
    "recipes/": "crystext/shipped/recipes/",
    "evaluation/protocols/": "crystext/shipped/evaluation/protocols/",
    "evaluation/reference/": "crystext/shipped/evaluation/reference/",
    "evaluation/suites/": "crystext/shipped/evaluation/suites/",
}
"""Where the wheel has the folders of the repository that it takes along."""


def tracked(root: Path) -> list[str]:
    """Return the files that git has, or skip where there is no git or it has none of them."""
    if shutil.which("git") is None:
        pytest.skip("needs git to know which files belong to the repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", "."],  # noqa: S607
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    names = [name for name in listed.stdout.split("\0") if (root / name).is_file() and name]
    if listed.returncode != 0 or "pyproject.toml" not in names:
        pytest.skip("needs a git checkout: which files belong to the wheel is known to git alone")
    return names


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git tracks, readable by its owner alone."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in tracked(root):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target)
        target.chmod(0o600)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(copy / "dist")],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (copy / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_installed(installed: Path, script: str) -> str:
    """Run Python with the wheel's files in front of any other crystext."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_wheel_holds_the_tracked_files_and_no_other(root: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        inside + name.removeprefix(outside)
        for name in tracked(root)
        for outside, inside in MAPPED.items()
        if name.startswith(outside)
    }
    assert found == expected


def test_everybody_may_read_what_the_wheel_installs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert {name: stat.filemode(mode) for name, mode in modes.items() if not mode & 0o044} == {}


def test_the_wheel_carries_types_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "crystext/py.typed" in names
    assert [name for name in names if name.endswith("licenses/LICENSE")]


def test_the_wheel_has_the_version_of_the_package(wheel: Path, installed: Path) -> None:
    version = run_installed(installed, "import crystext; print(crystext.__version__)").strip()
    assert wheel.name == f"crystext-{version}-py3-none-any.whl"


def test_an_installed_package_finds_its_own_files(root: Path, installed: Path) -> None:
    script = (
        "from crystext.runtime import shipped_files\n"
        "from crystext.tasks import prompts\n"
        "prompts.load_prompts('default')\n"
        "for parts in [('prompts',), ('recipes', 'shipped.yaml')]:\n"
        "    path = shipped_files.shipped_path(*parts); assert path.exists(), path; print(path)\n"
        "print(shipped_files.shipped_model())"
    )
    paths = run_installed(installed, script).splitlines()
    assert len(paths) == 3
    assert all(Path(path).is_relative_to(installed) for path in paths)


def test_an_installed_package_loads_its_model(root: Path, installed: Path) -> None:
    script = (
        "import crystext\n"
        "model = crystext.load_model()\n"
        "print(model.folder, sum(p.numel() for p in model.network.parameters()))"
    )
    folder, parameters = run_installed(installed, script).split()
    assert Path(folder).is_relative_to(installed)
    assert int(parameters) > 1_000_000


def test_the_command_of_the_wheel_is_the_command_line(wheel: Path, installed: Path) -> None:
    (table,) = installed.glob("*.dist-info/entry_points.txt")
    assert "crystext = crystext.cli.main:main" in table.read_text()
    output = run_installed(
        installed,
        "import sys; from crystext.cli.main import main; sys.argv = ['', '--help']; main()",
    )
    assert "Usage: crystext" in output
