"""A potential of one's own, by import path."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.calculators.lj import LennardJones

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.import_path import import_potential, is_import_path
from crystext.energies.potentials import load_potential, potential_identity, potential_name
from crystext.errors import ModelError

MODULE = """
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from crystext.energies.potential import Potential
from tests.process_tasks import COPPER

COUNT = 3


def emt():
    return Potential("EMT", EMT(), known_energies=(("copper", COPPER, -0.00568),))


def bare():
    return LennardJones(sigma=2.3, epsilon=0.4, rc=6.0)


def number():
    return COUNT


def forgets():
    emt()


def broken():
    raise OSError("no licence")


def wants(this):
    return emt()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own_potential.py"
    path.write_text(MODULE)
    return path


def test_a_function_of_a_file_or_of_a_module_makes_a_potential(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_potential(f"{file}:emt").name == "EMT"
    monkeypatch.syspath_prepend(str(file.parent))
    assert load_potential("own_potential:emt").name == "EMT"
    assert potential_name(f"{file}:emt") == "EMT"


def test_a_calculator_alone_has_energies_of_its_own_and_measured_ones_to_meet(file: Path) -> None:
    potential = import_potential(f"{file}:bare")
    assert (potential.name, potential.scale) == ("own_potential:bare", EnergyCorrection.OWN)
    with pytest.raises(ModelError, match=r"wrong heats of formation .*NiAl .* instead of -0\.6"):
        load_potential(f"{file}:bare")


def lennard_jones() -> LennardJones:
    return LennardJones(sigma=2.3, epsilon=0.4, rc=6.0)


def test_a_function_from_python_may_return_a_calculator_alone() -> None:
    with pytest.raises(ModelError, match=r"test_import_path:lennard_jones gives wrong heats"):
        load_potential(lennard_jones)
    with pytest.raises(ModelError, match="returns an object of type list; expected a"):
        load_potential(list)  # type: ignore[arg-type]  # not a potential, on purpose


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("{file}:emtt", "has no function 'emtt'.*Did you mean 'emt'"),
        ("{file}:COUNT", "'COUNT', which is not a function"),
        ("{file}:number", "object of type int; expected a .*Potential, or an ASE calculator"),
        ("{file}:forgets", "returns nothing; expected a"),
        ("{file}:broken", "fails: OSError: no licence"),
        ("{file}:wants", "fails: TypeError.*takes no argument"),
        ("{file}:", "expected MODULE:FUNCTION, such as my_potential.py:make"),
        (":emt", "expected MODULE:FUNCTION"),
        ("absent.py:emt", "no file .*absent.py"),
        ("own_absent:emt", "no module own_absent is installed.*my_potential.py:make"),
        ("ase.absent.deeper:emt", "no module ase.absent is installed"),
    ],
)
def test_what_is_no_potential_is_told(file: Path, source: str, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        load_potential(source.format(file=file))


@pytest.mark.parametrize("code", ["import own_absent_too", "1 / 0", "def ("])
def test_a_module_that_cannot_be_imported_says_why(tmp_path: Path, code: str) -> None:
    path = tmp_path / "spoilt.py"
    path.write_text(code)
    reason = {"i": "No module named 'own_absent_too'", "1": "division by zero", "d": "SyntaxError"}
    with pytest.raises(ModelError, match=f"cannot be imported: .*{reason[code[0]]}"):
        load_potential(f"{path}:make")


def test_a_file_that_changes_is_another_potential(file: Path) -> None:
    before = potential_identity(f"{file}:emt")
    assert potential_identity(f"{file}:bare") != before
    file.write_text(MODULE + "\n# changed\n")
    assert potential_identity(f"{file}:emt") != before


def test_a_folder_or_a_name_is_no_import_path(tmp_path: Path) -> None:
    folder = tmp_path / "weights:new"
    folder.mkdir()
    assert [is_import_path(x) for x in (str(folder), "m3gnet", "a/b", "a:b")] == [
        False,
        False,
        False,
        True,
    ]
