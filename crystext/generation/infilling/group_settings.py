"""Where the operations of a space group lie in a cell: its axes and its origin.

A number names a group, and leaves its axes and origin open. They are, in this order, those of a
setting of the International Tables in the cell as it is; else those of any cell of the lattice with
any origin under which the known atoms keep the group. A file may be a primitive cell, and its
origin may be anywhere, so both are searched.

Several may fit: cubic atoms fit a tetragonal group along three axes. Those that a symmetry of the
known atoms maps onto each other give the same crystals, and one of them is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crystext.errors import InputError
from crystext.io.read.cif.build import METRIC_TOLERANCE
from crystext.io.read.cif.operations import Operations, operations_of_setting
from crystext.io.read.cif.symbols import settings_of_number
from crystext.structures.crystal import Floats, Ints, basis_vectors
from crystext.structures.properties import crystal_system, space_group_symbols
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import spglib_environment
from crystext.structures.wyckoff.metric_tensor import consistent_cells
from crystext.structures.wyckoff.orbits import primitive_basis
from crystext.structures.wyckoff.positions import symmetry_operations
from crystext.structures.wyckoff.setting import GroupSetting, group_setting, operation_keys

MAX_SETTINGS = 8
"""Maximum number of settings that are tried."""

_ORIGIN_DIVISIONS = 24
"""Origins are searched at the 24ths of the axes, from a point that the known atoms' symmetry
distinguishes."""

_SAME_MOVE = 0.02
"""Fractional; tolerance of translations, as the known atoms may miss their symmetry slightly."""

_REACH = 2
"""Steps along each axis of the cell in which vectors of a conventional cell are searched."""

_CELLS = {
    "triclinic": "any cell",
    "monoclinic": "two angles of 90 degrees",
    "orthorhombic": "angles of 90 degrees",
    "tetragonal": "two equal lengths and angles of 90 degrees",
    "trigonal": "two equal lengths, and angles of 90, 90 and 120 degrees",
    "hexagonal": "two equal lengths, and angles of 90, 90 and 120 degrees",
    "cubic": "three equal lengths and angles of 90 degrees",
}


@dataclass(frozen=True, eq=False)
class KnownSites:
    """The known part of a crystal, as it decides on the operations."""

    lengths: Floats
    """Å; shape (3,). nan where not given."""
    angles: Floats
    """Degrees; shape (3,). nan where not given."""
    numbers: Ints
    """Atomic numbers of the sites with a position; 0 for an unknown element. Shape (N,)."""
    positions: Floats
    """Fractional; shape (N, 3)."""
    labels: tuple[str, ...]
    unplaced: tuple[int, ...] = ()
    """Atomic numbers of the atoms without a position; 0 for an unknown element."""

    @property
    def has_cell(self) -> bool:
        """Whether the whole cell is given."""
        return bool(np.isfinite(self.lengths).all() and np.isfinite(self.angles).all())

    @property
    def lattice(self) -> Floats:
        """The cell, basis vectors as rows, Å."""
        return basis_vectors(self.lengths, self.angles)


def find_settings(number: int, given: KnownSites) -> list[GroupSetting]:
    """Return the settings of a space group that the cell and the known atoms allow.

    Args:
        number: of the space group.
        given: every known atom of the cell; of an orbit of which some are not given, the others
            have to be among the atoms without a position.

    Raises:
        InputError: the cell, or the known atoms, contradict the group.
    """
    tables = [operations_of_setting(setting) for setting in settings_of_number(number)]
    in_cell = [operations for operations in tables if _keeps_cell(operations, given)]
    found: dict[frozenset[tuple[int, ...]], GroupSetting] = {}
    problem = ""
    for operations in in_cell:
        turns = operations.rotations.astype(np.float64)
        against = atoms_against(turns, operations.translations, given)
        problem = problem or against
        if not against:
            lattice = given.lattice if given.has_cell else None
            setting = group_setting(number, turns, operations.translations, lattice)
            found.setdefault(setting.key, setting)
    if not found and given.has_cell:
        for setting in _search(number, given):
            found.setdefault(setting.key, setting)
            if len(found) == MAX_SETTINGS:
                break
    if not found:
        raise InputError(_infeasible_message(number, given, problem))
    return list(found.values())[:MAX_SETTINGS]


def atoms_against(rotations: Floats, translations: Floats, given: KnownSites) -> str:
    """Return which known atom contradicts operations, and how; empty if none does."""
    lattice = given.lattice if given.has_cell else 6.0 * np.eye(3)
    free = list(given.unplaced)
    for i, (z, site) in enumerate(zip(given.numbers.tolist(), given.positions, strict=True)):
        images = rotations @ site + translations
        away = images[:, None] - given.positions
        away -= np.rint(away)
        near = np.linalg.norm(away @ lattice, axis=2) < SYMPREC
        missing: list[Floats] = []
        for image, hits in zip(images, near, strict=True):
            others = {int(given.numbers[j]) for j in np.flatnonzero(hits)} - {z, 0}
            if z and others:
                there = given.labels[int(np.flatnonzero(hits)[0])]
                return f"it maps {given.labels[i]} onto {there}, which is another element"
            if not hits.any() and all(_apart(image, other, lattice) for other in missing):
                missing.append(image)
        # Each orbit is counted at its first atom.
        if missing and not near[:, :i].any():
            wanted = [n for n in free if n in (z, 0) or z == 0]
            if len(wanted) < len(missing):
                at = " ".join(f"{x:.4g}" for x in missing[0] - np.floor(missing[0]))
                return (
                    f"it maps {given.labels[i]} to {at}, where no atom is, and "
                    f"{'too few' if wanted else 'no'} atoms without a position are left for it"
                )
            for n in wanted[: len(missing)]:
                free.remove(n)
    return ""


def _apart(first: Floats, second: Floats, lattice: Floats) -> bool:
    away = first - second
    return bool(np.linalg.norm((away - np.rint(away)) @ lattice) >= SYMPREC)


def _keeps_cell(operations: Operations, given: KnownSites) -> bool:
    """Return whether operations keep the known part of a cell."""
    if given.has_cell:
        return operations.metric_misfit(given.lengths, given.angles) <= METRIC_TOLERANCE
    turns = operations.rotations.astype(np.float64)
    return bool(consistent_cells(turns, given.lengths, given.angles, METRIC_TOLERANCE))


def _infeasible_message(number: int, given: KnownSites, problem: str) -> str:
    group = f"space group {number} ({space_group_symbols()[number]})"
    if problem:
        return (
            f"the known atoms contradict {group}: in its first setting that fits the cell, "
            f"{problem}; and no other origin or axes fit them. Expected atoms that the group keeps "
            "(0.1 Å), with every atom of an orbit listed or among those to fill in. Try another "
            "group, or add the atoms that are missing"
        )
    system = crystal_system(number)
    cell = ", ".join(f"{x:g}" for x in (*given.lengths.tolist(), *given.angles.tolist()))
    return (
        f"the cell {cell} (a, b, c in Å, angles in degrees) and the known atoms do not fit "
        f"{group}, which is {system}; expected {_CELLS[system]}, or a primitive cell of "
        "such a lattice. Try another group, or leave the cell open (--cell)"
    )


def _search(number: int, given: KnownSites) -> Iterator[GroupSetting]:
    """Yield settings with other axes or another origin that the known atoms keep."""
    turns, moves, origin = _symmetry_of_known(given)
    keys = [tuple(turn) for turn in np.rint(turns).astype(int).reshape(-1, 9).tolist()]
    by_turn: dict[tuple[int, ...], Floats] = {
        key: moves[[i for i, other in enumerate(keys) if other == key]] for key in set(keys)
    }
    standard = symmetry_operations(number)
    seen: set[frozenset[tuple[int, ...]]] = set()
    for axes in _conventional_axes(number, given.lattice):
        inverse = np.linalg.inv(axes)
        rotations = axes @ standard[0] @ inverse
        if np.abs(rotations - np.rint(rotations)).max() > 1e-6:
            continue
        rotations = np.rint(rotations)
        names = [tuple(turn) for turn in rotations.astype(int).reshape(-1, 9).tolist()]
        if not all(name in by_turn for name in names):
            continue
        shifts = standard[1] @ axes.T
        for start in _origins(axes, origin, rotations, shifts, [by_turn[n] for n in names]):
            translations = shifts + start - rotations @ start
            translations -= np.floor(translations)
            kept = _first_of_each(rotations, translations)
            key = operation_keys(rotations[kept], translations[kept])
            if key in seen:
                continue
            seen |= _equivalent_keys(rotations[kept], translations[kept], turns, moves)
            if not atoms_against(rotations[kept], translations[kept], given):
                yield group_setting(number, rotations[kept], translations[kept], given.lattice)


def _symmetry_of_known(given: KnownSites) -> tuple[Floats, Floats, Floats]:
    """Return the operations that keep the cell and the known atoms, and an origin of theirs."""
    import spglib

    positions = given.positions if len(given.positions) else np.zeros((1, 3))
    kinds = np.where(given.numbers > 0, given.numbers, 200) if len(given.numbers) else [1]
    cell: Any = (given.lattice, positions, kinds)
    with spglib_environment():
        try:
            found: Any = spglib.get_symmetry_dataset(cell, symprec=SYMPREC)
        except spglib.SpglibError:
            found = None
    if found is None:
        raise InputError(
            "spglib finds no symmetry in the known atoms; are they too close together?"
        )
    inverse = np.linalg.inv(found.transformation_matrix)
    return found.rotations.astype(np.float64), found.translations, -inverse @ found.origin_shift


def _conventional_axes(number: int, lattice: Floats) -> Iterator[Floats]:
    """Yield conventional cells of a lattice: their vectors as columns, in steps of the given cell.

    The given cell itself comes first.
    """
    system = crystal_system(number)
    steps = np.indices((2 * _REACH + 1,) * 3).reshape(3, -1).T - _REACH
    steps = steps[np.any(steps != 0, axis=1)]
    vectors = steps @ lattice
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors.T / np.outer(lengths, lengths)
    even = np.abs(lengths[:, None] / lengths - 1) <= METRIC_TOLERANCE / 2
    right = np.abs(cosines) <= METRIC_TOLERANCE
    anything = np.ones_like(right)
    ab, bc, ac = {
        "triclinic": (anything, anything, anything),
        "monoclinic": (right, right, anything),
        "orthorhombic": (right, right, right),
        "tetragonal": (right & even, right, right),
        "cubic": (right & even,) * 3,
    }.get(system, ((np.abs(cosines + 0.5) <= METRIC_TOLERANCE) & even, right, right))
    primitive = primitive_basis(number)
    points = round(1 / abs(float(np.linalg.det(primitive))))
    if _is_cell_of(np.eye(3), lattice, system):
        yield np.eye(3)
    if system == "triclinic":
        return
    for i in np.argsort(lengths, kind="stable").tolist():
        for j in np.flatnonzero(ab[i]).tolist():
            for k in np.flatnonzero(ac[i] & bc[j]).tolist():
                axes = steps[[i, j, k]].T.astype(np.float64)
                if round(float(np.linalg.det(axes))) != points:
                    continue
                corners = axes @ primitive.T
                if np.abs(corners - np.rint(corners)).max() < 1e-6:
                    yield axes


def _is_cell_of(axes: Floats, lattice: Floats, system: str) -> bool:
    """Return whether a cell has the shape of a crystal system."""
    vectors = axes.T @ lattice
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors.T / np.outer(lengths, lengths)
    alpha, beta, gamma = cosines[1, 2], cosines[0, 2], cosines[0, 1]
    even = bool(abs(lengths[0] / lengths[1] - 1) <= METRIC_TOLERANCE)
    right = [abs(x) <= METRIC_TOLERANCE for x in (alpha, beta, gamma)]
    if system in ("trigonal", "hexagonal"):
        return even and right[0] and right[1] and abs(gamma + 0.5) <= METRIC_TOLERANCE
    if system in ("triclinic", "monoclinic"):
        return system == "triclinic" or (right[0] and right[2])
    if system == "cubic":
        even = even and bool(abs(lengths[0] / lengths[2] - 1) <= METRIC_TOLERANCE)
    return all(right) and (even or system == "orthorhombic")


def _origins(
    axes: Floats, origin: Floats, rotations: Floats, shifts: Floats, allowed: list[Floats]
) -> Floats:
    """Return the origins, in the given cell, for which all operations keep the known atoms."""
    grid = np.indices((_ORIGIN_DIVISIONS,) * 3).reshape(3, -1).T / _ORIGIN_DIVISIONS
    # The origin as it is comes first.
    starts = np.concatenate([np.zeros((1, 3)), grid @ axes.T + origin])
    for turn, shift, moves in zip(rotations, shifts, allowed, strict=True):
        moved = shift + starts @ (np.eye(3) - turn).T
        off = moved[:, None] - moves
        off -= np.rint(off)
        starts = starts[(np.abs(off).max(axis=2) < _SAME_MOVE).any(axis=1)]
        if not len(starts):
            break
    return np.asarray(starts)


def _first_of_each(rotations: Floats, translations: Floats) -> list[int]:
    """Return the indices of the operations that equal no earlier one in the given cell."""
    found: dict[tuple[int, ...], int] = {}
    moves = np.rint(translations * 1e4).astype(int) % 10_000
    rows = np.concatenate([rotations.astype(int).reshape(-1, 9), moves], axis=1)
    for i, row in enumerate(map(tuple, rows.tolist())):
        found.setdefault(row, i)
    return list(found.values())


def _equivalent_keys(
    rotations: Floats, translations: Floats, turns: Floats, moves: Floats
) -> set[frozenset[tuple[int, ...]]]:
    """Return the keys of the groups onto which symmetries of the known atoms map a group."""
    keys = {operation_keys(rotations, translations)}
    for turn, move in zip(turns, moves, strict=True):
        inverse = np.rint(np.linalg.inv(turn))
        moved = turn @ rotations @ inverse
        shifted = translations @ turn.T + move - moved @ move
        keys.add(operation_keys(moved, shifted - np.floor(shifted)))
    return keys
