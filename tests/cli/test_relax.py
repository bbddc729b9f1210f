"""`crystext relax` and `crystext hull`, as a user runs them."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from crystext.cli.hull import hull
from crystext.cli.relax import relax
from crystext.energies.corrections import EnergyCorrection
from crystext.energies.relaxation_files import (
    TABLE,
    RelaxedSet,
    RelaxedStructure,
    read_relaxed,
    write_relaxed,
)
from crystext.errors import CrystextError, InputError, ModelError, RunError, SettingError
from crystext.evaluate.samples import read_samples
from crystext.io.read import read_crystal
from crystext.io.write import extxyz, write_crystals
from crystext.structures.crystal import Crystal
from tests.process_tasks import COPPER

Run = Callable[..., subprocess.CompletedProcess[str]]

CENTRE = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])


def cell(length: float, angle: float, *numbers: int) -> Crystal:
    places = CENTRE[: len(numbers)]
    return Crystal(np.full(3, length), np.full(3, angle), np.array(numbers), places)


ALUMINIUM, NICKEL, ALLOY = cell(2.86, 60.0, 13), cell(2.49, 60.0, 28), cell(2.9, 90.0, 28, 13)


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    return shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES"


def test_from_crystals_to_a_hull_of_ones_own_and_a_distance_to_it(
    cli: Run, weights: Path, tmp_path: Path
) -> None:
    frames = [extxyz(x, name) for x, name in ((ALUMINIUM, "Al"), (NICKEL, "Ni"), (ALLOY, "NiAl"))]
    close = Crystal(ALLOY.lengths, ALLOY.angles, ALLOY.numbers, CENTRE * 0.1)
    (tmp_path / "in.extxyz").write_text("".join([*frames, extxyz(close), "1\nnoise\nQq 0 0 0\n"]))
    out = tmp_path / "relaxed"
    command = ("relax", tmp_path / "in.extxyz", "--out", out, "--potential", weights)
    ended = cli(*command, "--to", "cif")
    assert ended.returncode == 0, ended.stderr
    summary = "3 converged, 0 ran out of steps, 2 without an energy (1 TOO_CLOSE, 1 UNREADABLE); "
    assert f"5 structures: {summary}" in ended.stdout
    assert "steps on average to converge" in ended.stdout
    assert "TOO_CLOSE" in ended.stderr
    assert "UNREADABLE" in ended.stderr
    rows = pq.read_table(out / TABLE).to_pylist()
    assert [row["failure"] for row in rows] == [None, None, None, "TOO_CLOSE", "UNREADABLE"]
    assert rows[2]["energy_ev_per_atom"] == pytest.approx(rows[2]["energy_ev"] / 2)

    # Every structure is met once, in whatever forms the folder holds it.
    assert len(read_samples(out).samples) == 5
    names = ["000000-Al.cif", "000001-Ni.cif", "000002-NiAl.cif"]
    assert sorted(path.name for path in (out / "cif").iterdir()) == names
    written = read_crystal(out / "cif" / names[2]).lengths
    assert written.tolist() == pytest.approx(rows[2]["lengths"], abs=1e-6)
    again = cli(*command, "--to", "cif")
    assert again.stdout.splitlines()[-1] == f"3 crystals in {out / 'cif'}", again.stderr

    made, placed = tmp_path / "hull.parquet", tmp_path / "placed.csv"
    assert cli("hull", out, "--make", "--out", made).returncode == 0
    ended = cli("hull", out, "--hull", made, "--out", placed)
    assert ended.returncode == 0, ended.stderr
    assert "energies of M3GNet-MP-2021.2.8-PES" in ended.stdout
    assert "  NiAl  AlNi  0.000  metastable\n" in ended.stdout
    assert "no_energy        2" in ended.stdout
    assert "unstable" not in ended.stdout, "no line of zeros"
    table = list(csv.DictReader(placed.open()))
    assert [row["stability"] for row in table] == ["metastable"] * 3 + ["no_energy"] * 2
    assert [row["space_group"] for row in table] == ["225", "225", "221", "", ""]
    assert table[4]["message"]
    assert [row["decomposition"] for row in table[:3]] == ["1.00 Al", "1.00 Ni", "1.00 AlNi"]
    # Measured: -0.61 eV/atom (O. Kubaschewski et al., Materials Thermochemistry, 1993).
    assert float(table[2]["e_form_ev_per_atom"]) == pytest.approx(-0.61, abs=0.2)
    assert [float(row["e_above_hull_ev_per_atom"]) for row in table[:3]] == [0, 0, 0]

    # The hull that comes with the package needs no option and no network.
    ended = cli("hull", out, "--out", placed)
    assert ended.returncode == 0, ended.stderr
    assert "hull: mp2020, of 2023-02-07" in ended.stdout
    table = list(csv.DictReader(placed.open()))
    assert {row["evidence"] for row in table} == {"composition", ""}
    alloy = next(row for row in table if row["formula"] == "AlNi")
    assert float(alloy["e_above_hull_ev_per_atom"]) == pytest.approx(0, abs=0.1)


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without weights and without a network."""
    return {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": "http://127.0.0.1:9",  # where nothing listens
    }


