"""`crystext data prepare` and `crystext data list` as a user runs them."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.data.store import read_store
from crystext.io.write import cif
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        {"id": name, "cif": cif(crystal), "held": name == "iron", "year": 2019}
        for name, crystal in sorted(EXAMPLE_CRYSTALS.items())
    ]
    rows.append({"id": "broken", "cif": "broken", "held": False, "year": 2019})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def test_it_writes_a_store_for_training_and_tells_what_it_skipped(
    cli: Run, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    options = "--where", "held=False", "--where", "year=2019", "--max-atoms", 6
    ended = cli("data", "prepare", source, "--out", out, *options, "--split", "0.8/0.2/0")
    assert ended.returncode == 0, ended.stderr
    assert "3 crystals written, 2 skipped" in ended.stdout
    assert "train: 2; space_group of 2" in ended.stdout
    assert "1 cannot be read: broken" in ended.stdout
    assert "1 with more than 6 atoms: quartz" in ended.stdout
    assert len(read_store(out, "train")) == 2
    assert len(read_store(out, "validation")) == 1
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_bad_options_are_refused(
    cli_refuses: Callable[..., str], source: Path, tmp_path: Path
) -> None:
    def refused(*options: object) -> str:
        return cli_refuses("data", "prepare", source, "--out", tmp_path / "o", *options)

    assert "'held' is not a condition" in refused("--where", "held")
    assert "two values of 'held'" in refused("--where", "held=a", "--where", "held=b")
    assert "Did you mean 'held'" in refused("--where", "helt=False")
    assert "no row of" in refused("--where", "held=maybe")
    assert "is invalid" in refused("--split", "most")
    assert "contradict" in refused("--allow-overlap", "--drop-overlap")
    assert "max-atoms" in refused("--max-atoms", 0)
    assert "cannot be written" in cli_refuses("data", "prepare", source, "--out", source / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


def test_a_full_disk_is_told_and_leaves_nothing(
    cli_refuses: Callable[..., str], source: Path, tmp_path: Path
) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    message = cli_refuses(
        "data", "prepare", source, "--out", tmp_path / "o", "--split", "1/0/0", preexec_fn=full
    )
    assert "cannot be written: File too large; free some space" in message
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


def test_the_catalogue_is_printed_with_addresses(cli: Run, tmp_path: Path) -> None:
    ended = cli("data", "list", env={**os.environ, "CRYSTEXT_CACHE": str(tmp_path)})
    assert ended.returncode == 0, ended.stderr
    for name, part in (("mp_20", "45,231"), ("perov_5", "No checksum is published")):
        (line,) = [line for line in ended.stdout.splitlines() if line.startswith(name)]
        assert part in line
    assert "https://raw.githubusercontent.com/txie-93/cdvae/" in ended.stdout
    assert str(tmp_path) in ended.stdout
