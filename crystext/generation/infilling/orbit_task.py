"""A crystal to complete with symmetry: which of its rows are orbits, and which orbits lack.

Rows are those of a file: every atom of the cell, or the sites of an asymmetric unit, each of which
stands for an orbit. Positions that are found are put back into the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError
from crystext.generation.infilling.group_settings import KnownSites
from crystext.generation.infilling.orbit_parts import (
    PLACEHOLDER_LATTICE,
    Part,
    PartBuilder,
    counts_of_cell,
    lattice_of,
)
from crystext.grammar.wyckoff.completion import PIN_TOLERANCE, Gap, OrbitGaps, Placement
from crystext.io.read.partial_structures import PartialStructure
from crystext.structures.crystal import Crystal, Floats, Ints, basis_vectors, lengths_and_angles
from crystext.structures.distances import Bools
from crystext.structures.properties import space_group_symbols
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_values
from crystext.structures.wyckoff.orbits import Orbit, WyckoffCrystal
from crystext.structures.wyckoff.setting import GroupSetting
from crystext.text.partial import PartialCrystal


class FilledCrystal(NamedTuple):
    """A completed crystal and what was known of it, site by site."""

    crystal: Crystal
    before: PartialStructure
    """The given structure, with the same sites."""
    requested: PartialCrystal
    """What was to be filled in, with the same sites."""
    wyckoff: WyckoffCrystal
    orbits: tuple[str, ...]
    """The orbits that were found, such as `O 8e 0.208`."""


@dataclass(frozen=True, eq=False)
class OrbitTask:
    """One setting of a space group in a crystal, and what its orbits have to cover."""

    setting: GroupSetting
    gaps: OrbitGaps
    partial: PartialCrystal
    sites: PartialStructure
    parts: tuple[Part, ...]
    spare_sites: tuple[tuple[int, Floats], ...]
    """Sites of known orbits that no row has yet, with the part whose rows take them."""
    cell_counts: dict[int, int]
    """Atoms of each element in the cell by the file's formula; empty if not known."""

    @property
    def lattice(self) -> Floats | None:
        """The cell, basis vectors as rows in Å; None if it is not known."""
        return lattice_of(self.partial)

    def fill(self, placements: Sequence[Placement], cell: Sequence[float]) -> FilledCrystal | None:
        """Return the crystal with the placed orbits; None if known coordinates rule it out.

        Args:
            placements: of all gaps, in text order.
            cell: free parameters of the standard cell.
        """
        orbits = [each.orbit for each in placements]
        wyckoff = WyckoffCrystal(self.setting.number, tuple(orbits), tuple(cell))
        if self.sites.unit is None:
            filled = self._fill_rows(placements, cell)
        else:
            filled = self._fill_unit(placements, cell)
        if filled is None:
            return None
        crystal, before, requested = filled
        counts = {z: int((crystal.numbers == z).sum()) for z in set(crystal.numbers.tolist())}
        if self.cell_counts and counts != self.cell_counts:
            return None
        found = tuple(
            _describe_orbit(each.orbit)
            for each in placements
            if self.gaps_of(each).orbit is None or len(self.gaps_of(each).elements) > 1
        )
        return FilledCrystal(crystal, before, requested, wyckoff, found)

    def gaps_of(self, placement: Placement) -> Gap:
        """Return the gap that a placement fills."""
        return self.parts[placement.gap].gap

    def _cell(self, cell: Sequence[float]) -> tuple[Floats, Floats]:
        """Return lengths and angles of the file's cell, known ones unchanged."""
        if self.lattice is not None:
            return self.partial.lengths, self.partial.angles
        standard = basis_vectors(*cell_parameters(self.setting.number, cell))
        lengths, angles = lengths_and_angles(self.setting.file_lattice(standard))
        return (
            np.where(np.isnan(self.partial.lengths), np.round(lengths, 6), self.partial.lengths),
            np.where(np.isnan(self.partial.angles), np.round(angles, 6), self.partial.angles),
        )

    def _fill_rows(
        self, placements: Sequence[Placement], cell: Sequence[float]
    ) -> tuple[Crystal, PartialStructure, PartialCrystal] | None:
        """Put the sites of the orbits into the rows, each of which is an atom."""
        extra = self.partial.missing_atoms[1]
        numbers = np.append(self.partial.numbers, np.zeros(extra, dtype=np.int64))
        positions = np.vstack([self.partial.positions, np.full((extra, 3), np.nan)])
        found: dict[int, list[tuple[int, Floats]]] = {}
        for index, site in self.spare_sites:
            found.setdefault(index, []).append((self.parts[index].gap.elements[0], site))
        for each in placements:
            part = self.parts[each.gap]
            z = each.orbit.atomic_number
            numbers[part.known_rows] = z
            if part.gap.orbit is None:
                placed = _sites_with_pins(self, each)
                found.setdefault(each.gap, []).extend((z, site) for site in placed)
        for index, sites in found.items():
            rows = self.parts[index].rows
            matched = _match_pins([positions[row] for row in rows], [site for _, site in sites])
            if matched is None:
                return None
            for row, (which, site) in zip(rows, matched, strict=True):
                positions[row] = np.where(np.isnan(positions[row]), site, positions[row])
                numbers[row] = numbers[row] or sites[which][0]
        if (numbers == 0).any() or np.isnan(positions).any():
            return None
        crystal = Crystal(*self._cell(cell), numbers, positions)
        return crystal, self.sites, self.partial

    def _fill_unit(
        self, placements: Sequence[Placement], cell: Sequence[float]
    ) -> tuple[Crystal, PartialStructure, PartialCrystal] | None:
        """Return the atoms that the sites of an asymmetric unit generate, in their order."""
        blocks: dict[int, list[tuple[int, Floats]]] = {}
        for each in placements:
            part = self.parts[each.gap]
            if part.gap.orbit is not None:
                assert part.site is not None, "orbits of a unit have a listed site"
                lattice = self.lattice if self.lattice is not None else PLACEHOLDER_LATTICE
                sites = self.setting.expand(each.orbit.atomic_number, part.site, lattice).sites
                sites[0] = part.site
            else:
                sites = np.array(_sites_with_pins(self, each))
            blocks.setdefault(each.gap, []).extend((each.orbit.atomic_number, x) for x in sites)
        atoms: list[_Atom] = []
        for index, part in enumerate(self.parts):
            atoms += self._atoms_of_part(part, blocks[index])
        before = self.sites._replace(
            numbers=np.array([atom.number_before for atom in atoms]),
            positions=np.array([atom.position_before for atom in atoms]),
            labels=tuple(atom.label for atom in atoms),
        )
        requested = PartialCrystal(
            self.partial.lengths,
            self.partial.angles,
            np.array([atom.number_requested for atom in atoms]),
            np.array([atom.position_requested for atom in atoms]),
        )
        crystal = Crystal(
            *self._cell(cell),
            np.array([atom.number for atom in atoms]),
            np.array([atom.position for atom in atoms]),
        )
        return crystal, before, requested

    def _atoms_of_part(self, part: Part, sites: list[tuple[int, Floats]]) -> list[_Atom]:
        """Return the atoms of a part of an asymmetric unit, with what was known of them."""
        rows = part.known_rows + part.rows
        nowhere: Floats = np.full(3, np.nan)
        atoms = []
        for i, (z, site) in enumerate(sites):
            row = rows[i] if len(rows) > 1 else rows[0]
            if row >= len(self.partial):
                atoms.append(_Atom(z, site, f"{SYMBOLS[z - 1]}_{row}", 0, nowhere, 0, nowhere))
                continue
            given = self.partial.positions[row]
            if i == 0 or len(rows) > 1:
                site = np.where(np.isnan(given), site, given)
            name = self.sites.labels[row]
            had = part.gap.orbit is not None
            listed = had and bool(np.isfinite(self.sites.positions[row]).all())
            atoms.append(
                _Atom(
                    z,
                    site,
                    name if i == 0 or len(rows) > 1 else f"{name}_{i + 1}",
                    int(self.sites.numbers[row]),
                    site if listed else nowhere,
                    int(self.partial.numbers[row]),
                    site if had else nowhere,
                )
            )
        return atoms


