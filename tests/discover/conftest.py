"""One search that the tests of this folder share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crystext.discover.search import Search
from crystext.discover.settings import Budget
from tests.discover.emt_search import open_emt_search, write_hull

ROUNDS = 2


@pytest.fixture(scope="session")
def emt_hull(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hull of copper and gold by EMT."""
    return write_hull(tmp_path_factory.mktemp("hull") / "emt.parquet")


@pytest.fixture
def first_round(done_search: Search, tmp_path: Path) -> Path:
    """A copy of that folder as it was after the first round."""
    assert done_search.out is not None
    out = tmp_path / "first"
    shutil.copytree(done_search.out, out)
    for path in (*(out / "rounds").glob("*"), *out.glob("*/*.cif")):
        if path.name != "00001.jsonl":
            path.unlink()
    for name in ("candidates.csv", "report.html", "search.json"):
        (out / name).unlink()
    return out


@pytest.fixture(scope="session")
def done_search(emt_hull: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A search of some rounds in a folder."""
    search = open_emt_search(emt_hull, tmp_path_factory.mktemp("search") / "run")
    list(search.run(Budget(None, None, ROUNDS)))
    return search
