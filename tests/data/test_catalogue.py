"""Downloads: verified before they get their name, and asked for by hand where there is no network.

Served by a web server of the standard library on this machine.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from crystext.data import catalogue
from crystext.data.catalogue import CATALOGUE, CatalogueEntry, fetch
from crystext.data.prepare_store import PrepareSettings, prepare
from crystext.data.store import read_store
from crystext.errors import InputError, RunError
from crystext.io.write import cif
from crystext.runtime.download import RemoteFile
from crystext.runtime.files import file_digest
from tests.example_crystals import IRON, NACL, QUARTZ, SRTIO3

CONTENT = {"train.csv": (NACL, QUARTZ), "val.csv": (IRON,), "test.csv": (SRTIO3,)}


class Handler(SimpleHTTPRequestHandler):
    """Counts what is asked for, and breaks off files whose name says so."""

    asked: list[str] = []  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path != "/broken.csv":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 10)


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    Handler.asked.clear()
    for name, crystals in CONTENT.items():
        rows = "".join(f'{i},"{cif(c)}"\n' for i, c in enumerate(crystals))
        (folder / name).write_text("material_id,cif\n" + rows)
    return folder


@pytest.fixture
def server(served: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=served)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def git_blob(path: Path) -> str:
    """Return the id that git itself gives a file."""
    command = ["git", "hash-object", "--no-filters", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def data_set(server: str, served: Path, kind: str) -> CatalogueEntry:
    def checksum(path: Path) -> str:
        if kind == "git":
            return f"git:{git_blob(path)}"
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if kind else ""

    return CatalogueEntry(
        4, "", tuple(RemoteFile(n, f"{server}/{n}", checksum(served / n)) for n in CONTENT)
    )


@pytest.mark.parametrize("kind", ["git", "sha256", ""])
def test_a_name_of_the_catalogue_is_downloaded_once_and_prepared(
    kind: str, server: str, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "small", data_set(server, served, kind))
    for _ in range(2):
        report = prepare("small", tmp_path / "small", PrepareSettings(), progress=False)
        assert report.written_counts == {"train": 2, "validation": 1, "test": 1}
    assert len(read_store(tmp_path / "small", "train")) == 2
    assert Handler.asked == [f"/{name}" for name in CONTENT]


@pytest.mark.parametrize("kind", ["git", "sha256", ""])
def test_a_file_that_changed_in_the_cache_is_fetched_again(
    kind: str, server: str, served: Path, cache: Path
) -> None:
    data = data_set(server, served, kind)
    assert fetch("small", data) == cache / "small"
    (cache / "small" / "val.csv").write_text("cut off")
    fetch("small", data)
    assert (cache / "small" / "val.csv").read_bytes() == (served / "val.csv").read_bytes()
    assert Handler.asked.count("/val.csv") == 2
    assert Handler.asked.count("/train.csv") == 1


def test_what_is_not_what_was_published_is_refused_and_not_kept(
    server: str, served: Path, cache: Path
) -> None:
    data = data_set(server, served, "git")
    (served / "train.csv").write_text("of someone else")
    with pytest.raises(InputError, match=r"a file other than the published one: .* expected"):
        fetch("small", data)
    assert list(cache.rglob("*.*")) == []
    # Without a published checksum, the first download is what later ones have to equal.
    data = data_set(server, served, "")
    fetch("trusted", data)
    (cache / "trusted" / "train.csv").unlink()
    (served / "train.csv").write_text("of yet another")
    with pytest.raises(InputError, match="a file other than the published one"):
        fetch("trusted", data)


def test_a_download_that_breaks_off_is_not_kept(server: str, cache: Path) -> None:
    data = CatalogueEntry(1, "", (RemoteFile("broken.csv", f"{server}/broken.csv", ""),))
    with pytest.raises(InputError, match=r"broken\.csv cannot be downloaded: the connection broke"):
        fetch("small", data)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_without_a_network_the_answer_is_the_address_and_the_place(
    cache: Path, server: str, served: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    data = data_set(nobody, served, "git")
    with pytest.raises(InputError) as refused:
        fetch("small", data)
    place = cache / "small" / "train.csv"
    assert str(refused.value) == (
        f"the data set small is not on this machine, and {nobody}/train.csv cannot be downloaded: "
        f"there is no connection to the server. Put the file at {place} by hand, and run the "
        "command again"
    )
    for name in CONTENT:
        (cache / "small" / name).write_bytes((served / name).read_bytes())
    assert fetch("small", data) == cache / "small"
    missing = CatalogueEntry(1, "", (RemoteFile("none.csv", f"{server}/none.csv", ""),))
    with pytest.raises(InputError, match=r"none\.csv cannot be downloaded: the server answers 404"):
        fetch("missing", missing)


def test_a_split_is_downloaded_without_the_others(server: str, served: Path, cache: Path) -> None:
    data = data_set(server, served, "git")
    for split, name in (("test", "test.csv"), ("validation", "val.csv"), ("train", "train.csv")):
        assert fetch("small", data, split=split) == cache / "small" / name
        assert Handler.asked.pop() == f"/{name}"
    whole = CatalogueEntry(1, "", data.files[:1])
    assert fetch("one", whole, split="test") == cache / "one" / "train.csv"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (requests.ConnectTimeout(), "does not answer in time"),
        (requests.ReadTimeout(), "does not answer in time"),
        (requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED]"), "certificate"),
        (requests.exceptions.ProxyError("HTTPConnectionPool(host='x')"), "proxy"),
        (requests.ConnectionError("HTTPSConnectionPool(host='raw.x.com')"), "no connection"),
        (requests.exceptions.InvalidSchema("x"), "no connection"),
    ],
)
def test_why_a_download_failed_is_told_without_a_librarys_words(
    error: Exception, expected: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(requests, "get", fail)
    data = CatalogueEntry(1, "", (RemoteFile("a.csv", "https://x.com/a.csv", ""),))
    with pytest.raises(InputError, match=expected) as refused:
        fetch("small", data)
    assert "Pool" not in str(refused.value)
    assert "SSL" not in str(refused.value)


def test_a_cache_that_cannot_be_written_is_told(cache: Path, server: str, served: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(RunError, match=r"cannot be written: .*CRYSTEXT_CACHE"):
        fetch("small", data_set(server, served, "git"))


def test_the_progress_of_a_download_is_told_in_bytes(server: str, served: Path) -> None:
    told: list[Any] = []

    def begin(name: str, total: int) -> Any:
        told.append([name, total, 0])

        def advance(size: int) -> None:
            told[-1][2] += size

        return advance

    fetch("small", data_set(server, served, "git"), begin)
    sizes = [(name, (served / name).stat().st_size) for name in CONTENT]
    assert [(name, total) for name, total, _ in told] == sizes
    assert all(done >= total for _, total, done in told)


def test_the_digest_of_kind_git_is_the_id_that_git_gives(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"Na\r\nCl\0" * 300_000)
    assert file_digest(tmp_path / "x", "git") == git_blob(tmp_path / "x")


def test_every_entry_of_the_catalogue_is_pinned() -> None:
    for name, data in CATALOGUE.items():
        for file in data.files:
            assert file.url.startswith("https://")
            kind, _, value = file.checksum.partition(":")
            length = {"git": 40, "sha256": 64}.get(kind)
            pinned = length is not None and len(value) == length and int(value, 16) > 0
            assert pinned or catalogue._CDVAE in file.url, f"{name}: {file.url}"
