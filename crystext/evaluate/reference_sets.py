"""Known crystals that what was drawn is compared with: reference, training set, targets.

A set is a store, a set that ships with the package, a name of the catalogue, or whatever `read`
reads. It is found when it is first asked for, so that one that is not there keeps only those stages
from running that need it. What takes time is kept in the user's cache folder under the checksum of
what was read: the crystals as a store, and their fingerprints.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from crystext.data.catalogue import CATALOGUE, cache_folder, fetch
from crystext.data.shipped import (
    SHIPPED_SETS,
    read_shipped_set,
    shipped_fingerprints,
    shipped_numbers,
    shipped_set,
)
from crystext.data.source import checksum, checksum_of_read
from crystext.data.store import ABOUT, Dataset, read_store, write_store
from crystext.errors import CrystextError, InputError, RunError, did_you_mean
from crystext.evaluate.protocol import KnownSet
from crystext.evaluate.stage_cache import write_text
from crystext.io.read import read_crystals
from crystext.io.read.tables import SPLIT_NAMES
from crystext.metrics.matminer.fingerprints import (
    METHOD,
    Fingerprints,
    composition_fingerprints,
    fingerprints,
)
from crystext.runtime.processes import Workers
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record

_READING = 1
"""Raised when the same file would be read as other crystals."""


@dataclass(frozen=True)
class Known:
    """A set of crystals, with their labels."""

    title: str
    sha256: str
    data: Dataset
    folder: Path
    """Where what is computed of it is kept."""
    shipped: Path | None = None
    """The file, where the set ships with the package."""
    keeps: bool = True
    """Whether anything can be kept in the folder."""

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def crystals(self) -> list[Crystal]:
        """All of them."""
        return [self.data[i].crystal for i in range(len(self.data))]

    def name(self, i: int) -> str:
        """Return what its source calls a crystal, else its row."""
        return self.data[i].name or f"row {i}"

    def fingerprints(
        self, workers: Workers, report: Callable[[int, int], None] = lambda done, whole: None
    ) -> Fingerprints:
        """Return the fingerprints of all: as they ship, or from the cache where they are there."""
        if self.shipped is not None:
            structures = shipped_fingerprints(self.shipped, METHOD)
            if structures is not None:
                return Fingerprints(structures, composition_fingerprints(self.crystals))
        cache = self.folder / "fingerprints.npz" if self.keeps else None
        return fingerprints(self.crystals, cache=cache, workers=workers, report=report)

    def numbers(self, name: str, compute: Callable[[list[Crystal]], Sequence[int]]) -> list[int]:
        """Return a whole number of each crystal: as they ship, or from the cache if it is there.

        Args:
            name: of what is computed; it stands for all that the numbers depend on.
            compute: returns the numbers of all crystals.
        """
        if self.shipped is not None and (ships := shipped_numbers(self.shipped, name)) is not None:
            return ships
        path = self.folder / f"{name}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        whole = isinstance(found, list) and len(found) == len(self)
        if whole and all(isinstance(x, int) for x in found):
            return found  # type: ignore[no-any-return]
        computed = list(compute(self.crystals))
        if self.keeps:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(computed))
        return computed


@dataclass(frozen=True)
class Sets:
    """The sets of an evaluation by what they are to it, each opened when it is asked for."""

    specified: Mapping[str, KnownSet]
    """`reference`, `training` or `targets`; those there are."""
    _open: dict[str, Known] = field(default_factory=dict)
    _failed: dict[str, CrystextError] = field(default_factory=dict)
    """Why a set is not there, so that a network that is missing is waited for once."""

    def __contains__(self, role: str) -> bool:
        return role in self.specified

    def get(self, role: str) -> Known:
        """Return a set.

        Raises:
            CrystextError: it is not named, not there, or cannot be read.
        """
        if role in self._failed:
            raise self._failed[role]
        if role not in self._open:
            try:
                self._open[role] = self._opened(role)
            except CrystextError as error:
                self._failed[role] = error
                raise
        return self._open[role]

    def _opened(self, role: str) -> Known:
        what, option = _ROLES[role]
        if role not in self.specified:
            raise InputError(f"no {what} is named; give one with {option}")
        return open_set(self.specified[role], f", or name other crystals with {option}")

    @property
    def opened(self) -> Mapping[str, Known]:
        """Those that were asked for and are there."""
        return self._open


_ROLES = {
    "reference": ("reference set", "--reference FILE"),
    "training": ("training set", "--train STORE"),
    "targets": ("set of targets", "--targets FILE"),
}


def open_set(spec: KnownSet, instead: str = "") -> Known:
    """Find a set and read it, from the cache where it was read before.

    Args:
        spec: which.
        instead: what a user can do who cannot download it, for the end of that message.

    Raises:
        InputError: it is not there, cannot be downloaded, or holds something that is no crystal.
        RunError: neither the cache nor a temporary folder can be written.
    """
    path = _located(spec, instead)
    if (path / ABOUT).is_file():
        split = spec.split or "train"
        digest = checksum(path / f"{split}.arrow") if (path / f"{split}.arrow").exists() else ""
        data = read_store(path, split)
        return Known(spec.title, digest, data, _kept(digest))
    ships = names_shipped(spec.source)
    # A shipped file holds one split.
    part = None if ships else spec.split
    digest, _ = checksum_of_read(path)
    key = hashlib.sha256(f"{_READING} {digest} {part}".encode()).hexdigest()
    folder = _kept(key)
    shipped, keeps = path if ships else None, True
    try:
        data = read_store(folder / "store", "test")
    except InputError:
        # Not there, or of another version: it can be made again.
        records = list(read_shipped_set(path)) if ships else _records(path, spec)
        try:
            data = _stored(records, folder / "store", path.name)
        except RunError:
            # A cache that cannot be written costs time at every evaluation, and no result.
            keeps = False
            with TemporaryDirectory() as elsewhere:
                data = _stored(records, Path(elsewhere, "store"), path.name)
    return Known(spec.title, key, data, folder, shipped, keeps)


def _stored(records: Sequence[Record], folder: Path, source: str) -> Dataset:
    write_store(folder, {"test": records}, {"source": source})
    return read_store(folder, "test")


def names_shipped(source: str) -> bool:
    """Tell whether a name means a set that ships; a file or folder of that name goes before it."""
    return source in SHIPPED_SETS and not Path(source).exists()


def set_names() -> tuple[str, ...]:
    """Return the names of all sets: those that ship first, then those that are downloaded."""
    return (*SHIPPED_SETS, *CATALOGUE)


def _kept(key: str) -> Path:
    return cache_folder() / "evaluate" / key[:32]


def _located(spec: KnownSet, instead: str) -> Path:
    path = Path(spec.source)
    if path.exists():
        return path
    if spec.source in SHIPPED_SETS:
        return shipped_set(spec.source)
    if spec.source in CATALOGUE:
        try:
            return fetch(spec.source, CATALOGUE[spec.source], split=spec.split)
        except InputError as error:
            raise InputError(f"{error}{instead}") from None
    raise InputError(
        f"{spec.title}: no file or folder {spec.source}, and no data set of that name; there are "
        f"{', '.join(set_names())}." + did_you_mean(spec.source, set_names())
    )


def _records(path: Path, spec: KnownSet) -> Sequence[Record]:
    records = []
    for item in read_crystals(path):
        if spec.split is not None and SPLIT_NAMES.get(item.split.lower(), spec.split) != spec.split:
            continue
        if item.crystal is None:
            raise InputError(f"{path}, {item.name}: {item.problem}; a set to compare with is whole")
        records.append(Record(item.crystal, dict(item.labels), item.name))
    if not records:
        raise InputError(f"{path} holds no crystal of the split {spec.split}")
    return records
