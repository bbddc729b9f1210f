"""Downloads: streamed to a cache, compared with a checksum, and only then given their names.

A file that is there already, perhaps put there by hand, is compared with its checksum as well. A
connection that breaks off is tried again. The transfer itself is pooch's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crystext.errors import InputError
from crystext.runtime.files import CACHE_VARIABLE, explain_os_errors, file_digest, write_text

StartDownload = Callable[[str, int], Callable[[int], object]]
"""Called with the name and size in bytes of a file whose download starts; what it returns is called
with the number of bytes that came."""

_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 5, 60
"""How long a server is waited for, in seconds."""

_MAX_TRANSFERS = 3
"""Times that a transfer is begun which breaks off."""


def no_progress(_name: str, _total: int) -> Callable[[int], object]:
    """Show nothing of a download."""
    return lambda _size: None


@dataclass(frozen=True)
class RemoteFile:
    """A published file."""

    name: str
    url: str
    checksum: str
    """`sha256:`, `md5:` or `git:` (the id of a git blob) with its hexadecimal digits; empty where
    none was published: then the first download is trusted, and later ones have to equal it."""


def fetch_file(
    file: RemoteFile, folder: Path, title: str, start_progress: StartDownload = no_progress
) -> Path:
    """Return where a file lies, after downloading it if it is missing or not the right one.

    Args:
        file: which.
        folder: of the cache.
        title: what it belongs to, for messages: `the data set mp_20`.
        start_progress: shows the progress.

    Raises:
        InputError: the file cannot be downloaded, or another came than was published.
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
    """Passes on what pooch reports of a download."""

    total = 0

    def __init__(self, name: str, start_progress: StartDownload) -> None:
        self.name, self.start_progress = name, start_progress
        self.advance: Callable[[int], object] | None = None

    def update(self, size: int) -> None:
        self.advance = self.advance or self.start_progress(self.name, self.total)
        self.advance(size)

    def reset(self) -> None:
        # After the last block; what follows is only for bars that count too little.
        self.advance = lambda _: None

    def close(self) -> None:
        pass


def _download(
    file: RemoteFile, path: Path, checksum: str, title: str, start_progress: StartDownload
) -> None:
    import pooch
    from requests.exceptions import ChunkedEncodingError, RequestException

    # It tells of every download, and advises users to write the checksum into their code.
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
                f"{url} gave another file than was published: {found} instead of {checksum}. "
                "Nothing was kept; is a proxy in between? Try again, or put the right file at "
                f"{path}"
            )

    # pooch would keep a file whose checksum it does not know, whatever is in it.
    path.unlink(missing_ok=True)
    try:
        pooch.retrieve(file.url, None, path.name, path.parent, downloader=transfer)
    except RequestException as error:
        raise InputError(
            f"{title} is not on this machine, and {file.url} cannot be downloaded: "
            f"{_failure_reason(error)}. Put the file at {path} by hand, and run the command again"
        ) from None


def _failure_reason(error: Exception) -> str:
    """Return why a download failed, in words that no library chose."""
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
