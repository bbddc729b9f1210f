"""What was drawn goes on into tables, files, pymatgen and ASE, and faults stay in their place."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from pymatgen.core.structure import Structure

from crystext.conditions import Conditions
from crystext.errors import InputError, RunError, SettingError
from crystext.generation.results import Sample, Samples
from crystext.inference.types import Attempt
from crystext.io.read import as_crystal, read_crystals
from crystext.structures.augment import translate
from crystext.structures.space_groups import find_space_group
from crystext.text import decode, encode
from tests.example_crystals import NACL, QUARTZ, SRTIO3

ASKED = Conditions.from_keywords(chemical_system="Na-Cl", band_gap=5.0)


def sample(index: int, text: str) -> Sample:
    decoded = decode(text)
    fault = decoded.failure.name if decoded.failure else None
    attempt = Attempt(index, text, fault, -10.0 - index, 20, 1, ASKED.check(decoded.crystal))
    return Sample.from_attempt(attempt, "Crystal:\n")


@pytest.fixture
def samples() -> Samples:
    moved = translate(NACL, np.random.default_rng(0))
    texts = [encode(NACL), "4.00 4.00", encode(QUARTZ), encode(moved), encode(SRTIO3)]
    return Samples(sample(i, text) for i, text in enumerate(texts))


def test_what_is_no_crystal_stays_with_its_fault(samples: Samples) -> None:
    assert len(samples) == 5
    broken = samples[1]
    assert (broken.crystal, broken.structure, broken.formula) == (None, None, None)
    assert broken.failure is not None
    assert not broken.satisfied
    table = samples.to_dataframe()
    assert table.failure.notna().tolist() == [False, True, False, False, False]
    assert len(samples.crystals) == len(samples.structures) == len(samples.to_ase()) == 4


def test_a_text_that_was_cut_off_is_no_crystal_though_it_could_be_read(samples: Samples) -> None:
    assert replace(samples[0], failure="TRUNCATED").crystal is None


def test_matched_are_those_that_keep_all_that_can_be_checked(samples: Samples) -> None:
    # The band gap is asked for, and cannot be told.
    assert [x.index for x in samples.satisfied] == [0, 3]
    assert [x.formula for x in samples.satisfied] == ["NaCl", "NaCl"]


def test_unique_keeps_the_first_of_the_same_crystals(samples: Samples) -> None:
    assert [x.index for x in samples.unique()] == [0, 2, 4]


def test_slices_are_samples_and_places_are_one(samples: Samples) -> None:
    assert samples[1:3] == Samples([samples[1], samples[2]])
    assert isinstance(samples[::2], Samples)
    assert [x.index for x in samples[::-1]] == [4, 3, 2, 1, 0]
    assert samples[-1].formula == "SrTiO3"
    with pytest.raises(IndexError):
        samples[5]


def test_structures_and_atoms_are_the_crystals_written(samples: Samples) -> None:
    for text, structure, atoms in zip(
        [x.text for x in samples if x.crystal], samples.structures, samples.to_ase(), strict=True
    ):
        assert isinstance(structure, Structure)
        assert encode(structure) == text
        assert atoms.pbc.all()
        again = Structure(atoms.cell.array, atoms.numbers, atoms.get_scaled_positions())
        assert encode(again) == text
        assert (atoms.info["n_atoms"], atoms.info["satisfied"]) == (len(structure), "Na" in text)


def test_ase_reads_back_the_atoms_that_it_wrote(samples: Samples, tmp_path: Path) -> None:
    given = samples.to_ase()
    ase.io.write(tmp_path / "x.extxyz", given)
    read = ase.io.read(tmp_path / "x.extxyz", ":")
    assert isinstance(read, list)
    for one, other in zip(given, read, strict=True):
        assert other.numbers.tolist() == one.numbers.tolist()
        assert other.positions == pytest.approx(one.positions, abs=1e-6)
        assert other.info.keys() == one.info.keys()
        assert other.info["formula"] == one.info["formula"]
        assert other.info["log_probability"] == one.info["log_probability"]


def test_a_table_without_rows_has_the_columns_of_one_with_rows(samples: Samples) -> None:
    none = samples[2:3].satisfied
    assert len(none) == 0
    for part in (none, none[:], none.satisfied, none.unique()):
        assert part.to_dataframe().columns.tolist() == samples.to_dataframe().columns.tolist()
    assert none.to_dataframe().query("chemical_system_satisfied")["formula"].tolist() == []
    plain = replace(samples[0], conditions=())
    assert Samples([]).to_dataframe().columns.tolist() == list(plain.row())


def test_a_table_tells_what_was_asked_and_what_was_found(samples: Samples) -> None:
    table = samples.to_dataframe()
    assert table.chemical_system_requested.unique().tolist() == ["Cl-Na"]
    assert table.chemical_system_satisfied.tolist() == [True, False, False, True, False]
    assert table.band_gap_handling.unique().tolist() == ["steered"]
    assert table.band_gap_satisfied.isna().all()
    assert table.satisfied.tolist() == [x.satisfied for x in samples]
    assert table.log_probability.tolist() == [-10.0, -11.0, -12.0, -13.0, -14.0]


@pytest.mark.parametrize("name", ["x.cif", "x.extxyz", "x.parquet", "folder"])
def test_what_is_saved_is_read_back_as_the_crystals(
    samples: Samples, name: str, tmp_path: Path
) -> None:
    path = samples.save(tmp_path / name)
    found = [item.crystal for item in read_crystals(path)]
    assert [encode(crystal) for crystal in found if crystal] == [
        x.text for x in samples if x.crystal
    ]


def test_files_are_named_by_index_and_formula(samples: Samples, tmp_path: Path) -> None:
    samples.save(tmp_path / "cifs")
    names = sorted(path.name for path in (tmp_path / "cifs").iterdir())
    assert names == ["000000-NaCl.cif", "000002-SiO2.cif", "000003-NaCl.cif", "000004-SrTiO3.cif"]
    for name in ("POSCAR", "salt.vasp"):
        assert len(ase.io.read(samples[:1].save(tmp_path / name))) == len(NACL)


def test_a_saved_table_holds_the_records_too(samples: Samples, tmp_path: Path) -> None:
    saved = pd.read_parquet(samples.save(tmp_path / "x.parquet"))
    told = samples.to_dataframe().query("failure.isna()").reset_index(drop=True)
    assert set(told.columns) < set(saved.columns)
    for column in (
        "formula",
        "log_probability",
        "chemical_system_satisfied",
        "text",
        "band_gap_requested",
    ):
        assert saved[column].tolist() == told[column].tolist()


def test_nothing_is_saved_where_there_is_no_crystal(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the 1 is a crystal"):
        samples[1:2].save(tmp_path / "x.cif")
    with pytest.raises(SettingError, match="Did you mean 'extxyz'"):
        samples.save(tmp_path / "x", to="extxy")
    with pytest.raises(SettingError, match=r"table\.tsv ends in \.tsv"):
        samples.save(tmp_path / "table.tsv")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(RunError, match="holds files already"):
        samples.save(tmp_path / "full")
    assert {path.name for path in tmp_path.iterdir()} == {"full"}


def test_samples_say_in_a_line_what_they_are(samples: Samples) -> None:
    assert repr(samples) == "<Samples: 5, 4 crystals, 2 satisfied>"
    assert repr(samples[0]) == "<Sample 0: NaCl, 8 atoms, log-probability -10.0, satisfied>"
    assert repr(samples[2]).endswith("not satisfied: chemical_system>")
    assert repr(samples[1]) == f"<Sample 1: no crystal ({samples[1].failure})>"
    assert repr(Samples([])) == "<Samples: 0, 0 crystals>"


def test_a_notebook_is_shown_a_picture(samples: Samples) -> None:
    def picture(shown: str) -> tuple[int, ...]:
        (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', shown)
        return imread(io.BytesIO(base64.b64decode(data))).shape

    one, four = picture(samples[0]._repr_html_()), picture(samples._repr_html_())
    assert four[1] == pytest.approx(4 * one[1], abs=4)
    assert "<img" not in samples[1]._repr_html_()
    assert "<img" not in Samples([])._repr_html_()


def test_one_result_goes_to_ase_alone(samples: Samples) -> None:
    atoms = samples[0].to_ase()
    assert atoms.get_chemical_formula() == samples.to_ase()[0].get_chemical_formula()
    assert atoms.info["formula"] == samples[0].formula
    with pytest.raises(InputError, match="holds no crystal"):
        next(sample for sample in samples if sample.crystal is None).to_ase()


def test_a_sample_is_taken_wherever_a_crystal_is(samples: Samples) -> None:
    assert as_crystal(samples[0]) is samples[0].crystal
    with pytest.raises(InputError, match="holds no crystal"):
        as_crystal(next(sample for sample in samples if sample.crystal is None))


def test_a_table_has_space_groups_and_densities(samples: Samples) -> None:
    table = samples.to_dataframe()
    for sample, group, density in zip(samples, table["space_group"], table["density"], strict=True):
        if sample.crystal is None:
            assert pd.isna(group)
            assert pd.isna(density)
        else:
            assert group == find_space_group(sample.crystal)
            assert density == pytest.approx(sample.crystal.structure.density, rel=1e-4)


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_tables_and_structures_are_read_back_with_what_they_say(
    samples: Samples, suffix: str, tmp_path: Path
) -> None:
    path = samples.save(tmp_path / f"x.{suffix}")
    read = [item.crystal for item in read_crystals(path)]
    for crystal, known in zip(read, samples.crystals, strict=True):
        assert crystal is not None
        assert encode(crystal) == encode(known)
    if suffix == "csv":
        assert list(pd.read_csv(path)["index"]) == [s.index for s in samples if s.crystal]
    if suffix == "json":
        structures = [Structure.from_dict(item) for item in json.loads(path.read_text())]
        assert structures[0].properties["log_probability"] == samples[0].log_probability


def test_symmetrized_files_say_the_group(samples: Samples, tmp_path: Path) -> None:
    path = samples[:1].save(tmp_path / "x.cif", symmetrized=True)
    number = find_space_group(samples.crystals[0])
    assert f"_space_group_IT_number   {number}\n" in path.read_text()
    path = samples[:1].save(tmp_path / "x.vasp", conventional=True)
    (item,) = read_crystals(path)
    assert item.crystal is not None
    assert find_space_group(item.crystal) == number
