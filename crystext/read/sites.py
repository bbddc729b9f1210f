"""One structure as its file lists it: sites in their order, with labels, unknowns where it has `?`.

Other readers bring atoms into the order of their parser and know only whole crystals. Here the rows
of a CIF stay where they are, and `?` or `.` in place of an element, a coordinate or a number of the
cell is a value that is not known.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crystext.crystal import Crystal, Floats, Ints
from crystext.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import InputError
from crystext.read import existing, read_crystal
from crystext.read.parse import (
    CELL_KEYS,
    Piece,
    check_site,
    cif_number,
    element_of,
    listed_sites,
    parse,
)
from crystext.read.sources import pieces

_UNKNOWN = ("?", ".")
"""What a CIF has in place of a value that is not known, or does not apply."""


class Sites(NamedTuple):
    """What a file says of a structure. nan, or 0 of an element, where it says nothing."""

    lengths: Floats
    """Å; shape (3,)."""
    angles: Floats
    """Degrees; shape (3,)."""
    numbers: Ints
    """Atomic numbers; shape (N,)."""
    positions: Floats
    """Fractional coordinates; shape (N, 3)."""
    labels: tuple[str, ...]
    """What the sites are called, each otherwise: by the file, or by element and number, as Fe1."""


def read_sites(source: str | Path, *, lenient: bool = False) -> Sites:
    """Read the one structure of a source, known in whole or in part.

    A CIF whose atoms follow from operations of symmetry is read by its parser, as any other format:
    it has to be known in whole.

    Args:
        source: a file, or a folder or zip with one structure.
        lenient: see `read_crystals`.

    Raises:
        InputError: the source holds none or several, or it is no crystal even in part.
    """
    path = existing(source)
    try:
        found = list(islice(pieces(path, {}), 2))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len(found) == 1 and found[0].kind == "cif":
        try:
            if (sites := _cif_sites(found[0].data)) is not None:
                return sites
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return sites_of(read_crystal(path, lenient=lenient))


def sites_of(crystal: Crystal, labels: Sequence[str] = ()) -> Sites:
    """Return the sites of a crystal, with labels of their own if none are given."""
    return Sites(
        crystal.lengths,
        crystal.angles,
        crystal.numbers,
        crystal.positions,
        tuple(labels) or _made_labels(crystal.numbers),
    )


def _cif_sites(text: str) -> Sites | None:
    """Read a CIF that lists every atom; None where it does not, or is none, but is whole."""
    from pymatgen.io.cif import CifBlock, CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parser = CifParser.from_str(text, frac_tolerance=0.0, check_cif=False)
            block: dict[str, Any] = next(iter(parser.as_dict().values()), {})
            rows = listed_sites(block)
            operations = len(parser.get_symops(CifBlock(block, [], "")))
        except Exception:
            # Whatever it is that the parser cannot take, reading the whole says it in words.
            return None
    cell = [str(block.get(key, "")) for key in CELL_KEYS]
    unknown = any(value in _UNKNOWN for value in cell) or any(map(_is_unknown, rows))
    if operations > 1:
        if unknown:
            raise InputError(
                "something in it is not known, and its atoms follow from symmetry; expected every "
                "atom to be listed, in P 1"
            )
        return None
    if not rows:
        return None
    if missing := [key for key, value in zip(CELL_KEYS, cell, strict=True) if not value]:
        raise InputError(f"it lacks {', '.join(missing)}; expected a number, or ? if not known")
    for i, row in enumerate(rows, start=1):
        check_site(i, {key: _placeholder(key) if value in _UNKNOWN else value
                       for key, value in row.items()})  # fmt: skip
    numbers = np.array([0 if _is_nameless(row) else _element(row) for row in rows])
    places = [[_value(row.get(f"fract_{axis}", "?")) for axis in "xyz"] for row in rows]
    values = np.array([_value(value) for value in cell])
    for key, value, read in zip(CELL_KEYS, cell, values.tolist(), strict=True):
        if value not in _UNKNOWN and not math.isfinite(read):
            raise InputError(f"its {key} is {value!r}; expected a number, or ? if not known")
    sites = Sites(values[:3], values[3:], numbers, np.array(places), _labels(rows, numbers))
    return sites if unknown else _if_whole(sites, text)


def _if_whole(sites: Sites, text: str) -> Sites | None:
    """Return the sites of a file in which all is known, if the parser finds the same atoms."""
    (item,) = parse(Piece("", "cif", text))
    if item.crystal is None:
        raise InputError(str(item.problem))
    same = np.array_equal(np.sort(item.crystal.numbers), np.sort(sites.numbers))
    return sites if same else None


def _is_nameless(row: Mapping[str, str]) -> bool:
    return row.get("type_symbol", row.get("label", "?")) in _UNKNOWN


def _is_unknown(row: Mapping[str, str]) -> bool:
    places = [row.get(f"fract_{axis}", "?") for axis in "xyz"]
    return _is_nameless(row) or any(value in _UNKNOWN for value in places)


def _placeholder(key: str) -> str:
    """Return a value that says nothing wrong of a site."""
    return {"type_symbol": "H", "label": "H", "occupancy": "1"}.get(key, "0")


def _element(row: Mapping[str, str]) -> int:
    return ATOMIC_NUMBERS[element_of(row)]


def _value(text: str) -> float:
    return math.nan if text in _UNKNOWN else cif_number(text)


def _labels(rows: Sequence[Mapping[str, str]], numbers: Ints) -> tuple[str, ...]:
    """Return the file's labels, or made ones where they do not tell the sites apart."""
    labels = tuple(row.get("label", "?") for row in rows)
    apart = len(set(labels)) == len(labels) and not any(label in _UNKNOWN for label in labels)
    return labels if apart else _made_labels(numbers)


def _made_labels(numbers: Ints) -> tuple[str, ...]:
    counted: Counter[str] = Counter()
    labels = []
    for z in numbers.tolist():
        symbol = SYMBOLS[z - 1] if z else "X"
        counted[symbol] += 1
        labels.append(f"{symbol}{counted[symbol]}")
    return tuple(labels)
