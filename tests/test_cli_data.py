"""`crystext data prepare` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.data.store import read_dataset
from crystext.write import cif
from tests.conftest import Run
from tests.handmade import HANDMADE


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        {"id": name, "cif": cif(crystal), "held": name == "iron", "year": 2019}
        for name, crystal in sorted(HANDMADE.items())
    ]
    rows.append({"id": "broken", "cif": "broken", "held": False, "year": 2019})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def test_it_writes_a_file_for_training_and_tells_what_it_skipped(
    cli: Run, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out.parquet"
    options = "--where", "held=False", "--where", "year=2019", "--max-atoms", 6
    ended = cli("data", "prepare", source, "--out", out, *options)
    assert ended.returncode == 0, ended.stderr
    assert "3 crystals written, 2 skipped" in ended.stdout
    assert "1 cannot be read: broken" in ended.stdout
    assert "1 with more than 6 atoms: quartz" in ended.stdout
    assert len(read_dataset(out)) == 3
    assert [p.name for p in out.parent.iterdir()] == ["out.parquet"]


def test_bad_options_are_refused(
    cli_refuses: Callable[..., str], source: Path, tmp_path: Path
) -> None:
    def refused(*options: object) -> str:
        return cli_refuses("data", "prepare", source, "--out", tmp_path / "o.parquet", *options)

    assert "'held' is no condition" in refused("--where", "held")
    assert "two values of 'held'" in refused("--where", "held=a", "--where", "held=b")
    assert "Did you mean 'held'" in refused("--where", "helt=False")
    assert "no row of" in refused("--where", "held=maybe")
    assert "symprec is 0" in refused("--symprec", 0)
    assert "max-atoms" in refused("--max-atoms", 0)
    assert "workers" in refused("--workers", 0)
    assert "cannot be written" in cli_refuses("data", "prepare", source, "--out", source / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]
