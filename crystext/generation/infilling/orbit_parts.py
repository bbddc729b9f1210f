"""The parts of a crystal to complete with symmetry: which rows of a file make up which orbit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import InputError
from crystext.grammar.wyckoff.completion import Gap
from crystext.io.read.cif.formula import CifFormula
from crystext.io.read.partial_structures import PartialStructure
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Floats, basis_vectors
from crystext.structures.distances import Bools
from crystext.structures.space_groups import SYMPREC
from crystext.structures.wyckoff.orbits import Orbit
from crystext.structures.wyckoff.setting import GroupSetting
from crystext.text.partial import PartialCrystal

PLACEHOLDER_LATTICE = 6.0 * np.eye(3)
"""Å; to compare sites in a cell that is not known."""


@dataclass(eq=False)
class Part:
    """A gap, and the rows that it fills."""

    gap: Gap
    rows: list[int]
    """Rows without a position that get the sites of its orbits."""
    known_rows: list[int] = field(default_factory=list)
    """Rows with a position whose element it decides."""
    site: Floats | None = None
    """The listed site of an orbit of an asymmetric unit."""


class PartBuilder:
    """Collects the parts of a task."""

    def __init__(
        self,
        setting: GroupSetting,
        partial: PartialCrystal,
        sites: PartialStructure,
        exclude: frozenset[str],
    ) -> None:
        self.setting, self.partial, self.sites, self.exclude = setting, partial, sites, exclude
        lattice = lattice_of(partial)
        self.lattice = PLACEHOLDER_LATTICE if lattice is None else lattice
        self.placed: Bools = np.asarray(np.isfinite(partial.positions).all(axis=1))
        self.parts: list[Part] = []
        self.spare_sites: list[tuple[int, Floats]] = []
        self._spare: list[tuple[int, Floats]] = []
        self._shared = {
            row: i for i, group in enumerate(partial.same_element_groups) for row in group
        }

    def elements(self, number: int, candidates: Sequence[str] | None) -> tuple[int, ...]:
        """Return the elements that a site may hold."""
        if number:
            return (number,)
        names = candidates or SYMBOLS
        return tuple(ATOMIC_NUMBERS[x] for x in names if x not in self.exclude)

    def add_part(
        self, elements: tuple[int, ...], atoms: int | None, rows: list[int], single: bool = False
    ) -> None:
        """Add atoms without a position.

        Raises:
            InputError: their number is not a multiple of the cell's primitive cells.
        """
        points = self.setting.lattice_points
        if atoms is not None and atoms % points:
            raise InputError(
                f"{format_count(atoms, 'atom')} cannot be placed in space group "
                f"{self.setting.number}: the cell holds {points} primitive cells, so atoms come in "
                f"multiples of {points}; expected such a number. Try another, or another group"
            )
        pins = tuple(
            self.partial.positions[row]
            for row in rows
            if row < len(self.partial) and np.isfinite(self.partial.positions[row]).any()
        )
        gap = Gap(
            elements,
            None if atoms is None else atoms // points,
            pins=pins,
            single=single,
            same_element=self._shared.get(rows[0], -1),
        )
        self.parts.append(Part(gap, rows))

    def add_listed_orbits(self) -> None:
        """Add the orbits of the atoms with a position, each row an atom."""
        left = np.flatnonzero(self.placed).tolist()
        while left:
            first = left[0]
            orbit, sites = self.setting.expand(1, self.partial.positions[first], self.lattice)
            members, unlisted = [], []
            for site in sites:
                away = self.partial.positions[left] - site
                away -= np.rint(away)
                near = np.linalg.norm(away @ self.lattice, axis=1) < SYMPREC
                if near.any():
                    members.append(left.pop(int(near.argmax())))
                else:
                    unlisted.append(site)
            named = {int(self.partial.numbers[row]) for row in members} - {0}
            z = named.pop() if named else 0
            self._spare += [(z, site) for site in unlisted]
            self._add_orbit(orbit, z, members, len(sites))

    def _add_orbit(self, orbit: Orbit, number: int, rows: list[int], size: int) -> None:
        """Add an orbit with a position, whose element may be unknown."""
        allowed = [
            set(self.elements(int(self.partial.numbers[row]), self.partial.candidates.get(row)))
            for row in rows
        ]
        elements = (number,) if number else tuple(sorted(set.intersection(*allowed)))
        if not elements:
            raise InputError(
                f"{self.sites.labels[rows[0]]} and the sites equivalent to it have no element in "
                "common that all of them may hold; give them the same candidates"
            )
        gap = Gap(
            elements,
            size // self.setting.lattice_points,
            orbit._replace(atomic_number=elements[0]),
            single=True,
            same_element=self._shared.get(rows[0], -1),
        )
        self.parts.append(Part(gap, [], rows))

    def add_unit_sites(self, count: int) -> None:
        """Add the sites of an asymmetric unit, each an orbit."""
        assert self.sites.unit is not None, "only called for a unit"
        for row in range(count):
            number = int(self.partial.numbers[row])
            if self.placed[row]:
                site = self.partial.positions[row]
                orbit, sites = self.setting.expand(number or 1, site, self.lattice)
                self._add_orbit(orbit, number, [row], len(sites))
                self.parts[-1].site = site
                continue
            given = int(self.sites.unit.multiplicities[row]) or None
            elements = self.elements(number, self.partial.candidates.get(row))
            self.add_part(elements, given, [row], single=True)

    def add_atoms(self, rows: Iterable[int]) -> None:
        """Add atoms without a position, those that may hold the same elements together."""
        groups: dict[tuple[int, tuple[str, ...] | None, int], list[int]] = {}
        for row in rows:
            number = int(self.partial.numbers[row])
            key = number, self.partial.candidates.get(row), self._shared.get(row, -1)
            groups.setdefault(key, []).append(row)
        for (z, names, _), members in groups.items():
            here = [spare for spare in self._spare if spare[0] == z]
            self._spare = [spare for spare in self._spare if spare[0] != z]
            if len(members) > len(here):
                self.add_part(self.elements(z, names), len(members) - len(here), members)
            elif members:
                self.parts.append(Part(Gap(self.elements(z, None), 0, single=True), members))
            self.spare_sites += [(len(self.parts) - 1, site) for _, site in here]

    def add_missing_atoms(self, count: int) -> None:
        """Add atoms that no row lists; first come those that known orbits lack.

        Raises:
            InputError: there are too few of them, or the element of such an orbit is unknown.
        """
        if not count:
            return
        rows = list(range(len(self.partial), len(self.partial) + count))
        lacking, self._spare = self._spare, []
        if len(lacking) > count or any(z == 0 for z, _ in lacking):
            raise InputError(
                f"the known orbits lack {format_count(len(lacking), 'atom')}, and "
                f"{format_count(count, 'atom')} may be added, of known orbits only where their "
                "element is known; list all atoms of these orbits"
            )
        for z in dict.fromkeys(z for z, _ in lacking):
            here = [site for number, site in lacking if number == z]
            self.parts.append(Part(Gap((z,), 0, single=True), rows[: len(here)]))
            self.spare_sites += [(len(self.parts) - 1, site) for site in here]
            rows = rows[len(here) :]
        if rows:
            self.add_part(self.elements(0, self.partial.missing_candidates), len(rows), rows)


def counts_of_cell(builder: PartBuilder, formula: CifFormula | None) -> dict[int, int]:
    """Return the atoms of each element by a formula, and give them to the gap that lacks them.

    Some programs write the formula of the whole cell, others that of a unit: the known orbits tell.
    """
    if formula is None or any(part.gap.orbit is None and len(part.gap.elements) > 1
                              for part in builder.parts):  # fmt: skip
        return {}
    points = builder.setting.lattice_points
    known: dict[int, int] = {}
    lacking: dict[int, list[int]] = {}
    for i, part in enumerate(builder.parts):
        z = part.gap.elements[0]
        if len(part.gap.elements) > 1:
            return {}
        if part.gap.atoms is None:
            lacking.setdefault(z, []).append(i)
        else:
            known[z] = known.get(z, 0) + part.gap.atoms * points
    for units in dict.fromkeys(
        [formula.units or 1, 1, *(range(2, 49) if not formula.units else ())]
    ):
        counts = {ATOMIC_NUMBERS[s]: n * units for s, n in formula.counts.items()}
        whole = all(abs(n - round(n)) < 1e-6 for n in counts.values())
        if not whole or set(counts) != set(known) | set(lacking):
            continue
        left = {z: round(n) - known.get(z, 0) for z, n in counts.items()}
        if all(n > 0 if z in lacking else n == 0 for z, n in left.items()):
            for z, gaps in lacking.items():
                if len(gaps) == 1 and left[z] % points == 0:
                    part = builder.parts[gaps[0]]
                    part.gap = Gap(
                        part.gap.elements, left[z] // points, pins=part.gap.pins, single=True
                    )
            return {z: round(n) for z, n in counts.items()}
    return {}


def lattice_of(partial: PartialCrystal) -> Floats | None:
    """Return the cell, basis vectors as rows in Å; None if part of it is unknown."""
    known = np.isfinite(partial.lengths).all() and np.isfinite(partial.angles).all()
    return basis_vectors(partial.lengths, partial.angles) if known else None
