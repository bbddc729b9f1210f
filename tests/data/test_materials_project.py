"""The Materials Project through its own client, against a web server on this machine."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crystext.data.materials_project import parse_ids
from crystext.data.prepare_store import PrepareSettings, prepare
from crystext.data.store import read_store
from crystext.errors import InputError, SettingError
from tests.example_crystals import NACL, QUARTZ

KNOWN = {
    "mp-22862": {"structure": NACL.structure.as_dict(), "symmetry": {"number": 225},
                 "band_gap": 5.0, "formation_energy_per_atom": -2.1, "energy_above_hull": 0.0},
    "mp-6930": {"structure": QUARTZ.structure.as_dict(), "symmetry": {"number": 154},
                "band_gap": 5.7, "formation_energy_per_atom": None, "energy_above_hull": 0.01},
}  # fmt: skip
KEY = "k" * 32
HEARTBEAT = {"db_version": "2025.01.01", "version": "0.87.0", "access_controlled_batch_ids": []}


class Handler(BaseHTTPRequestHandler):
    """Answers as the project's server does, as far as the client asks."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        status, answer = 200, dict[str, Any](HEARTBEAT)
        if "summary" in address.path and self.headers.get("x-api-key") != KEY:
            status, answer = 401, {"message": "Invalid authentication credentials"}
        elif "summary" in address.path:
            ids = parse_qs(address.query)["material_ids"][0].split(",")
            found = [{"material_id": id, **KNOWN[id]} for id in reversed(ids) if id in KNOWN]
            answer = {"data": found, "meta": {"total_doc": len(found)}}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("mp_api", reason="needs the extra mp")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        monkeypatch.setenv("MP_API_ENDPOINT", f"http://127.0.0.1:{http.server_port}/")
        monkeypatch.setenv("MP_API_KEY", KEY)
        yield
        http.shutdown()


@pytest.mark.usefixtures("server")
def test_ids_become_crystals_with_labels_in_the_order_asked_for(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("mp-6930\nmp-1, mp-22862\nmp-6930\n")
    settings = PrepareSettings(split="1/0/0")
    report = prepare(f"mp:@{tmp_path / 'ids.txt'}", tmp_path / "out", settings)
    data = read_store(tmp_path / "out", "train")
    assert [data[i].name for i in range(len(data))] == ["mp-6930", "mp-22862"]
    assert [data[i].labels["band_gap"] for i in range(2)] == [5.7, 5.0]
    assert [data[i].labels["e_above_hull"] for i in range(2)] == [0.01, 0.0]
    assert report.skip_examples == {
        "cannot be read": ["mp-1 (the Materials Project has no such id)"]
    }
    about: dict[str, Any] = json.loads((tmp_path / "out" / "store.json").read_text())
    assert about["source"]["ids"] == ["mp-6930", "mp-1", "mp-22862"]


@pytest.mark.usefixtures("server")
def test_a_refused_key_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MP_API_KEY", "w" * 32)
    with pytest.raises(InputError, match=r"gives no answer: .*Check the network and MP_API_KEY"):
        prepare("mp:mp-22862", tmp_path / "out")


def test_without_the_client_or_a_key_it_is_said_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "mp_api", None)
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(SettingError, match=r"pip install 'crystext\[mp\]'"):
        prepare("mp:mp-149", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "mp_api", type(sys)("mp_api"))
    monkeypatch.setitem(sys.modules, "mp_api.client", type(sys)("mp_api.client"))
    monkeypatch.delenv("MP_API_KEY", raising=False)
    with pytest.raises(SettingError, match="MP_API_KEY is not set; get one at"):
        prepare("mp:mp-149", tmp_path / "out")
    with pytest.raises(SettingError, match="--where needs a table"):
        prepare("mp:mp-149", tmp_path / "out", PrepareSettings(where={"a": "b"}))


def test_ids_are_checked_before_anything_is_asked(tmp_path: Path) -> None:
    assert parse_ids("mp:mp-149, mp-22862,mp-149") == ["mp-149", "mp-22862"]
    with pytest.raises(SettingError, match="'149' is not an id"):
        parse_ids("mp:149")
    with pytest.raises(SettingError, match="names no id"):
        parse_ids("mp:")
    with pytest.raises(InputError, match=r"none\.txt cannot be read"):
        parse_ids(f"mp:@{tmp_path / 'none.txt'}")
