"""Public data sets by name: where they are published, and how a download is known to be right.

Knows addresses and checksums; the crystals are read like any other source. A download is streamed
to a cache folder, compared with its checksum, and only then given its name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crystext.errors import InputError, RunError

CACHE_VARIABLE = "CRYSTEXT_CACHE"
"""Environment variable that names another cache folder than the user's."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set."""

    name: str
    url: str
    checksum: str
    """`sha256:`, `md5:` or `git:` (the id of a git blob) with its hexadecimal digits; empty where
    none was published: then the first download is trusted, and later ones have to equal it."""


@dataclass(frozen=True)
class CatalogueEntry:
    """A published data set."""

    n_crystals: int
    description: str
    """What it holds and who made it, in one line."""
    files: tuple[RemoteFile, ...]
    """One file, or train, validation and test."""


_CDVAE = (
    "https://raw.githubusercontent.com/txie-93/cdvae/f857f598d6f6cca5dc1ea0582d228f12dcc2c2ea/data"
)
"""The published splits at a commit, which an address of this kind pins as a git blob id does."""


def _cdvae(folder: str, *blobs: str) -> tuple[RemoteFile, ...]:
    names = ("train.csv", "val.csv", "test.csv")
    checksums = [f"git:{blob}" for blob in blobs] or [""] * len(names)
    return tuple(
        RemoteFile(name, f"{_CDVAE}/{folder}/{name}", checksum)
        for name, checksum in zip(names, checksums, strict=True)
    )


def _matbench(name: str, sha256: str) -> tuple[RemoteFile, ...]:
    file = f"{name}.json.gz"
    return (
        RemoteFile(file, f"https://ml.materialsproject.org/projects/{file}", f"sha256:{sha256}"),
    )


CATALOGUE: dict[str, CatalogueEntry] = {
    "mp_20": CatalogueEntry(
        45231,
        "Materials Project, up to 20 atoms, with splits (Xie et al., ICLR 2022)",
        _cdvae(
            "mp_20",
            "b1c9d498565ac2fd8d075a51ff2ef5e51ba6c21f",
            "7efe4d7ebeb4f460ceaad35e5326c42111d9c9a1",
            "5dc643041df53f5ce4970a79930ad262b4f07acd",
        ),
    ),
    "perov_5": CatalogueEntry(
        18928,
        "perovskites of 5 atoms, with splits (Castelli et al. 2012; Xie et al., ICLR 2022)",
        _cdvae("perov_5"),
    ),
    "carbon_24": CatalogueEntry(
        10153,
        "carbon, up to 24 atoms, with splits (Pickard 2020; Xie et al., ICLR 2022)",
        _cdvae("carbon_24"),
    ),
    "matbench_mp_gap": CatalogueEntry(
        106113,
        "Materials Project of 2019 with band gaps; some 5 GB of memory to read (Dunn et al. 2020)",
        _matbench(
            "matbench_mp_gap",
            "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057",
        ),
    ),
    "matbench_perovskites": CatalogueEntry(
        18928,
        "the perovskites of Castelli et al. 2012, not split (Dunn et al. 2020)",
        _matbench(
            "matbench_perovskites",
            "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483",
        ),
    ),
    "matbench_log_gvrh": CatalogueEntry(
        10987,
        "Materials Project crystals with elastic constants (Dunn et al. 2020)",
        _matbench(
            "matbench_log_gvrh",
            "098af941f4c663270f1fe21abf20ffad6fb85ecbfcba5786ceac03983ac29da7",
        ),
    ),
    "matbench_dielectric": CatalogueEntry(
        4764,
        "Materials Project crystals with dielectric constants (Dunn et al. 2020)",
        _matbench(
            "matbench_dielectric",
            "83befa09bc2ec2f4b6143afc413157827a90e5e2e42c1eb507ccfa01bf26a1d6",
        ),
    ),
    "matbench_phonons": CatalogueEntry(
        1265,
        "crystals with phonon spectra (Dunn et al. 2020)",
        _matbench(
            "matbench_phonons",
            "4db551f21ec5f577e6202725f10e34dfc509aa7df3a6bdaac497da7f6dbbb9b3",
        ),
    ),
    "matbench_jdft2d": CatalogueEntry(
        636,
        "two-dimensional crystals of JARVIS (Dunn et al. 2020)",
        _matbench(
            "matbench_jdft2d",
            "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
        ),
    ),
}
"""By name. Checksums of MP-20 are the blob ids of its commit, those of matbench are from matminer
0.10.1 (`datasets/dataset_metadata.json`)."""


def cache_folder() -> Path:
    """Return the folder that downloads are kept in."""
    from platformdirs import user_cache_path

    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else user_cache_path("crystext", appauthor=False)


