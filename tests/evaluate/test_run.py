"""An evaluation from end to end, on inputs small enough to count by hand."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from crystext.data import shipped
from crystext.data.store import write_store
from crystext.errors import InputError, RunError, SettingError
from crystext.evaluate.protocol import parse_protocol
from crystext.evaluate.report import read_report
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.evaluate.stages.registry import STAGES
from crystext.structures.record import Record
from crystext.text import encode
from tests.evaluate.example_inputs import (
    BRASS,
    CENTRE,
    OVERLAPPING,
    ROCK_SALT,
    TEXTS,
    two_atom_crystal,
    write_run,
    write_table,
)
from tests.example_crystals import EXAMPLE_CRYSTALS

RULES = {
    "name": "small",
    "title": "small",
    "validity": {"source": "s", "min_distance": 0.5, "min_volume": 0.1},
    "novelty": {"source": "s", "ltol": 0.3, "stol": 0.5, "angle_tol": 10},
    "coverage": {"source": "s", "structure": 0.4, "composition": 10},
    "distributions": {"source": "s"},
    "conditioning": {"source": "s"},
    "prediction": {"source": "s", "ltol": 0.3, "stol": 0.5, "angle_tol": 10},
    "ipt": {"source": "s", "crystals": 3, "translations": 4},
}


def rules(*names, **changes):
    kept = {"name", "title", "validity", *names}
    parts = {key: part for key, part in RULES.items() if key in kept or not names}
    return parse_protocol(parts | changes)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


@pytest.fixture
def options(tmp_path):
    write_store(tmp_path / "train", {"train": [Record(BRASS, name="brass")]})
    reference = write_table(
        tmp_path / "known.parquet", [ROCK_SALT, BRASS, EXAMPLE_CRYSTALS["quartz"]]
    )
    return EvaluationOptions(reference=str(reference), training=str(tmp_path / "train"))


def values(report, stage):
    return {x.name: x.value for x in report.metrics if x.stage == stage}


def test_every_share_divides_by_all_attempts(run, options, tmp_path):
    out = tmp_path / "out"
    report = evaluate_samples(run, rules(), out, options=options)
    assert {step.name: step.count for step in report.funnel} == {
        "drawn": 6,
        "parsed": 4,
        "structure_valid": 3,
        "valid": 3,
        "unique": 2,
        "novel": 1,
    }
    assert {step.total for step in report.funnel} == {6}
    validity = {name: round(value * 6) for name, value in values(report, "validity").items()}
    assert validity == {
        "structure_valid": 3,
        "structure_valid_self_images": 3,
        "composition_valid": 4,
        "valid": 3,
        "composition_valid_smact14": 4,
        "composition_valid_smact14_no_alloys": 3,
        "composition_valid_icsd24": 4,
        "composition_valid_icsd24_no_alloys": 3,
    }
    novelty = {name: round(value * 6) for name, value in values(report, "novelty").items()}
    assert novelty == {
        "unique": 3,
        "unique_formulas": 3,
        "most_frequent_formula": 2,
        "novel": 3,
        "unique_and_novel": 2,
        "prototypes": 3 * 6,  # a number, and no proportion
        "same_crystal": 1,
        "substitution": 0,
        "known_prototype": 0,
        "new_prototype": 3,
    }
    # The number of different formulas has no interval.
    different = report.metric("novelty", "unique_formulas")
    assert (different.low, different.high, different.total) == (None, None, 6)
    coverage = values(report, "coverage")
    assert coverage["recall"] == pytest.approx(2 / 3)
    assert coverage["precision"] == 3 / 6
    assert coverage["precision_of_fingerprinted"] == 3 / 4
    assert values(report, "distributions")["wasserstein_n_elements"] == 0
    assert report.counts[0].labels == ["BAD_LENGTHS", "TRUNCATED"]
    assert report.stages["ipt"].state == "unavailable"
    assert "--model" in report.stages["ipt"].note
    assert report == read_report(out / "report.json")
    # A title stands for one proportion, in the funnel and among the metrics.
    proportions = {step.title: step.proportion for step in report.funnel}
    for metric in report.metrics:
        assert metric.value == proportions.get(metric.title, metric.value), metric.title
    assert {metric.title for metric in report.metrics} & proportions.keys()


def test_the_table_has_a_row_for_every_attempt(run, options, tmp_path):
    evaluate_samples(run, rules("novelty", "coverage"), tmp_path / "out", options=options)
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
    assert table["index"].tolist() == list(range(6))
    assert table["failure"].fillna("").tolist() == [""] * 4 + ["BAD_LENGTHS", "TRUNCATED"]
    assert table["formula"][:4].tolist() == ["NaCl", "ZnCu", "NaCl", "KCl"]
    assert table["structure_failure"].dropna().to_dict() == {3: "ATOMS_TOO_CLOSE"}
    assert table["duplicate_of"][2] == 0
    assert table["training_match"][1] == "brass"
    assert table["valid"].isna().tolist() == [False] * 4 + [True] * 2


def test_what_is_measured_is_not_measured_again(run, options, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = evaluate_samples(run, rules("novelty", "coverage"), out, options=options)
    table = (out / "structures.parquet").read_bytes()

    def fail(self, context, settings, result):
        raise AssertionError(f"{self.name} was measured again")

    for stage in STAGES.values():
        monkeypatch.setattr(type(stage), "measure", fail)
    second = evaluate_samples(run, rules("novelty", "coverage"), out, options=options)
    unlike = {"provenance"}
    assert first.model_dump(exclude=unlike) == second.model_dump(exclude=unlike)
    assert (out / "structures.parquet").read_bytes() == table
    # Another threshold is another measurement, of this stage alone.
    other = RULES["coverage"] | {"structure": 0.2}
    with pytest.raises(AssertionError, match="coverage was measured again"):
        evaluate_samples(run, rules("novelty", "coverage", coverage=other), out, options=options)


def test_stages_run_alone_and_their_report_holds_those_before(run, options, tmp_path):
    out = tmp_path / "out"
    both = rules("novelty", "coverage")
    alone = evaluate_samples(run, both, out, only=["novelty"], options=options)
    assert [name for name, note in alone.stages.items() if note.state == "done"] == ["novelty"]
    assert "valid" not in {step.name for step in alone.funnel}
    later = evaluate_samples(run, both, out, only=["validity"], options=options)
    assert set(later.stages) == {"validity", "novelty"}
    assert "novel" in {step.name for step in later.funnel}
    with pytest.raises(SettingError, match="Did you mean 'novelty'"):
        evaluate_samples(run, both, out, only=["novlty"], options=options)
    for name, stage in (("uniqueness", "novelty"), ("recall", "coverage"), ("unique", "novelty")):
        with pytest.raises(SettingError, match=f"{stage} measures {name}: try --only {stage}"):
            evaluate_samples(run, both, out, only=[name], options=options)


def test_a_stage_brings_those_that_it_needs(run, options, tmp_path):
    report = evaluate_samples(
        run, rules(), tmp_path / "out", only=["distributions"], options=options
    )
    assert set(report.stages) == {"validity", "distributions"}


def test_a_missing_training_set_is_told_and_the_rest_goes_on(run, tmp_path):
    nowhere = {"title": "nowhere", "source": "nowhere"}
    report = evaluate_samples(run, rules("novelty", "coverage", training=nowhere), tmp_path / "out")
    assert report.stages["novelty"].state == "done"
    assert "nowhere" in report.stages["novelty"].note
    assert values(report, "novelty")["unique"] == 0.5
    assert "novel" not in values(report, "novelty")
    assert report.stages["coverage"].state == "unavailable"
    assert "--reference" in report.stages["coverage"].note


def test_what_the_shipped_model_drew_is_compared_with_what_it_learned_from(tmp_path, monkeypatch):
    known = {"material_id": ["mp-1", "mp-2"], "text": [encode(BRASS), encode(ROCK_SALT, "wyckoff")]}
    (tmp_path / "sets").mkdir()
    pq.write_table(pa.table(known), tmp_path / "sets" / "training.parquet")
    monkeypatch.setattr(shipped, "shipped_sets", lambda: tmp_path / "sets")
    drawn = write_run(tmp_path / "run", model="shipped")
    report = evaluate_samples(drawn, rules("novelty"), tmp_path / "out")
    assert report.reference_sets["training"].title == "the shipped model's training set"
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
    matches = table.training_match.fillna("").tolist()
    assert matches == ["mp-2", "mp-1", "mp-2", "", "", ""]
    assert "mp-1" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    other = write_run(tmp_path / "other", model="my-model")
    report = evaluate_samples(other, rules("novelty"), tmp_path / "other-out")
    assert "novelty is not known: no training set is named" in report.stages["novelty"].note
    named = evaluate_samples(
        other, rules("novelty"), tmp_path / "named", options=EvaluationOptions(training="shipped")
    )
    assert named.reference_sets["training"].crystals == 2


def test_nothing_measured_is_an_error(run, tmp_path):
    with pytest.raises(InputError, match="--reference"):
        evaluate_samples(run, rules("coverage"), tmp_path / "out", only=["coverage"])
    with pytest.raises(InputError, match=r"no file or folder .*absent"):
        evaluate_samples(
            run, rules(), tmp_path / "out", options=EvaluationOptions(reference="absent")
        )


def test_a_folder_with_other_files_is_left_alone(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"thesis\.tex"):
        evaluate_samples(run, rules("novelty"), out)
    assert [p.name for p in out.iterdir()] == ["thesis.tex"]


def test_bad_crystals_are_counted_and_named(tmp_path):
    """Atoms on or near each other, a thin cell, noble gases, element 118, five hundred atoms."""
    rng = np.random.default_rng(0)
    many = two_atom_crystal(24.0, 90.0, rng.integers(3, 30, 500), rng.random((500, 3)))
    texts = {
        "coinciding": two_atom_crystal(3.0, 90.0, [6, 8], np.zeros((2, 3))),
        "crowded": two_atom_crystal(3.0, 90.0, [6, 8], CENTRE * 0.02),
        "thin": two_atom_crystal(0.3, 90.0, [26, 26]),
        "noble": two_atom_crystal(4.0, 90.0, [2, 54]),
        "heavy": two_atom_crystal(5.0, 90.0, [118, 8]),
        "many": many,
        "salt": ROCK_SALT,
    }
    folder = tmp_path / "cifs"
    folder.mkdir()
    for name, one in texts.items():
        (folder / f"{name}.cif").write_text(one.structure.to(fmt="cif"))
    (folder / "zero.cif").write_text(ROCK_SALT.structure.to(fmt="cif").replace("3.99", "0.0"))
    (folder / "nan.cif").write_text(ROCK_SALT.structure.to(fmt="cif").replace("3.99", "nan"))
    reference = write_table(tmp_path / "known.parquet", [ROCK_SALT])
    report = evaluate_samples(
        folder,
        rules("novelty", "coverage", "distributions"),
        tmp_path / "out",
        options=EvaluationOptions(reference=str(reference)),
    )
    assert {note.state for note in report.stages.values()} == {"done"}
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet").set_index("name")
    assert report.input.samples == len(texts) + 2
    assert table.loc[["zero", "nan", "coinciding"], "message"].notna().all()
    assert table["structure_failure"]["crowded"] == "ATOMS_TOO_CLOSE"
    assert not table["composition_valid"]["noble"]
    assert table["valid"]["salt"]
    assert table["covers_reference"]["salt"]


def test_conditions_are_looked_for_anew(tmp_path):
    asked = [
        [{"name": "composition", "requested": "NaCl"}, {"name": "n_atoms", "requested": "2"}]
    ] * 6
    run = write_run(tmp_path / "run", TEXTS, asked)
    report = evaluate_samples(run, rules("conditioning"), tmp_path / "out")
    assert values(report, "conditioning") == pytest.approx(
        {"all": 2 / 6, "composition": 2 / 6, "n_atoms": 4 / 6}
    )


def test_predictions_are_matched_with_their_targets(run, tmp_path):
    targets = [ROCK_SALT, ROCK_SALT, ROCK_SALT, OVERLAPPING, BRASS, ROCK_SALT]
    path = write_table(tmp_path / "targets.parquet", targets)
    options = EvaluationOptions(targets=str(path))
    report = evaluate_samples(run, rules("prediction"), tmp_path / "out", options=options)
    found = values(report, "prediction")
    # The fourth pair is alike, and not valid.
    assert found["match_rate"] == pytest.approx(2 / 6)
    assert found["formula_match"] == pytest.approx(3 / 6)
    assert found["valid_targets"] == pytest.approx(5 / 6)
    assert found["rmse"] == pytest.approx(0, abs=2e-3)
    with pytest.raises(InputError, match="6 targets for 5 samples"):
        evaluate_samples(run, rules("prediction"), tmp_path / "b", only=["prediction"], n=5,
                 options=options)  # fmt: skip


def test_ipt_is_of_the_model_that_drew(tmp_path, tiny_model, options):
    run = write_run(tmp_path / "run", model=str(tiny_model))
    report = evaluate_samples(run, rules("ipt"), tmp_path / "out", options=options)
    figure = report.metric("ipt", "ipt")
    assert figure.total == 3
    assert figure.value > 0
    again = evaluate_samples(run, rules("ipt"), tmp_path / "again", options=options)
    assert again.metric("ipt", "ipt") == figure


def test_what_is_of_the_model_alone_holds_for_another_input(
    tmp_path, tiny_model, options, monkeypatch
):
    run, out = write_run(tmp_path / "run", model=str(tiny_model)), tmp_path / "out"
    before = evaluate_samples(run, rules("ipt"), out, options=options)

    def fail(self, context, settings, result):
        raise AssertionError(f"{self.name} was measured again")

    monkeypatch.setattr(type(STAGES["ipt"]), "measure", fail)
    longer = write_run(tmp_path / "longer", TEXTS * 2, model=str(tiny_model))
    after = evaluate_samples(longer, rules("ipt"), out, options=options)
    assert after.input.samples == 12
    assert after.metric("validity", "valid").total == 12
    assert after.metric("ipt", "ipt") == before.metric("ipt", "ipt")


def test_any_executor_gives_the_same(run, options, tmp_path):
    both = rules("novelty", "coverage", "distributions")
    alone = evaluate_samples(run, both, tmp_path / "alone", options=options)
    with ThreadPoolExecutor(2) as executor:
        shared = evaluate_samples(run, both, tmp_path / "shared", options=options, workers=executor)
    unlike = {"provenance", "stages"}
    assert alone.model_dump(exclude=unlike) == shared.model_dump(exclude=unlike)


def test_a_kill_at_any_moment_loses_no_stage(tmp_path, root):
    """Killed as soon as a stage is on disk, the next start measures the others, and no more."""
    write_run(tmp_path / "run")
    write_table(tmp_path / "known.parquet", [ROCK_SALT, BRASS])
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump({k: v for k, v in RULES.items() if k not in ("prediction", "ipt")})
    )
    out = tmp_path / "out"
    command = [sys.executable, "-m", "crystext", "evaluate", "run", "--protocol", "small.yaml"]
    command += ["--reference", "known.parquet", "--out", "out", "--workers", "1"]
    surroundings = {**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"}
    started = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=surroundings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    first = out / "work" / "validity.parquet"
    while not first.exists():
        assert started.poll() is None
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    written = first.stat().st_mtime_ns
    ended = subprocess.run(
        command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert first.stat().st_mtime_ns == written
    report = json.loads((out / "report.json").read_text())
    assert {n for n, note in report["stages"].items() if note["state"] == "done"} == {
        "validity",
        "novelty",
        "coverage",
        "distributions",
    }
    assert (out / "report.html").stat().st_size > 0
    assert not list(out.rglob("*.partial*"))


def test_crystals_that_are_read_with_a_note_are_counted_and_say_which(tmp_path):
    text = "LiD\n1\n4 0 0\n0 4 0\n0 0 4\nLi {}\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    (tmp_path / "in").mkdir()
    for name, symbol in (("a", "D"), ("b", "H")):
        (tmp_path / "in" / f"{name}.vasp").write_text(text.format(symbol))
    report = evaluate_samples(
        tmp_path / "in", rules("validity"), tmp_path / "out", only=["validity"]
    )
    assert (report.input.parsed, report.input.with_notes) == (2, 1)
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
    first, second = table["notes"]
    assert first.startswith("deuterium is read as hydrogen (site 2)")
    assert pd.isna(second)
    assert "1 read with a note" in (tmp_path / "out" / "report.html").read_text()


def test_a_stage_is_measured_again_where_other_crystals_are_read(tmp_path):
    text = "LiH\n1\n4 0 0\n0 4 0\n0 0 4\nLi H\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.vasp").write_text(text)
    (tmp_path / "in" / "b.vasp").write_text(text + ".7 .7 .7\n")
    counts = []
    for lenient in (False, True, False):
        evaluate_samples(tmp_path / "in", rules("validity"), tmp_path / "out", lenient=lenient)
        table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
        counts.append(int(table["structure_valid"].eq(True).sum()))
    assert counts == [1, 2, 1]


def test_numbers_that_both_sets_are_labelled_with_are_compared(tmp_path):
    """Categories, and numbers of one set alone, are not."""
    labels = {"band_gap": [1.0, 3.0], "is_metal": [False, False], "e_above_hull": [0.0, 0.1]}
    source = write_table(tmp_path / "made.parquet", [ROCK_SALT, BRASS], **labels)
    known = write_table(tmp_path / "known.parquet", [ROCK_SALT, BRASS], band_gap=[1.0, 1.0])
    options = EvaluationOptions(reference=str(known))
    report = evaluate_samples(
        source, rules("distributions"), tmp_path / "out", only=["distributions"], options=options
    )
    distances = values(report, "distributions")
    assert distances["wasserstein_band_gap"] == pytest.approx(1.0)
    assert "wasserstein_e_above_hull" not in distances
    shown = {x.name: x.title for x in report.histograms}
    assert shown["e_above_hull"] == "energy above hull, as labelled"
    assert "is_metal" not in shown
