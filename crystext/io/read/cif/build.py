"""Build the crystal from a list of sites and operations, and find contradictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crystext.io.read.cif.expand_sites import (
    COINCIDENCE_TOLERANCE,
    MIN_CONTACT,
    ExpandedSite,
    distances_to,
    expand_site,
    find_coincident_pair,
)
from crystext.io.read.cif.formula import CifFormula, composition_problem, units_problem
from crystext.io.read.cif.operations import Operations
from crystext.io.read.cif.sites import SiteRow
from crystext.structures.crystal import Crystal, Floats, Ints, basis_vectors

METRIC_TOLERANCE = 0.02
"""Maximum misfit of operations to the cell, see `Operations.metric_misfit`: 1% of a length, or
about 1 degree."""

METRIC_NOTE_THRESHOLD = 0.004
"""Minimum misfit that is noted."""


_MAX_UNCONFIRMED_SHIFT = 0.1
"""Å. Maximum shift of a site onto a special position without further evidence."""


_MAX_DUPLICATE_SITES = 200
"""Maximum number of atoms listed twice."""


class CifProblem(NamedTuple):
    """A contradiction in a reading."""

    kind: str
    """`metric`, `place`, `twice`, `composition`, `units`, `multiplicity` or `hydrogen`."""
    text: str


class BuiltCrystal(NamedTuple):
    """A crystal with its contradictions."""

    crystal: Crystal
    problems: list[CifProblem]
    notes: list[str]

    @property
    def is_consistent(self) -> bool:
        """Whether there is no contradiction."""
        return not self.problems


def build_crystal(
    rows: Sequence[SiteRow],
    operations: Operations,
    lengths: Floats,
    angles: Floats,
    formula: CifFormula | None,
) -> BuiltCrystal:
    """Return the crystal of sites under operations that form a group, with all checks done."""
    problems: list[CifProblem] = []
    notes: list[str] = []
    numbers = np.array([row.number for row in rows], dtype=np.int64)
    positions = np.array([row.position for row in rows], dtype=np.float64).reshape(-1, 3)
    if operations.is_identity:
        kept = _drop_duplicate_sites(rows, numbers, positions, formula, problems, notes)
        sizes = [int(i in kept) for i in range(len(rows))]
        numbers, positions = numbers[kept], positions[kept]
    else:
        misfit = operations.metric_misfit(lengths, angles)
        if misfit > METRIC_TOLERANCE:
            problems.append(
                CifProblem(
                    "metric",
                    f"its symmetry operations do not keep its cell of {_format_values(lengths)} "
                    f"Å and {_format_values(angles)} degrees; expected lengths to be equal, or "
                    "angles to be 90 or 120 degrees, as the group needs them. Correct the cell, or "
                    "the group",
                )
            )
        elif misfit > METRIC_NOTE_THRESHOLD:
            notes.append(
                "its cell misses its symmetry by up to "
                f"{50 * misfit:.2g}% of a length; it is read unchanged"
            )
        numbers, positions, sizes = _expand_sites(
            rows, operations, basis_vectors(lengths, angles), formula, problems, notes
        )
    crystal = Crystal(lengths, angles, numbers, positions)
    problems += _find_contradictions(rows, operations, sizes, numbers, formula)
    return BuiltCrystal(crystal, problems, notes)


def _drop_duplicate_sites(
    rows: Sequence[SiteRow],
    numbers: Ints,
    positions: Floats,
    formula: CifFormula | None,
    problems: list[CifProblem],
    notes: list[str],
) -> list[int]:
    """Return the indices of the atoms of a fully listed cell, each atom once.

    An atom on a face, listed at 0 and again at 1, is one atom if the formula confirms it.
    """
    kept = np.arange(len(rows))
    pairs = []
    while (pair := find_coincident_pair(positions[kept])) is not None:
        first, second = (int(kept[i]) for i in pair)
        pairs.append((rows[first], rows[second]))
        if rows[first].number != rows[second].number or len(pairs) > _MAX_DUPLICATE_SITES:
            problems.append(_overlap_problem(rows[first], rows[second]))
            break
        kept = kept[kept != second]
    else:
        if pairs and formula and not composition_problem(formula, numbers[kept].tolist()):
            names = ", ".join(f"{first.label} and {second.label}" for first, second in pairs[:3])
            notes.append(f"its sites {names} coincide, and are read as one")
        elif pairs:
            problem = _overlap_problem(*pairs[0])
            problems.append(problem._replace(kind="twice"))
    result: list[int] = kept.tolist()
    return result


def _expand_sites(
    rows: Sequence[SiteRow],
    operations: Operations,
    vectors: Floats,
    formula: CifFormula | None,
    problems: list[CifProblem],
    notes: list[str],
) -> tuple[Ints, Floats, list[int]]:
    """Return the atoms of all sites, and their number per site; 0 for a duplicate of another."""
    numbers: list[int] = []
    parts: list[Floats] = []
    owners: list[SiteRow] = []
    sizes: list[int] = []
    twice: list[tuple[SiteRow, SiteRow]] = []
    for row in rows:
        site = expand_site(np.array(row.position), np.array(row.steps), operations, vectors)
        if parts:
            distances = distances_to(site.positions[0], np.concatenate(parts), vectors)
            nearest = int(distances.argmin())
            if distances[nearest] < MIN_CONTACT:
                other = owners[nearest]
                same = other.number == row.number and _coincide_within_digits(
                    np.concatenate(parts)[nearest], site.positions[0], row, other
                )
                if not same:
                    problems.append(_overlap_problem(other, row, float(distances[nearest])))
                else:
                    twice.append((other, row))
                    sizes.append(0)
                    continue
        if not site.is_rounding:
            _report_moved_site(row, site, formula, problems, notes)
        numbers += [row.number] * len(site.positions)
        parts.append(site.positions)
        owners += [row] * len(site.positions)
        sizes.append(len(site.positions))
    if twice:
        _report_duplicate_sites(twice, len(rows) == len(numbers), formula, problems, notes)
    return np.array(numbers, dtype=np.int64), np.concatenate(parts), sizes


def _format_values(values: Floats) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _coincide_within_digits(there: Floats, here: Floats, first: SiteRow, second: SiteRow) -> bool:
    """Return whether two sites coincide within their printed digits."""
    steps = np.array(first.steps) + np.array(second.steps)
    shift = there - here
    return bool((np.abs(shift - np.round(shift)) <= 2 * steps + COINCIDENCE_TOLERANCE).all())


def _overlap_problem(first: SiteRow, second: SiteRow, distance: float | None = None) -> CifProblem:
    apart = (
        "lie within 1e-4 of the cell's vectors of each other"
        if distance is None
        else f"lie {distance:.2g} Å from each other"
    )
    return CifProblem(
        "place",
        f"a position is occupied more than once: its sites {first.label} and {second.label} "
        f"{apart}; expected one whole atom per position. Remove one, or correct its coordinates",
    )


def _report_duplicate_sites(
    twice: Sequence[tuple[SiteRow, SiteRow]],
    is_whole_list: bool,
    formula: CifFormula | None,
    problems: list[CifProblem],
    notes: list[str],
) -> None:
    """Report sites that are listed although symmetry generates them from others.

    That is a note if the file lists all atoms, or if the formula can confirm it.
    """
    pairs = ", ".join(f"{first.label} and {second.label}" for first, second in twice[:3])
    text = f"under its symmetry {pairs}{' and so on' if len(twice) > 3 else ''} are one site"
    if formula is None and not is_whole_list:
        problems.append(
            CifProblem(
                "twice",
                f"{text}; expected each once. Remove one, or give the operations "
                "that the list of sites is meant for",
            )
        )
    else:
        notes.append(f"{text}; they are read as one")


def _report_moved_site(
    row: SiteRow,
    site: ExpandedSite,
    formula: CifFormula | None,
    problems: list[CifProblem],
    notes: list[str],
) -> None:
    """Report that a site was moved further than its digits explain."""
    text = f"its site {row.label} lies {site.shift:.2g} Å from a special position"
    if site.shift > _MAX_UNCONFIRMED_SHIFT and formula is None and not row.multiplicity:
        problems.append(
            CifProblem(
                "place",
                f"{text}, so that its images lie less than {MIN_CONTACT} Å from each "
                "other; expected it on that position, or further away",
            )
        )
    else:
        notes.append(f"{text}, and is moved onto it")


def _find_contradictions(
    rows: Sequence[SiteRow],
    operations: Operations,
    sizes: Sequence[int],
    numbers: Ints,
    formula: CifFormula | None,
) -> list[CifProblem]:
    """Return contradictions between the file's statements and its atoms."""
    found = []
    atoms = numbers.tolist()
    composition = composition_problem(formula, atoms) if formula else ""
    attached = sum(row.hydrogens * size for row, size in zip(rows, sizes, strict=True))
    if attached and (composition or formula is None or "H" not in formula.counts):
        found.append(
            CifProblem(
                "hydrogen",
                f"{attached} hydrogen {'atom is' if attached == 1 else 'atoms are'} attached to "
                "its sites, without positions; "
                "expected a site for every atom. Add the sites",
            )
        )
    if composition:
        found.append(CifProblem("composition", composition))
    elif formula and (units := units_problem(formula, atoms)):
        found.append(CifProblem("units", units))
    if multiplicities := _multiplicity_problem(rows, operations, sizes):
        found.append(CifProblem("multiplicity", multiplicities))
    return found


def _multiplicity_problem(
    rows: Sequence[SiteRow], operations: Operations, sizes: Sequence[int]
) -> str:
    """Compare multiplicities with the number of atoms that sites generate.

    Some programs write the order of the site symmetry under that name, or count in the primitive
    cell: both are accepted.
    """
    given = [
        (row, size) for row, size in zip(rows, sizes, strict=True) if row.multiplicity and size
    ]
    if all(row.multiplicity == size for row, size in given):
        return ""
    centrings = int((operations.rotations == np.eye(3, dtype=int)).all(axis=(1, 2)).sum())
    if all(row.multiplicity * centrings == size for row, size in given):
        return ""
    if all(row.multiplicity * size == len(operations) for row, size in given):
        return ""
    row, size = next((r, s) for r, s in given if r.multiplicity != s)
    return (
        f"it gives its site {row.label} the multiplicity {row.multiplicity}, and its operations "
        f"make {size} of it; expected the same. Correct _atom_site_symmetry_multiplicity, or the "
        "site or operations"
    )
