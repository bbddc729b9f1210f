"""Descriptions of crystals in words, by Robocrystallographer, with a cache.

A description takes seconds, so each is kept in the cache folder under the digest of the crystal and
of the version that wrote it: another version writes other words.

Source: Ganose and Jain, MRS Commun. 9, 874 (2019). Needs the extra `descriptions`, whose matminer
allows pandas 2 only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from crystext.errors import UnavailableError
from crystext.runtime.files import cache_folder, json_digest, write_text
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record

_DECIMALS = 6
"""Decimals by which crystals are the same."""


def describe(crystal: Crystal) -> str:
    """Return a description of a crystal; empty if Robocrystallographer cannot describe it.

    Raises:
        UnavailableError: robocrys is not installed, and the cache has no description.
        RunError: the cache folder cannot be written.
    """
    path = _cache_path(crystal)
    if path.is_file():
        return path.read_text(encoding="utf-8")
    text = _write_description(crystal)
    write_text(path, text, shared=True)
    return text


def with_descriptions(records: Sequence[Record]) -> list[Record]:
    """Return records with descriptions of their crystals; a given description stays.

    Records without a crystal, and crystals that cannot be described, stay without.

    Raises:
        UnavailableError: robocrys is not installed.
    """
    _robocrys_version()
    described = []
    for record in records:
        if record.crystal is not None and "description" not in record.texts:
            text = describe(record.crystal)
            record = replace(
                record, texts={**record.texts, "description": text} if text else record.texts
            )
        described.append(record)
    return described


def _cache_path(crystal: Crystal) -> Path:
    digest = json_digest(
        [
            _robocrys_version(),
            [round(float(x), _DECIMALS) for x in (*crystal.lengths, *crystal.angles)],
            [int(z) for z in crystal.numbers],
            [[round(float(x) % 1.0, _DECIMALS) for x in row] for row in crystal.positions],
        ]
    )
    return cache_folder() / "descriptions" / digest[:2] / f"{digest}.txt"


def _robocrys_version() -> str:
    try:
        return version("robocrys")
    except PackageNotFoundError:
        raise UnavailableError(
            "descriptions need Robocrystallographer: pip install 'crystext[descriptions]', or give "
            "a table with a column of descriptions"
        ) from None


def _write_description(crystal: Crystal) -> str:
    condenser, describer = _robocrys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(describer.describe(condenser.condense_structure(crystal.structure)))
        # It fails with errors of any type, such as for atoms without neighbours.
        except Exception:
            return ""


@cache
def _robocrys() -> tuple[Any, Any]:
    """Return what condenses a structure and what puts it into words; loading takes a second."""
    from robocrys import StructureCondenser, StructureDescriber

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return StructureCondenser(), StructureDescriber()
