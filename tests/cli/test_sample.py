"""`crystext sample` as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase.io import read as ase_read
from pymatgen.core.structure import Structure

from crystext.generation.run import read_attempts
from crystext.io.read import read_crystals
from crystext.io.write import write_crystals
from crystext.metrics.structure_validity import is_structure_valid
from crystext.runtime.shipped_files import shipped_model
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.text import decode
from tests.conftest import Run
from tests.example_crystals import IRON, WURTZITE
from tests.inference.test_coordinate_reader import nearest_over_radii

Refuses = Callable[..., str]
Draw = Callable[..., list[dict[str, Any]]]

N = 24
USUAL = ("--n", N, "--batch-size", N, "--max-atoms", 4, "--workers", 1)


@pytest.fixture(scope="module")
def draw(cli: Run, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Draw:
    """Runs the command with some options, and returns its attempts."""

    def run(*options: object) -> list[dict[str, Any]]:
        out = tmp_path_factory.mktemp("draw") / "run"
        ended = cli("sample", "--model", tiny_model, "--out", out, *USUAL, *options)
        assert ended.returncode == 0, ended.stderr
        return list(read_attempts(out))

    return run


@pytest.fixture(scope="module")
def usual(cli: Run, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without any special wish."""
    out = tmp_path_factory.mktemp("usual") / "run"
    ended = cli("sample", "--model", tiny_model, "--out", out, *USUAL)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{N} attempts, {N} of them crystals, in {out / 'attempts.jsonl'}\n"
    return out


@pytest.fixture
def run(usual: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(usual, tmp_path / "run"))


def crystals_of(attempts: list[dict[str, Any]]) -> list[Crystal]:
    crystals = [decode(attempt["text"]).crystal for attempt in attempts]
    assert None not in crystals
    return [crystal for crystal in crystals if crystal is not None]


def texts_of(attempts: list[dict[str, Any]]) -> list[str]:
    return [attempt["text"] for attempt in attempts]


def test_the_seed_reaches_the_sampler(draw: Draw, usual: Path) -> None:
    assert not set(texts_of(draw("--seed", 1))) & set(texts_of([*read_attempts(usual)]))


def test_the_temperature_reaches_the_sampler(draw: Draw, usual: Path) -> None:
    assert len(set(texts_of([*read_attempts(usual)]))) == N
    assert len(set(texts_of(draw("--temperature", 0)))) == 1


def test_top_p_reaches_the_sampler(draw: Draw) -> None:
    assert len(set(texts_of(draw("--top-p", 1e-6)))) == 1


def test_max_atoms_reaches_the_sampler(draw: Draw, usual: Path) -> None:
    assert {len(c) for c in crystals_of(draw("--max-atoms", 1))} == {1}
    assert max(len(c) for c in crystals_of([*read_attempts(usual)])) == 4


def test_min_distance_reaches_the_sampler(draw: Draw, usual: Path) -> None:
    # Of two atoms in a crowded cell, the second may have no place far enough.
    wide = crystals_of(draw("--min-distance-ratio", 1, "--max-atoms", 1))
    usual_crystals = crystals_of([*read_attempts(usual)])
    assert min(map(nearest_over_radii, wide)) >= 1
    assert min(map(nearest_over_radii, usual_crystals)) < 1


