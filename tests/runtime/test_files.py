"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.errors import RunError
from crystext.runtime.files import (
    cache_folder,
    current_folder,
    file_digest,
    json_digest,
    replace_atomically,
    replace_folder,
    write_json,
    write_npz,
    write_parquet,
    write_text,
)


def test_what_is_written_is_there_and_nothing_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "Å\n")
    write_json(tmp_path / "new" / "a.json", {"b": 1})
    write_parquet(tmp_path / "new" / "a.parquet", pa.table({"x": [1, 2]}), compression="zstd")
    write_npz(tmp_path / "new" / "a.npz", shared=True, x=np.arange(3))
    assert (tmp_path / "new" / "a.txt").read_bytes() == "Å\n".encode()
    assert (tmp_path / "new" / "a.json").read_text() == '{\n  "b": 1\n}\n'
    assert pq.read_table(tmp_path / "new" / "a.parquet").to_pydict() == {"x": [1, 2]}
    with np.load(tmp_path / "new" / "a.npz") as arrays:
        assert arrays["x"].tolist() == [0, 1, 2]
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["a.json", "a.npz", "a.parquet", "a.txt"]


@pytest.mark.parametrize("shared", [False, True])
def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with replace_atomically(path, shared=shared) as partial:
            partial.write_text("ne")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    (tmp_path / "a.txt.partial").write_text("ha")
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_place_that_cannot_be_written_is_told_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be written: .*; choose a place"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert current_folder(folder) is None
    for number in (1, 2):
        with replace_folder(folder) as partial:
            (partial / f"{number}").touch()
        assert [path.name for path in folder.iterdir()] == [f"{number}"]

    def fail() -> None:
        with replace_folder(folder) as partial:
            (partial / "3").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert current_folder(folder) == folder
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "2"]


def test_a_folder_killed_between_the_renames_is_found_under_its_other_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with replace_folder(folder) as partial:
        (partial / "1").touch()
    folder.rename(tmp_path / "folder.previous")
    found = current_folder(folder)
    assert found is not None
    assert (found / "1").exists()


def test_digests_are_those_of_other_programs(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"Na\r\nCl")
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"Na\r\nCl").hexdigest()
    git = hashlib.sha1(b"blob 6\0Na\r\nCl", usedforsecurity=False)
    assert file_digest(tmp_path / "a", "git") == git.hexdigest()
    assert json_digest({"b": 1, "a": 2}) == json_digest({"a": 2, "b": 1})


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("CRYSTEXT_CACHE")
    assert cache_folder().name == "crystext"
