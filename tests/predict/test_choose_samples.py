"""The best samples of a run are chosen beside all, and in Python among samples in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystext.errors import RunError, SettingError
from crystext.evaluate.samples import read_samples
from crystext.generation.results import Sample, Samples
from crystext.generation.selected_file import read_selected, read_selection, refuse_selection
from crystext.generation.selection import SelectionRule
from crystext.io.calculations.candidates import read_candidates
from crystext.io.read import read_crystals
from crystext.lm import CrystalLM
from crystext.predict.choose_samples import choose_in_run, choose_samples
from crystext.predict.open import open_predictor
from crystext.text import WYCKOFF, encode
from tests.example_crystals import EXAMPLE_CRYSTALS

TEXTS = [encode(EXAMPLE_CRYSTALS[name], WYCKOFF) for name in ("quartz", "nacl", "srtio3")]
TEXTS = [*TEXTS, "225\nNa 4a", encode(EXAMPLE_CRYSTALS["iron"], WYCKOFF), TEXTS[1]]
LOG_PROBABILITIES = [-30.0, -8.0, -20.0, -1.0, -9.0, -7.0]
TOKENS = [15, 10, 10, 1, 4, 7]
"""Per token: -2, -0.8, -2, none, -2.25 and -1; the last repeats the second."""

BY_LIKELIHOOD = SelectionRule(2, len(TEXTS), "likelihood")

WriteRun = Callable[..., Path]


def attempts(**changes: dict[int, Any]) -> list[dict[str, Any]]:
    """Lines of a run; `changes` are values by index."""
    lines = [
        {
            "index": i,
            "prompt": "Crystal:",
            "text": text,
            "failure": "TRUNCATED" if i == 3 else None,
            "log_probability": LOG_PROBABILITIES[i],
            "tokens": TOKENS[i],
            "attempts": 1,
            "conditions": [],
            "satisfied": i != 3,
        }
        for i, text in enumerate(TEXTS)
    ]
    for name, values in changes.items():
        for i, value in values.items():
            lines[i][name] = value
    return lines


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    def write(**changes: dict[int, Any]) -> Path:
        out = tmp_path / "run"
        out.mkdir()
        text = "".join(json.dumps(line) + "\n" for line in attempts(**changes))
        (out / "attempts.jsonl").write_text(text)
        (out / "settings.json").write_text(json.dumps({"format": "wyckoff", "seed": 7}))
        return out

    return write


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def test_the_run_keeps_all_samples_and_says_what_was_chosen(write_run: WriteRun) -> None:
    run = write_run()
    before = contents(run)
    summary = choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    after = contents(run)
    assert after["attempts.jsonl"] == before["attempts.jsonl"]
    settings = json.loads(after["settings.json"])
    assert settings.pop("selection") == summary.model_dump()
    assert settings == json.loads(before["settings.json"])
    assert (summary.selected, summary.samples, summary.by) == (2, 6, "likelihood")
    assert {k: v for k, v in summary.left_out.items() if v} == {
        "no_crystal": 1, "formula_and_space_group": 1, "rank": 2,
    }  # fmt: skip
    lines = read_selected(run)
    # The lower index of two equal ones; in the order of the run.
    assert [(x["index"], x["rank"]) for x in lines] == [(0, 2), (1, 1)]
    assert [x["log_probability_per_token"] for x in lines] == pytest.approx([-2.0, -0.8])
    assert [x["space_group_found"] for x in lines] == [152, 225]
    assert lines[1]["prototype"] == "225 a b"
    assert all(lines[i].items() >= attempts()[i].items() for i in (0, 1))
    assert not any("predicted_e_above_hull" in x for x in lines)


def test_commands_read_the_chosen_samples_and_all_on_request(write_run: WriteRun) -> None:
    run = write_run()
    summary = choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    for source in (run, run / "selected.jsonl"):
        found = read_samples(source)
        assert [x.name for x in found.samples] == ["0", "1"]
        assert found.selection == summary
        assert found.log_probabilities == (-30.0, -8.0)
    everything = read_samples(run, all_attempts=True)
    assert len(everything.samples) == len(TEXTS)
    assert everything.selection is None
    assert everything.sha256 != found.sha256
    assert [x.name for x in read_crystals(run)] == ["0", "1"]
    rows = read_candidates(run)
    assert [(row.tags["index"], row.tags["rank"]) for row in rows] == [(1, 1), (0, 2)]
    assert rows[0].tags["seed"] == 7


def test_the_same_rule_changes_nothing_and_another_one_chooses_again(write_run: WriteRun) -> None:
    run = write_run()
    choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    first = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == first
    summary = choose_in_run(run, SelectionRule(1, 5, "likelihood"), 5)
    assert [x["index"] for x in read_selected(run)] == [1]
    assert read_selection(run) == summary
    assert (summary.samples, summary.left_out["no_crystal"]) == (5, 1)


def test_a_choice_that_was_killed_is_told_and_made_again(write_run: WriteRun) -> None:
    run = write_run()
    choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    whole = contents(run)
    (run / "selected.jsonl").unlink()
    with pytest.raises(RunError, match="give the command of the run again"):
        read_samples(run)
    choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    assert contents(run) == whole
    (run / "settings.json").write_text('{"format": "wyckoff"}')
    with pytest.raises(RunError, match="section selection is missing or damaged"):
        read_samples(run)


def test_a_command_that_chooses_none_is_refused(write_run: WriteRun) -> None:
    run = write_run()
    refuse_selection(run)
    choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    with pytest.raises(RunError, match="give --keep-best 2 --of 6 --by likelihood to continue it"):
        refuse_selection(run)


def test_what_misses_a_condition_is_not_kept(write_run: WriteRun) -> None:
    run = write_run(satisfied={1: False, 5: False})
    summary = choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    assert [x["index"] for x in read_selected(run)] == [0, 2]
    assert summary.left_out["conditions"] == 2


def test_a_sample_without_a_score_is_not_kept(write_run: WriteRun) -> None:
    run = write_run(log_probability={1: None, 5: None})
    summary = choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    assert [x["index"] for x in read_selected(run)] == [0, 2]
    assert summary.left_out["no_score"] == 2


def test_each_of_several_conditions_keeps_its_best(write_run: WriteRun) -> None:
    """Rows of a table have as many samples each, one row after the other."""
    run = write_run()
    summary = choose_in_run(run, SelectionRule(1, 2, "likelihood"), len(TEXTS))
    assert [(x["index"], x["rank"]) for x in read_selected(run)] == [(1, 1), (2, 1), (5, 1)]
    assert (summary.selected, summary.samples) == (3, 6)
    assert sum(summary.left_out.values()) == 3


def test_energies_are_those_that_the_predictor_expects_the_lowest_first(
    write_run: WriteRun,
) -> None:
    run = write_run()
    summary = choose_in_run(run, SelectionRule(4, 6, "energy"), 6)
    records = read_samples(run, all_attempts=True).samples
    expected = open_predictor().predict(records, ["e_above_hull"])["e_above_hull"].means
    assert expected is not None
    by_rank = sorted(read_selected(run), key=lambda x: x["rank"])
    assert [x["index"] for x in by_rank] == [
        i for i in np.argsort(expected, kind="stable").tolist() if i not in (3, 5)
    ]
    for x in by_rank:
        assert x["predicted_e_above_hull"] == pytest.approx(expected[x["index"]], abs=1e-4)
    assert summary.predictor_sha256 is not None
    assert read_candidates(run)[0].tags["predicted_e_above_hull"] == pytest.approx(
        by_rank[0]["predicted_e_above_hull"]
    )


def test_samples_in_memory_are_chosen_as_those_of_a_run(write_run: WriteRun) -> None:
    run = write_run()
    summary = choose_in_run(run, BY_LIKELIHOOD, len(TEXTS))
    names = ("index", "text", "failure", "log_probability", "tokens")
    samples = Samples(
        Sample(**{name: x[name] for name in names}, format="wyckoff") for x in attempts()
    )
    chosen = choose_samples(samples, BY_LIKELIHOOD)
    assert chosen.selection == summary
    assert [(x.index, x.rank) for x in chosen] == [(1, 1), (0, 2)]
    assert "best 2 of 6 samples by log-probability per token" in repr(chosen)
    assert chosen[:1].selection == summary
    table = chosen.to_dataframe()
    assert table["rank"].tolist() == [1, 2]
    assert table["log_probability_per_token"].tolist() == pytest.approx([-0.8, -2.0])
    assert "predicted_e_above_hull" not in table
    assert chosen[0].crystal == samples[1].crystal


def test_keywords_that_choose_are_of_sample_alone_and_go_together(tiny_model: Path) -> None:
    lm = CrystalLM.open(tiny_model)
    with pytest.raises(SettingError, match="'keep_best' is a keyword of `sample` alone"):
        lm.iter_samples(4, keep_best=2)  # type: ignore[call-arg]
    with pytest.raises(SettingError, match="by without keep_best, the number of samples to keep"):
        lm.sample(4, by="energy")
    with pytest.raises(SettingError, match="best 5 cannot be kept of 4 samples"):
        lm.sample(4, keep_best=5)
    with pytest.raises(SettingError, match="Did you mean 'keep_best'"):
        lm.sample(4, keep_bst=5)  # type: ignore[call-arg]
