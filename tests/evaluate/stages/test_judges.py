"""Several potentials that judge the same samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from crystext.energies.potential import Potential
from crystext.energies.potentials import load_potential_once
from crystext.errors import ModelError, SettingError, UnavailableError
from crystext.evaluate.protocol import parse_protocol
from crystext.evaluate.report import Report
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.evaluate.stages.judges import JudgeAnswers
from crystext.evaluate.stages.stability import StabilitySettings
from tests.evaluate.example_inputs import BRASS, ROCK_SALT, chgnet_copy, write_table

RULES = StabilitySettings(source="s", potential="chgnet", hull="mp2020")


def off_by_much() -> Potential:
    """Return CHGNet with known energies that it does not have."""
    chgnet = load_potential_once("chgnet")
    wrong = tuple((name, crystal, energy + 1) for name, crystal, energy in chgnet.known_energies)
    return replace(chgnet, name="off", known_energies=wrong)


def values(result: StageResult) -> dict[str, Any]:
    return {metric.name: (metric.value, metric.total) for metric in result.metrics}


def test_each_judge_counts_by_its_own_energies_and_all_must_agree() -> None:
    columns = {
        "energy_requested": [True] * 4 + [False],
        "unique": [True, True, True, None, True],
        "novel": [True, False, True, None, True],
        "novelty_degree": ["substitution", "same_crystal", "new_prototype", None, "substitution"],
    }
    above = {
        "A 1": [-0.02, 0.05, 0.30, None, None],
        "B 2": [0.04, 0.20, 0.05, None, None],
    }
    answers = JudgeAnswers(columns, RULES, above)
    result = StageResult("judges")
    answers.add_columns(result)
    answers.add_metrics(result, "s")
    answers.add_degrees(result)
    assert values(result) == {
        "a_1_metastable": (2 / 4, 4),
        "b_2_metastable": (2 / 4, 4),
        "all_metastable": (1 / 4, 4),
        "a_1_stable": (1 / 4, 4),
        "b_2_stable": (0, 4),
        "all_stable": (0, 4),
        "a_1_msun": (1 / 4, 4),
        "b_2_msun": (2 / 4, 4),
        "all_msun": (1 / 4, 4),
        "disagreement": (pytest.approx(0.15), 3),
        "large_disagreement": (2 / 4, 4),
    }
    assert result.columns["judges_metastable"] == [2, 1, 1, 0, None]
    assert result.columns["judges_answers"] == [2, 2, 2, 0, None]
    assert result.columns["e_above_hull_ev_per_atom_b_2"] == above["B 2"]
    (table,) = result.tables
    assert table.header == ["", "samples", "A 1", "B 2", "all judges"]
    assert [row[1:] for row in table.rows] == [
        [1, 1.0, 0.0, 0.0],
        [1, 1.0, 1.0, 1.0],
        [1, 0.0, 1.0, 0.0],
    ]


def test_without_a_training_set_nothing_is_called_new() -> None:
    columns = {"energy_requested": [True], "unique": [True], "novel": [None]}
    result = StageResult("judges")
    JudgeAnswers(columns, RULES, {"A": [0.0], "B": [0.0]}).add_metrics(result, "s")
    assert not any(name.endswith("msun") for name in values(result))


def evaluate(folder: Path, *judges: Any, **judging: Any) -> Report:
    rules = {
        "name": "own",
        "title": "own",
        "validity": {"source": "s", "min_distance": 0.5, "min_volume": 0.1},
        "stability": {"source": "s", "potential": "chgnet", "hull": "mp2020", "steps": 2},
        "judges": {"source": "s", "known_crystals": 2, "max_error": 1.0, **judging},
    }
    return evaluate_samples(
        write_table(folder / "in.parquet", [ROCK_SALT, BRASS]), parse_protocol(rules),
        folder / "out", only=["judges"], options=EvaluationOptions(judges=judges),
    )  # fmt: skip


def test_a_judge_that_fails_its_check_or_misses_known_crystals_says_nothing(tmp_path: Path) -> None:
    report = evaluate(tmp_path, chgnet_copy, off_by_much)
    names = [metric.name for metric in report.metrics if metric.stage == "judges"]
    assert any(name.startswith("copy_") for name in names)
    assert not any(name.startswith("off_") for name in names)
    assert "Left out: the potential off gives wrong energies" in report.stages["judges"].note
    (calibration,) = [x for x in report.tables if x.name == "calibration"]
    assert [row[0] for row in calibration.rows] == ["CHGNet-0.3.0", "copy"]
    rows = pq.read_table(tmp_path / "out" / "structures.parquet").to_pylist()
    for row in rows:
        # The copy relaxes what the first has relaxed: it has the same energies, or lower ones.
        first, second = row["e_above_hull_ev_per_atom"], row["e_above_hull_ev_per_atom_copy"]
        assert second <= first + 1e-4
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Several judges" in page
    assert "mean absolute error, eV/atom" in page
    # The same relaxations, by judges that are too far from known crystals.
    with pytest.raises(UnavailableError, match="fewer than two judges are heard") as error:
        evaluate(tmp_path, chgnet_copy, max_error=1e-9)
    assert "copy has a mean absolute error of" in str(error.value)


def test_judges_that_do_not_exist_are_refused_before_anything_is_relaxed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Did you mean 'chgnet'"):
        evaluate(tmp_path, "chgnett")
    with pytest.raises(SettingError, match="auto chooses one potential"):
        evaluate(tmp_path, "auto")
    assert not (tmp_path / "out").exists()


def test_the_command_takes_a_list_of_potentials(cli_refuses: Any, tmp_path: Path) -> None:
    source = write_table(tmp_path / "in.parquet", [ROCK_SALT])
    said = cli_refuses(
        "evaluate", source, "--potential", "chgnet, CHGNet-0.3.0", "--out", tmp_path / "out"
    )
    assert "the potential CHGNet-0.3.0 is given twice" in said
