"""Downloads: streamed to a cache, verified by a checksum, and only then given their names.

A file that exists already, perhaps put there by hand, is verified by its checksum as well. A
connection that breaks off is tried again. pooch makes the transfer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crystext.errors import InputError
from crystext.runtime.files import CACHE_VARIABLE, explain_os_errors, file_digest, write_text

StartDownload = Callable[[str, int], Callable[[int], object]]
"""Called with the name and size in bytes of a file when its download starts; returns a function
that is called with the number of bytes received."""

_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 5, 60
"""How long to wait for a server, in seconds."""

_MAX_TRANSFERS = 3
"""How often to start a transfer that breaks off."""


def no_progress(_name: str, _total: int) -> Callable[[int], object]:
    """Show nothing of a download."""
    return lambda _size: None


@dataclass(frozen=True)
class RemoteFile:
    """A published file."""

    name: str
    url: str
    checksum: str
    """`sha256:`, `md5:` or `git:` (the id of a git blob) with its hexadecimal digits; empty if none
    is published: then the first download is trusted, and later ones must equal it."""


def fetch_file(
    file: RemoteFile, folder: Path, title: str, start_progress: StartDownload = no_progress
) -> Path:
    """Return the path of a file, after downloading it if it is missing or its checksum differs.

    Args:
        file: the published file.
        folder: folder of the cache.
        title: what it belongs to, for messages: `the data set mp_20`.
        start_progress: shows the progress.

    Raises:
        InputError: the file cannot be downloaded, or its checksum is not the published one.
        RunError: the cache cannot be written.
    """
    path, trusted = folder / file.name, folder / f"{file.name}.sha256"
    remedy = f"name another cache folder with {CACHE_VARIABLE}"
    with explain_os_errors(path, if_full=f"free some space, or {remedy}", otherwise=remedy):
        checksum = file.checksum
        if not checksum and trusted.exists():
            checksum = f"sha256:{trusted.read_text(encoding='ascii').strip()}"
        if not (path.exists() and _checksum_matches(path, checksum)):
            _download(file, path, checksum, title, start_progress)
        if not file.checksum and not trusted.exists():
            write_text(trusted, file_digest(path) + "\n")
    return path


def _checksum_matches(path: Path, checksum: str) -> bool:
    kind, _, expected = checksum.partition(":")
    return not checksum or file_digest(path, kind) == expected


class _DownloadProgress:
    """Passes on the progress that pooch reports."""

    total = 0

    def __init__(self, name: str, start_progress: StartDownload) -> None:
        self.name, self.start_progress = name, start_progress
        self.advance: Callable[[int], object] | None = None

    def update(self, size: int) -> None:
        self.advance = self.advance or self.start_progress(self.name, self.total)
        self.advance(size)

    def reset(self) -> None:
        # After the last block; the update that follows is only for bars that undercount.
        self.advance = lambda _: None

    def close(self) -> None:
        pass


def _download(
    file: RemoteFile, path: Path, checksum: str, title: str, start_progress: StartDownload
) -> None:
    import pooch
    from requests.exceptions import ChunkedEncodingError, RequestException

    # pooch logs every download, and advises users to write the checksum into their code.
    pooch.get_logger().setLevel(logging.WARNING)

    def transfer(url: str, output: str, _: object) -> None:
        for transfers_left in reversed(range(_MAX_TRANSFERS)):
            http = pooch.HTTPDownloader(
                progressbar=_DownloadProgress(file.name, start_progress),
                chunk_size=2**16,
                timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
            )
            try:
                http(url, output, None)
                break
            except ChunkedEncodingError:
                if not transfers_left:
                    raise
        if not _checksum_matches(Path(output), checksum):
            kind = checksum.partition(":")[0]
            found = file_digest(Path(output), kind)
            raise InputError(
                f"{url} returned a file other than the published one: found {found}, expected "
                f"{checksum}. Nothing was kept; is a proxy in between? Try again, or put the right "
                f"file at {path}"
            )

    # pooch would keep a file without a known checksum, whatever its contents.
    path.unlink(missing_ok=True)
    try:
        pooch.retrieve(file.url, None, path.name, path.parent, downloader=transfer)
    except RequestException as error:
        raise InputError(
            f"{title} is not on this machine, and {file.url} cannot be downloaded: "
            f"{_failure_reason(error)}. Put the file at {path} by hand, and run the command again"
        ) from None


def _failure_reason(error: Exception) -> str:
    """Return why a download failed, in words for users."""
    from requests import exceptions as failed

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason or ''}".rstrip()
    if isinstance(error, failed.Timeout):
        return "the server does not answer in time"
    if isinstance(error, failed.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, failed.SSLError):
        return "the server's certificate is not trusted here"
    if isinstance(error, failed.ProxyError):
        return "the proxy does not answer"
    return "there is no connection to the server"
