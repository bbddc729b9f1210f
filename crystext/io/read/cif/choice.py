"""Choose between the operations that a CIF may mean, by its atoms, or refuse the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crystext.chemistry.formulas import format_formula
from crystext.errors import InputError
from crystext.io.read.cif.build import BuiltCrystal, CifProblem, build_crystal
from crystext.io.read.cif.expand_sites import min_contact_ratio
from crystext.io.read.cif.formula import CifFormula, element_counts
from crystext.io.read.cif.sites import MAX_EXPANDED, SiteRow
from crystext.io.read.cif.symmetry_candidates import CandidateOperations, CifSymmetry
from crystext.structures.crystal import Crystal, Floats

_CLOSE_CONTACT_RATIO = 0.65
"""In sums of covalent radii. Closer atoms rule out an origin if those of the other are all further
apart than `_CLEAR_CONTACT_RATIO`: the smallest ratio in MP-20 is 0.68."""

_CLEAR_CONTACT_RATIO = 0.75


class ChosenReading(NamedTuple):
    """A reading with its notes."""

    built: BuiltCrystal
    candidate: CandidateOperations
    notes: list[str]


class _Option(NamedTuple):
    candidate: CandidateOperations
    built: BuiltCrystal


def choose_reading(
    rows: Sequence[SiteRow],
    symmetry: CifSymmetry,
    lengths: Floats,
    angles: Floats,
    formula: CifFormula | None,
    *,
    lenient: bool = False,
) -> ChosenReading:
    """Return the one reading of a file that its atoms confirm.

    Args:
        rows: the sites.
        symmetry: the symmetry that the file declares.
        lengths: lengths of the cell, in Å.
        angles: angles of the cell, in degrees.
        formula: the formula that the atoms must match; None if the file gives none.
        lenient: if the file contradicts itself, take the likeliest reading and note it.

    Raises:
        InputError: there is none, or more than one; the message compares the file's statements with
            its atoms.
    """
    options = _build_options(rows, symmetry, lengths, angles, formula)
    whole = [option for option in options if option.built.is_consistent]
    if len(options) == 1 and not symmetry.conflict:
        return _accept_only_option(options[0], symmetry, lenient)
    doubt = symmetry.conflict or symmetry.ambiguity
    if not whole:
        return _resolve_leniently_or_refuse(doubt, options, symmetry, lenient)
    first = whole[0]
    if symmetry.conflict:
        if len(options) == 1 and not symmetry.is_confirmed and not (formula and formula.units):
            return _resolve_leniently_or_refuse(doubt, options, symmetry, lenient)
        if all(_have_same_atoms(first.built.crystal, other.built.crystal) for other in whole[1:]):
            return _with_notes(first, symmetry, f"{doubt}; {_explain_choice(first, options)}")
        return _resolve_leniently_or_refuse(doubt, whole, symmetry, lenient)
    if all(_have_same_atoms(first.built.crystal, other.built.crystal) for other in whole[1:]):
        rejected = [p.kind for o in options if o not in whole for p in o.built.problems]
        certain = {"composition", "units", "multiplicity", "metric"} & set(rejected)
        ending = ""
        if not certain and len(whole) < len(options):
            ending = f"{doubt}; {_explain_choice(first, options)}"
        return _with_notes(first, symmetry, ending)
    if (clear := _only_option_without_close_contacts(whole)) is not None:
        why = f"it is read with {clear.candidate.source}, in which no atoms are too close"
        return _with_notes(clear, symmetry, f"{doubt}; {why}")
    return _resolve_leniently_or_refuse(doubt, whole, symmetry, lenient)


def _build_options(
    rows: Sequence[SiteRow],
    symmetry: CifSymmetry,
    lengths: Floats,
    angles: Floats,
    formula: CifFormula | None,
) -> list[_Option]:
    """Return the crystal by each of the operations that the file may mean, the large ones left out.

    Raises:
        InputError: all are too large.
    """
    options = []
    for candidate in symmetry.candidates:
        size = len(rows) * len(candidate.operations)
        if size <= MAX_EXPANDED:
            built = build_crystal(rows, candidate.operations, lengths, angles, formula)
            options.append(_Option(candidate, built))
    if not options:
        count = len(symmetry.candidates[0].operations)
        raise InputError(
            f"it lists {len(rows)} sites and its space group has {count} operations; their product "
            f"may be {MAX_EXPANDED:,}"
        )
    return options


def _only_option_without_close_contacts(options: Sequence[_Option]) -> _Option | None:
    """Return the option whose atoms are clearly apart, if those of all others are too close."""
    contacts = [min_contact_ratio(option.built.crystal) for option in options]
    clear = [
        option
        for option, nearest in zip(options, contacts, strict=True)
        if nearest >= _CLEAR_CONTACT_RATIO
    ]
    close = sum(nearest < _CLOSE_CONTACT_RATIO for nearest in contacts)
    return clear[0] if len(clear) == 1 and close == len(options) - 1 else None


def _accept_only_option(option: _Option, symmetry: CifSymmetry, lenient: bool) -> ChosenReading:
    problems = option.built.problems
    if not problems:
        return _with_notes(option, symmetry, "")
    kinds = {problem.kind for problem in problems}
    if symmetry.is_confirmed and len(problems) == 1 and kinds & {"units", "multiplicity"}:
        # Two statements of symmetry and the composition outweigh one count.
        text = problems[0].text.partition("; expected")[0]
        return _with_notes(option, symmetry, f"{text}; its symmetry is used")
    if lenient and not kinds & {"place"}:
        return _with_notes(option, symmetry, _describe_problems(problems))
    raise InputError(problems[0].text)


def _with_notes(option: _Option, symmetry: CifSymmetry, note: str) -> ChosenReading:
    notes = [*symmetry.notes, *([note] if note else []), *option.built.notes]
    return ChosenReading(option.built, option.candidate, notes)


def _describe_problems(problems: Sequence[CifProblem]) -> str:
    return "; ".join(problem.text.partition("; expected")[0] for problem in problems)


def _explain_choice(option: _Option, options: Sequence[_Option]) -> str:
    others = [other for other in options if other is not option]
    if any(not other.built.is_consistent for other in others):
        return f"it is read with {option.candidate.source}, which its atoms confirm"
    if others:
        return f"it is read with {option.candidate.source}; its atoms are the same either way"
    return f"it is read with {option.candidate.source}"


def _resolve_leniently_or_refuse(
    doubt: str, options: Sequence[_Option], symmetry: CifSymmetry, lenient: bool
) -> ChosenReading:
    if lenient:
        usable = [o for o in options if not {p.kind for p in o.built.problems} & {"place"}]
        if usable:
            best = min(usable, key=lambda o: len(o.built.problems))
            found = _describe_problems(best.built.problems)
            end = f"; {found}" if found else ""
            return _with_notes(
                best, symmetry, f"{doubt}; it is read with {best.candidate.source}{end}"
            )
    made = []
    for option in options:
        atoms = format_formula(element_counts(option.built.crystal.numbers.tolist()))
        against = _describe_problems(option.built.problems[:1])
        reading = f"with {option.candidate.source} its atoms are {atoms}"
        made.append(f"{reading} ({against})" if against else reading)
    raise InputError(
        f"{doubt}; {', '.join(made[:4])}. Correct it, or give a _chemical_formula_sum and "
        "_cell_formula_units_Z that tell which is right"
    )


def _have_same_atoms(first: Crystal, second: Crystal) -> bool:
    """Return whether two crystals of one cell have the same atoms, within rounding."""
    if len(first) != len(second):
        return False
    if sorted(first.numbers.tolist()) != sorted(second.numbers.tolist()):
        return False
    for z, position in zip(first.numbers.tolist(), first.positions, strict=True):
        shifts = second.positions[second.numbers == z] - position
        shifts -= np.round(shifts)
        if np.linalg.norm(shifts @ first.lattice, axis=1).min() > _POSITION_TOLERANCE:
            return False
    return True


_POSITION_TOLERANCE = 0.05
"""Å."""
