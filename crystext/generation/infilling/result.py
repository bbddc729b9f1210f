"""A completed crystal, and what it has that was not there before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError
from crystext.generation.infilling.specify import unused_label
from crystext.io.read.partial_structures import PartialStructure
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.distances import image_distances, min_distances, shortest_lattice_vector
from crystext.structures.properties import density, reduced_formula
from crystext.structures.space_groups import find_space_group
from crystext.text.partial import PartialCrystal

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

_DISTANCE_TOLERANCE = 1e-4
"""Å that rounding may take from a distance."""

ChangeValue = str | tuple[float, ...] | None


@dataclass(frozen=True)
class Change:
    """What a completion puts in place of what was there."""

    quantity: str
    """`element`, `coordinates`, `lengths` or `angles`."""
    site: int | None
    """Index from 0; None for the cell."""
    label: str
    """Of the site, as the structure that was given has it; empty for the cell."""
    before: ChangeValue
    """None where it was not known, or there was no such atom."""
    after: ChangeValue

    def __str__(self) -> str:
        where = f"{self.label} " if self.label else f"{self.quantity} "
        return f"{where}{_format_value(self.before)} -> {_format_value(self.after)}"


@dataclass(frozen=True, eq=False)
class InfillResult:
    """A completed crystal."""

    index: int
    """Rank, from 0: the most probable first, or where the cell is to be found that of middle size
    (see `ranking`); those with atoms too near each other last."""
    crystal: Crystal
    """Sites in the order of the structure that was given, and all that was given as it was; added
    atoms come last."""
    labels: tuple[str, ...]
    """Of the sites: those that were given, save where the element is another now."""
    log_probability: float
    """Of the completion among those that are possible, at temperature 1, in nats."""
    text: str
    """The completion as the model wrote it."""
    times_drawn: int
    """How often it was drawn, others that are the same crystal included; 0 where it was ranked."""
    changes: tuple[Change, ...]
    atoms_too_close: bool
    """Whether what is new brings atoms nearer to each other than was to be allowed."""
    keeps_space_group: bool | None = None
    """Whether it has the space group that was to be kept; None where none was."""

    @property
    def structure(self) -> Structure:
        """The crystal as a pymatgen structure with its labels, a new one each time.

        Its sites have no oxidation states and no properties: those of the structure that was given
        need not hold for another.
        """
        structure = self.crystal.structure
        for site, label in zip(structure, self.labels, strict=True):
            site.label = label
        return structure

    @cached_property
    def space_group(self) -> int | None:
        """As spglib finds it at 0.1 Å; None if it finds none."""
        return find_space_group(self.crystal)

    def to_ase(self) -> Atoms:
        """Return the crystal as ASE's Atoms, with what a table says of it in its `info`."""
        return to_ase_atoms(self)

    @property
    def satisfied(self) -> bool:
        """Whether it keeps what was to be kept."""
        return self.keeps_space_group is not False

    def row(self) -> dict[str, Any]:
        """Return what a table says of it: plain values by column."""
        return {
            "rank": self.index + 1,
            "log_probability": self.log_probability,
            "formula": reduced_formula(self.crystal.numbers),
            "changes": "; ".join(map(str, self.changes)),
            "space_group": self.space_group,
            "density": density(self.crystal),
            "count": self.times_drawn,
            "atoms_too_close": self.atoms_too_close,
        }

    def record(self) -> dict[str, Any]:
        """Return all of it as JSON has it: numbers as they are, to the last digit."""
        return {
            **self.row(),
            "changes": [asdict(change) for change in self.changes],
            "text": self.text,
            "lengths": self.crystal.lengths.tolist(),
            "angles": self.crystal.angles.tolist(),
            "symbols": self.crystal.symbols,
            "positions": self.crystal.positions.tolist(),
            "labels": list(self.labels),
        }


class _WithCrystal(Protocol):
    @property
    def crystal(self) -> Crystal | None: ...
    def row(self) -> dict[str, Any]: ...


