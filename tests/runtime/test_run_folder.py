"""A folder that one run owns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from crystext.errors import InUseError, RunError
from crystext.runtime.run_folder import (
    JsonLines,
    RunFolder,
    rename_keys,
    setting_differences,
)


def folder(path: Path, **options: Any) -> RunFolder:
    return RunFolder(path, "an evaluation", **options)


def test_a_setting_that_one_side_lacks_is_not_given_there() -> None:
    there, here = {"element_temperature": 1.56, "seed": 0}, {"seed": 0, "space_group": 225}
    assert setting_differences(there, here, {"space_group": "--group"}) == [
        "space_group (--group): not given there, 225 here",
        "element_temperature (--element-temperature): 1.56 there, not given here",
    ]


def test_settings_of_a_section_are_compared_one_by_one() -> None:
    there = {"optim": {"steps": 3, "ema": 0.9}, "seed": 1}
    here = {"optim": {"steps": 4, "ema": 0.9}, "seed": 2}
    lines = ["optim.steps: 3 there, 4 here", "seed: 1 there, 2 here"]
    assert setting_differences(there, here) == lines
    assert setting_differences(there, here, ignored=("seed",)) == lines[:1]


def test_a_run_with_other_settings_is_refused_with_all_of_them(tmp_path: Path) -> None:
    run = folder(tmp_path, renamed_settings={"tries": "attempts"})
    run.check_settings({"a": 1})
    (tmp_path / "settings.json").write_text('{"a": 1, "tries": 2}')
    run.check_settings({"a": 1, "attempts": 2})
    with pytest.raises(RunError) as refused:
        run.check_settings({"a": 2, "attempts": 3})
    assert str(refused.value) == (
        f"{tmp_path} holds an evaluation with other settings:\n  a: 1 there, 2 here\n  attempts: 2 "
        "there, 3 here\nGive those settings to continue it, or another --out"
    )


def test_settings_are_written_once(tmp_path: Path) -> None:
    run = folder(tmp_path)
    run.write_settings({"a": 1})
    run.write_settings({"a": 2})
    assert run.settings() == {"a": 1}


@pytest.mark.parametrize("content", ["[]", "{", "\xff"])
def test_damaged_settings_are_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match="damaged"):
        folder(tmp_path).settings()


def test_a_folder_that_is_recognized_as_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").touch()
    for owned in (None, ("report.json",)):
        with pytest.raises(
            RunError, match=r"a store of crystals \(store.json\), not an evaluation"
        ):
            folder(tmp_path, owned=owned).check_contents()


def test_files_of_the_user_are_refused_only_by_a_run_that_owns_its_folder(tmp_path: Path) -> None:
    for name in ("report.json", "lock", "report.json.partial"):
        (tmp_path / name).touch()
    folder(tmp_path, owned=("report.json",)).check_contents()
    (tmp_path / "notes.txt").touch()
    folder(tmp_path).check_contents()
    with pytest.raises(RunError, match=r"other files \(notes.txt\)"):
        folder(tmp_path, owned=("report.json",)).check_contents()


def test_one_process_writes(tmp_path: Path) -> None:
    run = folder(tmp_path / "run")
    with run.locked():
        assert (tmp_path / "run" / "lock").exists()
    with (
        FileLock(tmp_path / "run" / "lock"),
        pytest.raises(InUseError, match="another process is writing"),
        run.locked(),
    ):
        pytest.fail("it has the lock")


def test_a_start_is_recorded_with_versions(tmp_path: Path) -> None:
    folder(tmp_path).record_start({"n": 3})
    folder(tmp_path).record_start({"n": 4})
    notes = [json.loads(line) for line in (tmp_path / "starts.jsonl").read_text().splitlines()]
    assert [note["n"] for note in notes] == [3, 4]
    assert {"date", "crystext", "commit", "machine", "versions"} <= notes[0].keys()


def lines(path: Path) -> JsonLines[int]:
    return JsonLines(path, lambda value: int(value["x"]), "an object with x")


@pytest.mark.parametrize("torn", ["", '{"x"', '{"x": 3}'])
def test_a_torn_line_counts_as_not_written(tmp_path: Path, torn: str) -> None:
    file = lines(tmp_path / "a.jsonl")
    assert list(file) == []
    file.cut_torn_line()
    whole = '{"x": 1}\n{"x": 2}\n'
    file.path.write_text(whole + torn)
    assert list(file) == [1, 2]
    file.cut_torn_line()
    assert file.path.read_text() == whole
    with file.appending() as append:
        append(['{"x": 3}\n'])
        assert list(file) == [1, 2, 3], "on disk at once"


@pytest.mark.parametrize("damage", ["[]", "{}", "x", '{"x": null}', "[" * 10_000])
def test_a_damaged_line_is_told_by_its_number(tmp_path: Path, damage: str) -> None:
    file = lines(tmp_path / "a.jsonl")
    file.path.write_text(f'{{"x": 1}}\n{damage}\n{{"x": 3}}\n')
    with pytest.raises(RunError, match="line 2 is damaged: expected an object with x"):
        list(file)


def test_renamed_keys_keep_their_places() -> None:
    assert list(rename_keys({"a": 1, "old": 2, "c": 3}, {"old": "b"}).items()) == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]
