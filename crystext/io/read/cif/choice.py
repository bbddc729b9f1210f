"""Which of the operations that a CIF may mean are the ones: its atoms decide, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crystext.chemistry.formulas import formula_text
from crystext.errors import InputError
from crystext.io.read.cif.build import Built, Problem, build
from crystext.io.read.cif.cell import nearest_contact
from crystext.io.read.cif.formula import Formula, counted
from crystext.io.read.cif.sites import MAX_EXPANDED, SiteRow
from crystext.io.read.cif.symmetry import Candidate, Symmetry
from crystext.structures.crystal import Crystal, Floats

_CLOSE = 0.65
"""Sums of covalent radii. Atoms nearer than that speak against an origin, where those of the other
are all further apart than `_ROOMY`: the smallest ratio in MP-20 is 0.68."""

_ROOMY = 0.75


class Choice(NamedTuple):
    """A reading with its notes."""

    built: Built
    candidate: Candidate
    notes: list[str]


class _Option(NamedTuple):
    candidate: Candidate
    built: Built


def choose(
    rows: Sequence[SiteRow],
    symmetry: Symmetry,
    lengths: Floats,
    angles: Floats,
    formula: Formula | None,
    *,
    lenient: bool = False,
) -> Choice:
    """Return the one reading of a file that its atoms bear out.

    Args:
        rows: the sites.
        symmetry: what the file says of its symmetry.
        lengths: of the cell, in Å.
        angles: in degrees.
        formula: what the atoms have to add up to; None where the file gives none.
        lenient: take the likeliest reading where the file contradicts itself, and note it.

    Raises:
        InputError: there is none, or more than one; what the file says and what its atoms say is in
            the message.
    """
    options = []
    for candidate in symmetry.candidates:
        size = len(rows) * len(candidate.operations)
        if size <= MAX_EXPANDED:
            built = build(rows, candidate.operations, lengths, angles, formula)
            options.append(_Option(candidate, built))
    if not options:
        count = len(symmetry.candidates[0].operations)
        raise InputError(
            f"it lists {len(rows)} sites and its space group has {count} operations; their product "
            f"may be {MAX_EXPANDED:,}"
        )
    whole = [option for option in options if option.built.is_whole]
    if len(options) == 1 and not symmetry.conflict:
        return _only(options[0], symmetry, lenient)
    doubt = symmetry.conflict or symmetry.open
    if not whole:
        return _refuse(doubt, options, symmetry, lenient)
    first = whole[0]
    ending = ""
    if symmetry.conflict:
        if len(options) == 1 and not symmetry.confirmed and not (formula and formula.units):
            return _refuse(doubt, options, symmetry, lenient)
        if all(_same(first.built.crystal, other.built.crystal) for other in whole[1:]):
            return _noted(first, symmetry, f"{doubt}; {_why(first, options)}")
        return _refuse(doubt, whole, symmetry, lenient)
    if all(_same(first.built.crystal, other.built.crystal) for other in whole[1:]):
        rejected = [p.kind for o in options if o not in whole for p in o.built.problems]
        certain = {"composition", "units", "multiplicity", "metric"} & set(rejected)
        if not certain and len(whole) < len(options):
            ending = f"{doubt}; {_why(first, options)}"
        return _noted(first, symmetry, ending)
    contacts = [nearest_contact(option.built.crystal) for option in whole]
    roomy = [option for option, nearest in zip(whole, contacts, strict=True) if nearest >= _ROOMY]
    if len(roomy) == 1 and sum(nearest < _CLOSE for nearest in contacts) == len(whole) - 1:
        why = f"it is read with {roomy[0].candidate.source}, in which no atoms are too close"
        return _noted(roomy[0], symmetry, f"{doubt}; {why}")
    return _refuse(doubt, whole, symmetry, lenient)


def _only(option: _Option, symmetry: Symmetry, lenient: bool) -> Choice:
    problems = option.built.problems
    if not problems:
        return _noted(option, symmetry, "")
    kinds = {problem.kind for problem in problems}
    if symmetry.confirmed and len(problems) == 1 and kinds & {"units", "multiplicity"}:
        # Two statements of symmetry and the composition outweigh one count.
        text = problems[0].text.partition("; expected")[0]
        return _noted(option, symmetry, f"{text}; it is read by its symmetry")
    if lenient and not kinds & {"place"}:
        return _noted(option, symmetry, _found(problems))
    raise InputError(problems[0].text)


def _noted(option: _Option, symmetry: Symmetry, note: str) -> Choice:
    notes = [*symmetry.notes, *([note] if note else []), *option.built.notes]
    return Choice(option.built, option.candidate, notes)


def _found(problems: Sequence[Problem]) -> str:
    return "; ".join(problem.text.partition("; expected")[0] for problem in problems)


def _why(option: _Option, options: Sequence[_Option]) -> str:
    others = [other for other in options if other is not option]
    if any(not other.built.is_whole for other in others):
        return f"it is read with {option.candidate.source}, which its atoms bear out"
    if others:
        return f"it is read with {option.candidate.source}; its atoms are the same either way"
    return f"it is read with {option.candidate.source}"


def _refuse(doubt: str, options: Sequence[_Option], symmetry: Symmetry, lenient: bool) -> Choice:
    if lenient:
        usable = [o for o in options if not {p.kind for p in o.built.problems} & {"place"}]
        if usable:
            best = min(usable, key=lambda o: len(o.built.problems))
            found = _found(best.built.problems)
            end = f"; {found}" if found else ""
            return _noted(best, symmetry, f"{doubt}; it is read with {best.candidate.source}{end}")
    made = []
    for option in options:
        atoms = formula_text(counted(option.built.crystal.numbers.tolist()))
        against = _found(option.built.problems[:1])
        reading = f"with {option.candidate.source} its atoms are {atoms}"
        made.append(f"{reading} ({against})" if against else reading)
    raise InputError(
        f"{doubt}; {', '.join(made[:4])}. Correct it, or give a _chemical_formula_sum and "
        "_cell_formula_units_Z that tell which is right"
    )


def _same(first: Crystal, second: Crystal) -> bool:
    """Return whether two crystals of one cell have the same atoms, within rounding."""
    if len(first) != len(second):
        return False
    if sorted(first.numbers.tolist()) != sorted(second.numbers.tolist()):
        return False
    for z, position in zip(first.numbers.tolist(), first.positions, strict=True):
        shifts = second.positions[second.numbers == z] - position
        shifts -= np.round(shifts)
        if np.linalg.norm(shifts @ first.lattice, axis=1).min() > _ROUNDING:
            return False
    return True


_ROUNDING = 0.05
"""Å."""
