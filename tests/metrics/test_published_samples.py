"""Another group's samples, judged by its own figures: LLaMat-2-CIF (arXiv:2412.09560).

Asked for the 9,046 formulas of MP-20 test, it wrote texts of which 270 are invalid and some
hundred are cells with hardly any room. Its authors give 89.55% valid compositions and 97.73% valid
structures of the 8,274 that they could use, and not which these are: those with room for atoms are
8,279.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.io.read import read_crystals
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.structure_validity import is_structure_valid

ROOM = 3.0
"""Å^3 an atom; diamond, the densest of all elements in atoms, has 5.7."""


def test_samples_of_llamat_are_as_valid_as_published_and_less_so_of_all(shared_data: Path) -> None:
    items = list(read_crystals(shared_data / "peers" / "llamat2_9046_parsed.csv.gz"))
    crystals = [item.crystal for item in items if item.crystal is not None]
    verdicts = np.array(
        [[is_composition_valid(c.numbers), is_structure_valid(c)] for c in crystals]
    )
    has_room = np.array([c.volume > ROOM * len(c) for c in crystals])
    assert has_room.sum() == pytest.approx(8274, abs=10)
    assert verdicts[has_room].mean(axis=0) == pytest.approx([0.8955, 0.9773], abs=0.01)
    assert verdicts.sum(axis=0) / len(items) == pytest.approx([0.8685, 0.9067], abs=1e-4)
