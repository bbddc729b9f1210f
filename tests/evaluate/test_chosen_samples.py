"""An evaluation of chosen samples says so wherever its numbers are shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crystext.cli.evaluate import _selection_lines
from crystext.errors import SettingError
from crystext.evaluate.protocol_deviations import deviations_affecting
from crystext.evaluate.published import published_tables
from crystext.evaluate.report import Report, read_report
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.samples import read_samples
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.generation.selection import SelectionRule
from crystext.io.write import write_crystals
from crystext.predict.choose_samples import choose_in_run
from evaluation.leaderboard import leaderboard
from tests.evaluate.example_inputs import BRASS, ROCK_SALT, TEXTS, write_run

TITLE = "the best 2 of 6 samples by log-probability per token"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of six samples rock salt and brass are kept, at the places 0 and 1."""
    out = write_run(tmp_path_factory.mktemp("chosen") / "run")
    path = out / "attempts.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for i, line in enumerate(lines):
        line |= {"log_probability": -1.0 - i, "tokens": 1}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    choose_in_run(out, SelectionRule(2, len(TEXTS), "likelihood"), len(TEXTS))
    return out


@pytest.fixture(scope="module")
def folder(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report"
    evaluate_samples(run, "mp20", out, only=["validity"])
    return out


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return read_report(folder / "report.json")


def test_only_the_chosen_ones_count(report: Report) -> None:
    assert (report.input.samples, report.input.parsed) == (2, 2)
    assert {step.total for step in report.funnel} == {2}
    assert report.input.selection is not None
    assert report.input.selection.title == TITLE
    assert report.input.title == f"run: {TITLE}"


def test_each_value_of_samples_is_marked(report: Report) -> None:
    (deviation,) = report.protocol_deviations
    assert deviation.text == f"chosen samples: {TITLE}, in place of all"
    for metric in ("validity.structure_valid", "novelty.unique", "funnel.valid", None):
        assert deviations_affecting(report, metric) == [deviation]
    # The perplexity under translation is of the model.
    assert deviations_affecting(report, "ipt.mean") == []


def test_the_page_says_it_at_its_head(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    head, _, body = page.partition("<main>")
    assert f"<title>run: {TITLE}: evaluation of 2 samples</title>" in head
    assert f"Chosen, not as they came: {TITLE}." in head
    assert "Left out: 2 not a crystal; 2 ranked below" in head
    assert "Every rate is over all samples" not in head
    assert f"run: {TITLE} (run)" in body.partition('id="provenance"')[2]


def test_the_command_prints_it(report: Report) -> None:
    first, second = _selection_lines(report)
    assert first.startswith(f"every rate is over {TITLE}, and not over all")
    assert second.startswith("left out: 2 not a crystal")


def test_the_leaderboard_marks_them(report: Report) -> None:
    text = leaderboard({"chosen": report}, published_tables("mp20"))
    assert f"| 2: {TITLE} |" in text
    assert (
        f"measured otherwise than the protocol says: <sup>a</sup> chosen samples: {TITLE}" in text
    )


def test_all_samples_are_evaluated_on_request(run: Path, tmp_path: Path) -> None:
    report = evaluate_samples(run, "mp20", tmp_path / "out", only=["validity"], all_attempts=True)
    assert (report.input.samples, report.input.parsed) == (6, 4)
    assert report.input.selection is None
    assert report.protocol_deviations == []
    assert "Every rate is over all samples" in (tmp_path / "out" / "report.html").read_text()


def test_a_part_of_them_and_their_files_are_chosen_too(run: Path, tmp_path: Path) -> None:
    part = evaluate_samples(run, "mp20", tmp_path / "part", n=1, only=["validity"])
    assert part.input.title == f"run: 1 of {TITLE}"
    assert part.protocol_deviations[0].text.startswith(f"chosen samples: 1 of {TITLE}")
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    write_crystals([("rock-salt", ROCK_SALT), ("brass", BRASS)], copy / "crystals.csv")
    assert read_samples(copy / "crystals.csv").selection == part.input.selection
    assert read_samples(copy / "attempts.jsonl").selection is None


def test_true_structures_of_all_samples_are_not_compared_with_chosen_ones(
    run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SettingError, match="evaluate these with --all-attempts"):
        evaluate_samples(run, "mp20", out, options=EvaluationOptions(targets="mp20_val"))
    with pytest.raises(SettingError, match="belong to all samples in their order"):
        evaluate_samples(run, "csp-mp20", out)
    assert not out.exists()
