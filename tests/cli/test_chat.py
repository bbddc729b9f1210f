"""`crystext chat` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chat_models import write_chat_model
from tests.conftest import Run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("chat") / "model")


def test_a_question_is_answered_alike_from_an_argument_and_from_standard_input(
    cli: Run, model: Path
) -> None:
    options = ("--max-new-tokens", 12, "--system", "Be brief.")
    one = cli("chat", model, "How many?", *options)
    other = cli("chat", model, *options, input="How many?")
    assert one.returncode == 0, one.stderr
    assert one.stdout == other.stdout
    assert one.stdout.strip()


def test_sampling_follows_its_seed(cli: Run, model: Path) -> None:
    asked = ("chat", model, "How many?", "--temperature", 1, "--max-new-tokens", 40)
    first, again, other = (cli(*asked, "--seed", seed).stdout for seed in (1, 1, 2))
    assert first == again != other


def test_what_cannot_be_asked_is_refused(cli_refuses, model: Path, tmp_path: Path) -> None:
    assert "empty" in cli_refuses("chat", model, input=" \n")
    assert "no model folder" in cli_refuses("chat", tmp_path / "absent", "x")
    assert "tokens; the limit is" in cli_refuses("chat", model, "x" * 5000)
    assert "--temperature" in cli_refuses("chat", model, "x", "--top-k", 3)
    assert "nothing answers there" in cli_refuses("chat", "http://127.0.0.1:9/v1#x", "x")
