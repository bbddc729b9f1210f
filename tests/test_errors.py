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


def test_what_is_only_probable_reaches_the_user_as_a_note() -> None:
    script = (
        "import warnings; from crystext.errors import ReadingWarning\n"
        "from crystext.cli import main as cli\n"
        "@cli.app.command()\n"
        "def read():\n"
        "    for _ in range(2): warnings.warn('POSCAR: what is probable', ReadingWarning)\n"
        "cli.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "read"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "crystext: note: POSCAR: what is probable\n" * 2


@pytest.mark.parametrize(
    "message",
    [
        "list index out of range",
        "could not convert string to float: 'x'",
        "np.float64(0.5) is no whole number",
        "KeyError: 'a'",
        "'NoneType' object is not iterable",
        "invalid literal for int() with base 10: 'x'",
        "not enough values to unpack (expected 2, got 1)",
        "Expecting value: line 1 column 1 (char 0)",
    ],
)
def test_sentences_of_the_interpreter_are_known_as_such(message: str) -> None:
    assert errors.PYTHON_INTERNALS.search(f"x.cif: the CIF cannot be read: {message}")


def test_sentences_for_users_are_not_taken_for_those_of_the_interpreter() -> None:
    for message in (
        "site 3 (Fe1) is disordered (occupied by Fe 0.5); expected one whole element per site",
        "it starts with 'x'; expected a CIF with a data_ block and _atom_site_ rows",
        "lengths of shape (2,), positions (3, 3) do not make a crystal; expected (3,) and (N, 3)",
        "crystext.as_crystal converts an ASE Atoms or the path of a file to a Crystal",
    ):
        assert not errors.PYTHON_INTERNALS.search(message)
