"""A small service that speaks the protocol of OpenAI, with a real model behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from crystext.inference.text_models.base import ChatDecoding
from crystext.inference.text_models.causal import CausalTextModel
from crystext.tasks.chat_prompt import ChatPrompt, Message


class Reply(NamedTuple):
    """A response that the service gives in place of an answer."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


class ChatServer(ThreadingHTTPServer):
    """Answers on the loopback device; it keeps what it is sent."""

    daemon_threads = True

    def __init__(self, folder: Path, *, key: str = "", models: tuple[str, ...] = ("tiny",)) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model_folder, self.key, self.models = str(folder), key, models
        self.scripted: list[Reply] = []
        """Given in turn before anything is answered."""
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.turn = threading.Lock()

    @property
    def source(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answer(self, body: Mapping[str, Any]) -> str:
        decoding = ChatDecoding(
            temperature=body["temperature"],
            max_new_tokens=body["max_tokens"],
            top_k=body.get("top_k"),
            top_p=body.get("top_p"),
            frequency_penalty=body.get("frequency_penalty", 0.0),
            batch_size=1,
        )
        prompt = ChatPrompt(
            tuple(Message(**message) for message in body.get("messages", ())),
            body.get("prompt", ""),
        )
        with self.turn:
            model = CausalTextModel(self.model_folder, decoding, seed=body.get("seed", 0))
            ((text, _),) = model.answer([prompt])
        return text


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_GET(self) -> None:
        names = [{"id": name, "object": "model"} for name in self.server.models]
        self._send(Reply(200, {"object": "list", "data": names}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.requests.append({"path": self.path, **body})
        server.authorizations.append(self.headers.get("Authorization", ""))
        if server.scripted:
            self._send(server.scripted.pop(0))
        elif server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
            self._send(Reply(401, {"error": {"message": "no access"}}))
        elif body.get("model") not in server.models:
            self._send(Reply(404, {"error": {"message": f"no model {body.get('model')}"}}))
        else:
            text = server.answer(body)
            is_chat = self.path == "/v1/chat/completions"
            choice = {"message": {"role": "assistant", "content": text}} if is_chat else {}
            self._send(Reply(200, {"choices": [{"index": 0, "text": text, **choice}]}))

    def _send(self, reply: Reply) -> None:
        content = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[ChatServer]:
    """Yield a service with the model of a folder, and stop it."""
    server = ChatServer(folder, **options)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
