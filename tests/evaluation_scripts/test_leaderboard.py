from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crystext.evaluate.funnel import funnel
from crystext.evaluate.report import ProtocolDeviation
from evaluation.leaderboard import main
from tests.evaluate.html.example_report import report


def keep(folder: Path, name: str, **changes: Any) -> None:
    (folder / name).mkdir(parents=True)
    text = report().model_copy(update=changes).model_dump_json()
    (folder / name / "report.json").write_text(text, encoding="utf-8")


def written(folder: Path) -> str:
    assert main(["--reports", str(folder / "reports"), "--out", str(folder / "BOARD.md")]) == 0
    return (folder / "BOARD.md").read_text(encoding="utf-8")


def test_a_report_gets_a_row_that_links_to_it_above_the_published(tmp_path: Path) -> None:
    keep(tmp_path / "reports", "mine")
    lines = written(tmp_path).splitlines()
    title = "## Fine-tuned LLaMA-2 and its rivals, 10,000 samples each"
    table = lines[lines.index(title) + 2 :]
    assert table[0].startswith("| system | structure valid ↑ |")
    mine = "| [mine](reports/mine/report.json) | **0.7500**<br>0.4093 to 0.9285 |"
    assert table[2].startswith(mine)
    assert table[3].startswith("| CDVAE | 1.000 | 0.867 |")


ENERGIES = funnel(
    {"formula": ["NaCl", "KCl"], "metastable": [True, True], "energy_requested": [True, True]}, 2
)


def test_different_formulas_stand_with_the_number_that_they_are_of(tmp_path: Path) -> None:
    keep(tmp_path / "reports", "mine", funnel=ENERGIES)
    assert "**1.0000**<br>of 2 |" in written(tmp_path)


def test_a_figure_of_another_hull_is_marked_and_the_mark_explained(tmp_path: Path) -> None:
    told = "hull m3gnet in place of mp2020"
    departed = [ProtocolDeviation(what="hull", text=told)]
    keep(tmp_path / "reports", "mine", funnel=ENERGIES, protocol_deviations=departed)
    blocks = written(tmp_path).split("\n## ")
    (gruver,) = [block for block in blocks if block.startswith("Fine-tuned LLaMA-2")]
    assert "| **1.0000**<sup>a</sup><br>" in gruver
    assert "| **0.7500**<br>" in gruver
    assert f"otherwise than the protocol says: <sup>a</sup> {told}" in gruver
    # Where nothing rests on energies nothing is marked.
    predictions = [block for block in blocks if block.startswith("Structure prediction")]
    assert len(predictions) == 2
    assert not any(told in prediction for prediction in predictions)


def test_without_reports_the_published_rows_stand_alone(tmp_path: Path) -> None:
    text = written(tmp_path)
    assert "| CDVAE | 1.000 |" in text
    assert "report.json" not in text


def test_names_of_folders_stay_text(tmp_path: Path) -> None:
    keep(tmp_path / "reports", "a|b [x](y) <i>")
    text = written(tmp_path)
    assert r"[a\|b \[x\](y) \<i\>](reports/a%7Cb%20%5Bx%5D%28y%29%20%3Ci%3E/report.json)" in text


def test_the_leaderboard_of_the_repository_is_what_its_reports_say() -> None:
    assert main(["--check"]) == 0


def test_a_leaderboard_that_is_old_fails_its_check(tmp_path: Path) -> None:
    arguments = ["--reports", str(tmp_path / "reports"), "--out", str(tmp_path / "BOARD.md")]
    assert main([*arguments, "--check"]) == 2
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    keep(tmp_path / "reports", "new")
    assert main([*arguments, "--check"]) == 2


def test_a_folder_without_a_report_is_refused_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports" / "empty").mkdir(parents=True)
    assert main(["--reports", str(tmp_path / "reports"), "--out", str(tmp_path / "B.md")]) == 2
    assert "empty" in capsys.readouterr().err
    assert not (tmp_path / "B.md").exists()
