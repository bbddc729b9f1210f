from __future__ import annotations

import math

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.metrics.ipt import increase_in_perplexity, mean_ipt, transformed_texts
from crystext.text import PLAIN, WYCKOFF, decode
from tests.example_crystals import EXAMPLE_CRYSTALS, QUARTZ

CRYSTALS = list(EXAMPLE_CRYSTALS.values())[:3]


def test_ipt_is_the_mean_excess_over_the_least_perplexity() -> None:
    assert increase_in_perplexity([math.log(2), math.log(3), math.log(7)]) == pytest.approx(2.0)


def test_a_model_that_does_not_see_translations_has_none() -> None:
    assert mean_ipt(CRYSTALS, lambda texts: [1.3] * len(texts), PLAIN) == pytest.approx(0)


def test_translations_follow_from_the_seed_and_move_all_atoms_together() -> None:
    crystal = CRYSTALS[0]
    texts = transformed_texts(crystal, PLAIN, 5, seed=1)
    assert texts == transformed_texts(crystal, PLAIN, 5, seed=1)
    assert len(set(texts)) == 5
    assert not set(texts) & set(transformed_texts(crystal, PLAIN, 5, seed=2))
    for text in texts:
        moved = decode(text).crystal
        assert moved is not None
        shift = moved.positions - crystal.positions
        shift = shift - shift[0]
        assert np.abs(shift - np.round(shift)).max() < 0.0011


def test_a_text_by_symmetry_is_transformed_into_others_of_the_same_crystal() -> None:
    texts = transformed_texts(QUARTZ, WYCKOFF, 8, seed=1)
    assert texts == transformed_texts(QUARTZ, WYCKOFF, 8, seed=1)
    assert len(set(texts)) > 2
    for text in texts:
        read = decode(text, format=WYCKOFF).crystal
        assert read is not None
        assert StructureMatcher().fit(read.structure, QUARTZ.structure)


def test_the_mean_is_over_crystals() -> None:
    def losses(texts: list[str]) -> list[float]:
        # Crystal by crystal: perplexities of 1, and of 3 for one translation.
        return [math.log(3)] + [0.0] * (len(texts) - 1)

    assert mean_ipt(CRYSTALS, losses, PLAIN, translations=4) == pytest.approx(0.5)
