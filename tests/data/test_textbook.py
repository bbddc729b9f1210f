"""The crystals that come with the package are those that their names say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spglib
from ase.spacegroup import crystal
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.composition import Composition
from pymatgen.io.ase import AseAtomsAdaptor

from crystext.data.store import Dataset
from crystext.data.textbook import (
    TEXTBOOK,
    is_textbook,
    read_textbook,
    textbook_file,
)
from crystext.metrics.structure_validity import is_structure_valid

DENSITIES = {
    "NaCl, rock salt": 2.17,
    "CsCl, caesium chloride": 3.99,
    "ZnS, zinc blende": 4.09,
    "C, diamond": 3.51,
    "W, body-centred cubic": 19.3,
    "CaF2, fluorite": 3.18,
    "SrTiO3, perovskite": 5.12,
    "TiO2, rutile": 4.25,
    "MgAl2O4, spinel": 3.58,
    "Al2O3, corundum": 3.99,
    "CaCO3, calcite": 2.71,
    "FeS2, pyrite": 5.01,
}
"""g/cm³, as handbooks list them, measured or from X-ray cells; they differ by a percent."""


@pytest.fixture(scope="module")
def crystals() -> dict[str, Dataset]:
    return {split: read_textbook(split) for split in ("train", "validation")}


def names(data: Dataset) -> list[str]:
    return [data[i].name for i in range(len(data))]


def test_there_are_96_of_them(crystals: dict[str, Dataset]) -> None:
    assert {split: len(data) for split, data in crystals.items()} == {"train": 80, "validation": 16}


def test_each_has_the_formula_of_its_name_and_the_space_group_of_its_text(
    crystals: dict[str, Dataset],
) -> None:
    for split, data in crystals.items():
        for i, line in enumerate(textbook_file(split).read_text().splitlines()):
            record, given = data[i], json.loads(line)
            formula = Composition(given["name"].split(",")[0])
            crystal = record.crystal
            assert Composition("".join(crystal.symbols)).reduced_composition == formula
            found = spglib.get_symmetry_dataset(
                (crystal.lattice, crystal.positions, crystal.numbers), symprec=1e-3
            )
            declared = int(given["text"].split()[0])
            assert found is not None
            assert found.number == declared == record.labels["space_group"]
            assert is_structure_valid(crystal)


def test_their_densities_are_those_of_handbooks(crystals: dict[str, Dataset]) -> None:
    found = {
        r.name: r for data in crystals.values() for r in map(data.__getitem__, range(len(data)))
    }
    for name, density in DENSITIES.items():
        structure = found[name].crystal.structure
        assert structure.density == pytest.approx(density, rel=0.02), name


def test_no_crystal_is_on_both_sides_and_every_prototype_is_learned(
    crystals: dict[str, Dataset],
) -> None:
    kinds = {
        split: {name.partition(", ")[2] for name in names(data)} for split, data in crystals.items()
    }
    assert kinds["validation"] <= kinds["train"]
    both = [data[i].crystal.structure for data in crystals.values() for i in range(len(data))]
    groups = StructureMatcher().group_structures(both)
    assert len(groups) == len(both)


def test_spinel_is_the_spinel_that_ase_makes(crystals: dict[str, Dataset]) -> None:
    """Of the origins that the group has, the text means the first, and ASE is given the second."""
    sites = [[1 / 8] * 3, [1 / 2] * 3, [0.262] * 3]
    cell = [8.08] * 3 + [90] * 3
    atoms = crystal(["Mg", "Al", "O"], sites, spacegroup=227, setting=2, cellpar=cell)
    spinel = AseAtomsAdaptor.get_structure(atoms)
    train = crystals["train"]
    ours = train[names(train).index("MgAl2O4, spinel")].crystal.structure
    assert StructureMatcher(ltol=0.01, stol=0.01).fit(ours, spinel)


def test_a_folder_of_that_name_goes_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_textbook(Path(TEXTBOOK))
    (tmp_path / TEXTBOOK).mkdir()
    assert not is_textbook(Path(TEXTBOOK))
    assert not is_textbook(Path("elsewhere"))