def test_excluded_elements_reach_the_sampler(draw: Draw, usual: Path) -> None:
    met = sorted({symbol for c in crystals_of([*read_attempts(usual)]) for symbol in c.symbols})
    banned = met[: len(met) // 2]
    options = [part for symbol in banned for part in ("--exclude", symbol)]
    found = {symbol for c in crystals_of(draw(*options)) for symbol in c.symbols}
    assert found
    assert not found & set(banned)


def options_of(wanted: dict[str, object]) -> list[object]:
    return [part for name, value in wanted.items() for part in (f"--{name}", value)]


def test_conditions_reach_prompt_sampler_and_record(
    cli: Run, tiny_model: Path, tmp_path: Path
) -> None:
    wanted = {
        "composition": "ClNa", "n-atoms": "2", "space-group": "Fm3m", "density": 2.16,
        "formation-energy": -2.1, "band-gap": 5, "e-above-hull": 0, "guidance": 1.5,
        "until": "matched", "max-tries": 2,
    }  # fmt: skip
    out = tmp_path / "run"
    command = "sample", "--model", tiny_model, "--out", out, "--n", 6, "--batch-size", 6
    ended = cli(*command, "--workers", 1, "--neutral", *options_of(wanted))
    assert ended.returncode == 0, ended.stderr
    attempts = list(read_attempts(out))
    for line in ("Formula: NaCl", "Number of atoms: 2", "Space group number: 225",
                 "Density in g/cm3: 2.16", "Formation energy in eV/atom: -2.10",
                 "Band gap in eV: 5.00", "Energy above hull in eV/atom: 0.000"):  # fmt: skip
        assert f"\n{line}\n" in attempts[0]["prompt"]
    assert {tuple(sorted(c.symbols)) for c in crystals_of(attempts)} == {("Cl", "Na")}
    asked = {record["name"]: record["requested"] for record in attempts[0]["conditions"]}
    assert asked == {
        "composition": "NaCl", "n_atoms": "2", "space_group": 225, "density": 2.16,
        "formation_energy": -2.1, "band_gap": 5.0, "e_above_hull": 0.0, "neutral": True,
    }  # fmt: skip
    assert {attempt["attempts"] for attempt in attempts if not attempt["satisfied"]} <= {2}
    assert json.loads((out / "settings.json").read_text())["guidance"] == 1.5
    assert "composition: enforced, satisfied by 6 of 6\n" in ended.stdout
    assert "band_gap: steered; cannot be checked in a crystal\n" in ended.stdout


def test_elements_and_crystal_systems_reach_the_sampler(draw: Draw) -> None:
    wanted = {"elements": "O", "only": "Li-O-Fe-U", "exclude": "U", "crystal-system": "cubic"}
    attempts = draw(*options_of(wanted))
    for crystal in crystals_of(attempts):
        assert "O" in crystal.symbols
        assert set(crystal.symbols) <= {"Li", "O", "Fe"}
        # The primitive cells of cubic lattices have one length, or are reduced so.
        assert crystal.lengths[0] == pytest.approx(crystal.lengths[1], abs=0.02)
    assert "Crystal system: cubic" in attempts[0]["prompt"]


def test_each_row_of_a_table_is_drawn_and_a_bad_one_is_told(
    cli: Run, tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("chemical_system,n_atoms\nNa-Cl,2\nNa-Xx,2\n,3\n")
    command = "sample", "--model", tiny_model, "--out", tmp_path / "run", "--workers", 1
    ended = cli(*command, "--n", 3, "--conditions", table, "--exclude", "Og")
    assert ended.returncode == 0, ended.stderr
    assert f"{table}, line 3: no element 'Xx'" in ended.stderr
    assert "1 of 3 rows left out" in ended.stderr
    attempts = list(read_attempts(tmp_path / "run"))
    assert [len(crystal) for crystal in crystals_of(attempts)] == [2, 2, 2, 3, 3, 3]
    assert "chemical_system: enforced, satisfied by 3 of 3\n" in ended.stdout
    assert "exclude: enforced, satisfied by 6 of 6\n" in ended.stdout


def test_a_table_without_a_good_row_is_refused(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path
) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "run"
    table.write_text("space_group\n231\n0\n")
    message = cli_refuses(
        "sample", "--model", tiny_model, "--out", out, "--conditions", table
    ).splitlines()
    assert [line.startswith("crystext: ") for line in message] == [True] * 3
    assert "has 2 rows, and none of them is valid" in message[-1]
    assert not out.exists()


def test_without_constraints_faults_are_written_with_their_names(draw: Draw) -> None:
    attempts = draw("--unconstrained", "--max-atoms", 1)
    assert [attempt["index"] for attempt in attempts] == list(range(N))
    assert any(attempt["failure"] is not None for attempt in attempts)


def test_the_shipped_model_is_drawn_from_without_any_option(cli: Run, tmp_path: Path) -> None:
    if not shipped_model().is_dir():
        pytest.skip("the weights are not in this checkout")
    ended = cli("sample", "--n", 5, "--batch-size", 5, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    attempts = list(read_attempts(tmp_path / "run"))
    assert len(crystals_of(attempts)) == 5


def test_the_same_command_again_changes_nothing(
    cli: Run, run: Path, usual: Path, tiny_model: Path
) -> None:
    ended = cli("sample", "--model", tiny_model, "--out", run, *USUAL)
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"{N} attempts, {N} of them crystals")
    names = sorted(p.name for p in run.iterdir())
    assert names == ["attempts.jsonl", "lock", "settings.json", "starts.jsonl"]
    for name in names:
        assert (run / name).read_bytes() == (usual / name).read_bytes()


@pytest.fixture
def export(cli: Run, run: Path, tiny_model: Path) -> Callable[..., str]:
    def export(*options: object) -> str:
        ended = cli("sample", "--model", tiny_model, "--out", run, *USUAL, *options)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return export


def test_cifs_are_written_and_written_again(export: Callable[..., str], run: Path) -> None:
    for _ in range(2):
        assert f"{N} crystals in {run / 'cif'}" in export("--to", "cif")
        names = [p.name for p in sorted((run / "cif").iterdir())]
        formulas = [reduced_formula(c) for c in crystals_of([*read_attempts(run)])]
        assert names == [f"{i:06d}-{formula}.cif" for i, formula in enumerate(formulas)]
    expected = crystals_of([*read_attempts(run)])[3]
    structure = Structure.from_file(run / "cif" / names[3])
    assert len(structure) == len(expected)
    assert structure.composition == expected.structure.composition
    assert structure.volume == pytest.approx(expected.volume)


def test_symmetrized_cifs_have_the_group_of_the_crystal(
    export: Callable[..., str], run: Path
) -> None:
    rewritten(run, {2: "225\nNa 4a\nCl 4b\n5.64"})
    export("--to", "cif", "--symmetrized")
    path = run / "cif" / "000002-NaCl.cif"
    assert "_space_group_name_H-M_alt   'F m -3 m'" in path.read_text()
    assert len(Structure.from_file(path)) == 8
    export("--to", "poscar", "--conventional")
    assert len(Structure.from_file(run / "poscar" / "000002-NaCl.vasp")) == 8


def test_a_cell_that_nothing_writes_is_refused(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path
) -> None:
    command = "sample", "--model", tiny_model, "--out", tmp_path / "run"
    assert "missing; try --to cif" in cli_refuses(*command, "--symmetrized")
    message = cli_refuses(*command, "--symmetrized", "--to", "poscar")
    assert "cannot hold symmetry operations" in message
    assert not (tmp_path / "run").exists()


def test_a_random_seed_is_recorded_and_gone_on_with(
    cli: Run, cli_refuses: Refuses, tiny_model: Path, tmp_path: Path
) -> None:
    seeds = set()
    for name, totals in (("one", ("2", "4")), ("two", ("2",))):
        command = "sample", "--model", tiny_model, "--out", tmp_path / name, "--seed", "random"
        for n in totals:
            ended = cli(*command, "--n", n)
            assert ended.returncode == 0, ended.stderr
        seeds.add(json.loads((tmp_path / name / "settings.json").read_text())["seed"])
        assert len(list(read_attempts(tmp_path / name))) == int(totals[-1])
    assert len(seeds) == 2
    command = "sample", "--model", tiny_model, "--out", tmp_path / "x"
    assert "Did you mean 'random'" in cli_refuses(*command, "--seed", "randon")
    assert "give all of them the same number" in cli_refuses(
        *command, "--seed", "random", "--shard", "1/2"
    )


def test_a_folder_of_someone_else_is_not_emptied(
    cli_refuses: Refuses, run: Path, tiny_model: Path
) -> None:
    (run / "cif").mkdir()
    (run / "cif" / "mine.cif").write_text("mine")
    command = "sample", "--model", tiny_model, "--out", run, *USUAL, "--to", "cif"
    assert "holds files already" in cli_refuses(*command)
    assert (run / "cif" / "mine.cif").read_text() == "mine"


def test_poscars_are_written(export: Callable[..., str], run: Path) -> None:
    export("--to", "poscar")
    files = sorted((run / "poscar").iterdir())
    assert [p.stem.partition("-")[0] for p in files] == [f"{i:06d}" for i in range(N)]
    expected = crystals_of([*read_attempts(run)])[0]
    assert len(ase_read(files[0], format="vasp")) == len(expected)


@pytest.mark.parametrize("format", ["extxyz", "parquet", "csv", "json"])
def test_one_file_of_all_crystals_is_written(
    export: Callable[..., str], run: Path, format: str
) -> None:
    assert f"{N} crystals in" in export("--to", format)
    read = [item.crystal for item in read_crystals(run / f"crystals.{format}")]
    assert [len(crystal) for crystal in read if crystal is not None] == [
        len(crystal) for crystal in crystals_of([*read_attempts(run)])
    ]


def rewritten(run: Path, texts: dict[int, str]) -> None:
    """Put other texts in place of some of a run's."""
    path = run / "attempts.jsonl"
    attempts = [json.loads(line) for line in path.read_text().splitlines()]
    for index, text in texts.items():
        attempts[index] |= {"text": text, "fault": None}
    path.write_text("".join(json.dumps(attempt) + "\n" for attempt in attempts))


TOUCHING = "5.00 5.00 5.00\n90.00 90.00 90.00\nNa\n0.000 0.000 0.000\nCl\n0.010 0.000 0.000"


def test_only_valid_crystals_are_kept_on_request(export: Callable[..., str], run: Path) -> None:
    rewritten(run, {2: TOUCHING, 5: TOUCHING})
    assert not is_structure_valid(crystals_of([*read_attempts(run)])[2])
    assert f"{N - 2} crystals in" in export("--to", "cif", "--keep", "valid")
    kept = {p.stem.partition("-")[0] for p in (run / "cif").iterdir()}
    assert kept == {f"{i:06d}" for i in range(N)} - {"000002", "000005"}


def test_only_unique_crystals_are_kept_on_request(export: Callable[..., str], run: Path) -> None:
    texts = texts_of([*read_attempts(run)])
    rewritten(run, {4: texts[1], 9: texts[1]})
    export("--to", "cif", "--keep", "unique")
    kept = {p.stem.partition("-")[0] for p in (run / "cif").iterdir()}
    assert "000001" in kept
    assert not {"000004", "000009"} & kept


def test_what_is_kept_is_refused_without_a_format(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    message = cli_refuses("sample", "--model", tiny_model, "--out", out, "--keep", "unique")
    assert "missing; try --to cif" in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--n", 0), "0 crystals: expected 1 or more"),
        (("--n", -3), "-3 crystals: expected 1 or more"),
        (("--temperature", -1), "a temperature of -1: expected 0"),
        (("--temperature", "nan"), "a temperature of nan"),
        (("--top-p", 0), "a top-p of 0: expected a number in (0, 1]"),
        (("--top-p", 1.5), "a top-p of 1.5"),
        (("--max-atoms", 0), "at most 0 atoms: expected 1 to"),
        (("--max-atoms", 10**12), "expected 1 to 1000"),
        (("--min-distance-ratio", 2), "a distance scale of 2"),
        (("--exclude", "Xx"), "no element 'Xx'"),
        (("--exclude", "na"), "Did you mean 'Na'"),
        (("--seed", -1), "a seed of -1"),
        (("--batch-size", 0), "a batch size of 0"),
        (("--workers", 0), "0 workers"),
        (("--to", "cfi"), "Did you mean 'cif'"),
        (("--unconstrained", "--exclude", "U"), "without constraints"),
        (("--composition", "LiFeXO4"), "there is no element 'X'"),
        (("--composition", "Ca5P3O13H"), "take max_atoms 22"),
        (("--space-group", 231), "The nearest is 230"),
        (("--elements", "Li", "--exclude", "Li"), "Li is both requested and excluded"),
        (("--max-attempts-per-sample", 5), "add --until satisfied"),
        (("--until", "satisfied"), "none of them can be checked"),
        (("--guidance", 2), "the prompt has none"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_bad_options_are_refused_before_anything_is_made(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path, options: tuple[object], expected: str
) -> None:
    out = tmp_path / "run"
    message = cli_refuses("sample", "--model", tiny_model, "--out", out, *options)
    assert expected in message
    assert message.startswith("crystext: ")
    assert message.count("\n") == 1
    assert not out.exists()


def test_a_model_that_is_nowhere_is_told(cli_refuses: Refuses, tmp_path: Path) -> None:
    message = cli_refuses("sample", "--model", "nowhere", "--out", tmp_path / "run")
    assert message.startswith("crystext: no model folder nowhere; expected 'shipped'")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("pickled", [False, True])
def test_a_model_without_safetensors_is_refused(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path, pickled: bool
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (model / "model.safetensors").unlink()
    if pickled:
        (model / "pytorch_model.bin").write_bytes(b"\x80\x04")
    message = cli_refuses("sample", "--model", model, "--out", tmp_path / "run")
    assert "lacks model.safetensors" in message
    assert not (tmp_path / "run").exists()


def test_damaged_weights_are_told_in_one_message(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    os.truncate(model / "model.safetensors", 3000)
    message = cli_refuses("sample", "--model", model, "--out", tmp_path / "run")
    lines = [line for line in message.splitlines() if line.startswith("crystext: ")]
    assert len(lines) == 1
    assert f"the model in {model} cannot be loaded" in lines[0]


def test_too_many_atoms_for_the_model_are_told(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path
) -> None:
    options = "--max-atoms", 100, "--batch-size", 1
    message = cli_refuses("sample", "--model", tiny_model, "--out", tmp_path / "run", *options)
    assert "256 positions; try fewer atoms" in message


def test_a_file_for_a_folder_is_refused(
    cli_refuses: Refuses, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    message = cli_refuses("sample", "--model", tiny_model, "--out", tmp_path / "file")
    assert "is a file; expected a folder" in message
    assert (tmp_path / "file").read_text() == "mine"


def test_fewer_attempts_than_the_run_holds_are_not_drawn_and_it_says_so(
    cli: Run, run: Path, tiny_model: Path
) -> None:
    before = (run / "attempts.jsonl").read_bytes()
    ended = cli("sample", "--model", tiny_model, "--out", run, *USUAL, "--n", N - 4)
    assert ended.returncode == 0, ended.stderr
    assert f"no new samples: the run already has more than --n {N - 4}" in ended.stdout
    assert (run / "attempts.jsonl").read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(cli_refuses: Refuses, tiny_model: Path) -> None:
    message = cli_refuses("sample", "--model", tiny_model, "--out", "/proc/nowhere/run")
    assert message.startswith("crystext: /proc/nowhere/run cannot be written: ")
    assert "choose a place where you may write" in message
    assert message.count("\n") == 1


def test_other_settings_are_refused(cli_refuses: Refuses, run: Path, tiny_model: Path) -> None:
    command = "sample", "--model", tiny_model, "--out", run, *USUAL, "--seed", 7, "--top-p", 0.5
    message = cli_refuses(*command)
    assert "  seed (--seed): 0 there, 7 here\n" in message
    assert "  top_p (--top-p): 1.0 there, 0.5 here\n" in message
    assert "give" in message.lower()


def test_formulas_of_crystals_are_requested_and_their_proposals_compared(
    cli: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_crystals([("iron", IRON), ("zinc sulfide", WURTZITE)], Path("known.extxyz"))
    options = ("--formulas-of", "known.extxyz", "--n", 2, "--workers", 1, "--out", "run")
    ended = cli("sample", "--model", tiny_model, *options)
    assert ended.returncode == 0, ended.stderr
    attempts = list(read_attempts(Path("run")))
    requested = [{x["name"]: x["requested"] for x in row["conditions"]} for row in attempts]
    expected = [{"composition": "Fe", "n_atoms": "1"}, {"composition": "ZnS", "n_atoms": "4"}]
    assert requested == [row for row in expected for _ in range(2)]
    assert all(row["satisfied"] for row in attempts)
    report = ("--targets", "known.extxyz", "--workers", 1, "--out", "report")
    ended = cli("evaluate", "run", "--protocol", "csp-mp20", *report)
    assert ended.returncode == 0, ended.stderr
    metrics = json.loads(Path("report/report.json").read_text())["metrics"]
    totals = {x["name"]: x["total"] for x in metrics if x["stage"] == "proposals"}
    assert totals["match_rate_1"] == totals["match_rate_2"] == totals["match_rate_likelihood"] == 2


def test_two_sources_of_formulas_are_refused(cli_refuses: Refuses, tmp_path: Path) -> None:
    both = ("--formulas-of", "mp20_val", "--conditions", tmp_path / "t.csv")
    assert "--formulas-of both" in cli_refuses("sample", *both, "--out", tmp_path / "run")
