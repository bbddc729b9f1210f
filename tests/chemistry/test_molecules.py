"""Molecules: one molecule has one canonical SMILES, and what is none is told apart."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.chemistry.molecules import (
    MORGAN_BITS,
    canonical_smiles,
    descriptor_names,
    descriptors,
    morgan_fingerprints,
    scaffold,
)

pytest.importorskip("rdkit")


@pytest.mark.parametrize("other", ["OCC", "C(O)C", "[CH3][CH2][OH]"])
def test_spellings_of_a_molecule_have_one_canonical_form(other: str) -> None:
    assert canonical_smiles(other) == canonical_smiles("CCO") == "CCO"


def test_mirror_images_differ_but_share_a_scaffold() -> None:
    left, right = "C[C@H](O)c1ccccc1", "C[C@@H](O)c1ccccc1"
    assert canonical_smiles(left) != canonical_smiles(right)
    assert scaffold(left) == scaffold(right) == "c1ccccc1"
    assert scaffold("CCO") == ""


@pytest.mark.parametrize("text", ["soot", "", "C1CC"])
def test_what_is_no_molecule_has_neither_form_nor_features(
    text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert canonical_smiles(text) is None
    assert scaffold(text) is None
    assert np.isnan(descriptors([text])).all()
    assert np.isnan(morgan_fingerprints([text])).all()
    assert capfd.readouterr().err == ""


def test_descriptors_and_fingerprints_are_of_each_molecule_in_order() -> None:
    rows = descriptors(["CCO", "soot", "c1ccccc1"])
    weights = rows[:, descriptor_names().index("MolWt")]
    np.testing.assert_allclose(weights, [46.069, np.nan, 78.114])
    bits = morgan_fingerprints(["CCO", "soot", "OCC"])
    assert bits.shape == (3, MORGAN_BITS)
    np.testing.assert_array_equal(bits[0], bits[2])
    assert 0 < bits[0].sum() < 20
