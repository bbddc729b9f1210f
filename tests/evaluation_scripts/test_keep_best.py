"""What keeping the best brings is counted over those that were kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evaluation.measure.keep_best import Samples, figures, read_energies
from tests.example_crystals import EXAMPLE_CRYSTALS

SALT, TITANATE = EXAMPLE_CRYSTALS["nacl"], EXAMPLE_CRYSTALS["srtio3"]
COLUMNS = {
    "valid": [True, False, None, True],
    "novel": [True, False, None, False],
    "contact_ratio": [0.9, 0.7, None, 0.8],
    "formula": ["NaCl", "NaCl", None, "SrTiO3"],
    "prototype": ["225 a b", "225 a b", None, "221 a b c"],
}


def test_shares_are_of_those_that_were_kept_and_energies_of_those_relaxed() -> None:
    energies = {0: -0.01, 1: 0.05, 3: float("nan")}
    samples = Samples(
        [SALT, SALT, None, TITANATE], COLUMNS, [0.0, 0.1, float("nan"), 0.3], energies,
        Counter({225: 1, 221: 1}),
    )  # fmt: skip
    report = figures(samples, range(4), 1)
    counts = {name: x["count"] for name, x in report.items() if isinstance(x, dict)}
    assert counts == {
        "valid": 2,
        "unique": 2,
        "novel": 1,
        "contact below 0.75": 1,
        "contact below 0.85": 2,
        "most frequent prototype": 2,
        "below 0 eV/atom": 1,
        "below 0.1 eV/atom": 2,
    }
    assert report["valid"]["share"] == 0.5
    # Of three with an energy, one failed to relax: it is not below the limit.
    assert report["with_energy"] == 3
    assert report["below 0.1 eV/atom"]["share"] == pytest.approx(0.6667)
    assert (report["formulas"], report["prototypes"]) == (2, 2)
    assert report["space_groups_total_variation"] == 0.25
    part = figures(samples, [3], 1)
    assert part["expected_energy_median_ev_per_atom"] == 0.3
    assert part["space_groups_total_variation"] == 0.5


def test_energies_are_of_the_samples_that_the_table_names(tmp_path: Path) -> None:
    table = tmp_path / "energies.csv"
    table.write_text("rank,name,e_above_hull_ev_per_atom\n1,000012,-0.5\n2,7,\n")
    found = read_energies([table])
    assert found[12] == -0.5
    assert found[7] != found[7]
