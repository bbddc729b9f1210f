"""`crystext export` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crystext.io.write import write_crystals
from tests.conftest import Run
from tests.example_crystals import IRON, NACL

Refuses = Callable[..., str]


def test_candidates_are_written_and_the_others_are_told(cli: Run, tmp_path: Path) -> None:
    write_crystals([("salt", NACL), ("iron", IRON)], tmp_path / "cifs", "cif")
    (tmp_path / "cifs" / "broken.cif").write_text("broken")
    out = tmp_path / "out"
    ended = cli("export", tmp_path / "cifs", "--to", "vasp", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"2 candidates for vasp, MPRelaxSet in {out}\n"
    assert "crystext: broken is not written: it starts with 'broken'" in ended.stderr
    assert "crystext: iron: note: Relaxation of likely metal" in ended.stderr
    assert "crystext: 1 of 3 candidates was left out" in ended.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "002-Fe", "003-NaCl", "README.md", "export_index.csv",
    ]  # fmt: skip


def test_a_target_that_does_not_exist_is_told(cli_refuses: Refuses, tmp_path: Path) -> None:
    message = cli_refuses("export", tmp_path, "--to", "vaps", "--out", tmp_path / "out")
    assert "there are vasp, qe, cp2k, abinit, aims, atomate2, aiida, optimade" in message
    assert "Did you mean 'vasp'?" in message


def test_a_folder_with_files_is_refused(cli_refuses: Refuses, tmp_path: Path) -> None:
    write_crystals([("salt", NACL)], tmp_path / "salt.cif")
    source = tmp_path / "salt.cif"
    assert "holds files already" in cli_refuses("export", source, "--to", "cif", "--out", tmp_path)
