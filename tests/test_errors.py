from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import pytest

from crystext import errors
from crystext.errors import CrystextError, did_you_mean


def test_a_near_name_is_suggested() -> None:
    assert did_you_mean("gruver", ["plain", "gruver2024"]) == " Did you mean 'gruver2024'?"


def test_a_name_far_from_all_gets_no_suggestion() -> None:
    assert did_you_mean("zzz", ["plain", "gruver2024"]) == ""
    assert did_you_mean("plain", []) == ""


def test_any_iterable_of_names_will_do() -> None:
    assert did_you_mean("sampl", (name for name in ("train", "sample"))).endswith("'sample'?")


def test_one_except_clause_catches_all_that_the_package_raises_on_purpose() -> None:
    kinds = [x for x in vars(errors).values() if isinstance(x, type) and issubclass(x, Exception)]
    raised = [kind for kind in kinds if not issubclass(kind, Warning)]
    assert len(raised) > 3
    assert all(issubclass(kind, CrystextError) for kind in raised)


def test_no_exception_is_defined_outside_the_errors_module(root: Path) -> None:
    known = {name for name in vars(builtins) if name.endswith(("Error", "Exception"))}
    known |= {name for name in vars(errors) if name.endswith("Error")}
    for path in sorted((root / "crystext").rglob("*.py")):
        if path.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                assert not bases & known, f"{path}:{node.lineno} defines an exception"


@pytest.mark.parametrize("kind", CrystextError.__subclasses__())
def test_every_error_reaches_the_user_as_its_message_alone(kind: type[CrystextError]) -> None:
    script = (
        "from crystext import errors; from crystext.cli import main as cli\n"
        "@cli.app.command()\n"
        f"def fail(): raise errors.{kind.__name__}('what was found; what to try')\n"
        "cli.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "fail"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "crystext: what was found; what to try\n"
    assert ended.stdout == ""
