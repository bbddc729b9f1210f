"""The commands of the tutorial and of each how-to page run as they stand, in their order."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chat_models import write_chat_model
from tests.chat_server import serving
from tests.docs.shell import ELSEWHERE, FEWER, run_script, runnable, smaller, type_in
from tests.documents import NEEDS, ROOT, blocks, calls, statements

PAGES = [
    ROOT / "docs" / "tutorial.md",
    *sorted(page for page in (ROOT / "docs" / "how_to").glob("*.md") if page.stem != "index"),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)

SERVICE = "http://localhost:8000/v1"
"""The address of a service on pages."""

WRITTEN = {
    "tutorial": ["na-ti-o.png", "na-report/report.html", "relaxed/cif", "energies.csv", "best.png"],
    "condition": [
        "titanates/attempts.jsonl",
        "phosphates/attempts.jsonl",
        "requests/attempts.jsonl",
    ],
    "keep_best": [
        "best/crystals.csv",
        "best/cif",
        "lithium/selected.jsonl",
        "best-report/report.json",
        "all-report/report.json",
    ],
    "discover": ["lithium/candidates.csv", "lithium/report.html", "salt/report.html"],
    "explain": [],
    "predict_structures": ["titania/attempts.jsonl", "salts-report/report.json"],
    "complete": ["variants/infill_results.jsonl", "rutile/infill_results.jsonl", "anatase/cif"],
    "python": ["perovskite.cif"],
    "read_files": ["cscl.cif"],
    "evaluate": ["theirs/report.json", "report/report.json", "selected", "diverse.extxyz"],
    "benchmark": [
        "gaps/report.html",
        "prompts.jsonl",
        "answers/results.json",
        "served/results.json",
        "extraction/report.html",
    ],
    "instruct": ["questions/manifest.json", "questions/test.jsonl", "floors/results.json"],
    "study": ["study-report/report.html", "gaps-report/study.json", "targets.parquet"],
    "predict": ["predictions.csv", "asked.answers.jsonl"],
    "energies": ["energies.csv", "copper/relaxed.parquet"],
    "export": ["vasp/001-CsCl/POTCAR.spec", "espresso/001-CsCl/pw.in", "cifs/001-CsCl.cif"],
    "corpus": ["corpus/corpus.json", "corpus/validation/papers/00000.bin"],
    "train": ["smoke/model", "my-model/model", "draws/attempts.jsonl", "whole/model.safetensors"],
    "reward": ["scores.csv", "rewarded/model", "better/attempts.jsonl"],
    "many_machines": ["shared-run/attempts.jsonl"],
    "other_models": [],
}
"""What has to be there after a page was followed."""


@each_page
def test_a_page_runs_from_a_fresh_clone(
    page: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    # Whatever the user has downloaded before.
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))
    text = page.read_text(encoding="utf-8")
    with page_service(text, tmp_path) as address:
        for language, content in runnable(text.replace(SERVICE, address)):
            if language == "python":
                run_script(content, tmp_path)
            else:
                type_in(content, tmp_path)
    assert [name for name in WRITTEN[page.stem] if not (tmp_path / name).exists()] == []
    if (table := tmp_path / "energies.csv").exists():
        with table.open(newline="", encoding="utf-8") as file:
            columns = next(csv.reader(file))
        assert documented_columns(root) == columns


@contextmanager
def page_service(text: str, folder: Path) -> Iterator[str]:
    """Start a service with a tiny model for a page that asks one, and yield its address."""
    if SERVICE not in text:
        yield SERVICE
        return
    with serving(write_chat_model(folder / "served-model")) as server:
        yield server.source


def documented_columns(root: Path) -> list[str]:
    """Return the columns that the reference lists for `energies.csv`, sorted as they are there."""
    text = (root / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    section = text.partition("## `energies.csv`")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return re.findall(r"`(\w+)`", " ".join(cells))


@each_page
def test_a_command_that_is_not_run_says_what_it_needs(page: Path) -> None:
    wanted = re.compile(r"network|GPU|cluster|Hub|machines|cores")
    for _, content in blocks(page.read_text(encoding="utf-8"), "sh"):
        for statement in statements(content):
            if marked := NEEDS.search(statement):
                assert wanted.search(marked[1]), statement


def test_every_reduction_and_exception_is_still_of_use(root: Path) -> None:
    pages = [*PAGES, root / "README.md"]
    shown = [
        statement
        for page in pages
        for _, content in blocks(page.read_text(encoding="utf-8"), "sh")
        for statement in statements(content)
    ]
    assert [p for p in FEWER if not any(re.search(p, line) for line in shown)] == []
    started = [command for line in shown for command in line.split(" && ")]
    assert [s for s in ELSEWHERE if not any(c.startswith(s) for c in started)] == []


@pytest.mark.parametrize(
    ("shown", "run"),
    [
        ("crystext sample --n 10000 --out run", "crystext sample --n 6 --out run"),
        ("crystext sample --n 100 --out run", "crystext sample --n 30 --out run"),
        ("crystext sample -n 2000 --shard 1/2 --out x", "crystext sample -n 6 --shard 1/2 --out x"),
        (
            "crystext evaluate run --relax 100",
            "crystext evaluate run --train mp20_val --only validity,novelty,stability --relax 1",
        ),
    ],
)
def test_a_run_is_scaled_down(shown: str, run: str) -> None:
    assert smaller(shown) == run
    assert list(calls(run))