def test_without_weights_and_network_chgnet_relaxes_and_is_recorded(
    cli: Run, tmp_path: Path, offline: dict[str, str]
) -> None:
    caesium = Crystal(np.full(3, 12.0), np.full(3, 90.0), np.array([55]), CENTRE[:1])
    write_crystals([("NiAl", ALLOY), ("Cs", caesium)], tmp_path / "in.extxyz")
    command = ("relax", tmp_path / "in.extxyz", "--out", tmp_path / "out")
    ended = cli(*command, env=offline)
    assert ended.returncode == 0, ended.stderr
    counts = "1 converged, 0 ran out of steps, 1 without an energy (1 ISOLATED_ATOM)"
    assert f"2 structures: {counts}" in ended.stdout
    assert "energies: CHGNet-0.3.0" in ended.stdout
    assert (
        "CHGNet-0.3.0, since M3GNet-MP-2021.2.8-PES is not in a cache, and the Hub" in ended.stderr
    )
    assert "ISOLATED_ATOM" in ended.stderr
    found = read_relaxed(tmp_path / "out")
    assert (found.potential, found.correction) == ("CHGNet-0.3.0", EnergyCorrection.CORRECTED)
    assert [row.failure_kind for row in found.structures] == [None, "ISOLATED_ATOM"]


def test_m3gnet_that_cannot_be_had_is_refused_at_once_with_two_ways_out(
    cli_refuses: Callable[..., str], tmp_path: Path, offline: dict[str, str]
) -> None:
    write_crystals([("NiAl", ALLOY)], tmp_path / "in.extxyz")
    started = time.monotonic()
    message = cli_refuses(
        *("relax", tmp_path / "in.extxyz", "--out", tmp_path / "out", "--potential", "m3gnet"),
        env=offline,
    )
    # At rest 2 s; the retries of matgl and huggingface_hub would take 100 s.
    assert time.monotonic() - started < 60
    assert "--potential chgnet" in message
    assert "hf download materialyze/M3GNet-MP-2021.2.8-PES --local-dir" in message
    assert not (tmp_path / "out").exists()


def test_a_potential_of_ones_own_is_given_by_import_path(
    cli: Run, root: Path, tmp_path: Path
) -> None:
    write_crystals([(str(i), COPPER) for i in range(2)], tmp_path / "in.extxyz")
    out, example = tmp_path / "out", root / "examples" / "08_potential.py"
    ended = cli("relax", tmp_path / "in.extxyz", "--out", out, "--potential", f"{example}:emt")
    assert ended.returncode == 0, ended.stderr
    assert "energies: EMT of ASE, of another kind" in ended.stdout
    assert read_relaxed(out).structures[0].energy == pytest.approx(-0.0227, abs=0.02)


@pytest.mark.slow
def test_a_kill_loses_no_relaxation(weights: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    crystals = [
        (f"{i}", Crystal(COPPER.lengths, COPPER.angles, COPPER.numbers,
                         COPPER.positions + rng.normal(0, 0.03, (4, 3))))
        for i in range(6)
    ]  # fmt: skip
    write_crystals(crystals, tmp_path / "in.extxyz")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "crystext", "relax", str(tmp_path / "in.extxyz"),
               "--out", str(out), "--potential", str(weights), "--workers", "1"]  # fmt: skip
    lines = out / "relaxations.jsonl"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not (lines.exists() and lines.read_bytes().count(b"\n") > 1):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = lines.read_bytes().splitlines()[:2]
    assert subprocess.run(command, check=False).returncode == 0
    assert lines.read_bytes().splitlines()[:2] == kept
    assert pq.read_table(out / TABLE).num_rows == 6


