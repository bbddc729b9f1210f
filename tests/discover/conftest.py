"""One search that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.discover.search import Search
from crystext.discover.settings import Budget
from tests.discover.emt_search import open_emt_search, write_hull

ROUNDS = 3


@pytest.fixture(scope="session")
def emt_hull(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hull of copper and gold by EMT."""
    return write_hull(tmp_path_factory.mktemp("hull") / "emt.parquet")


@pytest.fixture(scope="session")
def done_search(emt_hull: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A search of three rounds in a folder."""
    search = open_emt_search(emt_hull, tmp_path_factory.mktemp("search") / "run")
    list(search.run(Budget(None, None, ROUNDS)))
    return search
