"""Models behind a service answer as they do here; what goes wrong there is one message here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from crystext.errors import ModelError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from crystext.inference.text_models.endpoint import KEY_VARIABLE, EndpointTextModel
from crystext.inference.text_models.open import open_text_model
from crystext.tasks.chat_prompt import ChatPrompt
from tests.chat_models import write_chat_model
from tests.chat_server import ChatServer, Reply, serving

GREEDY = ChatDecoding(max_new_tokens=8, batch_size=3)
PROMPTS = [
    ChatPrompt.of_question(f"What is the band gap of {x}?", "You estimate properties.")
    for x in ("SrTiO3", "Si", "GaAs", "MgO", "K2O")
]
KEY = "sk-a-secret-of-the-user"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with serving(folder) as started:
        yield started


def endpoint(server: ChatServer, **options: Any) -> EndpointTextModel:
    settings = {"first_wait_s": 0.01, "max_attempts": 3, "decoding": GREEDY, **options}
    return EndpointTextModel(server.source, **settings)


def test_a_service_gives_the_answers_that_its_model_gives_here(
    server: ChatServer, folder: Path
) -> None:
    here = open_text_model(str(folder), GREEDY).answer(PROMPTS)
    assert any(text for text, _ in here)
    assert open_text_model(server.source, GREEDY).answer(PROMPTS) == here
    assert open_text_model(f"{server.source}#tiny", GREEDY).answer(PROMPTS) == here


def test_only_what_was_set_is_sent(server: ChatServer) -> None:
    endpoint(server).answer(PROMPTS[:1])
    assert server.requests[-1].keys() == {"path", "model", "messages", "max_tokens", "temperature"}
    sampled = ChatDecoding(0.75, top_k=50, frequency_penalty=1.0, max_new_tokens=5, top_p=0.9)
    endpoint(server, decoding=sampled, seed=7).answer(PROMPTS[:1])
    sent = server.requests[-1]
    assert (sent["temperature"], sent["top_k"], sent["top_p"]) == (0.75, 50, 0.9)
    assert (sent["frequency_penalty"], sent["seed"], sent["max_tokens"]) == (1.0, 7, 5)


def test_a_text_with_control_tokens_is_not_put_into_a_template(
    server: ChatServer, folder: Path
) -> None:
    prompt = ChatPrompt(text="<s>[INST] band gap of Si? [/INST]")
    assert endpoint(server).answer([prompt]) == open_text_model(str(folder), GREEDY).answer(
        [prompt]
    )
    assert server.requests[-1]["path"] == "/v1/completions"
    assert server.requests[-1]["prompt"] == prompt.text


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_service_is_asked_again(server: ChatServer, status: int) -> None:
    usual = endpoint(server).answer(PROMPTS)
    server.scripted = [Reply(status, {"error": "busy"}, {"Retry-After": "0"})] * 2
    assert endpoint(server).answer(PROMPTS) == usual
    server.scripted = [Reply(status, "busy")] * 9
    with pytest.raises(ModelError, match=rf"{status} \(busy\), after 3 attempts"):
        endpoint(server, decoding=ChatDecoding(batch_size=1)).answer(PROMPTS[:1])


def test_a_prompt_that_is_too_long_is_a_failure_among_the_others(server: ChatServer) -> None:
    one_at_a_time = ChatDecoding(max_new_tokens=8, batch_size=1)
    said = {"error": {"message": "This model's maximum context length is 512 tokens."}}
    server.scripted = [Reply(400, said)]
    (text, problem), *others = endpoint(server, decoding=one_at_a_time).answer(PROMPTS[:3])
    assert text == ""
    assert "maximum context length is 512" in problem
    assert [reason for _, reason in others] == ["", ""]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply(422, {"detail": "Unexpected fields in the request: {'top_k'}"}),
            "Unexpected fields",
        ),
        (Reply(400, {"error": {"message": "unsupported parameter max_tokens"}}), "max_tokens"),
        (Reply(404, "not here"), "expected an address that ends in /v1"),
        (Reply(403, {}), "OPENAI_API_KEY is not set"),
        (Reply(301, "", {"Location": "https://elsewhere/v1"}), "has moved to https://elsewhere/v1"),
        (Reply(200, "<html>"), "expected JSON"),
        (Reply(200, {"choices": []}), "expected an answer under choices"),
        (Reply(200, {"choices": [{"message": {"content": [1]}}]}), "expected an answer in words"),
    ],
)
def test_what_no_repetition_helps_is_one_message(
    server: ChatServer, reply: Reply, message: str
) -> None:
    server.scripted = [reply]
    with pytest.raises(ModelError, match=message):
        endpoint(server).answer(PROMPTS[:1])
    assert len(server.requests) == 1


def test_the_key_goes_into_the_request_and_nowhere_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # requests would send the name and password of this file in place of the key.
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with serving(folder, key=KEY) as server:
        model = endpoint(server)
        assert model.answer(PROMPTS[:1])[0][1] == ""
        assert server.authorizations == [f"Bearer {KEY}"]
        assert KEY not in str(model.identity()) + str(vars(model))
        server.scripted = [Reply(400, {"error": f"the key {KEY} is bad"})]
        with pytest.raises(ModelError) as raised:
            model.answer(PROMPTS[:1])
        assert KEY not in str(raised.value)
        monkeypatch.setenv(KEY_VARIABLE, "sk-wrong")
        with pytest.raises(ModelError, match="is not accepted"):
            model.answer(PROMPTS[:1])
        monkeypatch.setenv(KEY_VARIABLE, "sk-two\nlines")
        with pytest.raises(SettingError) as refused:
            model.answer(PROMPTS[:1])
        assert "two" not in str(refused.value)


def test_a_service_with_several_models_needs_a_name(folder: Path) -> None:
    with serving(folder, models=("tiny", "large")) as server:
        with pytest.raises(ModelError, match=r"tiny, large; name the one.*/v1#MODEL"):
            endpoint(server).answer(PROMPTS[:1])
        model = EndpointTextModel(f"{server.source}#huge", GREEDY)
        with pytest.raises(ModelError, match=r"model 'huge' .no model huge"):
            model.answer(PROMPTS[:1])


def test_nothing_at_an_address_is_one_message() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        source = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        model = EndpointTextModel(source, GREEDY, first_wait_s=0.01)
        with pytest.raises(ModelError, match="nothing answers there, after 2 attempts"):
            model.answer(PROMPTS[:1])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://", "expected one such as"),
        ("http://host:port/v1", "expected one such as"),
        ("https://me:mine@host/v1", "holds no name or password"),
        ("http://host/v1?key=mine", "expected one such as"),
    ],
)
def test_a_wrong_address_is_one_message(source: str, message: str) -> None:
    with pytest.raises(SettingError, match=message) as raised:
        open_text_model(source)
    assert "mine" not in str(raised.value)


def test_transformers_serve_answers_as_the_model_does_here(folder: Path) -> None:
    needed = ("fastapi", "uvicorn", "openai", "transformers.cli")
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"needs transformers 5 with its extra serving; {', '.join(missing)} is missing")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", code, "serve", str(folder), "--port", str(port)]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--device", "cpu"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            _wait_for(port, process)
            here = open_text_model(str(folder), GREEDY).answer(PROMPTS)
            assert open_text_model(f"http://127.0.0.1:{port}/v1", GREEDY).answer(PROMPTS) == here
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as something listens at a port."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert process.poll() is None, "the service ended"
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("the service did not start")
