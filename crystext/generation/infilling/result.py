"""A completed crystal and its changes."""

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
from crystext.structures.close_pairs import iter_contacts
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.distances import image_distances, min_distances, shortest_lattice_vector
from crystext.structures.properties import density, reduced_formula, space_group_symbols
from crystext.structures.space_groups import find_space_group
from crystext.text.partial import PartialCrystal

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

_DISTANCE_TOLERANCE = 1e-4
"""Å by which rounding may shorten a distance."""

ChangeValue = str | tuple[float, ...] | None


@dataclass(frozen=True)
class Change:
    """A change made by a completion."""

    quantity: str
    """`element`, `coordinates`, `lengths` or `angles`."""
    site: int | None
    """Index from 0; None for the cell."""
    label: str
    """Label of the site in the given structure; empty for the cell."""
    before: ChangeValue
    """None if it was unknown, or there was no such atom."""
    after: ChangeValue

    def __str__(self) -> str:
        where = f"{self.label} " if self.label else f"{self.quantity} "
        return f"{where}{_format_value(self.before)} -> {_format_value(self.after)}"


@dataclass(frozen=True, eq=False)
class InfillResult:
    """A completed crystal."""

    index: int
    """Rank, from 0: the most probable first, or, if the cell is unknown, the median volume (see
    `ranking`); those with atoms too close come last."""
    crystal: Crystal
    """Sites in the order of the given structure, with all known values unchanged; added atoms come
    last."""
    labels: tuple[str, ...]
    """Labels of the sites: those given, except where the element changed."""
    log_probability: float
    """Log-probability of the completion among the possible ones, at temperature 1, in nats."""
    text: str
    """The completion as the model wrote it."""
    times_drawn: int
    """How often it was sampled, including other texts of the same crystal; 0 if it was ranked."""
    changes: tuple[Change, ...]
    atoms_too_close: bool
    """Whether the changes bring atoms closer than the minimum distance."""
    keeps_space_group: bool | None = None
    """Whether it has the space group to keep; None if any is accepted."""
    orbits: tuple[str, ...] = ()
    """With a space group: the orbits that were found, such as `O 8e 0.208`."""
    problem: str = ""
    """What speaks against it: atoms that are too close, another space group, or a relaxation that
    failed; empty if nothing."""
    energy: float | None = None
    """eV per atom after relaxing; None if it was not relaxed, or has none."""

    @property
    def structure(self) -> Structure:
        """The crystal as a pymatgen structure with its labels, a new one each time.

        Its sites have no oxidation states and no properties: those of the given structure may not
        apply.
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
        """Whether it keeps the space group, if required."""
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
            "orbits": "; ".join(self.orbits),
            "problem": self.problem,
            "energy": self.energy,
        }

    def record(self) -> dict[str, Any]:
        """Return it as JSON values: numbers with all digits."""
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
        InputError: the result has no crystal.
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
    """Yield the changes of a completed crystal relative to the given structure."""
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

    A site that was added, or whose element changed, gets the first free label of its element.
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
    """Return whether the filled-in parts bring atoms closer than the minimum distance.

    Args:
        crystal: the completed crystal.
        partial: the partial crystal. Distances between its known atoms in a known cell are ignored.
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


def closest_contact_problem(crystal: Crystal) -> str:
    """Return which atoms are too close: `atoms too close: O-O 1.34 Å`."""
    found = next(iter_contacts(crystal))
    return f"atoms too close: {'-'.join(found.symbols)} {found.distance:.2f} Å"


def group_problem(space_group: int | None) -> str:
    """Return that a completion has another space group than the one asked for."""
    name = "none"
    if space_group is not None:
        name = f"{space_group_symbols()[space_group]} ({space_group})"
    return f"space group {name}"


def with_ranks(results: Sequence[InfillResult]) -> tuple[InfillResult, ...]:
    """Return results with their positions as ranks."""
    return tuple(replace(proposal, index=i) for i, proposal in enumerate(results))


def _given_values(values: Floats) -> ChangeValue:
    """Return the given numbers; None if there are none."""
    return None if np.isnan(values).all() else tuple(values.tolist())


def _format_value(value: ChangeValue) -> str:
    if value is None:
        return "?"
    if isinstance(value, str):
        return value
    return " ".join("?" if number != number else f"{number:.4g}" for number in value)
