"""Requested energies are checked by a potential and a hull: here of the effective medium theory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from ase.calculators.emt import EMT

from crystext.energies.hull import Hull
from crystext.energies.phases import make_compounds
from crystext.energies.potential import Potential
from crystext.errors import InputError, SettingError
from crystext.instruct.build import BuildSettings, build
from crystext.instruct.dataset import read_lines
from crystext.instruct.energies import EnergyCalculator, check_requested_energies
from crystext.io.write import write_crystals
from crystext.structures.crystal import Crystal
from tests.example_crystals import NACL, crystal

POTENTIAL = Potential("EMT-ASE", EMT(), cutoff=5.9)
COPPER = crystal([2.55] * 3, [60] * 3, [("Cu", [0, 0, 0])])
GOLD = crystal([2.88] * 3, [60] * 3, [("Au", [0, 0, 0])])
CU3AU = crystal([3.75] * 3, [90] * 3, [
    ("Cu", [0.5, 0.5, 0]), ("Cu", [0.5, 0, 0.5]), ("Cu", [0, 0.5, 0.5]), ("Au", [0, 0, 0]),
])  # fmt: skip


def hull(potential: str | None = "EMT-ASE") -> Hull:
    elements = {x.symbols[0]: POTENTIAL.energy(x) for x in (COPPER, GOLD)}
    return Hull(elements, make_compounds([({"Cu": 1, "Au": 1}, -0.08)]), potential=potential)


@pytest.fixture(scope="module")
def calculator() -> EnergyCalculator:
    return EnergyCalculator(POTENTIAL, hull())


def test_energies_are_those_of_the_relaxed_crystal(calculator: EnergyCalculator) -> None:
    stretched = Crystal(CU3AU.lengths * 1.05, CU3AU.angles, CU3AU.numbers, CU3AU.positions)
    near, far = calculator(CU3AU), calculator(stretched)
    assert near.keys() == {"formation_energy", "e_above_hull"}
    assert far["formation_energy"] == pytest.approx(near["formation_energy"], abs=0.02)
    # Cu3Au lies over a mixture of CuAu and Cu: half of its atoms in each.
    assert near["e_above_hull"] == pytest.approx(near["formation_energy"] + 0.04, abs=1e-6)


def test_a_crystal_without_an_energy_has_none(calculator: EnergyCalculator) -> None:
    assert calculator(NACL) == {}
    close = crystal([3] * 3, [90] * 3, [("Cu", [0, 0, 0]), ("Cu", [0.01, 0, 0])])
    assert calculator(close) == {}


def test_energies_of_two_potentials_are_not_compared() -> None:
    with pytest.raises(SettingError, match="cannot be compared"):
        EnergyCalculator(POTENTIAL, hull("another"))


def test_answers_are_checked_over_all_questions_that_request_energies(
    calculator: EnergyCalculator, tmp_path: Path
) -> None:
    energies: Mapping[str, float] = calculator(CU3AU)
    columns = {"formation_energy": [energies["formation_energy"]] * 12, "e_above_hull": [5.0] * 12}
    entries = [(f"x{i}", CU3AU) for i in range(12)]
    write_crystals(entries, tmp_path / "table.csv", "csv", columns=columns)
    settings = BuildSettings(tasks=["conditional_generation"], split="1/0/0")
    build(str(tmp_path / "table.csv"), tmp_path / "set", settings, workers=1)
    path = tmp_path / "set/train.jsonl"
    questions = [question for _, question in read_lines(path)]
    lines = [f'{{"id": "{x.id}", "answer": {_json(x.reference)}}}\n' for x in questions[1:]]
    (tmp_path / "answers.jsonl").write_text("".join(lines))
    results = check_requested_energies(
        path, tmp_path / "answers.jsonl", calculator, start_progress=lambda *_: lambda _: None
    )
    requested = {
        name: [x for x in questions if name in x.context["conditions"]]
        for name in ("formation_energy", "e_above_hull")
    }
    formation, above = results.satisfied["formation_energy"], results.satisfied["e_above_hull"]
    assert formation.total == len(requested["formation_energy"])
    assert formation.count == sum(x is not questions[0] for x in requested["formation_energy"])
    assert (above.count, above.total) == (0, len(requested["e_above_hull"]))
    assert results.all_satisfied.count <= formation.count
    (tmp_path / "other.jsonl").write_text('{"id": "other", "answer": "x"}\n')
    with pytest.raises(InputError, match="has no answer to a question that requests an energy"):
        check_requested_energies(
            path, tmp_path / "other.jsonl", calculator, start_progress=lambda *_: lambda _: None
        )


def _json(text: str) -> str:
    return '"' + text.replace("\n", "\\n") + '"'
