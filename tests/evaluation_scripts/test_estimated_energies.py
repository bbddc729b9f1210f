"""Estimated energies: a correction that fits, heights over a hull, and quantiles in an order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from crystext.energies.relaxation_files import RelaxedStructure
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from evaluation.shipped_model.build_predictor_set import (
    STOPS_AT_MP20S_LIMIT,
    drawn_rows,
    estimated_above_hull,
    write_rows,
)
from evaluation.shipped_model.estimated_energies import (
    element_correction,
    element_fractions,
    formation_energies,
    heights_above,
    hull_of,
    quantiles_in_order,
)

REFERENCES = {"Na": -1.0, "Cl": -2.0}


def cell(*numbers: int) -> Crystal:
    positions = np.linspace(0, 0.9, 3 * len(numbers)).reshape(-1, 3)
    return Crystal(np.full(3, 6.0), np.full(3, 90.0), np.array(numbers), positions)


def test_the_correction_finds_what_elements_are_off_by_whatever_a_few_crystals_say() -> None:
    rng = np.random.default_rng(0)
    fractions = rng.dirichlet(np.ones(5), 400)
    off = np.array([0.1, -0.2, 0.0, 0.05, 0.3])
    differences = fractions @ off
    differences[:10] += 3
    differences[10:20] = np.nan
    assert element_correction(fractions, differences) == pytest.approx(off, abs=0.02)


def test_formation_energies_are_relative_to_the_elements_and_unknown_without_one() -> None:
    crystals = [cell(11, 17), cell(11, 11, 17), cell(11, 9)]
    found = formation_energies(crystals, np.array([-3.5, -2.0, -2.0]), REFERENCES)
    assert found[:2] == pytest.approx([-2.0, -2.0 + 4 / 3])
    assert np.isnan(found[2])
    assert element_fractions(crystals)[1, 11] == pytest.approx(2 / 3)


def test_heights_say_how_well_the_hull_covers_a_crystal() -> None:
    hull = hull_of([cell(11, 17), cell(11, 17)], np.array([-2.0, np.nan]), REFERENCES)
    above, evidence = heights_above(
        [cell(11, 17), cell(11, 11, 11, 17), cell(11, 9), cell(11, 17)],
        np.array([-1.9, -0.5, -1.0, np.nan]),
        hull,
    )
    assert above[:2] == pytest.approx([0.1, 0.5])
    assert np.isnan(above[2:]).all()
    assert evidence == ["composition", "none", "", ""]


def test_the_lowest_gets_the_lowest_quantile_and_what_has_no_place_the_median() -> None:
    published = np.array([0.03, 0.05, 0.07])
    found = quantiles_in_order(np.array([0.4, np.nan, -0.3, 0.1]), published)
    assert found[2] < found[3] < found[0]
    assert found[1] == 0.05
    assert published.min() <= found.min()
    assert found.max() <= published.max()
    many = quantiles_in_order(np.arange(1000.0), published)
    assert np.median(many) == pytest.approx(0.05, abs=1e-3)


def test_crystals_of_a_kind_get_what_is_published_for_it_in_the_order_of_their_heights() -> None:
    train = [
        Record(cell(11, 17), {"formation_energy": -2.0, "e_above_hull": 0.0}, "known"),
        *(Record(cell(11, 17, 17), {}, f"member {i}") for i in range(4)),
        *(Record(cell(11, 11, 17), {}, f"other {i}") for i in range(4)),
    ]
    formation = np.array([np.nan, -0.9, -1.2, -1.0, -1.1, -1.0, -1.1, -1.2, -1.3])
    members = np.array([True] * 5 + [False] * 4)
    stops = {"split": STOPS_AT_MP20S_LIMIT}
    published = {
        1: Record(cell(11, 17), {"e_above_hull": 0.07}, **stops),
        2: Record(cell(11, 17), {"e_above_hull": 0.03}),
        5: Record(cell(11, 17), {"e_above_hull": 0.1}),
        6: Record(cell(11, 17), {"e_above_hull": 0.2}),
        # Of a table without any crystal as far from the hull as MP-20's outsiders.
        7: Record(cell(11, 17), {"e_above_hull": 0.0}, **stops),
    }
    found = estimated_above_hull(train, formation, members, published, REFERENCES)
    assert np.isnan(found[0])
    assert np.argsort(-found[1:5]).tolist() == [0, 2, 3, 1]
    assert np.argsort(-found[5:]).tolist() == [0, 1, 2, 3]
    assert (found[1:5].min(), found[1:5].max()) == pytest.approx((0.035, 0.065))
    assert (found[5:].min(), found[5:].max()) == pytest.approx((0.1125, 0.1875))


def test_samples_are_rows_as_drawn_and_what_is_no_crystal_has_no_formation_energy(
    tmp_path: Path,
) -> None:
    draws = [Record(cell(11, 17), name=str(i), texts={"wyckoff": f"text {i}"}) for i in range(4)]
    pairs = [(draw, RelaxedStructure(draw.crystal, name=draw.name)) for draw in draws]
    rows = list(
        drawn_rows(pairs, np.array([-1.0, 0.7, 5.0, -1.0]), np.array([-0.1, 0.3, 6, np.nan]))
    )
    assert [row.e_above_hull for row in rows] == [0.0, 0.3, 0.5]
    assert [row.formation_energy_per_atom for row in rows] == [-1.0, None, None]
    assert [row.text for row in rows] == ["text 0", "text 1", "text 2"]
    write_rows(tmp_path / "rows.parquet", rows)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table["origin"].to_pylist() == ["drawn"] * 3
    assert table["material_id"].to_pylist() == ["draw-0", "draw-1", "draw-2"]
    assert table["formation_energy_per_atom"].to_pylist() == [-1.0, None, None]
