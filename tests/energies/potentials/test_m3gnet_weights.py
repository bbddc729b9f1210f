"""The weights of M3GNet: from a folder, a cache, or the Hub, which is asked once and briefly."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crystext.energies.potentials import m3gnet_weights
from crystext.energies.potentials.m3gnet_weights import (
    FILES,
    M3GNET,
    REPOSITORY,
    cached_weights,
    find_weights,
    is_complete,
)
from crystext.errors import ModelError
from tests.fake_hub import FakeHub

ASK = (
    "import sys, time\n"
    "from crystext.errors import ModelError\n"
    "from crystext.energies.potentials.m3gnet_weights import find_weights\n"
    "start = time.monotonic()\n"
    "try:\n"
    "    print(find_weights(sys.argv[1]))\n"
    "except ModelError as error:\n"
    "    print(error)\n"
    "print(time.monotonic() - start)\n"
    "assert not {'matgl', 'torch'} & sys.modules.keys()\n"
)
"""Prints what is found or said, and how many seconds it took."""


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a machine with an empty cache, on which the Hub may be asked."""
    return {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_ENDPOINT": "http://127.0.0.1:9",  # where nothing listens
    }


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        hub.repositories[REPOSITORY] = {name: name.encode() for name in FILES}
        yield hub


def asked(environment: dict[str, str], source: object = M3GNET) -> tuple[str, float]:
    ended = subprocess.run(
        [sys.executable, "-c", ASK, str(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    said, seconds = ended.stdout.strip().rsplit("\n", 1)
    return said, float(seconds)


def test_weights_are_fetched_once_and_then_come_from_the_cache(
    environment: dict[str, str], hub: FakeHub
) -> None:
    first, _ = asked({**environment, "HF_ENDPOINT": hub.address})
    assert is_complete(Path(first))
    # The second time the Hub is not there.
    assert asked(environment)[0] == first
    assert asked({**environment, "HF_HUB_OFFLINE": "1"})[0] == first


@pytest.mark.parametrize("change", [{}, {"HF_HUB_OFFLINE": "1"}, {"TRANSFORMERS_OFFLINE": "1"}])
def test_without_a_network_two_ways_out_are_named_within_seconds(
    environment: dict[str, str], change: dict[str, str]
) -> None:
    if change == {"TRANSFORMERS_OFFLINE": "1"}:
        environment.pop("HF_HUB_OFFLINE")
    said, seconds = asked({**environment, **change})
    # Loaded machines are slow; the library's own retries would take 23 s and more.
    assert seconds < 10
    assert f"no {M3GNET}" in said
    assert "--potential chgnet" in said
    assert f"hf download {REPOSITORY} --local-dir M3GNET_FOLDER" in said
    assert ("cannot be reached" in said) == (not change)
    assert ("the Hub is disabled" in said) == bool(change)


def test_a_hub_that_does_not_answer_is_given_up(environment: dict[str, str]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said, seconds = asked({**environment, "HF_ENDPOINT": address})
    assert re.search("does not answer within 5 seconds|cannot be reached", said)
    assert 4 < seconds < 10


def test_a_look_up_that_takes_long_is_not_waited_for() -> None:
    """The time limits of an HTTP library do not cover it."""
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        m3gnet_weights._with_timeout(0.1, lambda: time.sleep(3))
    assert time.monotonic() - started < 2


def test_a_repository_that_is_not_there_or_holds_something_else_is_told(
    environment: dict[str, str], hub: FakeHub
) -> None:
    environment = {**environment, "HF_ENDPOINT": hub.address}
    hub.repositories["somebody/else"] = {"config.json": b"{}"}
    assert "no model nobody/nothing" in asked(environment, "nobody/nothing")[0]
    assert "somebody/else on the Hub is not a matgl" in asked(environment, "somebody/else")[0]


def test_a_cache_that_cannot_be_written_is_told(
    environment: dict[str, str], hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    cache = {"HF_HOME": str(tmp_path / "file" / "cache"), "HF_ENDPOINT": hub.address}
    said, _ = asked({**environment, **cache})
    assert "cannot be written to huggingface_hub's cache" in said
    assert "--potential chgnet" in said


def test_the_command_that_is_named_makes_a_folder_that_is_taken(
    environment: dict[str, str], hub: FakeHub, tmp_path: Path
) -> None:
    command = shutil.which("hf", path=str(Path(sys.executable).parent))
    assert command is not None
    ended = subprocess.run(
        [command, "download", REPOSITORY, "--local-dir", tmp_path / "M3GNET_FOLDER"],
        env={**environment, "HF_ENDPOINT": hub.address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert find_weights(tmp_path / "M3GNET_FOLDER") == tmp_path / "M3GNET_FOLDER"


def test_both_caches_and_matgls_older_one_are_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert cached_weights() is None
    older = made(tmp_path / "home" / ".cache" / "matgl" / M3GNET)
    assert cached_weights() == older
    repository = "models--" + REPOSITORY.replace("/", "--")
    for cache in (tmp_path / "home" / ".cache" / "matgl", tmp_path / "hub"):
        snapshot = made(cache / repository / "snapshots" / ("a" * 40))
        (cache / repository / "refs").mkdir()
        (cache / repository / "refs" / "main").write_text("a" * 40)
        assert cached_weights() == snapshot
    # A download that was cut short is none.
    (snapshot / FILES[2]).unlink()
    assert cached_weights() != snapshot


def test_a_folder_that_lacks_a_file_is_told_which(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match=r"lacks model\.pt, state\.pt"):
        find_weights(tmp_path)
