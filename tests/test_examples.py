"""Every example runs as a user would run it, says something, and uses public names only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.documents import DOCUMENTS, ROOT, blocks
from tests.forked import run_forked

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))

INTERNAL = {"CONTRIBUTING.md"}
"""Documents for those who change the package or extend it."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints(example: Path, tmp_path: Path) -> None:
    done = run_forked([str(example)], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def programs(path: Path) -> Iterator[str]:
    """Yield the Python of an example, a notebook or a document."""
    if path.suffix == ".py":
        yield path.read_text(encoding="utf-8")
    elif path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        yield from (cell.source for cell in cells if cell.cell_type == "code")
    else:
        yield from (text for _, text in blocks(path.read_text(encoding="utf-8"), "python"))


def names_used(program: str) -> set[str]:
    """Return the names of the package that a program uses, with the module they come from."""
    used = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "crystext":
            used |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            used |= {x.name for x in node.names if x.name.startswith("crystext.")}
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "crystext"
        ):
            used.add(f"crystext.{node.attr}")
    return used


def documented_names() -> set[str]:
    """Return the names that the Python reference documents."""
    text = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    described = re.findall(r"^\.\. auto\w+:: (crystext\.[\w.]+)$", text, re.MULTILINE)
    return {*described, "crystext.FORMATS"}


SHOWN = [*EXAMPLES, *NOTEBOOKS, *(path for path in DOCUMENTS if path.name not in INTERNAL)]


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_users_copy_uses_documented_names(path: Path) -> None:
    used = set().union(*map(names_used, programs(path)))
    assert sorted(used - documented_names()) == []


def test_the_names_that_a_program_uses_are_found() -> None:
    program = "import crystext.lm\nfrom crystext.energies import hull\ncrystext.encode(1)"
    assert names_used(program) == {"crystext.lm", "crystext.energies.hull", "crystext.encode"}
    assert sum(bool(names_used(text)) for path in SHOWN for text in programs(path)) > 15
