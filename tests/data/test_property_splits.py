"""Splits: each record is tested once, groups stay whole, and leaks are counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.chemistry import molecules
from crystext.chemistry.molecules import scaffold as molecule_scaffold
from crystext.data import property_splits
from crystext.data.property_splits import (
    composition_key,
    formula_folds,
    group_holdout,
    leaks,
    matbench_folds,
    random_folds,
    random_split,
    scaffold_split,
)
from crystext.data.property_table import read_property_table
from crystext.errors import InputError, SettingError, UnavailableError
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from tests.example_crystals import NACL

DATA = Path(__file__).parents[3] / "shared" / "data"

needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")

NUMBER = Property("y", "y")
CLASS = Property("y", "y", kind="boolean")

MOLECULES = ["CCO", "CCCO", "OCC", "c1ccccc1C", "Cc1ccccc1", "c1ccccc1", "C1CCCCC1", "c1ccncc1C"]


def formulas(*texts: str) -> list[Record]:
    return [Record(texts={"formula": text}, labels={"y": float(i)}) for i, text in enumerate(texts)]


def smiles(*texts: str) -> list[Record]:
    return [Record(texts={"smiles": text}) for text in texts]


def test_folds_test_every_record_once_and_never_train_on_it() -> None:
    records = formulas(*(f"Na{i + 1}Cl" for i in range(23)))
    labelled = [Record(texts=x.texts, labels={"y": i % 3 == 0}) for i, x in enumerate(records)]
    for folds in (
        random_folds(23, 4, seed=3),
        formula_folds(records, 4),
        matbench_folds(records, "y", NUMBER),
        matbench_folds(labelled, "y", CLASS),
    ):
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(23))
        for fold in folds:
            assert sorted([*fold.train, *fold.test]) == list(range(23))


def test_matbench_folds_are_of_the_records_that_have_a_label() -> None:
    records = formulas(*(f"Na{i + 1}Cl" for i in range(20)))
    records[3] = Record(texts={"formula": "KCl"})
    folds = matbench_folds(records, "y", NUMBER)
    assert all(3 not in fold.train and 3 not in fold.test for fold in folds)
    with pytest.raises(InputError, match="expected at least 5"):
        matbench_folds(records[:4], "y", NUMBER)
    classes = [Record(labels={"y": i == 0}) for i in range(20)]
    with pytest.raises(InputError, match="a class has 1 records"):
        matbench_folds(classes, "y", CLASS)


def test_matbench_folds_are_scikit_learns_with_its_seed() -> None:
    # The first test rows of fold 0 of 312 rows (matbench_steels), as matbench publishes them.
    from sklearn.model_selection import KFold

    records = formulas(*(f"Na{i + 1}Cl" for i in range(312)))
    expected = KFold(5, shuffle=True, random_state=18012019).split(np.zeros(312))
    for fold, (train, test) in zip(matbench_folds(records, "y", NUMBER), expected, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


def test_formula_folds_leak_nothing_where_random_folds_do() -> None:
    records = formulas(*[f"Na{i % 10 + 1}Cl" for i in range(40)])
    records += formulas(*[f"Na{2 * (i % 10 + 1)}Cl2" for i in range(40)])

    def leaked(fold: property_splits.Fold) -> int:
        return leaks([records[i] for i in fold.train], [records[i] for i in fold.test]).count

    assert all(leaked(fold) == 0 for fold in formula_folds(records))
    assert all(leaked(fold) > 10 for fold in random_folds(len(records)))


def test_the_seed_decides_random_splits() -> None:
    records = formulas(*(f"Na{i + 1}Cl" for i in range(30)))

    def tests(seed: int) -> list[list[int]]:
        folds = [*random_folds(30, seed=seed), *formula_folds(records, seed=seed)]
        return [fold.test.tolist() for fold in folds]

    assert tests(1) == tests(1)
    assert tests(1) != tests(2)
    split = random_split(30, (0.8, 0.1, 0.1), seed=1)
    assert [len(part) for part in split] == [24, 3, 3]
    assert sorted(np.concatenate(split)) == list(range(30))
    assert (split.test != random_split(30, (0.8, 0.1, 0.1), seed=2).test).any()


def test_compositions_are_compared_by_fraction() -> None:
    keys = [composition_key(x) for x in formulas("NaCl", "Na2Cl2", "Na0.5Cl0.5", "ClNa")]
    assert {*keys, composition_key(Record(NACL))} == {keys[0]}
    assert composition_key(formulas("Na2Cl")[0]) != keys[0]
    assert composition_key(Record()) == composition_key(formulas("soot")[0]) == ""


def test_leaks_count_test_rows_whose_composition_stands_in_train() -> None:
    leak = leaks(formulas("NaCl", "GaAs"), formulas("Na2Cl2", "Na2Cl2", "KCl", "As2Ga2", "soot"))
    assert (leak.count, leak.total, leak.by) == (3, 4, "reduced composition")
    assert str(leak) == "3 of 4 test rows (75.0%) stand in train by reduced composition"
    assert "unknown" in str(leaks([], [Record()]))


def test_leaks_find_a_molecule_in_another_spelling() -> None:
    pytest.importorskip("rdkit")
    leak = leaks(smiles("CCO", "c1ccccc1C"), smiles("OCC", "Cc1ccccc1", "CCCO"))
    assert (leak.count, leak.total, leak.by) == (2, 3, "canonical SMILES")


def test_without_rdkit_leaks_of_molecules_are_a_lower_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(property_splits, "has_rdkit", lambda: False)
    leak = leaks(smiles("CCO"), smiles("OCC", "CCO"))
    assert str(leak) == "at least 1 of 2 test rows (50.0%) stand in train by SMILES as written"


def test_no_scaffold_is_in_two_parts() -> None:
    pytest.importorskip("rdkit")
    split = scaffold_split(smiles(*MOLECULES), (0.5, 0.25, 0.25))
    parts = [{molecules.scaffold(MOLECULES[i]) for i in part} for part in split]
    assert sorted(np.concatenate(split)) == list(range(len(MOLECULES)))
    assert sum(map(len, parts)) == len(set().union(*parts))
    # Chains and benzene rings, three molecules each: the scaffold that begins later comes first,
    # and of the single ones that of pyridine.
    assert split.train.tolist() == [3, 4, 5, 7]


@needs_data
def test_the_scaffold_split_of_bace_is_that_of_published_results() -> None:
    """DeepChem's has 1210, 151 and 152 molecules.

    The ROC AUCs of arXiv:2405.00949 on its test part are multiples of 1/5520: 92 yes times 60 no.
    """
    pytest.importorskip("rdkit")
    data = read_property_table(DATA / "molecules" / "bace.csv")
    split = scaffold_split(data.records, (0.8, 0.1, 0.1))
    assert [len(part) for part in split] == [1210, 151, 152]
    labels = data.values("Class")[split.test]
    assert (int(labels.sum()), int((1 - labels).sum())) == (92, 60)


def test_only_molecules_have_scaffolds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="has no SMILES"):
        scaffold_split(formulas("NaCl"), (0.8, 0.1, 0.1))
    monkeypatch.setattr(molecules, "find_spec", lambda name: None)
    molecules.scaffold.cache_clear()
    molecules._rdkit.cache_clear()
    with pytest.raises(UnavailableError, match=r"pip install 'crystext\[molecules\]'"):
        scaffold_split(smiles("CCO"), (0.8, 0.1, 0.1))


@pytest.mark.parametrize("fractions", [(0, 0.5, 0.5), (1, -1, 1), (0.5, 0.5)])
def test_impossible_splits_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(SettingError, match="expected three"):
        random_split(10, fractions)
    with pytest.raises(SettingError, match="expected 2 to 3"):
        random_folds(3, 4)
    with pytest.raises(SettingError, match="compositions"):
        formula_folds(formulas("NaCl", "KCl"), 5)


@needs_data
@pytest.mark.parametrize(
    ("table", "expected"),
    [("castelli", 0.7810), ("dielectric", 0.2233), ("jdft2d", 0.1541), ("phonons", 0.1186)],
)
def test_published_tables_leak_as_much_as_was_measured(table: str, expected: float) -> None:
    data = read_property_table(DATA / "compositions" / f"{table}.csv")
    folds = matbench_folds(data.records, "target", data.targets["target"])
    found = [
        leaks(data.select(fold.train).records, data.select(fold.test).records) for fold in folds
    ]
    assert sum(x.count for x in found) / len(data) == pytest.approx(expected, abs=0.0001)


def test_a_holdout_shares_no_composition_and_no_scaffold() -> None:
    records = formulas("NaCl", "Na2Cl2", "KCl", "K2Cl2", "MgO", "Mg2O2", "CaO", "Ca2O2")
    train, held = group_holdout(records, 0.25, seed=3)
    assert sorted([*train, *held]) == list(range(8))
    assert len(held) == 2
    assert held.tolist() in ([0, 1], [2, 3], [4, 5], [6, 7])
    pytest.importorskip("rdkit")
    molecules = [Record(texts={"smiles": x}) for x in MOLECULES]
    for seed in range(4):
        train, held = group_holdout(molecules, 0.3, seed)
        rings = [{molecule_scaffold(MOLECULES[i]) for i in part} - {""} for part in (train, held)]
        assert min(len(train), len(held)) > 0
        assert not rings[0] & rings[1]


def test_one_group_is_held_out_only_if_another_is_left() -> None:
    train, held = group_holdout(formulas("NaCl", "KCl"), 0.9)
    assert len(train) == len(held) == 1