def test_what_cannot_be_asked_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = tmp_path / "in.extxyz"
    write_crystals([("a", COPPER)], source)
    out = tmp_path / "out"
    wrong: list[tuple[dict[str, object], type[CrystextError], str]] = [
        ({"potential": "m3gent"}, ModelError, "Did you mean 'm3gnet'"),
        ({"fmax": 0.0}, SettingError, "--fmax 0"),
        ({"timeout": float("nan")}, SettingError, "--timeout nan"),
        ({"format": "poscr"}, SettingError, "expected cif or poscar.*Did you mean 'poscar'"),
        ({"format": "parquet"}, SettingError, r"relaxed\.parquet .* written anyway"),
        ({"source": tmp_path / "absent"}, InputError, "absent"),
        ({"out": source}, RunError, "is a file"),
    ]
    for options, kind, match in wrong:
        with pytest.raises(kind, match=match):
            relax(**{"source": source, "out": out, **options})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [source]


def test_crystals_that_are_all_too_close_end_with_status_2_and_a_table_that_says_so(
    cli_refuses: Callable[..., str], weights: Path, tmp_path: Path
) -> None:
    close = Crystal(ALLOY.lengths, ALLOY.angles, ALLOY.numbers, CENTRE * 0.1)
    write_crystals([("a", close)], tmp_path / "in.cif")
    out = tmp_path / "out"
    message = cli_refuses("relax", tmp_path / "in.cif", "--out", out, "--potential", weights)
    assert "none of the 1 structures" in message
    assert pq.read_table(out / TABLE).to_pylist()[0]["failure"] == "TOO_CLOSE"


def test_a_hull_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    rows = (
        RelaxedStructure(ALUMINIUM, name="a", energy=-3.0, steps=1, converged=True),
        RelaxedStructure(NICKEL, name="b", energy=-5.0, steps=1, converged=True),
    )
    write_relaxed(RelaxedSet("EMT", EnergyCorrection.OWN, rows), tmp_path / "relaxed")
    source, out = tmp_path / "relaxed", tmp_path / "out.csv"
    wrong: list[tuple[dict[str, object], type[CrystextError], str]] = [
        ({"out": tmp_path / "out.txt"}, SettingError, ".csv or .parquet"),
        ({"make": True}, SettingError, "ends in .parquet"),
        ({"make": True, "hull": "self", "out": tmp_path / "x.parquet"}, SettingError, "give one"),
        ({"hull": "mp2021"}, InputError, "Did you mean 'mp2020'"),
        ({"hull": "self", "energies": "raw"}, SettingError, "called 'raw'"),
        ({"hull": "self", "potential": "CHGNet-0.3.0"}, SettingError, "energies of EMT"),
        ({"source": tmp_path}, InputError, "relaxed.parquet"),
    ]
    for options, kind, match in wrong:
        with pytest.raises(kind, match=match):
            hull(**{"source": source, "out": out, **options})  # type: ignore[arg-type]
    assert not out.exists()


def test_an_element_that_the_hull_lacks_is_named_and_the_others_are_placed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (
        RelaxedStructure(ALUMINIUM, name="a", energy=-3.0, steps=1, converged=True),
        RelaxedStructure(NICKEL, name="b", energy=-5.0, steps=1, converged=True),
        RelaxedStructure(cell(2.9, 90.0, 13, 29), name="c", energy=-70.0, steps=1, converged=True),
    )
    write_relaxed(RelaxedSet("EMT", EnergyCorrection.OWN, rows), tmp_path / "relaxed")
    hull(tmp_path / "relaxed", tmp_path / "out.parquet", hull="self")
    told = capsys.readouterr().out
    assert "elements that the hull lacks: Cu (1)" in told
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["stability"] for row in table] == ["metastable", "metastable", "unknown"]
    assert table[2]["unknown_elements"] == "Cu"
    assert table[2]["e_above_hull_ev_per_atom"] is None


def test_a_table_of_another_source_is_replaced_with_a_word_and_its_files_go(
    cli: Run, tmp_path: Path
) -> None:
    for name, crystal in (("al", ALUMINIUM), ("ni", NICKEL)):
        (tmp_path / f"{name}.extxyz").write_text(extxyz(crystal, name))
    potential = Path(__file__).parents[2] / "examples" / "08_potential.py"
    options = ("--out", tmp_path / "relaxed", "--potential", f"{potential}:emt")
    first = cli("relax", tmp_path / "al.extxyz", *options, "--to", "cif")
    assert first.returncode == 0, first.stderr
    assert "replaces" not in first.stderr
    second = cli("relax", tmp_path / "ni.extxyz", *options)
    assert "held 1 structure that this source does not have" in second.stderr
    assert not (tmp_path / "relaxed" / "cif").exists()
