"""The symmetry of crystals as files have it: the conventional cell, and one atom for each orbit.

The setting is always that of `wyckoff.positions`, the first that spglib lists for a group: unique
axis b, cell choice 1, hexagonal axes of rhombohedral groups, origin choice 1. A symmetrised CIF
names it, lists its operations and gives its Hall symbol, so no reader has to guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Crystal
from crystext.structures.wyckoff.cell_parameters import cell_parameters
from crystext.structures.wyckoff.orbits import SymmetricCrystal, decompose, orbit_sites
from crystext.text.wyckoff import declared_symmetry


@dataclass(frozen=True)
class Layout:
    """How the cell and its atoms are written.

    Neither is the crystal as it is: its own cell, every atom listed, space group P 1.
    """

    symmetrized: bool = False
    """CIFs have the conventional cell, the operations of the space group, and one atom for each
    orbit with its Wyckoff letter and multiplicity. Needs a format that holds a CIF."""
    conventional: bool = False
    """The conventional cell with all its atoms, in any format; beside `symmetrized`, that."""
    exact: bool = False
    """CIFs in P 1 have all digits of the numbers, for what has to stay exactly as it was given."""

    def check(self, to: str) -> None:
        """Raise `SettingError` where a format has no place for operations of symmetry."""
        if self.symmetrized and to not in WITH_CIF:
            raise SettingError(
                f"a file in the format {to} has no place for operations of symmetry; try cif, or "
                "conventional for every atom of the conventional cell"
            )


WITH_CIF = ("cif", "csv", "parquet")
"""Formats of files that hold CIFs."""

AS_IT_IS = Layout()


class Entry(NamedTuple):
    """A crystal that is to be written."""

    name: str
    crystal: Crystal
    """In the cell that is asked for."""
    labels: Sequence[str] = ()
    """Of its sites; by element and number where there are none."""
    symmetric: SymmetricCrystal | None = None
    """What a symmetrised CIF says; None where the CIF lists every atom."""
    exact: bool = False
    """Whether a CIF that lists every atom has all digits of the numbers."""


def entries(
    crystals: Iterable[tuple[str, Crystal]],
    layout: Layout = AS_IT_IS,
    *,
    labels: Iterable[Sequence[str]] | None = None,
    texts: Iterable[str | None] | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> Iterator[Entry]:
    """Yield crystals in the cell and with the symmetry that a layout asks for.

    Args:
        crystals: names and crystals.
        layout: see `Layout`. Atoms are moved onto the symmetry, by 0.1 Å at most.
        labels: of the sites, one sequence for each crystal; for the cells that are given.
        texts: the text that each crystal was read from. One in the Wyckoff format declares the
            space group; otherwise spglib finds it at 0.1 Å.
        note: is told of each crystal in which no symmetry is found. It is written as it is.
    """
    left, read = iter(labels or ()), iter(texts or ())
    for name, crystal in crystals:
        own, text = next(left, ()), next(read, None)
        if not (layout.symmetrized or layout.conventional):
            yield Entry(name, crystal, own, exact=layout.exact)
            continue
        try:
            symmetric = symmetry_of(crystal, text)
        except InputError as error:
            note(f"{name} is written as it is, in P 1: {error}")
            yield Entry(name, crystal, own)
            continue
        cell = conventional_cell(symmetric) if layout.conventional else crystal
        yield Entry(
            name,
            cell,
            site_labels(cell) if layout.conventional else own,
            symmetric if layout.symmetrized else None,
        )


def symmetry_of(crystal: Crystal, text: str | None = None) -> SymmetricCrystal:
    """Return a crystal by its symmetry: as its text declares it, else as spglib finds it at 0.1 Å.

    Raises:
        InputError: the text declares none, and spglib finds none.
    """
    declared = None if text is None else declared_symmetry(text)
    return decompose(crystal) if declared is None else declared


def conventional_cell(symmetric: SymmetricCrystal) -> Crystal:
    """Return the conventional cell with all its atoms, orbit by orbit."""
    sites = [orbit_sites(orbit.position, orbit.free) for orbit in symmetric.orbits]
    numbers = [
        [orbit.number] * len(own) for orbit, own in zip(symmetric.orbits, sites, strict=True)
    ]
    lengths, angles = cell_parameters(symmetric.space_group, symmetric.cell)
    return Crystal(lengths, angles, np.concatenate(numbers), np.concatenate(sites))


def asymmetric_unit(symmetric: SymmetricCrystal) -> Crystal:
    """Return the conventional cell with the representative atom of each orbit alone."""
    sites = [orbit.position.site(orbit.free) % 1.0 for orbit in symmetric.orbits]
    lengths, angles = cell_parameters(symmetric.space_group, symmetric.cell)
    numbers = np.array([orbit.number for orbit in symmetric.orbits])
    return Crystal(lengths, angles, numbers, np.array(sites))


def site_labels(crystal: Crystal) -> list[str]:
    """Return labels of the sites: the element, and a number that counts its sites from 1."""
    counted: Counter[int] = Counter()
    labels = []
    for z in crystal.numbers.tolist():
        counted[z] += 1
        labels.append(f"{SYMBOLS[z - 1]}{counted[z]}")
    return labels
