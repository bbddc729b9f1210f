"""What relaxing changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crystext.metrics.relaxation_change import matches_relaxed, volume_change
from crystext.structures.crystal import Crystal
from tests.example_crystals import NACL, QUARTZ


def scaled(crystal: Crystal, factor: float) -> Crystal:
    return replace(crystal, lengths=crystal.lengths * factor)


def test_a_change_of_volume_is_relative_and_never_negative():
    assert volume_change(NACL, scaled(NACL, 1.1)) == pytest.approx(1.1**3 - 1)
    assert volume_change(NACL, scaled(NACL, 0.9)) == pytest.approx(1 - 0.9**3)
    assert volume_change(NACL, NACL) == 0


def test_a_crystal_matches_itself_and_not_what_it_becomes_when_it_collapses():
    rng = np.random.default_rng(0)
    shaken = replace(QUARTZ, positions=rng.random(QUARTZ.positions.shape))
    pairs = [(NACL, NACL), (QUARTZ, scaled(QUARTZ, 1.05)), (QUARTZ, shaken)]
    assert matches_relaxed(pairs) == [True, True, False]
