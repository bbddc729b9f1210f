"""Known crystals that samples are compared with: reference set, training set, targets.

A set is a store, a shipped set, a name of the catalogue, or anything that `read` reads. It is
opened at its first use, so that a missing set stops only the stages that need it. Slow results are
cached in the user's cache folder under the checksum of the input: the crystals as a store, and
their fingerprints.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from crystext.data.catalogue import CATALOGUE, fetch
from crystext.data.shipped import (
    SHIPPED_SETS,
    read_shipped_set,
    shipped_fingerprints,
    shipped_integers,
    shipped_set,
)
from crystext.data.source import checksum, checksum_of_readable
from crystext.data.store import STORE_FILE, Dataset, read_store, write_store
from crystext.errors import CrystextError, InputError, RunError, did_you_mean
from crystext.io.read import read_crystals
from crystext.io.read.tables import SPLIT_NAMES
from crystext.metrics.matminer.fingerprints import (
    FINGERPRINT_METHOD,
    Fingerprints,
    composition_fingerprints,
    fingerprints,
)
from crystext.runtime.files import cache_folder, write_text
from crystext.runtime.processes import Workers
from crystext.runtime.schema import StrictModel
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record

_READER_VERSION = 1
"""Incremented when the same file would be read as different crystals."""


class ReferenceSetSpec(StrictModel):
    """Which crystals to compare with, as a protocol names them."""

    title: str
    source: str
    """A name of the catalogue of data sets; or a file, a folder or a store. A relative path starts
    at the folder of the protocol."""
    split: Literal["train", "validation", "test"] | None = None
    """None takes all."""


@dataclass(frozen=True)
class ReferenceSet:
    """A set of crystals, with their labels."""

    title: str
    sha256: str
    dataset: Dataset
    cache_folder: Path
    """Folder for cached results about the set."""
    shipped_file: Path | None = None
    """The file of a shipped set."""
    is_cacheable: bool = True
    """Whether the folder is writable."""

    def __len__(self) -> int:
        return len(self.dataset)

    @cached_property
    def crystals(self) -> list[Crystal]:
        """All of them."""
        return [self.dataset[i].require_crystal() for i in range(len(self.dataset))]

    def name(self, i: int) -> str:
        """Return the name of a crystal in its source, else its row."""
        return self.dataset[i].name or f"row {i}"

    def fingerprints(
        self, workers: Workers, report: Callable[[int, int], None] = lambda done, whole: None
    ) -> Fingerprints:
        """Return the fingerprints of all crystals: shipped, cached or computed."""
        if self.shipped_file is not None:
            structures = shipped_fingerprints(self.shipped_file, FINGERPRINT_METHOD)
            if structures is not None:
                return Fingerprints(structures, composition_fingerprints(self.crystals))
        cache = self.cache_folder / "fingerprints.npz" if self.is_cacheable else None
        return fingerprints(self.crystals, cache=cache, workers=workers, report=report)

    def cached_integers(
        self, name: str, compute: Callable[[list[Crystal]], Sequence[int]]
    ) -> list[int]:
        """Return an integer per crystal: shipped, cached or computed.

        Args:
            name: name of the quantity; identifies everything that the numbers depend on.
            compute: returns the numbers of all crystals.
        """
        if (
            self.shipped_file is not None
            and (ships := shipped_integers(self.shipped_file, name)) is not None
        ):
            return ships
        path = self.cache_folder / f"{name}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        whole = isinstance(found, list) and len(found) == len(self)
        if whole and all(isinstance(x, int) for x in found):
            return found  # type: ignore[no-any-return]
        computed = list(compute(self.crystals))
        if self.is_cacheable:
            write_text(path, json.dumps(computed), shared=True)
        return computed


@dataclass(frozen=True)
class ReferenceSets:
    """The sets of an evaluation by their roles, each opened at its first use."""

    specs: Mapping[str, ReferenceSetSpec]
    """`reference`, `training` or `targets`, as available."""
    lenient: bool = False
    """Whether files are read leniently; see `read_crystals`."""
    _sets_by_role: dict[str, ReferenceSet] = field(default_factory=dict)
    _errors_by_role: dict[str, CrystextError] = field(default_factory=dict)
    """Why a set is missing, so that a missing network costs one timeout only."""

    def __contains__(self, role: str) -> bool:
        return role in self.specs

    def get(self, role: str) -> ReferenceSet:
        """Return a set.

        Raises:
            CrystextError: it is not given, missing, or unreadable.
        """
        if role in self._errors_by_role:
            raise self._errors_by_role[role]
        if role not in self._sets_by_role:
            try:
                self._sets_by_role[role] = self._open(role)
            except CrystextError as error:
                self._errors_by_role[role] = error
                raise
        return self._sets_by_role[role]

    def _open(self, role: str) -> ReferenceSet:
        what, option = _ROLES[role]
        if role not in self.specs:
            raise InputError(f"no {what} is named; give one with {option}")
        hint = f", or name other crystals with {option}"
        return open_reference_set(self.specs[role], hint, lenient=self.lenient)

    @property
    def opened(self) -> Mapping[str, ReferenceSet]:
        """The sets that were used."""
        return self._sets_by_role


_ROLES = {
    "reference": ("reference set", "--reference FILE"),
    "training": ("training set", "--train STORE"),
    "targets": ("set of targets", "--targets FILE"),
}


def open_reference_set(
    spec: ReferenceSetSpec, hint: str = "", *, lenient: bool = False
) -> ReferenceSet:
    """Find a set and read it, from the cache where it was read before.

    Args:
        spec: the set.
        hint: advice for users who cannot download it, appended to the message.
        lenient: see `read_crystals`; a store is not read again.

    Raises:
        InputError: it is missing, cannot be downloaded, or has invalid crystals.
        RunError: neither the cache nor a temporary folder can be written.
    """
    path = _locate(spec, hint)
    if (path / STORE_FILE).is_file():
        split = spec.split or "train"
        digest = checksum(path / f"{split}.arrow") if (path / f"{split}.arrow").exists() else ""
        data = read_store(path, split)
        return ReferenceSet(spec.title, digest, data, _cache_path(digest))
    ships = is_shipped_set(spec.source)
    # A shipped file holds one split.
    part = None if ships else spec.split
    digest, _ = checksum_of_readable(path)
    read_as = f"{_READER_VERSION} {digest} {part}{' lenient' if lenient else ''}"
    key = hashlib.sha256(read_as.encode()).hexdigest()
    folder = _cache_path(key)
    shipped, keeps = path if ships else None, True
    try:
        data = read_store(folder / "store", "test")
    except InputError:
        # Missing, or of another version: it is made again.
        records = list(read_shipped_set(path)) if ships else _read_records(path, spec, lenient)
        try:
            data = _store_records(records, folder / "store", path.name)
        except RunError:
            # A read-only cache costs time at every evaluation, but changes no result.
            keeps = False
            with TemporaryDirectory() as elsewhere:
                data = _store_records(records, Path(elsewhere, "store"), path.name)
    return ReferenceSet(spec.title, key, data, folder, shipped, keeps)


def _store_records(records: Sequence[Record], folder: Path, source: str) -> Dataset:
    write_store(folder, {"test": records}, {"source": source})
    return read_store(folder, "test")


def specify_reference_set(given: str, split: str | None) -> ReferenceSetSpec:
    """Return the set of a name or a path.

    Raises:
        InputError: neither a set nor a file or folder of that name exists.
    """
    if is_shipped_set(given):
        return ReferenceSetSpec(title=SHIPPED_SETS[given].title, source=given)
    in_catalogue = given in CATALOGUE
    if not in_catalogue and not Path(given).exists():
        names = reference_set_names()
        raise InputError(
            f"no file or folder {given}, and no set of crystals of that name; there are "
            f"{', '.join(names)}." + did_you_mean(given, names)
        )
    if in_catalogue or (Path(given) / STORE_FILE).is_file():
        return ReferenceSetSpec.model_validate(
            {"title": Path(given).name, "source": given, "split": split}
        )
    return ReferenceSetSpec(title=Path(given).name, source=given)


def is_shipped_set(source: str) -> bool:
    """Return whether a name is a shipped set; a file or folder of that name takes precedence."""
    return source in SHIPPED_SETS and not Path(source).exists()


def reference_set_names() -> tuple[str, ...]:
    """Return the names of all sets: the shipped ones first, then the downloaded ones."""
    return (*SHIPPED_SETS, *CATALOGUE)


def _cache_path(key: str) -> Path:
    return cache_folder() / "evaluate" / key[:32]


def _locate(spec: ReferenceSetSpec, hint: str) -> Path:
    path = Path(spec.source)
    if path.exists():
        return path
    if spec.source in SHIPPED_SETS:
        return shipped_set(spec.source)
    if spec.source in CATALOGUE:
        try:
            return fetch(spec.source, CATALOGUE[spec.source], split=spec.split)
        except InputError as error:
            raise InputError(f"{error}{hint}") from None
    raise InputError(
        f"{spec.title}: no file or folder {spec.source}, and no data set of that name; there are "
        f"{', '.join(reference_set_names())}." + did_you_mean(spec.source, reference_set_names())
    )


def _read_records(path: Path, spec: ReferenceSetSpec, lenient: bool) -> Sequence[Record]:
    records = []
    for record in read_crystals(path, lenient=lenient):
        split = SPLIT_NAMES.get(record.split.lower(), spec.split)
        if spec.split is not None and split != spec.split:
            continue
        if record.crystal is None:
            raise InputError(
                f"{path}, {record.name}: {record.message}; expected a reference set "
                "without failures"
            )
        records.append(record)
    if not records:
        raise InputError(f"{path} holds no crystal of the split {spec.split}")
    return records
