"""Public data sets by name: where they are published, with their checksums.

`runtime.download` fetches the files; the crystals are read like any other source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crystext.runtime.download import RemoteFile, StartDownload, fetch_file, no_progress
from crystext.runtime.files import cache_folder


@dataclass(frozen=True)
class CatalogueEntry:
    """A published data set."""

    n_crystals: int
    description: str
    """Contents and authors, in one line."""
    files: tuple[RemoteFile, ...]
    """One file, or train, validation and test."""


_CDVAE = (
    "https://raw.githubusercontent.com/txie-93/cdvae/f857f598d6f6cca5dc1ea0582d228f12dcc2c2ea/data"
)
"""The published splits at a commit, which this address pins, as a git blob id does."""


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


def fetch(
    name: str,
    entry: CatalogueEntry,
    start_progress: StartDownload = no_progress,
    split: str | None = None,
) -> Path:
    """Return the path of a data set, after downloading missing files.

    An existing file, perhaps copied there by hand, is verified by its checksum as well.

    Args:
        name: of the data set, and of its folder within the cache.
        entry: the data set.
        start_progress: shows the progress of each file.
        split: `train`, `validation` or `test`: only this one is downloaded. A data set published
            as one file is downloaded whole.

    Returns:
        The file, or the folder if there are several.

    Raises:
        InputError: a file cannot be downloaded, or differs from the published one.
        RunError: the cache cannot be written.
    """
    folder = cache_folder() / name
    files = entry.files
    if split is not None and len(files) > 1:
        files = tuple(file for file in files if file.name.startswith(_FILE_PREFIX_BY_SPLIT[split]))
    for file in files:
        fetch_file(file, folder, f"the data set {name}", start_progress)
    return folder / files[0].name if len(files) == 1 else folder


_FILE_PREFIX_BY_SPLIT = {"train": "train", "validation": "val", "test": "test"}
"""Prefix of the name of a split's file."""