def to_ase_atoms(result: _WithCrystal) -> Atoms:
    """Return the crystal of a result as ASE's Atoms, with its row in `info`.

    Texts of several lines are left out: extended XYZ has one line for all of `info`, and ASE could
    not read them back.

    Raises:
        InputError: it holds no crystal.
    """
    if result.crystal is None:
        raise InputError(f"{result!r} holds no crystal; take one whose crystal is not None")
    fits = {
        name: value
        for name, value in result.row().items()
        if value is not None and not (isinstance(value, str) and "\n" in value)
    }
    return result.crystal.to_ase(fits)


def changes_between(sites: PartialStructure, crystal: Crystal) -> Iterator[Change]:
    """Yield what a completed crystal has otherwise than the structure that was given."""
    for what, old, new in (
        ("lengths", sites.lengths, crystal.lengths),
        ("angles", sites.angles, crystal.angles),
    ):
        if not np.array_equal(old, new):
            yield Change(what, None, "", _given_values(old), tuple(new.tolist()))
    labels = completed_labels(sites, crystal)
    for site, (symbol, place) in enumerate(
        zip(crystal.symbols, crystal.positions.tolist(), strict=True)
    ):
        there = site < len(sites.numbers)
        label = sites.labels[site] if there else labels[site]
        z = int(sites.numbers[site]) if there else 0
        old_place = sites.positions[site] if there else np.full(3, np.nan)
        if SYMBOLS[z - 1] != symbol or not z:
            yield Change("element", site, label, SYMBOLS[z - 1] if z else None, symbol)
        if old_place.tolist() != place:
            yield Change("coordinates", site, label, _given_values(old_place), tuple(place))


def completed_labels(sites: PartialStructure, crystal: Crystal) -> tuple[str, ...]:
    """Return the labels of a completed crystal's sites.

    A site whose element is another now, or that was added, gets the first free one of its element.
    """
    count = len(sites.numbers)
    same = crystal.numbers[:count] == sites.numbers
    taken = [label for label, kept in zip(sites.labels, same.tolist(), strict=True) if kept]
    labels = []
    for site, symbol in enumerate(crystal.symbols):
        label = sites.labels[site] if site < count and same[site] else unused_label(symbol, taken)
        taken.append(label)
        labels.append(label)
    return tuple(labels)


def has_atoms_too_close(
    crystal: Crystal, partial: PartialCrystal, min_distance_ratio: float
) -> bool:
    """Tell whether what was filled in brings atoms nearer to each other than was to be allowed.

    Args:
        crystal: the completed crystal.
        partial: what was completed. Atoms of which it knows all, in a cell that it knows, are not
            held against the completion.
        min_distance_ratio: see `Constraints`; 0 allows any distance.
    """
    if min_distance_ratio == 0:
        return False
    table, numbers = min_distances(min_distance_ratio), crystal.numbers
    new = np.ones(len(crystal), dtype=np.bool_)
    if not (np.isnan(partial.lengths).any() or np.isnan(partial.angles).any()):
        known = (partial.numbers > 0) & ~np.isnan(partial.positions).any(axis=1)
        new[: len(partial)] = ~known
    shortest = float(shortest_lattice_vector(crystal.lattice[None])[0])
    if (table[numbers, numbers][new] > shortest + _DISTANCE_TOLERANCE).any():
        return True
    for site in np.flatnonzero(new).tolist():
        others = np.arange(len(crystal)) != site
        apart = image_distances(
            crystal.lattice[None], crystal.positions[None, site], crystal.positions[None, others]
        )[0]
        if (apart < table[numbers[site], numbers[others]] - _DISTANCE_TOLERANCE).any():
            return True
    return False


def with_ranks(results: Sequence[InfillResult]) -> tuple[InfillResult, ...]:
    """Return proposals with their places as ranks."""
    return tuple(replace(proposal, index=i) for i, proposal in enumerate(results))


def _given_values(values: Floats) -> ChangeValue:
    """Return numbers that were given; None where none was."""
    return None if np.isnan(values).all() else tuple(values.tolist())


def _format_value(value: ChangeValue) -> str:
    if value is None:
        return "?"
    if isinstance(value, str):
        return value
    return " ".join("?" if number != number else f"{number:.4g}" for number in value)
