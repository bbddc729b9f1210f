"""A server that speaks as much of the Hugging Face Hub as fetching and sending a model takes.

Stands in for the one part that cannot be had without a network. Files are kept in memory; the name
of a repository decides how it is guarded: `locked/...` is gated, `forbidden/...` refuses writers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

TOKEN = "hf_secret"  # noqa: S105
COMMIT = "a" * 40

Files = dict[str, bytes]


class FakeHub:
    """The server; use as a context."""

    def __init__(self) -> None:
        self.repositories: dict[str, Files] = {}
        self.private: dict[str, bool | None] = {}
        hub = self

        class Handler(_Handler):
            repositories, private = hub.repositories, hub.private

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    repositories: dict[str, Files]
    private: dict[str, bool | None]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    @property
    def _is_authorized(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def do_HEAD(self) -> None:
        self._read()

    def do_GET(self) -> None:
        self._read()

    def _read(self) -> None:
        parts = urlparse(self.path).path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        if api:
            parts = parts[2:]
        name = "/".join(parts[:2])
        files = self.repositories.get(name)
        if files is None:
            self._error(404 if self._is_authorized else 401, "RepoNotFound")
        elif api and "tree" in parts:
            self._answer(
                [
                    {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}
                    for path, content in files.items()
                ]
            )
        elif api:
            self._answer({"id": name, "sha": COMMIT, "siblings": []})
        elif name.startswith("locked/"):
            self._error(403 if self._is_authorized else 401, "GatedRepo")
        elif (path := "/".join(parts[4:])) in files:
            content = files[path]
            self._answer(content, X_Repo_Commit=COMMIT, ETag=f'"{_oid(content)}"')
        else:
            self._error(404, "EntryNotFound")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlparse(self.path).path
        name = "/".join(path.split("/")[3:5])
        if not self._is_authorized:
            self._error(401, "Unauthorized")
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif name.startswith("forbidden/"):
            self._error(403, "Forbidden")
        elif "/preupload/" in path:
            wanted = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in wanted
            ]
            self._answer({"files": modes})
        else:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.repositories[name][line["value"]["path"]] = content
            address = f"http://{self.headers['Host']}/{name}"
            self._answer({"commitUrl": f"{address}/commit/{COMMIT}", "commitOid": COMMIT})

    def _create(self, request: dict[str, Any]) -> None:
        name = "/".join(filter(None, [request.get("organization"), request["name"]]))
        self.repositories.setdefault(name, {})
        visibility = request.get("visibility")
        self.private[name] = request.get("private", visibility and visibility == "private")
        self._answer({"url": f"http://{self.headers['Host']}/{name}", "name": name})


def _oid(content: bytes) -> str:
    # Git's own: the library checks it where it can.
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324
