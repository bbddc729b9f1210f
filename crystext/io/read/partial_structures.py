"""Read a structure as its file lists it: sites in order, with labels, and `?` for unknown values.

Other readers return atoms in the order of their parser, and only complete crystals. Here the rows
of a CIF keep their order, and `?` or `.` in place of an element, a coordinate or a cell parameter
is an unknown value.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError, ReadingWarning
from crystext.io.read import as_crystal, read_crystal, require_path
from crystext.io.read.cif import read_cif, read_partial_cif
from crystext.io.read.cif.formula import CifFormula
from crystext.io.read.cif.operations import Operations
from crystext.io.read.sources import pieces
from crystext.structures.crystal import Crystal, Floats, Ints

if TYPE_CHECKING:
    from crystext.io.read import CrystalSource


class AsymmetricUnit(NamedTuple):
    """What a CIF says of the atoms that its sites generate."""

    multiplicities: Ints
    """Number of atoms of each site; 0 if the file does not say. Shape (N,)."""
    formula: CifFormula | None
    """None if the file has none that can be counted."""


class PartialStructure(NamedTuple):
    """A structure as listed in a file. Unknown values are nan, or 0 for an element."""

    lengths: Floats
    """Å; shape (3,)."""
    angles: Floats
    """Degrees; shape (3,)."""
    numbers: Ints
    """Atomic numbers; shape (N,)."""
    positions: Floats
    """Fractional coordinates; shape (N, 3)."""
    labels: tuple[str, ...]
    """Unique labels of the sites: from the file, or element and number, such as Fe1."""
    symmetry: tuple[Operations, ...] = ()
    """The symmetry operations of a CIF; several if it leaves the setting of its group open."""
    unit: AsymmetricUnit | None = None
    """Set if the sites are those of an asymmetric unit, from which `symmetry` generates atoms."""


def read_partial_structure(source: str | Path, *, lenient: bool = False) -> PartialStructure:
    """Read the single structure of a source, which may be partially known.

    Of a CIF with unknown values whose atoms follow from symmetry operations, the sites are those
    that it lists: the asymmetric unit. A complete one is expanded to all atoms.

    Args:
        source: a file, or a folder or zip with one structure.
        lenient: see `read_crystals`.

    Raises:
        InputError: the source holds none or several, or it is not even a partial crystal.
    """
    path = require_path(source)
    try:
        # Closed at once: what a source holds open would otherwise live as long as an error does.
        with closing(pieces(path, {})) as parts:
            found = list(islice(parts, 2))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len(found) == 1 and found[0].kind == "cif":
        try:
            sites, notes = _partial_structure_of_cif(found[0].data, lenient)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        for note in notes:
            warnings.warn(f"{path}: {note}", ReadingWarning, stacklevel=2)
        return sites
    return partial_structure_of(read_crystal(path, lenient=lenient))


def partial_structure_of(crystal: Crystal, labels: Sequence[str] = ()) -> PartialStructure:
    """Return the sites of a crystal, with default labels if none are given."""
    return PartialStructure(
        crystal.lengths,
        crystal.angles,
        crystal.numbers,
        crystal.positions,
        tuple(labels) or default_labels(crystal.numbers),
    )


def _partial_structure_of_cif(text: str, lenient: bool) -> tuple[PartialStructure, tuple[str, ...]]:
    """Return the sites of a CIF, and what was assumed in reading it."""
    if (part := read_partial_cif(text)) is not None:
        unit = AsymmetricUnit(part.multiplicities, part.formula)
        sites = PartialStructure(
            part.lengths, part.angles, part.numbers, part.positions,
            _distinct_labels(part.labels, part.numbers),
            part.symmetry, unit if part.symmetry else None,
        )  # fmt: skip
        return sites, part.notes
    reading = read_cif(text, lenient=lenient)
    sites = partial_structure_of(
        reading.crystal, _distinct_labels(reading.labels, reading.crystal.numbers)
    )
    return sites._replace(symmetry=(reading.operations,)), tuple(reading.notes)


def _distinct_labels(labels: tuple[str, ...], numbers: Ints) -> tuple[str, ...]:
    """Return the file's labels, or default ones if those are not unique."""
    apart = len(set(labels)) == len(labels) > 0 and not {"?", ".", ""} & set(labels)
    return labels if apart else default_labels(numbers)


def default_labels(numbers: Ints) -> tuple[str, ...]:
    """Return element and number of each site, such as Fe1; X for an unknown element."""
    counted: Counter[str] = Counter()
    labels = []
    for z in numbers.tolist():
        symbol = SYMBOLS[z - 1] if z else "X"
        counted[symbol] += 1
        labels.append(f"{symbol}{counted[symbol]}")
    return tuple(labels)


def as_partial_structure(
    structure: PartialStructure | CrystalSource,
) -> PartialStructure:
    """Return the sites of an object or file, with its own labels if they are unique."""
    if isinstance(structure, PartialStructure):
        return structure
    if isinstance(structure, str | Path):
        return read_partial_structure(structure)
    crystal = as_crystal(structure)
    labels = [str(label) for label in getattr(structure, "labels", ())]
    return partial_structure_of(crystal, labels if len(set(labels)) == len(crystal) else ())
