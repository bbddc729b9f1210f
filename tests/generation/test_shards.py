"""Several processes draw what one would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.conditions import Conditions
from crystext.errors import RunError, SettingError
from crystext.generation.run import read_attempts, run_sampling, sample_shard
from crystext.generation.sampling_run import SamplingRun
from crystext.generation.shards import Shard, parse_shard, shard_from_environment
from crystext.inference.types import SamplingSettings

N = 14


@pytest.fixture(scope="module")
def campaign(tiny_model: Path) -> SamplingRun:
    return SamplingRun(N, str(tiny_model), SamplingSettings(seed=3), max_atoms=3, batch_size=4)


@pytest.fixture(scope="module")
def expected(campaign: SamplingRun, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("one") / "run"
    run_sampling(campaign, out)
    return (out / "attempts.jsonl").read_bytes()


@given(n=st.integers(1, 3000), rows=st.integers(1, 4), count=st.integers(1, 9))
def test_shards_share_out_the_batches(n: int, rows: int, count: int) -> None:
    wanted = SamplingRun(n, "shipped", SamplingSettings(), (Conditions(),) * rows)
    shards = [Shard(place, count).batches(wanted) for place in range(count)]
    assert sorted(batch for batches in shards for batch in batches) == wanted.batches()


def test_shards_gathered_by_the_last_are_the_run_of_one_process(
    campaign: SamplingRun, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert not sample_shard(campaign, out, Shard(1, 2))
    assert not (out / "attempts.jsonl").exists()
    assert sample_shard(campaign, out, Shard(0, 2))
    assert run_sampling(campaign, out) == N
    assert (out / "attempts.jsonl").read_bytes() == expected
    assert not (out / "shards").exists()
    # What is gathered is not drawn again.
    assert sample_shard(campaign, out, Shard(0, 2))
    assert not (out / "shards").exists()


def test_what_the_shards_lack_is_drawn_and_a_damaged_one_is_refused(
    campaign: SamplingRun, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    sample_shard(campaign, out, Shard(1, 3))
    (path,) = sorted((out / "shards").iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match="does not hold the samples that its name says"):
        run_sampling(campaign, out)
    assert expected.startswith((out / "attempts.jsonl").read_bytes())
    path.write_bytes(whole)
    run_sampling(campaign, out)
    assert (out / "attempts.jsonl").read_bytes() == expected
    assert len(list(read_attempts(out))) == N


def test_two_launched_processes_write_the_bytes_of_one(
    expected: bytes, tiny_model: Path, tmp_path: Path
) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    ended = subprocess.run(
        [
            # What `accelerate launch` runs for several GPUs; for CPUs alone it would need MPI. It
            # would take `--n` for an option of its own that is cut short.
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", str(port), "-m", "crystext", "sample", "-n", str(N)),
            *("--seed", "3", "--max-atoms", "3", "--batch-size", "4"),
            *("--model", str(tiny_model), "--out", str(tmp_path / "run")),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(f"{N} attempts, {N} of them crystals") >= 1
    assert (tmp_path / "run" / "attempts.jsonl").read_bytes() == expected
    started = (tmp_path / "run" / "starts.jsonl").read_text()
    assert started.count('"shard": "1/2"') == started.count('"shard": "2/2"') == 1


def test_a_shard_is_written_k_of_n() -> None:
    assert parse_shard("2/4") == Shard(1, 4)
    assert str(Shard(1, 4)) == "2/4"
    for wrong in ("0/4", "5/4", "4", "1/0", "a/b", "-1/4", ""):
        with pytest.raises(SettingError, match="K/N"):
            parse_shard(wrong)


def test_the_environment_of_a_launcher_says_the_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert shard_from_environment() is None
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert shard_from_environment() == Shard(3, 4)
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(SettingError, match="RANK is '4' and WORLD_SIZE '4'"):
        shard_from_environment()


def test_a_shard_that_is_none_is_refused_by_the_command(
    cli_refuses: Callable[..., str], tiny_model: Path, tmp_path: Path
) -> None:
    message = cli_refuses("sample", "--shard", "3/2", "--model", tiny_model, "--out", tmp_path)
    assert "'3/2' is not a shard" in message
    assert list(tmp_path.iterdir()) == []
