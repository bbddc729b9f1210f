"""A report: its files, its page, and what it refuses."""

from __future__ import annotations

import json
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from crystext.errors import RunError, SettingError
from crystext.study.report import ReportOptions, make_report, write_report
from crystext.study.results import StudyReport
from crystext.study.study_data import Study
from crystext.study.tables import read_study
from tests.study.simulated_study import example_rows, simulate, write_rows

QUICK = ReportOptions(bootstrap=200, permutations=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small study whose names would be markup if they were not escaped."""
    out = tmp_path_factory.mktemp("study")
    rows = example_rows()
    for row in rows:
        row["task"] = f"<b>{row['task']}</b>"
    source = write_rows(out / "rows", rows)
    (source / "losses.jsonl").write_text('{"cell": "BART S 0", "epoch": 1, "loss": 0.5}\n')
    write_report(read_study(source), out / "report", QUICK)
    return out / "report"


def test_a_report_has_its_numbers_a_page_and_pictures(folder: Path) -> None:
    report = StudyReport.model_validate_json((folder / "study.json").read_text(encoding="utf-8"))
    assert [grouping.by for grouping in report.groupings] == [["architecture"], ["size"]]
    assert (report.n_cells, report.n_runs, report.n_runs_of_design) == (6, 24, 24)
    assert any("least final pretraining loss" in sentence for sentence in report.summary)
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {
        "total_error_scores.png", "scaling.png", "loss_and_metric.png", "fine_tuning_losses.png",
        "pretraining_losses.png",
    }  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))


def test_the_page_needs_no_other_file_and_escapes_names(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "<b>esol</b>" not in text
    assert "&lt;b&gt;esol&lt;/b&gt;" in text
    sources: list[str] = []

    class Sources(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            sources.extend(str(value) for name, value in attrs if name in ("src", "href"))

    Sources().feed(text)
    assert len(sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    summary = json.loads((folder / "study.json").read_text(encoding="utf-8"))["summary"]
    assert len(summary) > 5
    assert [sentence for sentence in summary if sentence not in unescape(text)] == []


def test_a_report_replaces_an_older_one_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    study = simulate(0)
    write_report(study, folder, QUICK)
    (tmp_path / "store.json").write_text("{}")
    with pytest.raises(RunError, match="store of crystals"):
        write_report(study, tmp_path, QUICK)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        write_report(study, tmp_path / "file", QUICK)


def test_a_study_of_one_level_has_nothing_to_compare(tmp_path: Path) -> None:
    rows = [r for r in example_rows() if (r["architecture"], r["size"]) == ("BART", "S")]
    with pytest.raises(SettingError, match="one level of every factor"):
        write_report(read_study(write_rows(tmp_path, rows)), tmp_path / "out", QUICK)


def test_the_published_report_says_what_its_numbers_say(published: Study) -> None:
    report = make_report(published, QUICK._replace(by=[("architecture",)]))
    text = " ".join(report.summary)
    assert "By architecture, the groups are not distinguishable (p = 0.74" in text
    assert "within a run on 6 of 6 tasks" in text
    assert text.count("by a restriction of range") == 5
    assert "keeps no validation losses" in text
    assert "confounded with dropout" in report.notes[0]
