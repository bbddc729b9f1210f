"""The symmetry of crystals in files: the conventional cell, and one atom for each orbit.

The setting is always that of `wyckoff.positions`, the first that spglib lists for a group: unique
axis b, cell choice 1, hexagonal axes of rhombohedral groups, origin choice 1. A symmetrised CIF
names it and gives its operations and Hall symbol, so readers need not guess.
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
from crystext.structures.wyckoff.orbits import WyckoffCrystal, orbit_sites, to_wyckoff
from crystext.text.formats import recognized_format


@dataclass(frozen=True)
class Layout:
    """How the cell and its atoms are written.

    With neither option, the crystal is written unchanged: its cell, all atoms, space group P 1.
    """

    symmetrized: bool = False
    """Write CIFs with the conventional cell, the operations of the space group, and one atom for
    each orbit with its Wyckoff letter and multiplicity. Needs a format that holds a CIF."""
    conventional: bool = False
    """Write the conventional cell with all its atoms, in any format; `symmetrized` overrides it."""
    exact: bool = False
    """Write CIFs in P 1 with all digits, for crystals that must stay exactly as given."""

    def check(self, to: str) -> None:
        """Raise `SettingError` if a format cannot hold symmetry operations."""
        if self.symmetrized and to not in FORMATS_WITH_CIF:
            raise SettingError(
                f"a file in the format {to} cannot hold symmetry operations; try cif, or "
                "conventional for every atom of the conventional cell"
            )


FORMATS_WITH_CIF = ("cif", "csv", "parquet")
"""Formats of files that hold CIFs."""

DEFAULT_LAYOUT = Layout()


class CrystalEntry(NamedTuple):
    """A crystal to write."""

    name: str
    crystal: Crystal
    """The crystal in the requested cell."""
    labels: Sequence[str] = ()
    """Labels of its sites; by default element and number."""
    wyckoff: WyckoffCrystal | None = None
    """Contents of a symmetrised CIF; None if the CIF lists every atom."""
    exact: bool = False
    """Whether a CIF that lists every atom has numbers with all digits."""


def crystal_entries(
    crystals: Iterable[tuple[str, Crystal]],
    layout: Layout = DEFAULT_LAYOUT,
    *,
    labels: Iterable[Sequence[str]] | None = None,
    texts: Iterable[str | None] | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> Iterator[CrystalEntry]:
    """Yield crystals in the cell and with the symmetry that a layout requests.

    Args:
        crystals: names and crystals.
        layout: see `Layout`. Atoms move to their symmetric positions, by at most 0.1 Å.
        labels: labels of the sites in the given cells, one sequence for each crystal.
        texts: the text that each crystal was read from. One in the Wyckoff format declares the
            space group; otherwise spglib finds it at 0.1 Å.
        note: called for each crystal without symmetry, which is written unchanged.
    """
    left, read = iter(labels or ()), iter(texts or ())
    for name, crystal in crystals:
        own, text = next(left, ()), next(read, None)
        if not (layout.symmetrized or layout.conventional):
            yield CrystalEntry(name, crystal, own, exact=layout.exact)
            continue
        try:
            symmetric = find_wyckoff(crystal, text)
        except InputError as error:
            note(f"{name} is written as it is, in P 1: {error}")
            yield CrystalEntry(name, crystal, own)
            continue
        cell = conventional_cell(symmetric) if layout.conventional else crystal
        yield CrystalEntry(
            name,
            cell,
            site_labels(cell) if layout.conventional else own,
            symmetric if layout.symmetrized else None,
        )


def find_wyckoff(crystal: Crystal, text: str | None = None) -> WyckoffCrystal:
    """Return the space group and orbits of a crystal: from its text, else by spglib at 0.1 Å.

    Raises:
        InputError: the text declares none, and spglib finds none.
    """
    declared = None if text is None else recognized_format(text).declared_wyckoff(text)
    return to_wyckoff(crystal) if declared is None else declared


def conventional_cell(wyckoff: WyckoffCrystal) -> Crystal:
    """Return the conventional cell with all its atoms, orbit by orbit."""
    sites = [orbit_sites(orbit.position, orbit.free_coordinates) for orbit in wyckoff.orbits]
    numbers = [
        [orbit.atomic_number] * len(own) for orbit, own in zip(wyckoff.orbits, sites, strict=True)
    ]
    lengths, angles = cell_parameters(wyckoff.space_group, wyckoff.cell)
    return Crystal(lengths, angles, np.concatenate(numbers), np.concatenate(sites))


def asymmetric_unit(wyckoff: WyckoffCrystal) -> Crystal:
    """Return the conventional cell with only the representative atom of each orbit."""
    sites = [orbit.position.site(orbit.free_coordinates) % 1.0 for orbit in wyckoff.orbits]
    lengths, angles = cell_parameters(wyckoff.space_group, wyckoff.cell)
    numbers = np.array([orbit.atomic_number for orbit in wyckoff.orbits])
    return Crystal(lengths, angles, numbers, np.array(sites))


def site_labels(crystal: Crystal) -> list[str]:
    """Return labels of the sites: the element, and the number of the site among its element's."""
    counted: Counter[int] = Counter()
    labels = []
    for z in crystal.numbers.tolist():
        counted[z] += 1
        labels.append(f"{SYMBOLS[z - 1]}{counted[z]}")
    return labels