def fetch(
    name: str,
    entry: CatalogueEntry,
    start_progress: Callable[[str, int], Callable[[int], object]] = lambda _name, _total: (
        lambda _size: None
    ),
    split: str | None = None,
) -> Path:
    """Return where the files of a data set lie, after downloading those that are missing.

    A file that is there already, perhaps put there by hand, is compared with its checksum as well.

    Args:
        name: of the data set, and of its folder within the cache.
        entry: the data set.
        start_progress: called with the name and size in bytes of a file whose download starts;
            what it returns is called with the number of bytes that came.
        split: `train`, `validation` or `test`: only this one is needed. A data set that is
            published as one file is fetched whole.

    Returns:
        The file, or the folder if there are several.

    Raises:
        InputError: a file cannot be downloaded, or what came is not what was published.
        RunError: the cache cannot be written.
    """
    folder = cache_folder() / name
    files = entry.files
    if split is not None and len(files) > 1:
        files = tuple(file for file in files if file.name.startswith(_FILE_PREFIX_BY_SPLIT[split]))
    for file in files:
        try:
            _fetch_file(name, file, folder, start_progress)
        except OSError as error:
            raise RunError(
                f"{folder / file.name} cannot be written: {error.strerror or error}; free some "
                f"space, or name another cache folder with {CACHE_VARIABLE}"
            ) from None
    return folder / files[0].name if len(files) == 1 else folder


_FILE_PREFIX_BY_SPLIT = {"train": "train", "validation": "val", "test": "test"}
"""How the name of a split's file begins."""


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the digest of a file: of kind `sha256`, `md5`, or `git`, the id of its git blob."""
    hashed = hashlib.sha256()
    # Some publish no other than these; they tell a broken download, not a forged one.
    if kind == "md5":
        hashed = hashlib.md5(usedforsecurity=False)
    elif kind == "git":
        hashed = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            hashed.update(block)
    return hashed.hexdigest()


def _fetch_file(
    name: str,
    file: RemoteFile,
    folder: Path,
    start_progress: Callable[[str, int], Callable[[int], object]],
) -> None:
    path, trusted = folder / file.name, folder / f"{file.name}.sha256"
    checksum = file.checksum
    if not checksum and trusted.exists():
        checksum = f"sha256:{trusted.read_text(encoding='ascii').strip()}"
    if not (path.exists() and _checksum_matches(path, checksum)):
        _download(name, file, path, checksum, start_progress)
    if not file.checksum and not trusted.exists():
        partial = trusted.with_name(trusted.name + ".partial")
        partial.write_text(digest(path) + "\n", encoding="ascii")
        partial.replace(trusted)


_CONNECT_TIMEOUT_S = 5
"""How long a server is waited for, in seconds."""


def _checksum_matches(path: Path, checksum: str) -> bool:
    kind, _, expected = checksum.partition(":")
    return not checksum or digest(path, kind) == expected


class _DownloadProgress:
    """What pooch tells of a download, passed on."""

    total = 0

    def __init__(
        self, name: str, start_progress: Callable[[str, int], Callable[[int], object]]
    ) -> None:
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
    name: str,
    file: RemoteFile,
    path: Path,
    checksum: str,
    start_progress: Callable[[str, int], Callable[[int], object]],
) -> None:
    import logging

    import pooch
    from requests.exceptions import RequestException

    # It tells of every download, and advises users to write the checksum into their code.
    pooch.get_logger().setLevel(logging.WARNING)
    http = pooch.HTTPDownloader(
        progressbar=_DownloadProgress(file.name, start_progress),
        chunk_size=2**16,
        timeout=(_CONNECT_TIMEOUT_S, 60),
    )

    def verified(url: str, output: str, _: object) -> None:
        http(url, output, None)
        if not _checksum_matches(Path(output), checksum):
            kind = checksum.partition(":")[0]
            found = digest(Path(output), kind)
            raise InputError(
                f"{url} gave another file than was published: {found} instead of {checksum}. "
                "Nothing was kept; is a proxy in between? Try again, or put the right file at "
                f"{path}"
            )

    # pooch would keep a file whose checksum it does not know, whatever is in it.
    path.unlink(missing_ok=True)
    try:
        pooch.retrieve(file.url, None, path.name, path.parent, downloader=verified)
    except RequestException as error:
        raise InputError(
            f"the data set {name} is not on this machine, and {file.url} cannot be downloaded: "
            f"{_download_failure_reason(error)}. Put the file at {path} by hand, and run the "
            "command again"
        ) from None


def _download_failure_reason(error: Exception) -> str:
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