class _Atom(NamedTuple):
    """An atom of a completed crystal, and what was known of it."""

    number: int
    position: Floats
    label: str
    number_before: int
    position_before: Floats
    number_requested: int
    position_requested: Floats


def known_sites(partial: PartialCrystal, sites: PartialStructure) -> KnownSites:
    """Return the known part of a crystal that lists every atom."""
    placed: Bools = np.asarray(np.isfinite(partial.positions).all(axis=1))
    extra = (0,) * partial.missing_atoms[1]
    return KnownSites(
        partial.lengths,
        partial.angles,
        partial.numbers[placed],
        partial.positions[placed],
        tuple(label for label, there in zip(sites.labels, placed, strict=True) if there),
        (*partial.numbers[~placed].tolist(), *extra),
    )


def make_orbit_task(
    setting: GroupSetting,
    partial: PartialCrystal,
    sites: PartialStructure,
    exclude: Collection[str],
    max_atoms: int,
) -> OrbitTask:
    """Return what the orbits of a setting have to cover.

    Args:
        setting: of the space group, in the crystal's cell.
        partial: made from the structure; atoms that were added come last, and their number is
            given.
        sites: the structure; see `PartialStructure.unit`.
        exclude: elements that are not filled in.
        max_atoms: maximum number of atoms in the cell.

    Raises:
        InputError: no set of Wyckoff positions holds the atoms.
    """
    missing = partial.missing_atoms[1]
    unit = len(sites.unit.multiplicities) if sites.unit is not None else 0
    builder = PartBuilder(setting, partial, sites, frozenset(exclude))
    counts: dict[int, int] = {}
    if sites.unit is None:
        builder.add_listed_orbits()
        builder.add_atoms(np.flatnonzero(~builder.placed).tolist())
    else:
        builder.add_unit_sites(unit)
        builder.add_atoms(range(unit, len(partial)))
        counts = counts_of_cell(builder, sites.unit.formula)
    builder.add_missing_atoms(missing)
    size = max(1, max_atoms // setting.lattice_points)
    gaps = OrbitGaps(setting, tuple(part.gap for part in builder.parts), size)
    task = OrbitTask(
        setting, gaps, partial, sites, tuple(builder.parts), tuple(builder.spare_sites), counts
    )
    if not gaps.is_fillable:
        raise InputError(_unfillable(task))
    return task


def _unfillable(task: OrbitTask) -> str:
    number, points = task.setting.number, task.setting.lattice_points
    table = task.gaps.table
    wanted = []
    for part in task.parts:
        if part.gap.orbit is None and part.gap.atoms != 0:
            z = part.gap.elements
            name = SYMBOLS[z[0] - 1] if len(z) == 1 else "?"
            amount = "one orbit of" if part.gap.atoms is None else str(part.gap.atoms * points)
            wanted.append(f"{amount} {name}")
    free = [
        f"{size * points} ({position.name})"
        for i, (size, position) in enumerate(zip(table.orbit_sizes, table.positions, strict=True))
        if i in table.open_positions(task.gaps.start().occupied)
    ]
    return (
        f"no set of Wyckoff positions of space group {number} ({space_group_symbols()[number]}) "
        f"holds {' and '.join(wanted)} beside the known atoms, in the cell as it is; the free "
        f"positions hold {', '.join(free[:12])}{', ...' if len(free) > 12 else ''} atoms. Try "
        "another number of atoms, or another group"
    )


def _sites_with_pins(task: OrbitTask, placement: Placement) -> list[Floats]:
    """Return the sites of an orbit in the file's cell, known coordinates met exactly."""
    orbit = placement.orbit
    part = task.parts[placement.gap]
    map_ = task.gaps.maps[task.gaps.index_of(orbit)]
    free, first = orbit.free_coordinates, 0
    for pin in part.gap.pins:
        known = np.isfinite(pin)
        away = pin - map_.sites(free)
        away -= np.rint(away)
        slope = np.maximum(np.abs(map_.matrices).sum(axis=2), 0.1)
        near = (np.abs(away) <= PIN_TOLERANCE * slope)[:, known].all(axis=1)
        if near.any():
            first = int(near.argmax())
            step = np.linalg.pinv(map_.matrices[first][known]) @ away[first][known]
            free = free + step
            break
    sites = map_.sites(free)
    sites = np.round(sites - np.floor(sites + 1e-9), 9) % 1.0
    order = [first, *(i for i in range(len(sites)) if i != first)]
    return [sites[i] for i in order]


def _match_pins(rows: Sequence[Floats], sites: Sequence[Floats]) -> list[tuple[int, Floats]] | None:
    """Return the site of each row, with its index, so that known coordinates agree.

    None if the sites do not agree with the rows.
    """
    if len(rows) != len(sites):
        return None
    found: list[tuple[int, Floats] | None] = [None] * len(rows)
    left = list(range(len(sites)))
    for row in sorted(range(len(rows)), key=lambda i: int(np.isnan(rows[i]).sum())):
        for which in left:
            away = rows[row] - sites[which]
            away -= np.rint(away)
            if (np.isnan(away) | (np.abs(away) <= 2 * PIN_TOLERANCE)).all():
                found[row] = which, sites[which]
                left.remove(which)
                break
        else:
            return None
    return [each for each in found if each is not None]


def _describe_orbit(orbit: Orbit) -> str:
    free = " ".join(f"{x:.3f}" for x in orbit.free_coordinates.tolist())
    return f"{SYMBOLS[orbit.atomic_number - 1]} {orbit.position.name} {free}".rstrip()


def standard_cell(task: OrbitTask, lattice: Floats) -> list[float]:
    """Return the free parameters of the standard cell of a cell."""
    lengths, angles = lengths_and_angles(task.setting.standard_lattice(lattice))
    return free_parameter_values(task.setting.number, lengths, angles)


def atom_counts(gaps: OrbitGaps) -> dict[int, int] | None:
    """Return the atoms of each element in a primitive cell; None if they are not all known."""
    counts: dict[int, int] = {}
    for gap in gaps.gaps:
        if gap.atoms is None or len(gap.elements) > 1:
            return None
        counts[gap.elements[0]] = counts.get(gap.elements[0], 0) + gap.atoms
    return counts


def as_numbers(counts: dict[int, int]) -> Ints:
    """Return atomic numbers of so many atoms of each element."""
    return np.repeat(list(counts), list(counts.values()))
