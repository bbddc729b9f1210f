"""Fetching from and sending to the Hub, over HTTP, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from crystext.errors import ModelError
from crystext.generation.run import read_attempts
from crystext.models.initialize import initialize_model
from crystext.models.load import load_model, save_model
from crystext.models.merge import merge_adapter
from crystext.models.push import push_model
from crystext.models.settings import LoraSettings, ModelSettings
from crystext.text import PLAIN
from tests.conftest import Run
from tests.fake_hub import TOKEN, FakeHub

Refuses = Callable[..., str]


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def environment(hub: FakeHub, tmp_path: Path) -> dict[str, str]:
    """That of someone who is logged in, with an empty cache."""
    return {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": TOKEN,
    }


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter on a base that is known by its path alone."""
    settings = ModelSettings(base=str(tiny_model), lora=LoraSettings(rank=2))
    start = initialize_model(
        settings,
        None,
        PLAIN,
        max_tokens=256,
        seed=0,
        device=torch.device("cpu"),
        compute_dtype=torch.bfloat16,
    )
    run = tmp_path_factory.mktemp("run")
    save_model(run / "model", start.network, start.tokenizer, start.prompts, PLAIN, base=start.base)
    (run / "recipe.yaml").write_text("tasks: {unconditional: 0.6, conditional: 0.4, infill: 0}\n")
    return run / "model"


def test_what_is_pushed_can_be_drawn_from_elsewhere(
    hub: FakeHub,
    cli: Run,
    environment: dict[str, str],
    tiny_model: Path,
    adapter: Path,
    tmp_path: Path,
) -> None:
    ended = cli("push", tiny_model, "me/base", env=environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"the model is at {hub.address}/me/base\n"
    assert not hub.private["me/base"]
    files = hub.repositories["me/base"]
    for path in tiny_model.rglob("*"):
        if path.is_file():
            assert files[path.relative_to(tiny_model).as_posix()] == path.read_bytes()

    named = Path(shutil.copytree(adapter.parent, tmp_path / "run")) / "model"
    about = json.loads((named / "crystext.json").read_text()) | {"base": "me/base"}
    (named / "crystext.json").write_text(json.dumps(about))
    assert cli("push", named, "me/adapter", "--private", env=environment).returncode == 0
    assert hub.private["me/adapter"]
    files = hub.repositories["me/adapter"]
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "me/base"
    assert str(tiny_model).encode() not in b"".join(files.values())
    card = files["README.md"].decode()
    assert "base_model: me/base" in card
    assert "unconditional (0.6), conditional (0.4)\n" in card
    assert "crystext sample --model me/adapter" in card
    assert "`plain`" in card

    out = tmp_path / "drawn"
    options = "--n", 4, "--batch-size", 4, "--max-atoms", 2, "--workers", 1
    ended = cli("sample", "--model", "me/adapter", "--out", out, *options, env=environment)
    assert ended.returncode == 0, ended.stderr
    # A fresh adapter changes nothing, and what the Hub gives is what was sent.
    here = tmp_path / "here"
    assert cli("sample", "--model", tiny_model, "--out", here, *options).returncode == 0
    drawn, expected = ([x["text"] for x in read_attempts(place)] for place in (out, here))
    assert drawn == expected


def test_a_card_of_one_s_own_is_sent_as_it_is(
    hub: FakeHub, cli: Run, environment: dict[str, str], tiny_model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "README.md").write_text("mine")
    assert cli("push", folder, "me/mine", env=environment).returncode == 0
    assert hub.repositories["me/mine"]["README.md"] == b"mine"


def test_a_gated_model_is_told_with_what_to_do(
    hub: FakeHub, cli_refuses: Refuses, environment: dict[str, str], tmp_path: Path
) -> None:
    hub.repositories["locked/llama"] = {"config.json": b"{}", "model.safetensors": b""}
    del environment["HF_TOKEN"]
    message = cli_refuses(
        "sample", "--model", "locked/llama", "--out", tmp_path / "run", env=environment
    )
    assert "locked/llama is gated: accept its licence at https://huggingface.co/locked/llama" in (
        message
    )
    assert "`hf auth login`, or set HF_TOKEN" in message
    assert len([line for line in message.splitlines() if line.startswith("crystext: ")]) == 1
    assert not (tmp_path / "run").exists()


def test_a_model_that_there_is_not_is_told(
    cli_refuses: Refuses, environment: dict[str, str], tmp_path: Path
) -> None:
    command = "sample", "--model", "me/nowhere", "--out", tmp_path / "run"
    assert "no model me/nowhere: it is neither a folder" in cli_refuses(*command, env=environment)
    environment["HF_HUB_OFFLINE"] = "1"
    message = cli_refuses(*command, env=environment)
    assert "no model me/nowhere: it is neither a folder here nor in the Hub's cache" in message
    assert "HF_HUB_OFFLINE" in message


def test_pickles_are_not_even_fetched(
    hub: FakeHub, cli_refuses: Refuses, environment: dict[str, str], tmp_path: Path
) -> None:
    hub.repositories["me/pickled"] = {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."}
    message = cli_refuses(
        "sample", "--model", "me/pickled", "--out", tmp_path / "run", env=environment
    )
    assert "model.safetensors (other weight formats are not read" in message
    assert not list((tmp_path / "cache").rglob("*.bin"))


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("me/new", {"HF_TOKEN": "wrong"}, "me/new cannot be written: the Hub answers 401"),
        ("me/new", {"HF_HUB_OFFLINE": "1"}, "the Hub cannot be reached"),
        ("me/new", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "the Hub cannot be reached"),
        ("forbidden/new", {}, "the Hub answers 403; log in"),
    ],
)
def test_what_keeps_a_model_from_being_sent_is_told(
    cli_refuses: Refuses,
    environment: dict[str, str],
    tiny_model: Path,
    name: str,
    changes: dict[str, str],
    expected: str,
) -> None:
    message = cli_refuses("push", tiny_model, name, env={**environment, **changes})
    assert expected in message
    assert message.count("\n") == 1


def test_what_cannot_be_sent_is_refused_without_asking_the_hub(
    adapter: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ModelError, match="'nameless' is not a name on the Hub; expected OWNER/NAME"
    ):
        push_model(tiny_model, "nameless")
    with pytest.raises(ModelError, match="no model folder"):
        push_model(tmp_path / "nowhere", "me/new")
    reason = f"is {tiny_model}, which is only on this machine; merge it first"
    with pytest.raises(ModelError, match=re.escape(reason)):
        push_model(adapter, "me/new")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(ModelError, match="there is no token; log in with `hf auth login`"):
        push_model(tiny_model, "me/new")


def test_merging_from_the_command_line(
    cli: Run, adapter: Path, tiny_model: Path, tmp_path: Path
) -> None:
    ended = cli("merge", adapter, "--out", tmp_path / "merged")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"the model is in {tmp_path / 'merged'}\n"
    merged, base = (
        dict(load_model(f).network.named_parameters()) for f in (tmp_path / "merged", tiny_model)
    )
    assert all(torch.equal(weight, base[name]) for name, weight in merged.items())
    with pytest.raises(ModelError, match="exists already; give another --out"):
        merge_adapter(adapter, tmp_path / "merged")
    with pytest.raises(ModelError, match="is a whole model; expected"):
        merge_adapter(tmp_path / "merged", tmp_path / "again")
    assert not (tmp_path / "again").exists()
