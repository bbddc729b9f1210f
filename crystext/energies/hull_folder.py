"""A hull from a folder: the points of the hull as Parquet, and the elements' references as JSON."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.energies.hull import Hull
from crystext.energies.phases import Compounds, make_compounds
from crystext.errors import InputError, describe_error

_POINTS_PATTERN, _REFERENCES_PATTERN = (
    "hull_points_*.parquet",
    "*elemental-reference-entries.json.gz",
)
_POINT_COLUMNS = ("reduced_formula", "e_form_per_atom_hull_point")

_FORMULA_PART = re.compile(r"([A-Z][a-z]?)([1-9]\d*)?")
"""An element of a formula without brackets, fractions and charges."""


def read_hull_folder(folder: Path) -> Hull:
    """Read a hull from a folder; see `hull_sources`.

    Raises:
        InputError: a file is missing, present twice, or has other contents.
    """
    table, entries = (
        _single_file(folder, _POINTS_PATTERN),
        _single_file(folder, _REFERENCES_PATTERN),
    )
    dated = re.match(r"\d{4}-\d\d-\d\d", entries.name)
    return Hull(
        read_references(entries),
        _read_points(table),
        name=folder.name,
        date=dated.group() if dated else "",
        sources=(table.name, entries.name),
    )


def formula_amounts(formula: str) -> Mapping[str, float]:
    """Return amounts by symbol of a formula, in any form that pymatgen reads."""
    parts = _FORMULA_PART.findall(formula)
    # Most are plain, and pymatgen takes a hundred times longer.
    if "".join(symbol + count for symbol, count in parts) == formula:
        found: dict[str, float] = {}
        for symbol, count in parts:
            found[symbol] = found.get(symbol, 0.0) + float(count or 1)
        if found.keys() <= ATOMIC_NUMBERS.keys():
            return found
    from pymatgen.core.composition import Composition

    return dict(Composition(formula).get_el_amt_dict())


def _single_file(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"expected one {pattern} in {folder}, found {names}")
    return found[0]


def read_references(path: Path) -> dict[str, float]:
    """Return the energies of the elements' ground states in eV/atom, by symbol."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            entries: dict[str, Any] = json.load(file)
        return {
            symbol: (entry["energy"] + entry.get("correction", 0.0))
            / sum(entry["composition"].values())
            for symbol, entry in entries.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} holds no elemental reference entries ({error!r}); expected a gzipped JSON "
            "object that maps symbols to entries with energy and composition"
        ) from None


def _read_points(path: Path) -> Compounds:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(_POINT_COLUMNS))
        formulas, energies = (table[name].to_pylist() for name in _POINT_COLUMNS)
        return make_compounds(
            (formula_amounts(f), float(e)) for f, e in zip(formulas, energies, strict=True)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a table of hull points ("
            f"{describe_error(error, 'its columns are others')}); expected Parquet with the "
            f"columns {' and '.join(_POINT_COLUMNS)}"
        ) from None
