"""The hull that comes with the package: what is in it, and how it is kept."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core.composition import Composition

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import parse_formula
from crystext.energies import hull_sources as hulls
from crystext.energies.compact_hull import read_compact_hull, write_compact_hull
from crystext.energies.decomposition import lowest_mixtures
from crystext.energies.hull import Evidence, Hull
from crystext.energies.hull_sources import open_hull, read_hull_folder, shipped_file
from crystext.energies.phases import make_compounds
from crystext.errors import InputError


def test_a_compact_hull_is_read_as_it_was_written(tmp_path: Path) -> None:
    compounds = make_compounds(
        [({"P": 2, "O": 8, "Li": 6}, -2.9), ({"P": 2, "O": 5}, -2.2), ({"Li": 2, "O": 1}, -2.0)]
    )
    height_only = np.array([False, True, False])
    hull = Hull(
        {"Li": -1.9, "P": -5.4, "O": -4.9}, replace(compounds, height_only=height_only),
        name="own", date="2026-11-29", potential="EMT", sources=("a", "b"), error=0.01,
    )  # fmt: skip
    path = tmp_path / "own.parquet"
    write_compact_hull(hull, path)
    for read in (read_compact_hull(path), open_hull(path)):
        assert read.summary() == hull.summary()
        assert read.references == hull.references
        found = {read.compounds.formula(i): (e, h) for i, (e, h) in enumerate(
            zip(read.compounds.energies, read.compounds.height_only, strict=True))}  # fmt: skip
        assert found == {
            "Li3PO4": (pytest.approx(-2.9, abs=3e-7), False),
            "P2O5": (pytest.approx(-2.2, abs=3e-7), True),
            "Li2O": (pytest.approx(-2.0, abs=3e-7), False),
        }


def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "hull.parquet"
    write_compact_hull(Hull({"Na": -1.3}, make_compounds([({"Na": 1, "Cl": 1}, -2.0)])), path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns("counts"), path)
    with pytest.raises(InputError, match=r"damaged hull.*--hull"):
        open_hull(path)


def test_the_shipped_hull_needs_no_network_and_no_heavy_library() -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from crystext.energies.hull_sources import open_hull\n"
        "hull = open_hull()\n"
        "print(hull.name, len(hull.compounds), len(hull.references))\n"
        "print([name for name in ('pandas', 'torch', 'pymatgen.core', 'ase') "
        "if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["mp2020 95834 89", "[]"]


def test_the_shipped_hull_says_where_it_is_from_and_how_good_it_is(root: Path) -> None:
    hull = open_hull("mp2020")
    assert hull.potential is None
    assert hull.date == "2023-02-07"
    made = json.loads(
        (root / "evaluation/results/independent_of_weights/mp2020_hull.json").read_text()
    )
    path = shipped_file("mp2020")
    assert path is not None
    assert path.stat().st_size == made["bytes"] < 700_000
    assert hull.error == made["error_where_the_label_is_hidden_ev_per_atom"]["mean_absolute"]
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    assert "Creative Commons Attribution 4.0" in text
    assert "build_mp2020_hull" in text


def test_the_shipped_hull_has_the_formation_energies_of_known_compounds() -> None:
    hull = open_hull()
    # Materials Project, PBE(+U) with MP2020 corrections, in eV/atom.
    known = {"NaCl": -2.10, "MgO": -3.06, "SrTiO3": -3.55, "GaAs": -0.43, "LiPO3": -2.70}
    for formula, expected in known.items():
        found = hull.energy(Composition(formula).get_el_amt_dict())
        assert found == pytest.approx(expected, abs=0.1), formula


def test_a_known_compound_of_its_own_system_is_no_candidate_by_a_gap_in_the_table() -> None:
    shipped, m3gnet = open_hull(), open_hull("m3gnet")
    known = shipped.phases_at({"Li": 1, "P": 1, "O": 3})
    assert known is not None
    assert known.evidence is Evidence.COMPOSITION
    assert str(known.mixture) == "1.00 LiPO3"
    assert known.with_all_elements >= 3
    gap = m3gnet.phases_at({"Li": 1, "P": 1, "O": 3})
    assert gap is not None
    assert (gap.with_all_elements, gap.evidence) == (1, Evidence.NONE)
    for hull in (shipped, m3gnet):
        actinium = hull.phases_at({"Ac": 3, "Se": 4})
        assert actinium is not None
        assert (actinium.with_all_elements, actinium.evidence) == (1, Evidence.NONE)


def test_the_shipped_hull_is_the_published_points(shared_data: Path) -> None:
    ours, points = open_hull(), read_hull_folder(shared_data / "hull")
    assert ours.references == points.references
    energies = {points.compounds.formula(i): e for i, e in enumerate(points.compounds.energies)}
    assert len(ours.compounds) == len(energies)
    for i in range(0, len(ours.compounds), 50):
        formula = ours.compounds.formula(i)
        assert ours.compounds.energies[i] == pytest.approx(energies[formula], abs=3e-7)


def test_published_energies_above_the_hull_follow_from_formation_energies(
    shared_data: Path,
) -> None:
    table = pq.read_table(shared_data / "mp20_test.parquet").to_pylist()[::9]
    hull = open_hull()
    mixtures = lowest_mixtures(
        [{ATOMIC_NUMBERS[s]: n for s, n in parse_formula(r["pretty_formula"]).items()}
         for r in table],
        hull.compounds,
    )  # fmt: skip
    errors = np.array([
        row["formation_energy_per_atom"] - mixture.energy - row["e_above_hull"]
        for row, mixture in zip(table, mixtures, strict=True)
    ])  # fmt: skip
    assert np.abs(errors).mean() < 0.004
    assert np.median(np.abs(errors)) < 1e-6


def test_the_complete_hull_is_downloaded_and_names_those_that_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> Path:
        raise InputError("no network")

    monkeypatch.setattr(hulls, "fetch", refuse)
    with pytest.raises(InputError, match="mp2020 or m3gnet, which come with the package"):
        open_hull("mp2020-full")
    with gzip.open(tmp_path / hulls._ENERGIES_FILE.name, "wt") as file:
        file.write("formula,formation_energy_per_atom,energy_above_hull\nNaCl,-2.0,0.0\n")
    with gzip.open(tmp_path / hulls._ELEMENTS_FILE.name, "wt") as file:
        json.dump({s: {"energy": -2.0, "composition": {s: 2.0}} for s in ("Na", "Cl")}, file)
    monkeypatch.setattr(hulls, "fetch", lambda *_: tmp_path)
    assert open_hull("mp2020-full").name == "mp2020-full"
