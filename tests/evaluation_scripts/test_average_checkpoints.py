from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluation.shipped_model.average_checkpoints import main

WEIGHTS = "model.safetensors"


def keep(folder: Path, values: list[float], name: str = "layer") -> None:
    folder.mkdir()
    (folder / "tokenizer.json").write_text(folder.name, encoding="utf-8")
    save_file({name: torch.tensor(values, dtype=torch.bfloat16)}, folder / WEIGHTS)


def test_the_mean_is_weighed_by_the_shares_and_keeps_type_and_companions(tmp_path: Path) -> None:
    keep(tmp_path / "one", [1.0, 8.0])
    keep(tmp_path / "two", [4.0, -1.0])
    shares = [f"{tmp_path / 'one'}=1", f"{tmp_path / 'two'}=2"]
    assert main([*shares, "--out", str(tmp_path / "mean")]) == 0
    mean = load_file(tmp_path / "mean" / WEIGHTS)["layer"]
    assert mean.dtype == torch.bfloat16
    assert mean.tolist() == [3.0, 2.0]
    assert (tmp_path / "mean" / "tokenizer.json").read_text(encoding="utf-8") == "two"


def test_one_model_is_its_own_mean(tmp_path: Path) -> None:
    keep(tmp_path / "one", [0.1, 0.7])
    assert main([f"{tmp_path / 'one'}=3", "--out", str(tmp_path / "mean")]) == 0
    before, after = (load_file(tmp_path / x / WEIGHTS)["layer"] for x in ("one", "mean"))
    assert torch.equal(before, after)


@pytest.mark.parametrize(
    ("other", "share", "message"),
    [
        ({"values": [1.0]}, "1", "other tensors"),
        ({"values": [1.0, 2.0], "name": "head"}, "1", "other tensors"),
        ({"values": [1.0, 2.0]}, "-1", "more than 0"),
    ],
)
def test_what_has_no_mean_is_refused_and_nothing_is_written(
    other: dict[str, object],
    share: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(tmp_path / "one", [1.0, 2.0])
    keep(tmp_path / "two", **other)  # type: ignore[arg-type]
    shares = [f"{tmp_path / 'one'}=1", f"{tmp_path / 'two'}={share}"]
    assert main([*shares, "--out", str(tmp_path / "mean")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_a_folder_without_weights_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{tmp_path}=1", "--out", str(tmp_path / "mean")]) == 2
    assert str(tmp_path / WEIGHTS) in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path / "one", [1.0, 2.0])
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert main([f"{tmp_path / 'one'}=1", "--out", str(tmp_path / "file" / "mean")]) == 2
    assert "Not a directory" in capsys.readouterr().err
