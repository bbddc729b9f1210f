"""Distances to training compositions: Earth Mover's, judged by the training set's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from crystext.chemistry.element_features import (
    element_fractions,
    filled_element_properties,
    property_names,
)
from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import parse_amounts
from crystext.errors import InputError, SettingError
from crystext.inference.applicability import TrainingCompositions, composition_distance
from crystext.structures.record import Record
from tests.example_crystals import NACL

HALIDES = [f"{metal}{halide}" for metal in ("Li", "Na", "K", "Rb") for halide in ("F", "Cl", "Br")]
MENDELEEV = filled_element_properties()[:, property_names().index("MendeleevNumber")]


def formulas(*texts: str) -> list[Record]:
    return [Record(texts={"formula": text}) for text in texts]


def random_formulas(n: int) -> list[str]:
    rng = np.random.default_rng(0)
    symbols = [rng.choice(SYMBOLS[:90], 4, replace=False) for _ in range(n)]
    return ["".join(f"{x}{rng.integers(1, 13)}" for x in chosen) for chosen in symbols]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("NaCl", "NaCl", 0), ("NaCl", "Na4Cl4", 0), ("NaCl", "KCl", 0.5), ("Na", "K", 1)],
)
def test_similar_elements_are_near(first: str, second: str, expected: float) -> None:
    assert composition_distance(first, second) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("first", "second"), [("Fe2O3", "LiFePO4"), ("NaCl", "U3O8"), ("C", "OsTe")]
)
def test_the_distance_is_scipys_earth_movers(first: str, second: str) -> None:
    a, b = element_fractions([parse_amounts(first), parse_amounts(second)])
    expected = wasserstein_distance(MENDELEEV, MENDELEEV, a, b)
    assert composition_distance(first, second) == pytest.approx(expected, rel=1e-4)


def test_the_nearest_training_composition_is_found() -> None:
    found = TrainingCompositions.of(formulas(*HALIDES)).assess(
        [*formulas("Na2Cl2", "CsCl", "UO2", "soot"), Record(NACL), Record()]
    )
    assert found.nearest[:2] == ("Na0.5Cl0.5", "Rb0.5Cl0.5")
    assert found.distances[0] == found.distances[4] == 0
    assert found.distances[1] < found.distances[2]
    assert np.isnan(found.distances[[3, 5]]).all()
    assert np.isnan(found.percentiles[[3, 5]]).all()
    assert (found.nearest[3], found.nearest[5]) == ("", "")


def test_percentiles_are_of_the_training_sets_own_distances() -> None:
    training = TrainingCompositions.of(formulas(*HALIDES))
    brute = [min(composition_distance(x, y) for y in HALIDES if y != x) for x in HALIDES]
    np.testing.assert_allclose(training.left_out, sorted(brute), atol=1e-9)
    found = training.assess(formulas("NaCl", "UO2"))
    assert found.percentiles.tolist() == [0, 100]


def test_a_new_sample_of_the_training_set_has_ordinary_percentiles() -> None:
    texts = random_formulas(600)
    training = TrainingCompositions.of(formulas(*texts[:500]))
    found = training.assess(formulas(*texts[500:]))
    assert 35 < np.median(found.percentiles) < 65


def test_a_file_holds_the_same_training_set_in_little_space(tmp_path: Path) -> None:
    texts = random_formulas(3000)
    training = TrainingCompositions.of(formulas(*texts, *texts))
    assert len(training) == 3000
    training.save(tmp_path / "training.npz")
    assert (tmp_path / "training.npz").stat().st_size < 3000 / 35_000 * 1e6
    again = TrainingCompositions.read(tmp_path / "training.npz")
    query = formulas("NaCl", "UO2", *texts[:5])
    assert again.assess(query).nearest == training.assess(query).nearest
    np.testing.assert_array_equal(again.assess(query).distances, training.assess(query).distances)
    np.testing.assert_allclose(again.left_out, training.left_out, rtol=1e-6)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match="no file"):
        TrainingCompositions.read(path)
    path.write_text("soot")
    with pytest.raises(InputError, match="holds no training compositions"):
        TrainingCompositions.read(path)
    np.savez(path, format=np.array("other 1"))
    with pytest.raises(InputError, match="its format is other 1"):
        TrainingCompositions.read(path)


def test_a_scale_needs_two_compositions() -> None:
    with pytest.raises(InputError, match="has 1 compositions"):
        TrainingCompositions.of(formulas("NaCl", "Na2Cl2"))
    with pytest.raises(SettingError, match="not a formula"):
        composition_distance("NaCl", "soot")
