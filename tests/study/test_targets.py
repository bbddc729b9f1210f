"""Targets of pretraining: what is missing is masked and counted, never averaged over."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Element

from crystext.chemistry.molecules import descriptor_names, descriptors
from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Crystal
from crystext.structures.properties import density
from crystext.structures.record import Record
from crystext.study.crystal_targets import (
    CRYSTAL_TARGETS,
    SYSTEMS,
    CrystalTarget,
    crystal_values,
    least_distance,
)
from crystext.study.descriptors import DESCRIPTORS, descriptor_values
from crystext.study.grid import ObjectiveSpec
from crystext.study.targets import TargetScale, compute_targets, n_targets, write_targets
from crystext.tasks.representations import get_representation
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, QUARTZ

needs_rdkit = pytest.mark.skipif(
    importlib.util.find_spec("rdkit") is None, reason="needs RDKit, an extra"
)

SALT, FRAGMENT, METAL = "CC(=O)[O-].[Na+]", "*CCO", "[Fe]"


def records(*smiles: str) -> list[Record]:
    return [Record(texts={"smiles": text}, name=text) for text in smiles]


@needs_rdkit
def test_there_are_105_descriptors_and_rdkit_has_them_all() -> None:
    assert len(DESCRIPTORS) == len(set(DESCRIPTORS)) == n_targets(ObjectiveSpec()) == 105
    assert set(DESCRIPTORS) < set(descriptor_names())
    everything = descriptors(["CCO", "c1ccccc1Br"])
    columns = [descriptor_names().index(name) for name in DESCRIPTORS]
    assert np.array_equal(descriptor_values(["CCO", "c1ccccc1Br"]), everything[:, columns])


@needs_rdkit
def test_a_descriptor_that_does_not_exist_is_masked_and_counted() -> None:
    table = compute_targets(ObjectiveSpec(), records("CCO", "CCCO", "c1ccccc1", FRAGMENT, METAL))
    missing = table.n_missing
    assert missing["MaxPartialCharge"] >= 1
    assert missing["BCUT2D_MWHI"] >= 1
    assert "MolWt" not in missing
    scale = TargetScale.fit(table.names, table.values_NT)
    found = scale.apply(table.values_NT)
    assert np.isfinite(found.values_NT).all()
    charge = table.names.index("MaxPartialCharge")
    given = found.is_given_NT[:, charge]
    assert given.sum() == 5 - missing["MaxPartialCharge"]
    # Mean and deviation are those of the records that have it.
    assert found.values_NT[given, charge].mean() == pytest.approx(0, abs=1e-12)
    assert found.values_NT[given, charge].std(ddof=1) == pytest.approx(1)
    assert (found.values_NT[~given, charge] == 0).all()


def test_a_target_that_is_the_same_everywhere_is_masked() -> None:
    values = np.array([[1.0, 5.0, 0.0], [2.0, 5.0, 2.0], [np.nan, 5.0, 1.0]])
    scale = TargetScale.fit(["a", "b", "c"], values, classes=[0, 0, 3])
    assert scale.constant == ["b"]
    found = scale.apply(values)
    assert found.is_given_NT.tolist() == [[True, False, True]] * 2 + [[False, False, True]]
    assert found.values_NT[:, 2].tolist() == [0, 2, 1]  # A category stays as it is.


def value(crystal: Crystal, name: str) -> float:
    names = [target.name for target in CRYSTAL_TARGETS]
    return float(crystal_values([crystal])[0, names.index(name)])


def test_the_targets_of_rock_salt_are_those_of_the_textbook() -> None:
    numbers = NACL.numbers.tolist()
    assert value(NACL, "density") == density(NACL) == pytest.approx(2.16, abs=0.1)
    assert value(NACL, "volume_per_atom") == pytest.approx(NACL.volume / len(numbers))
    assert value(NACL, "n_elements") == 2
    assert value(NACL, "mean_electronegativity") == pytest.approx((0.93 + 3.16) / 2)
    assert value(NACL, "electronegativity_range") == pytest.approx(3.16 - 0.93)
    mass = np.mean([float(Element.from_Z(z).atomic_mass) for z in numbers])
    assert value(NACL, "mean_mass") == pytest.approx(mass, rel=1e-3)
    assert SYSTEMS[int(value(NACL, "crystal_system"))] == "cubic"
    assert value(NACL, "space_group") + 1 == 225
    assert 0 < value(NACL, "packing_fraction") < 1


@pytest.mark.parametrize("crystal", EXAMPLE_CRYSTALS.values(), ids=EXAMPLE_CRYSTALS)
def test_the_least_distance_is_pymatgens(crystal: Crystal) -> None:
    neighbours = crystal.structure.get_all_neighbors(6.0)
    expected = min(neighbour.nn_distance for site in neighbours for neighbour in site)
    assert least_distance(crystal) == pytest.approx(expected, abs=1e-6)


def test_an_element_without_electronegativity_lacks_that_target_alone() -> None:
    argon = Crystal(NACL.lengths, NACL.angles, np.full_like(NACL.numbers, 18), NACL.positions)
    table = compute_targets(ObjectiveSpec(targets="crystal"), [Record(crystal=argon)])
    assert set(table.n_missing) == {"mean_electronegativity", "electronegativity_range"}


@pytest.mark.parametrize(
    "target", [x for x in CRYSTAL_TARGETS if x.readable], ids=lambda target: target.name
)
def test_what_is_readable_stands_in_the_text(target: CrystalTarget) -> None:
    """As a number, or as the count of the elements or atoms that the text names."""
    for name in sorted(target.readable):
        text = get_representation(name).write(Record(crystal=QUARTZ))
        assert text is not None
        if target.name in ("n_elements", "n_atoms"):
            assert set(re.findall(r"Si|O(?![a-z])", text)) == {"Si", "O"}
            continue
        if target.name == "crystal_system":  # It follows from the space group.
            continue
        wanted = value(QUARTZ, target.name) + (target.name == "space_group")
        numbers = [float(x) for x in re.findall(r"\d+(?:\.\d+)?", text)]
        assert min(abs(x - wanted) for x in numbers) < 0.51


def test_every_category_has_an_output_for_each_class() -> None:
    assert n_targets(ObjectiveSpec(targets="crystal")) == 16 + 7 + 230


@needs_rdkit
def test_targets_are_written_with_what_is_missing(tmp_path: Path) -> None:
    source = tmp_path / "molecules.csv"
    source.write_text(f"smiles\nCCO\nc1ccccc1\n{FRAGMENT}\n{SALT}\n")
    told = write_targets(source, tmp_path / "targets.parquet", "descriptors")
    assert "4 records, 105 targets" in told
    assert "missing, to be masked: " in told
    table = pq.read_table(tmp_path / "targets.parquet")
    assert table.column_names == ["id", *DESCRIPTORS]
    assert table["MolWt"].null_count == 0
    assert table["BCUT2D_MWHI"].null_count >= 1


def test_other_kinds_of_records_and_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 1 records have no SMILES"):
        compute_targets(ObjectiveSpec(), [Record(crystal=NACL)])
    with pytest.raises(SettingError, match="Did you mean 'crystal'"):
        write_targets(tmp_path / "x.csv", tmp_path / "y.parquet", "crystals")
    with pytest.raises(SettingError, match=r"ends in \.parquet"):
        write_targets(tmp_path / "x.csv", tmp_path / "y.csv", "crystal")
