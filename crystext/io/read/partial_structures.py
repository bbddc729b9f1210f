"""One structure as its file lists it: sites in their order, with labels, unknowns where it has `?`.

Other readers bring atoms into the order of their parser and know only whole crystals. Here the rows
of a CIF stay where they are, and `?` or `.` in place of an element, a coordinate or a number of the
cell is a value that is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError
from crystext.io.read import HasCrystal, as_crystal, read_crystal, require_path
from crystext.io.read.cif import read_cif, read_partial_cif
from crystext.io.read.sources import pieces
from crystext.structures.crystal import Crystal, Floats, Ints

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure


class PartialStructure(NamedTuple):
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


def read_partial_structure(source: str | Path, *, lenient: bool = False) -> PartialStructure:
    """Read the one structure of a source, known in whole or in part.

    A CIF whose atoms follow from operations of symmetry is read by its parser, as any other format:
    it has to be known in whole.

    Args:
        source: a file, or a folder or zip with one structure.
        lenient: see `read_crystals`.

    Raises:
        InputError: the source holds none or several, or it is no crystal even in part.
    """
    path = require_path(source)
    try:
        found = list(islice(pieces(path, {}), 2))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len(found) == 1 and found[0].kind == "cif":
        try:
            return _partial_structure_of_cif(found[0].data)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return partial_structure_of(read_crystal(path, lenient=lenient))


def partial_structure_of(crystal: Crystal, labels: Sequence[str] = ()) -> PartialStructure:
    """Return the sites of a crystal, with labels of their own if none are given."""
    return PartialStructure(
        crystal.lengths,
        crystal.angles,
        crystal.numbers,
        crystal.positions,
        tuple(labels) or _default_labels(crystal.numbers),
    )


def _partial_structure_of_cif(text: str) -> PartialStructure:
    if (part := read_partial_cif(text)) is not None:
        return PartialStructure(
            part.lengths, part.angles, part.numbers, part.positions,
            _distinct_labels(part.labels, part.numbers),
        )  # fmt: skip
    reading = read_cif(text)
    return partial_structure_of(
        reading.crystal, _distinct_labels(reading.labels, reading.crystal.numbers)
    )


def _distinct_labels(labels: tuple[str, ...], numbers: Ints) -> tuple[str, ...]:
    """Return the file's labels, or made ones where they do not tell the sites apart."""
    apart = len(set(labels)) == len(labels) > 0 and not {"?", ".", ""} & set(labels)
    return labels if apart else _default_labels(numbers)


def _default_labels(numbers: Ints) -> tuple[str, ...]:
    counted: Counter[str] = Counter()
    labels = []
    for z in numbers.tolist():
        symbol = SYMBOLS[z - 1] if z else "X"
        counted[symbol] += 1
        labels.append(f"{symbol}{counted[symbol]}")
    return tuple(labels)


def as_partial_structure(
    structure: PartialStructure | Crystal | Structure | Atoms | HasCrystal | str | Path,
) -> PartialStructure:
    """Return the sites of whatever holds a structure, with its own labels where they differ."""
    if isinstance(structure, PartialStructure):
        return structure
    if isinstance(structure, str | Path):
        return read_partial_structure(structure)
    crystal = as_crystal(structure)
    labels = [str(label) for label in getattr(structure, "labels", ())]
    return partial_structure_of(crystal, labels if len(set(labels)) == len(crystal) else ())
