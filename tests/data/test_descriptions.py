"""Descriptions of crystals are written once, and kept by crystal and version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from crystext.benchmark.data import SuiteData
from crystext.benchmark.suite import load_suite, select_tasks
from crystext.data.descriptions import describe, with_descriptions
from crystext.errors import UnavailableError
from crystext.io.write.cif_text import cif
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from tests.benchmark.example_suite import SUITE, write_example, write_table
from tests.example_crystals import NACL

try:
    version("robocrys")
    HAS_ROBOCRYS = True
except PackageNotFoundError:
    HAS_ROBOCRYS = False

needs_robocrys = pytest.mark.skipif(not HAS_ROBOCRYS, reason="needs the extra descriptions")
needs_its_absence = pytest.mark.skipif(HAS_ROBOCRYS, reason="robocrys is installed")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))


@needs_its_absence
def test_without_the_extra_the_message_says_what_to_install() -> None:
    with pytest.raises(UnavailableError, match=r"crystext\[descriptions\]"):
        describe(NACL)


@needs_robocrys
def test_a_description_is_prose_on_the_structure_and_kept(tmp_path: Path) -> None:
    text = describe(NACL)
    assert text.startswith("NaCl is Halite, Rock Salt structured")
    (path,) = (tmp_path / "cache" / "descriptions").rglob("*.txt")
    assert path.read_text(encoding="utf-8") == text
    path.write_text("kept", encoding="utf-8")
    assert describe(NACL) == "kept"
    larger = Crystal(NACL.lengths * 1.1, NACL.angles, NACL.numbers, NACL.positions)
    assert describe(larger) != "kept"


@needs_robocrys
def test_a_given_description_and_a_record_without_a_crystal_stay() -> None:
    records = [Record(NACL, texts={"description": "mine"}), Record(texts={"formula": "X"})]
    assert with_descriptions(records) == records


@needs_robocrys
def test_a_suite_whose_tables_have_no_descriptions_gets_them_from_its_cifs(tmp_path: Path) -> None:
    inputs = {
        "cif": {"representation": "cif", "columns": ["cif"]},
        "description": {"representation": "description", "columns": ["description"]},
    }
    path = write_example(tmp_path, inputs={**SUITE["inputs"], **inputs})
    row = {
        "name": "a",
        "formula": "NaCl",
        "gap": "5",
        "volume": "1",
        "is_oxide": "no",
        "cif": cif(NACL),
    }
    for part in ("train", "test"):
        write_table(tmp_path / "salts" / f"{part}.csv", [row])
    suite = load_suite(path)
    (task,) = select_tasks(suite, ["salts/gap"])
    data = SuiteData(suite, tmp_path, "description", [task])
    (record,) = data.load(task).folds[0].test
    assert record.texts["description"].startswith("NaCl is Halite")
