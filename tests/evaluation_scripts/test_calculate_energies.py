"""Energies of crystals as they are: those of the potential, and only those that a file lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.energies.known_energies import NACL, SRTIO3
from crystext.io.write.cif_text import cif
from evaluation.shipped_model.calculate_energies import energy_file, main


def test_a_file_that_was_torn_gets_the_energies_that_it_lacks(
    tmp_path: Path, shared_data: Path
) -> None:
    weights = shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES"
    for name, crystal in (("a", NACL), ("b", SRTIO3)):
        (tmp_path / "cells").mkdir(exist_ok=True)
        (tmp_path / "cells" / f"{name}.cif").write_text(cif(crystal))
    out = tmp_path / "energies.jsonl"
    command = [str(tmp_path / "cells"), "--potential", str(weights), "--workers", "1"]
    assert main([*command, "--most", "5", "--out", str(out)]) == 0
    (only,) = energy_file(out)
    # O2 of MP2020 is corrected by -0.687 eV an atom, and Ti has no U.
    assert only[1] == pytest.approx(-8.028 - 3 * 0.687 / 5, abs=2e-3)
    whole = out.read_text()
    out.write_text(whole + whole[: len(whole) // 2])
    assert main([*command, "--out", str(out)]) == 0
    found = dict(energy_file(out))
    assert len(found) == 2
    assert out.read_text().startswith(whole)
    assert min(found.values(), key=lambda x: -x) == pytest.approx(-3.368 - 0.614 / 2, abs=2e-3)


def test_a_source_that_does_not_exist_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "x.jsonl")]) == 2
    assert "none" in capsys.readouterr().err
