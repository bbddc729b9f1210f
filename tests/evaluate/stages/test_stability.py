"""Energies of a generator's attempts: what is judged, what is unknown, what is divided by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from crystext.energies import potentials
from crystext.energies.hull_sources import save_hull
from crystext.energies.potentials.chgnet import CHGNET
from crystext.energies.potentials.m3gnet import M3GNET
from crystext.errors import InputError, ModelError
from crystext.evaluate.export_crystals import export_crystals
from crystext.evaluate.report import Report
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.io.read.parse import Piece, parse_piece
from crystext.io.write import extxyz
from crystext.structures.crystal import Crystal

CENTRE = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])

VALIDITY = {"source": "x", "min_distance": 0.5, "min_volume": 0.1, "self_images": False,
            "table": "smact14", "alloys": True}  # fmt: skip


def cell(length: float, *numbers: int, places: Any = CENTRE) -> Crystal:
    return Crystal(np.full(3, length), np.full(3, 60.0), np.array(numbers), places)


SALT, SYLVITE = cell(3.99, 11, 17), cell(4.45, 19, 17)
CLOSE = cell(3.99, 11, 17, places=CENTRE * 0.1)

# Relaxed with M3GNet, corrections included: sodium and chlorine as solids, and the salt.
PHASES = {"Na": -1.31, "Cl": -1.84, "NaCl": -3.67}


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> str:
    return str(shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES")


def protocol(folder: Path, **stability: Any) -> Path:
    path = folder / "mine.yaml"
    stage = {"source": "y", "potential": "m3gnet", "hull": "mp2020", **stability}
    rules = {"name": "mine", "title": "mine", "validity": VALIDITY, "stability": stage}
    path.write_text(yaml.safe_dump(rules))
    return path


def figures(report: Any) -> dict[str, Any]:
    return {figure.name: figure for figure in report.metrics if figure.stage == "stability"}


def test_what_is_not_judged_stays_in_the_denominator(weights: str, tmp_path: Path) -> None:
    frames = [SALT, CLOSE, SYLVITE, SALT]
    (tmp_path / "in.extxyz").write_text("".join(map(extxyz, frames)) + "1\nnoise\nQq 0 0 0\n")
    hull = tmp_path / "hull.parquet"
    save_hull(PHASES.items(), hull, name="own", date="2026-11-20", potential=M3GNET)
    options = EvaluationOptions(potential=weights, hull=str(hull))
    rules, out = protocol(tmp_path), tmp_path / "out"
    report = evaluate_samples(
        tmp_path / "in.extxyz", rules, out, only=["stability"], options=options
    )

    found = figures(report)
    assert {name: found[name].total for name in ("metastable", "stable", "unknown")} == {
        "metastable": 5,
        "stable": 5,
        "unknown": 5,
    }
    assert found["metastable"].value == pytest.approx(2 / 5)
    assert found["unknown"].value == pytest.approx(1 / 5)
    assert found["relaxed"].value == pytest.approx(3 / 5)
    assert M3GNET in report.stages["stability"].note
    assert "2026-11-20" in report.stages["stability"].note
    table = pq.read_table(out / "structures.parquet").to_pylist()
    assert [row["relaxation"] for row in table] == [
        "CONVERGED", "TOO_CLOSE", "CONVERGED", "CONVERGED", None
    ]  # fmt: skip
    assert [row["metastable"] for row in table] == [True, None, None, True, None]
    assert [row["unknown_elements"] for row in table] == [None, None, "K", None, None]
    # By its number the salt is stable or metastable; the verdict needs evidence, which is there.
    assert [row["hull_evidence"] for row in table] == [
        "composition", None, None, "composition", None
    ]  # fmt: skip
    assert table[0]["decomposition"] == "1.00 NaCl"
    assert [row["stability"] for row in table][1:3] == ["no_energy", "unknown"]
    assert found["candidate"].value + found["no_evidence"].value <= 2 / 5
    assert found["metastable_with_evidence"].value == pytest.approx(2 / 5)
    assert all(row["energy_requested"] for row in table)

    # What is written is what was relaxed: the salt was drawn a little too small.
    assert (
        export_crystals("metastable", tmp_path / "in.extxyz", out, tmp_path / "found.parquet") == 2
    )
    written = pq.read_table(tmp_path / "found.parquet").to_pylist()
    assert [row["name"] for row in written] == [table[0]["name"], table[3]["name"]]
    assert written[0]["volume"] > 1.003 * SALT.volume
    assert max(row["e_above_hull_ev_per_atom"] for row in written) < 0.1
    # Version 0.1 called the column verdict; its tables are exported as well.
    (tmp_path / "old").mkdir()
    columns = pq.read_table(out / "structures.parquet")
    names = ["verdict" if name == "stability" else name for name in columns.column_names]
    pq.write_table(columns.rename_columns(names), tmp_path / "old" / "structures.parquet")
    assert (
        export_crystals(
            "metastable", tmp_path / "in.extxyz", tmp_path / "old", tmp_path / "old.parquet"
        )
        == 2
    )
    assert pq.read_table(tmp_path / "old.parquet").to_pylist() == written
    (first,) = parse_piece(Piece("", "cif", table[0]["relaxed_cif"]))
    assert first.crystal is not None
    assert first.crystal.lengths == pytest.approx(written[0]["lengths"], rel=1e-12)

    # Another hull, in which the salt is far above another phase, judges the same relaxations.
    (relaxed,) = (out / "work" / "shared").glob("relaxations-*/relaxations.jsonl")
    before = relaxed.read_bytes()
    save_hull({**PHASES, "NaCl": -4.5}.items(), hull, name="own", date="x", potential=M3GNET)
    again = evaluate_samples(
        tmp_path / "in.extxyz", rules, out, only=["stability"], options=options
    )
    assert figures(again)["metastable"].value == 0
    assert relaxed.read_bytes() == before
    with pytest.raises(InputError, match="none is metastable"):
        export_crystals("metastable", tmp_path / "in.extxyz", out, tmp_path / "none.cif")

    # Of the first two only, and the others were not asked for.
    some = EvaluationOptions(potential=weights, hull=str(hull), relax=2)
    fewer = evaluate_samples(tmp_path / "in.extxyz", rules, out, only=["stability"], options=some)
    assert figures(fewer)["metastable"].total == 2


def test_an_input_that_grows_relaxes_what_is_new_alone(weights: str, tmp_path: Path) -> None:
    source, hull, out = tmp_path / "in", tmp_path / "hull.parquet", tmp_path / "out"
    source.mkdir()
    (source / "b.extxyz").write_text(extxyz(SALT))
    save_hull(PHASES.items(), hull, name="own", date="x", potential=M3GNET)
    options = EvaluationOptions(potential=weights, hull=str(hull))

    def energies() -> tuple[list[float], list[bytes]]:
        evaluate_samples(source, protocol(tmp_path), out, only=["stability"], options=options)
        (relaxed,) = (out / "work" / "shared").glob("relaxations-*/relaxations.jsonl")
        table = pq.read_table(out / "structures.parquet")
        return table["energy_ev_per_atom"].to_pylist(), relaxed.read_bytes().splitlines()

    (salt,), first = energies()
    # It stands before the other now.
    (source / "a.extxyz").write_text(extxyz(SYLVITE))
    (sylvite, same), both = energies()
    assert same == salt != sylvite
    assert both[:1] == first
    assert len(both) == 2
    # What was changed is another crystal, whatever its file is called.
    (source / "b.extxyz").write_text(extxyz(cell(4.2, 11, 17)))
    _, three = energies()
    assert three[:2] == both
    assert len(three) == 3


def test_where_m3gnet_cannot_be_had_chgnet_relaxes_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    potentials._first_available.cache_clear()
    far = Crystal(np.full(3, 12.0), np.full(3, 90.0), np.array([11, 17]), CENTRE)
    (tmp_path / "in.extxyz").write_text(extxyz(SALT) + extxyz(far))
    hull, out = tmp_path / "hull.parquet", tmp_path / "out"
    save_hull(PHASES.items(), hull, name="own", date="x", potential=None)

    def measured(**options: Any) -> Report:
        return evaluate_samples(
            tmp_path / "in.extxyz", protocol(tmp_path), out, only=["stability"],
            options=EvaluationOptions(hull=str(hull), **options),
        )  # fmt: skip

    report = measured()
    told = {deviation.what: deviation.text for deviation in report.protocol_deviations}
    assert told["potential"] == f"potential {CHGNET} in place of {M3GNET}"
    assert f"Relaxed with {CHGNET}" in report.stages["stability"].note
    assert "is not in a cache" in report.stages["stability"].note
    # An atom that sees no other has no energy, and is in every denominator.
    found = figures(report)
    assert (found["relaxed"].value, found["relaxed"].total) == (0.5, 2)
    assert (found["metastable"].value, found["metastable"].total) == (0.5, 2)
    rows = pq.read_table(out / "structures.parquet").to_pylist()
    assert [row["relaxation"] for row in rows] == ["CONVERGED", "ISOLATED_ATOM"]
    assert [row["metastable"] for row in rows] == [True, None]

    # Once weights can be had, the evaluation goes on with what it was begun with.
    monkeypatch.setattr(
        potentials, "_first_available", lambda: potentials.PotentialChoice("m3gnet")
    )
    assert measured().protocol_deviations == report.protocol_deviations
    with pytest.raises(ModelError, match="no M3GNet"):
        measured(potential="m3gnet")
    potentials.load_potential_once.cache_clear()


def test_a_hull_that_is_not_there_is_told_before_anything_is_relaxed(tmp_path: Path) -> None:
    (tmp_path / "in.extxyz").write_text(extxyz(SALT))
    options = EvaluationOptions(potential="m3gnet", hull="mp2021")
    with pytest.raises(InputError, match="Did you mean 'mp2020'"):
        evaluate_samples(
            tmp_path / "in.extxyz", protocol(tmp_path), tmp_path / "out", only=["stability"],
            options=options,
        )  # fmt: skip


def test_below_a_hull_with_gaps_the_number_counts_and_the_verdict_is_no_evidence(
    weights: str, tmp_path: Path
) -> None:
    (tmp_path / "in.extxyz").write_text(extxyz(SALT))
    hull, out = tmp_path / "hull.parquet", tmp_path / "out"
    elements = {symbol: PHASES[symbol] for symbol in ("Na", "Cl")}
    save_hull(elements.items(), hull, name="gaps", date="x", potential=M3GNET)
    options = EvaluationOptions(potential=weights, hull=str(hull))
    report = evaluate_samples(
        tmp_path / "in.extxyz", protocol(tmp_path), out, only=["stability"], options=options
    )
    found = figures(report)
    assert found["stable"].value == found["metastable"].value == found["no_evidence"].value == 1
    assert found["candidate"].value == found["metastable_with_evidence"].value == 0
    (row,) = pq.read_table(out / "structures.parquet").to_pylist()
    assert (row["stable"], row["candidate"], row["stability"]) == (True, False, "no_evidence")
    assert (row["phases_in_system"], row["phases_with_all_elements"]) == (2, 0)
    assert export_crystals("stable", tmp_path / "in.extxyz", out, tmp_path / "stable.cif") == 1
