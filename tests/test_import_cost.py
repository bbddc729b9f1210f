"""Importing the package and asking for help costs next to nothing."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import crystext

HEAVY = {
    "accelerate",
    "ase",
    "bitsandbytes",
    "matgl",
    "matplotlib",
    "numpy",
    "pandas",
    "peft",
    "pooch",
    "pyarrow",
    "pymatgen",
    "rdkit",
    "scipy",
    "sklearn",
    "smact",
    "spglib",
    "tokenizers",
    "torch",
    "transformers",
}


def loaded_by(statements: str, *arguments: str) -> set[str]:
    """Return the top-level modules that are loaded once the statements have run."""
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted({m.split('.')[0] for m in sys.modules}), "
        "file=sys.stderr))\n" + statements
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("encode", "--help"),
        ("decode", "--help"),
        ("data", "--help"),
        ("data", "prepare", "--help"),
        ("data", "list"),
        ("train", "--help"),
        ("sample", "--help"),
        ("benchmark", "--help"),
        ("view", "--help"),
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by("from crystext.cli.main import main; main()", *arguments)
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_import_of_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import crystext")
    assert "crystext" in loaded
    assert loaded & (HEAVY | {"pydantic", "rich", "typer", "yaml"}) == set()


def test_import_of_the_package_leaves_the_process_as_it_was() -> None:
    script = (
        "import os, sys\n"
        "def state(): return dict(os.environ), os.getcwd(), sys.argv[:], sys.path[:]\n"
        "before = state()\nimport crystext\nassert state() == before"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_encoding_and_decoding_need_numpy_alone() -> None:
    loaded = loaded_by(
        "import crystext\n"
        "text = '4.00 4.00 4.00\\n90.00 90.00 90.00\\nPo\\n0.000 0.000 0.000'\n"
        "assert crystext.encode(crystext.decode(text).crystal) == text"
    )
    assert loaded & HEAVY == {"numpy"}


def test_a_command_that_samples_in_other_processes_loads_no_torch_itself() -> None:
    loaded = loaded_by(
        "import crystext.generation.run, crystext.generation.worker_count, crystext.lm\n"
        "from crystext.conditions import Conditions\n"
        "from crystext.generation.requests import make_request\n"
        "from crystext.tasks.prompts import load_prompts\n"
        "from crystext.text import PLAIN, WYCKOFF\n"
        "for fmt in (PLAIN, WYCKOFF):\n"
        "    make_request(Conditions.from_keywords(n_atoms=4), load_prompts(), fmt=fmt)"
    )
    assert "numpy" in loaded
    assert loaded & {"torch", "transformers", "pandas", "pymatgen"} == set()


def test_a_small_model_is_sampled_without_transformers(tiny_model: Path, tmp_path: Path) -> None:
    out, script = tmp_path / "run", "from crystext.cli.main import main; main()"
    options = "--n", "1", "--max-atoms", "3", "--model", str(tiny_model), "--out", str(out)
    loaded = loaded_by(script, "sample", *options)
    assert {"torch", "safetensors", "tokenizers"} <= loaded
    slow = {"transformers", "peft", "matgl", "pymatgen", "pandas", "scipy", "sklearn"}
    assert loaded & slow == set()
    assert (out / "attempts.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize("name", crystext.__all__)
def test_every_public_name_is_the_one_its_module_defines(name: str) -> None:
    value = getattr(crystext, name)
    home = next(m for m, names in crystext._HOMES.items() if name in names)
    assert value is getattr(importlib.import_module(f"crystext.{home}"), name)
    assert name in dir(crystext)


def test_type_checkers_see_the_same_public_names_as_the_interpreter() -> None:
    tree = ast.parse(Path(str(crystext.__file__)).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        (str(node.module).removeprefix("crystext."), alias.name)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {(m, name) for m, names in crystext._HOMES.items() for name in names}
    assert {name for _, name in typed} == set(crystext.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'enkode'"):
        crystext.enkode  # noqa: B018
