"""Baselines: they learn, they refuse what cannot be learnt, and their intervals hold what they say.

The tests on published tables compare the mean predictor with matbench's "Dummy".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.data.property_splits import matbench_folds
from crystext.data.property_table import read_property_table
from crystext.errors import InputError, SettingError
from crystext.metrics.classification import classification_scores
from crystext.metrics.interval_coverage import INTERVAL_LEVELS, interval_scores
from crystext.metrics.regression import regression_scores
from crystext.predict.base import Method, Predictions
from crystext.predict.baselines.forest import ForestMethod
from crystext.predict.baselines.network import NetworkMethod
from crystext.predict.methods import METHODS
from crystext.structures.property_schema import Property
from crystext.structures.record import Failure, Record
from tests.example_crystals import NACL

DATA = Path(__file__).parents[3] / "shared" / "data"

NUMBER = Property("y", "mean atomic number", minimum=0)
CLASS = Property("is_heavy", "heavy", kind="boolean")
TARGETS = {"y": NUMBER, "is_heavy": CLASS}

SYMBOLS = "Li Be B C N O F Na Mg Al Si P S Cl K Ca Ti V Cr Mn Fe Co Ni Cu Zn Br Ag Sn Te I".split()
ATOMIC_NUMBER = dict(
    zip(SYMBOLS, [3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 20, 22, 23, 24, 25, 26, 27,
                  28, 29, 30, 35, 47, 50, 52, 53], strict=True)
)  # fmt: skip


def labelled(n: int, seed: int, noise: float = 1.0) -> list[Record]:
    """Return binary compositions labelled with their mean atomic number and noise."""
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(n):
        a, b = rng.choice(SYMBOLS, 2, replace=False)
        k = int(rng.integers(1, 5))
        mean = (k * ATOMIC_NUMBER[a] + ATOMIC_NUMBER[b]) / (k + 1)
        y = max(0.0, mean + float(rng.normal(scale=noise)))
        texts = {"formula": f"{a}{k}{b}"}
        records.append(Record(texts=texts, labels={"y": y, "is_heavy": mean > 20}))
    return records


TRAIN, TEST = labelled(400, 1), labelled(200, 2)
TRUTH = np.array([record.labels["y"] for record in TEST], dtype=float)
HEAVY = np.array([record.labels["is_heavy"] for record in TEST], dtype=float)

SMALL: dict[str, Method] = {
    "mean": METHODS["mean"],
    "forest": ForestMethod(n_trees=40),
    "network": NetworkMethod(hidden=(64, 32), max_epochs=200),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Predictions]]:
    return {
        name: method.fit(TRAIN, (), TARGETS, seed=0).predict(TEST) for name, method in SMALL.items()
    }


def test_the_methods_are_found_by_name() -> None:
    assert list(METHODS)[:3] == ["mean", "forest", "network"]
    for name, method in METHODS.items():
        assert isinstance(method, Method)
        assert method.name == name
    with pytest.raises(SettingError, match="Did you mean 'forest'"):
        METHODS.find("forrest")


def test_the_mean_predictor_answers_with_mean_and_frequency(
    answers: dict[str, dict[str, Predictions]],
) -> None:
    labels = [record.labels for record in TRAIN]
    assert answers["mean"]["y"].values == pytest.approx(np.mean([x["y"] for x in labels]))
    heavy = np.mean([x["is_heavy"] for x in labels])
    assert answers["mean"]["is_heavy"].values == pytest.approx(heavy)


@pytest.mark.parametrize("name", ["forest", "network"])
def test_compositions_tell_more_than_the_mean(
    name: str, answers: dict[str, dict[str, Predictions]]
) -> None:
    found = regression_scores(TRUTH, answers[name]["y"].values, bootstrap=0)
    assert found["mae_over_sigma"].value < 0.3
    classes = classification_scores(HEAVY, answers[name]["is_heavy"].values, bootstrap=0)
    assert classes["roc_auc"].value > 0.95


@pytest.mark.parametrize("name", list(SMALL))
def test_intervals_hold_as_many_labels_as_they_say(
    name: str, answers: dict[str, dict[str, Predictions]]
) -> None:
    predictions = answers[name]["y"]
    assert tuple(predictions.intervals) == INTERVAL_LEVELS
    for level, ends in predictions.intervals.items():
        found = interval_scores(TRUTH, ends, level, bootstrap=0)
        assert found["coverage"].value == pytest.approx(level, abs=0.12)
        assert (ends[:, 0] >= 0).all(), "an interval leaves the range of the property"
        assert (ends[:, 0] <= ends[:, 1]).all()
    assert not answers[name]["is_heavy"].intervals


def test_the_forests_value_is_the_median_and_its_mean_is_scikit_learns() -> None:
    from sklearn.ensemble import RandomForestRegressor

    from crystext.predict.baselines.inputs import read_inputs

    method = ForestMethod(n_trees=20)
    found = method.fit(TRAIN, (), {"y": NUMBER}, seed=3).predict(TEST)["y"]
    oracle = RandomForestRegressor(20, max_features=1 / 3, random_state=3)
    oracle.fit(read_inputs("composition", TRAIN).values, [record.labels["y"] for record in TRAIN])
    x = read_inputs("composition", TEST).values.astype(np.float32)
    np.testing.assert_allclose(found.means, oracle.predict(x))
    trees = np.array([tree.predict(x) for tree in oracle.estimators_])
    np.testing.assert_allclose(found.values, np.median(trees, axis=0))


@pytest.mark.parametrize("name", list(SMALL))
def test_the_seed_is_the_only_randomness(name: str) -> None:
    def values(seed: int) -> np.ndarray:
        return SMALL[name].fit(TRAIN, (), TARGETS, seed=seed).predict(TEST)["y"].values

    np.testing.assert_array_equal(values(1), values(1))
    if name != "mean":
        assert (values(1) != values(2)).any()


@pytest.mark.parametrize("name", ["forest", "network"])
def test_a_record_that_cannot_be_read_gets_a_problem_and_changes_no_other(
    name: str, answers: dict[str, dict[str, Predictions]]
) -> None:
    strange = [
        Record(failure=Failure("UNREADABLE", "it is empty")),
        Record(texts={"smiles": "CCO"}),
        Record(texts={"formula": "soot"}),
    ]
    predictor = SMALL[name].fit([*TRAIN, *strange], (), TARGETS, seed=0)
    found = predictor.predict([strange[0], TEST[0], *strange[1:], Record(NACL)], ["y"])["y"]
    assert found.is_valid.tolist() == [False, True, False, False, True]
    assert found.values[1] == pytest.approx(answers[name]["y"].values[0])
    assert found.problems[0] == "it is empty"
    assert "no composition" in found.problems[2]
    assert "not a formula" in found.problems[3]
    assert found.problems[1] == found.problems[4] == ""
    assert np.isnan(found.intervals[0.9][0]).all()
    nothing = predictor.predict(strange)["is_heavy"]
    assert not nothing.is_valid.any()
    assert len(predictor.predict([])["y"]) == 0


def test_a_structure_is_read_as_its_composition() -> None:
    predictor = SMALL["forest"].fit(TRAIN, (), {"y": NUMBER})
    found = predictor.predict([Record(NACL), Record(texts={"formula": "NaCl"})])["y"]
    assert found.values[0] == found.values[1]


@pytest.mark.parametrize("name", list(SMALL))
def test_what_cannot_be_learnt_is_refused_by_name(name: str) -> None:
    constant = [Record(texts=x.texts, labels={"y": 1.0, "is_heavy": True}) for x in TRAIN]
    with pytest.raises(InputError, match="all 400 training labels of y are 1; a constant"):
        SMALL[name].fit(constant, (), {"y": NUMBER})
    with pytest.raises(InputError, match="of is_heavy are yes; expected both classes"):
        SMALL[name].fit(constant, (), {"is_heavy": CLASS})
    with pytest.raises(InputError, match="no training record has a label of z"):
        SMALL[name].fit(TRAIN, (), {"z": NUMBER})
    predictor = SMALL["mean"].fit(TRAIN, (), TARGETS)
    with pytest.raises(SettingError, match="Did you mean 'is_heavy'"):
        predictor.predict(TEST, ["is_heavi"])


def test_few_records_are_enough_for_a_forest_and_refused_by_the_network() -> None:
    found = ForestMethod(n_trees=10).fit(TRAIN[:3], (), {"y": NUMBER}).predict(TEST)["y"]
    assert found.is_valid.all()
    with pytest.raises(InputError, match="expected at least 20"):
        SMALL["network"].fit(TRAIN[:10], (), {"y": NUMBER})
    with pytest.raises(InputError, match="no training record has a composition or a molecule"):
        SMALL["forest"].fit([Record(labels=x.labels) for x in TRAIN], (), {"y": NUMBER})


def test_validation_records_calibrate_the_network() -> None:
    noisy = labelled(100, 3, noise=20)
    narrow = SMALL["network"].fit(TRAIN, TRAIN[:100], {"y": NUMBER}).predict(TEST)["y"]
    wide = SMALL["network"].fit(TRAIN, noisy, {"y": NUMBER}).predict(TEST)["y"]
    np.testing.assert_array_equal(narrow.values, wide.values)
    ends = [np.diff(x.intervals[0.9], axis=1).mean() for x in (narrow, wide)]
    assert ends[1] > 3 * ends[0]


@pytest.mark.parametrize("features", ["auto", "morgan"])
def test_molecules_are_learnt_from_descriptors_or_fingerprints(features: str) -> None:
    pytest.importorskip("rdkit")
    chains = ["C" * n + end for n in range(1, 13) for end in ("O", "N", "Cl", "C(=O)O")]
    records = [Record(texts={"smiles": x}, labels={"y": float(len(x))}) for x in chains]
    method = ForestMethod(features=features, n_trees=30)  # type: ignore[arg-type]
    predictor = method.fit(records, (), {"y": NUMBER})
    found = predictor.predict([*records, Record(texts={"smiles": "soot"})])["y"]
    assert np.corrcoef(found.values[:-1], [len(x) for x in chains])[0, 1] > 0.8
    assert found.problems[-1] == "RDKit reads no molecule in 'soot'"


def test_features_that_do_not_exist_are_refused() -> None:
    with pytest.raises(SettingError, match="there are auto, composition, descriptors, morgan"):
        ForestMethod(features="magpie").fit(TRAIN, (), {"y": NUMBER})  # type: ignore[arg-type]


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("expt_gap", 1.1435),
        ("steels_yield", 229.74),
        ("dielectric", 0.8088),
        ("jdft2d", 67.29),
        ("phonons", 324.0),
        ("elasticity_log10_k_vrh", 0.2897),
    ],
)
def test_the_mean_predictor_is_matbenchs_dummy(table: str, expected: float) -> None:
    data = read_property_table(DATA / "compositions" / f"{table}.csv")
    errors = []
    for fold in matbench_folds(data.records, "target", data.targets["target"]):
        predictor = METHODS["mean"].fit(data.select(fold.train).records, (), data.targets)
        found = predictor.predict(data.select(fold.test).records)["target"]
        errors.append(np.abs(found.values - data.values("target")[fold.test]).mean())
    digits = len(f"{expected}".partition(".")[2])
    assert np.mean(errors) == pytest.approx(expected, abs=0.5 * 10**-digits)


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
def test_the_forest_is_as_good_as_published_on_steels() -> None:
    data = read_property_table(DATA / "compositions" / "steels_yield.csv")
    scores = []
    for fold in matbench_folds(data.records, "target", data.targets["target"]):
        predictor = METHODS["forest"].fit(data.select(fold.train).records, (), data.targets)
        found = predictor.predict(data.select(fold.test).records)["target"]
        truth = data.values("target")[fold.test]
        scores.append(regression_scores(truth, found.means, bootstrap=0))
    # Published: 103.5 MPa (matbench v0.1, RF-SCM/Magpie).
    assert np.mean([x["mae"].value for x in scores]) == pytest.approx(104.6, abs=2)
    assert np.mean([x["r2"].value for x in scores]) == pytest.approx(0.735, abs=0.02)
