"""Result files: of which weights they are, what they record, and that all of them are listed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from crystext.errors import InputError
from crystext.models.layout import model_folder
from evaluation.result_file import (
    CURRENT,
    INDEPENDENT,
    RESULTS,
    current_results,
    share,
    weights_digest,
    write_result,
)

README = RESULTS.parent / "README.md"


def write(tmp_path: Path, **options: object) -> int:
    out = tmp_path / "deep" / "out.json"
    script = str(RESULTS.parent / "measure" / "own_draws.py")
    return write_result(out, lambda: {"n": 3}, script=script, **options)  # type: ignore[arg-type]


def test_current_names_the_results_of_the_weights_that_ship() -> None:
    digest = hashlib.sha256((model_folder("shipped") / "model.safetensors").read_bytes())
    assert weights_digest(model_folder("shipped")) == digest.hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_weights-[0-9a-f]{7}\n", CURRENT.read_text("utf-8"))
    assert current_results().name.endswith(f"_weights-{digest.hexdigest()[:7]}")
    assert current_results().is_dir()


def test_every_result_is_of_known_weights_or_of_none_and_is_listed() -> None:
    listed = README.read_text(encoding="utf-8")
    for folder in filter(Path.is_dir, RESULTS.iterdir()):
        assert folder == INDEPENDENT or re.fullmatch(
            r"\d{4}-\d\d-\d\d_weights-[0-9a-f]{7}", folder.name
        )
        section = listed.partition(f"\n### `{folder.name}`")[2].partition("\n### ")[0]
        assert section, folder.name
        for path in folder.iterdir():
            assert f"`{path.name}`" in section, path
    assert [path for path in RESULTS.iterdir() if path.is_file()] == [CURRENT]


def test_a_result_records_model_data_and_command(tmp_path: Path, tiny_model: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "attempts.jsonl").write_text("{}\n", encoding="utf-8")
    (run / "settings.json").write_text('{"model_sha256": "abc"}', encoding="utf-8")
    table = tmp_path / "table.csv"
    table.write_text("cif\n", encoding="utf-8")
    arguments = [str(run), "--n", "3"]
    assert write(tmp_path, arguments=arguments, model=tiny_model, data=[run, table]) == 0
    result = json.loads((tmp_path / "deep" / "out.json").read_text(encoding="utf-8"))
    assert result["n"] == 3
    assert result["command"] == "python -m evaluation.measure.own_draws run --n 3"
    assert result["data"] == {
        "run": {"sha256": hashlib.sha256(b"{}\n").hexdigest(), "model_sha256": "abc"},
        "table.csv": {"sha256": hashlib.sha256(b"cif\n").hexdigest()},
    }
    assert result["model"] == {
        "name": tiny_model.name,
        "weights_sha256": weights_digest(tiny_model),
    }
    assert {"seconds", "commit", "machine", "versions", "date"} <= result.keys()


def test_bad_input_writes_nothing_and_ends_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> dict[str, object]:
        raise InputError("no such thing")

    out = tmp_path / "out.json"
    assert write_result(out, fails, script=__file__, arguments=[]) == 2
    assert "no such thing" in capsys.readouterr().err
    assert not out.exists()


def test_figures_that_miss_their_aim_are_written_and_end_with_status_1(tmp_path: Path) -> None:
    assert write(tmp_path, arguments=[], misses=lambda report: report["n"] < 4) == 1
    assert (tmp_path / "deep" / "out.json").is_file()
    assert write(tmp_path, arguments=[], misses=lambda report: report["n"] < 3) == 0


def test_weights_of_several_files_have_one_digest_that_every_file_changes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no weights; expected a model folder"):
        weights_digest(tmp_path)
    for i in (1, 2):
        (tmp_path / f"model-{i}.safetensors").write_bytes(bytes([i]))
    before = weights_digest(tmp_path)
    (tmp_path / "model-2.safetensors").write_bytes(b"other")
    assert weights_digest(tmp_path) != before


def test_a_share_has_the_wilson_interval() -> None:
    assert share(5, 10) == {"count": 5, "share": 0.5, "interval_95": [0.2366, 0.7634]}
