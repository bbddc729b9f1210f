"""An export target: the number of atoms of each candidate."""

from pathlib import Path

from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget


def write(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    (folder / "atoms.txt").write_text(f"{len(candidate.crystal)} {input_set}\n")
    return CalculationSettings((1, 1, 1), 100.0, is_spin_polarized=False)


TARGET = ExportTarget("numbers of atoms", write, input_sets=("short", "long"))
