"""Figures in documents are what the result files say, and stay so where documents are moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.errors import InputError
from evaluation.documents.sources import FIGURES
from evaluation.result_file import ROOT
from evaluation.update_figures import documents, main, updated

PAIR = "<!-- figure: {} -->{}<!-- end -->"


def test_documents_show_what_the_results_say() -> None:
    assert main(["--check"]) == 0


def test_every_figure_stands_in_a_document_of_the_repository() -> None:
    texts = [path.read_text(encoding="utf-8") for path in documents(ROOT)]
    for name in FIGURES:
        assert any(f"<!-- figure: {name} -->" in text for text in texts), name


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_is_one_paragraph_or_one_table(name: str) -> None:
    text = FIGURES[name]()
    lines = text.split("\n")
    assert len(lines) == 1 or all(line.startswith("| ") or line[:2] == "|-" for line in lines)
    assert len({line.count("|") for line in lines}) == 1


def test_an_old_number_is_found_and_mended(tmp_path: Path) -> None:
    name = "precision"
    document = tmp_path / "docs" / "deep" / "new.md"
    document.parent.mkdir(parents=True)
    document.write_text("# Title\n\n" + PAIR.format(name, "\nold 1.0%\n") + "\n", "utf-8")
    arguments = ["--root", str(tmp_path)]
    assert main([*arguments, "--check"]) == 2
    assert "old 1.0%" in document.read_text(encoding="utf-8")
    assert main(arguments) == 0
    text = document.read_text(encoding="utf-8")
    assert "old" not in text
    assert " ".join(text.split()) == f"# Title {PAIR.format(name, f' {FIGURES[name]()} ')}"
    assert max(map(len, text.splitlines())) <= 120
    assert main([*arguments, "--check"]) == 0


def test_blocks_are_indented_as_their_comments_and_values_stay_in_their_line() -> None:
    old = "- item\n  <!-- figure: precision -->\n  x\n  <!-- end -->\n"
    new = updated(old, "a.md")
    assert new.startswith("- item\n  <!-- figure: precision -->\n  Of the ")
    assert all(line.startswith("  ") for line in new.splitlines()[1:])
    assert updated(new, "a.md") == new
    inline = f"so: {PAIR.format('precision', 'x')} and on"
    expected = f"so: {PAIR.format('precision', FIGURES['precision']())} and on"
    assert updated(inline, "a.md") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PAIR.format("precison", "\n"), r"no figure 'precison'\. Did you mean 'precision'"),
        ("<!-- figure: precision -->\n", "begins 1 figures and ends 0"),
        ("text <!-- end -->\n", "begins 0 figures and ends 1"),
        (PAIR.format("precision", "x") + "\n", "put both on lines of their own, or text before"),
        ("so " + PAIR.format("precision", "\nx\n"), "put both on lines of their own"),
        ("so " + PAIR.format("quality.table", "x"), "put both on lines of their own$"),
        (
            "<!-- figure: precision -->\n<!-- figure: infilling -->\n<!-- end -->\n<!-- end -->\n",
            "not ended before the next",
        ),
    ],
)
def test_comments_that_markdown_would_not_show_right_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        updated(text, "a.md")


def test_examples_of_comments_are_no_figures(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("put `<!-- figure: NAME -->` before it", encoding="utf-8")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "b.md").write_text(PAIR.format("precision", "\n"), encoding="utf-8")
    assert list(documents(tmp_path)) == []
