"""The symmetry operations that a CIF may mean: those it lists, or those of the group it names.

A file declares its symmetry up to six times: as a list of operations, a Hall symbol, a
Hermann-Mauguin symbol in several places, a number and a code for the origin or axes. If these agree
there is one candidate. If they do not, or if a symbol leaves the origin open, all candidates are
returned, and the atoms decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.io.read.cif.build import METRIC_TOLERANCE
from crystext.io.read.cif.declared import DeclaredSymmetry, declared_symmetry
from crystext.io.read.cif.grammar import CifBlock
from crystext.io.read.cif.operations import (
    Operations,
    identity,
    operations_of_list,
    operations_of_setting,
)
from crystext.io.read.cif.symbols import (
    is_unambiguous,
    setting_extension,
    settings_of_choice,
    settings_of_number,
)
from crystext.structures.crystal import Floats

if TYPE_CHECKING:
    from gemmi import SpaceGroup

OPERATION_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
MAGNETIC_OPERATION_TAG = "_space_group_symop_magn_operation_xyz"
MAGNETIC_CENTRING_TAG = "_space_group_symop_magn_centering_xyz"
MAGNETIC_GROUP_TAGS = ("_space_group_magn_name_bns", "_space_group_magn_number_bns",
                  "_space_group_magn_name_og", "_space_group_magn_number_og")  # fmt: skip
CRYSTAL_SYSTEM_TAGS = ("_space_group_crystal_system", "_symmetry_cell_setting")


_METRIC_ROUNDING = 1e-3
"""Maximum misfit of a printed cell to a metric, as in `Operations.metric_misfit`."""


class CandidateOperations(NamedTuple):
    """Operations that a file may mean."""

    operations: Operations
    source: str
    """Where the file declares them."""


class CifSymmetry(NamedTuple):
    """The symmetry that a file declares."""

    candidates: list[CandidateOperations]
    """Candidates, the likeliest first."""
    conflict: str
    """The contradiction in it; empty if there is none."""
    ambiguity: str
    """What it leaves open, such as the origin; empty if nothing."""
    notes: list[str]
    is_confirmed: bool
    """Whether two statements of the file agree on the first candidate."""


def read_symmetry(block: CifBlock, lengths: Floats, angles: Floats) -> CifSymmetry:
    """Return the operations that a file may mean.

    Args:
        block: the data block.
        lengths: lengths of the cell, in Å.
        angles: angles in degrees; with the lengths they distinguish hexagonal from rhombohedral
            axes, and determine the unique axis of a monoclinic cell.

    Raises:
        InputError: it names an unknown group and declares nothing else, or an operation cannot be
            read.
    """
    if any(name.startswith(("_space_group_ssg", "_space_group_symop_ssg")) for name in block.items):
        raise InputError(
            "it describes a modulated structure by a superspace group; expected a crystal with "
            "three-dimensional symmetry. Take an approximant, a supercell"
        )
    if listed := _magnetic_operations(block):
        return CifSymmetry(
            [CandidateOperations(listed, "its magnetic operations")], "", "", [], False
        )
    declared = declared_symmetry(block)
    listed = _listed_operations(block)
    if listed is None and declared.is_empty and (group := block.first_value(*MAGNETIC_GROUP_TAGS)):
        raise InputError(
            f"its magnetic space group is {group}, and it lists no operations; expected "
            "_space_group_symop_magn_operation.xyz. Add them"
        )
    if listed is not None:
        return _symmetry_from_list(listed, declared, lengths, angles)
    if declared.is_empty and not declared.unknown:
        return _symmetry_undeclared(block)
    return _symmetry_from_names(declared, lengths, angles)


def _listed_operations(block: CifBlock) -> Operations | None:
    lists = [block.first_column(name) for name in OPERATION_TAGS]
    operations = [
        operations_of_list(_separate_triplets(triplets)) for triplets in lists if triplets
    ]
    if len(operations) > 1 and operations[0] != operations[1]:
        raise InputError(
            f"its two lists of symmetry operations, {OPERATION_TAGS[0]} and {OPERATION_TAGS[1]}, "
            "differ; expected one. Remove the one that is wrong"
        )
    return operations[0] if operations else None


def _separate_triplets(triplets: list[str]) -> list[str]:
    """Return operations one by one, also from a single text field."""
    return [
        line
        for text in triplets
        for line in re.split(r"[\n;]", text)
        if line.strip() and line.strip() not in ("?", ".")
    ]


def _magnetic_operations(block: CifBlock) -> Operations | None:
    """Return the operations of a magnetic group without their action on spins."""
    triplets = block.first_column(MAGNETIC_OPERATION_TAG)
    if not triplets:
        return None
    centrings = block.first_column(MAGNETIC_CENTRING_TAG) or ["x,y,z,+1"]
    spatial = [operations_of_list([",".join(t.split(",")[:3]) for t in part])
               for part in (triplets, centrings)]  # fmt: skip
    product = spatial[0].composed_with(spatial[1])
    if product.group_problem:
        raise InputError(
            f"its magnetic operations do not form a group: {product.group_problem}; expected all "
            "operations of one, with its centrings"
        )
    return product


def _symmetry_from_list(
    listed: Operations, declared: DeclaredSymmetry, lengths: Floats, angles: Floats
) -> CifSymmetry:
    own = CandidateOperations(listed, "the operations that it lists")
    if listed.group_problem:
        return _symmetry_from_faulty_list(listed, _candidates_of_names(declared, lengths, angles))
    conflict = _describe_disagreement(listed, declared)
    if not conflict and listed.metric_misfit(lengths, angles) > METRIC_TOLERANCE:
        conflict = "its list of symmetry operations does not keep its cell"
    if conflict:
        named = _candidates_of_names(declared, lengths, angles)
        return CifSymmetry(_unique_candidates([own, *named]), conflict, "", [], False)
    notes = []
    if declared.unknown and declared.is_empty:
        notes.append(
            f"its space group {declared.unknown[0]!r} is not known; it is read by its list of "
            "operations"
        )
    if listed.setting is not None and declared.names and not declared.hall:
        text, name = declared.names[0]
        if all(s.hm != listed.setting.hm for s in name.settings):
            notes.append(
                f"its operations are those of {listed.setting.xhm()}, another setting than its "
                f"symbol {text!r}; it is read by the operations"
            )
    return CifSymmetry([own], "", "", notes, not declared.is_empty)


def _symmetry_from_faulty_list(listed: Operations, named: list[CandidateOperations]) -> CifSymmetry:
    conflict = f"its list of symmetry operations is not a group: {listed.group_problem}"
    completed = listed.generated_group()
    fitting = [c for c in named if listed.key <= c.operations.key]
    exact = [c for c in fitting if c.operations == completed]
    if fitting:
        return CifSymmetry(exact or fitting, conflict, "", [], bool(exact))
    if completed is None:
        raise InputError(f"{conflict}; expected all operations of one group")
    own = CandidateOperations(completed, "the group that its operations generate")
    return CifSymmetry([own], conflict, "", [], False)


def _describe_disagreement(listed: Operations, declared: DeclaredSymmetry) -> str:
    """Return how a list of operations contradicts the names; empty if it does not."""
    count = "1 symmetry operation" if len(listed) == 1 else f"{len(listed)} symmetry operations"
    says = f"its list has {count}, of space group {listed.number}"
    if listed.number:
        if declared.number and declared.number != listed.number:
            return f"{says}, and its number is {declared.number}"
        for text, named in declared.names:
            if all(s.number != listed.number for s in named.settings):
                return f"{says}, and its symbol is {text!r}"
    if declared.hall is not None and declared.hall[1] != listed:
        return f"{says}, and its Hall symbol {declared.hall[0]!r} means others"
    if listed.setting is not None and declared.choice:
        choice = setting_extension(listed.setting)
        if choice and choice != declared.choice:
            return (
                f"its list of symmetry operations is that of {listed.setting.xhm()}, and it "
                f"names the choice {declared.choice!r}"
            )
    return ""


def _symmetry_undeclared(block: CifBlock) -> CifSymmetry:
    """Return P1 for a file without a group, with a note, or a conflict if it names a system."""
    candidate = CandidateOperations(identity(), "P1, as if it listed every atom")
    system = block.first_value(*CRYSTAL_SYSTEM_TAGS).lower()
    if system in ("", "triclinic", "unknown"):
        note = f"it says nothing about symmetry, and is read as {candidate.source}"
        return CifSymmetry([candidate], "", "", [note], False)
    conflict = f"it is of the {system} system, and names no space group"
    return CifSymmetry([candidate], conflict, "", [], False)


def _symmetry_from_names(
    declared: DeclaredSymmetry, lengths: Floats, angles: Floats
) -> CifSymmetry:
    candidates = _candidates_of_names(declared, lengths, angles)
    if not candidates:
        raise InputError(
            f"its space group {declared.unknown[0]!r} is not known, and it lists no symmetry "
            "operations; expected a symbol such as 'F m -3 m'. Correct it, or list the operations "
            "as _space_group_symop_operation_xyz"
        )
    notes = []
    if declared.unknown:
        notes.append(
            f"its space group {declared.unknown[0]!r} is not known; it is read with "
            f"{candidates[0].source}"
        )
    setting = candidates[0].operations.setting
    choice = setting_extension(setting) if setting else ""
    if (
        len(declared.choices) == 1
        and choice
        and declared.choice in "12HR"
        and (declared.choice != choice)
    ):
        notes.append(
            f"it names the choice {declared.choice!r} of its space group, which its cell does not "
            f"fit; it is read with {candidates[0].source}"
        )
    conflict = ""
    numbers = {c.operations.number for c in candidates}
    if len(numbers) > 1:
        conflict = f"it names two space groups, {_describe_candidates(candidates)}"
    elif declared.hall is not None and len(candidates) > 1:
        conflict = f"it names two settings of its space group, {_describe_candidates(candidates)}"
    open_ = ""
    if not conflict and len(declared.choices) > 1:
        conflict = f"it names two choices of origin or axes, {' and '.join(declared.choices)}"
    if not conflict and len(candidates) > 1:
        open_ = (
            "it does not say which setting of its space group it means: "
            f"{_describe_candidates(candidates)}"
        )
    if not conflict and not declared.hall:
        symbols = {c.source.partition(":")[0] for c in candidates}
        source = candidates[0].source if len(candidates) == 1 else " or ".join(sorted(symbols))
        notes += _setting_doubts(declared, source, lengths, angles)
    several = bool(declared.hall) + bool(declared.names) + bool(declared.number) > 1
    return CifSymmetry(candidates, conflict, open_, notes, several)


def _axes(declared: DeclaredSymmetry) -> str:
    """Return the axes that a code means with a number: the usual ones if it gives an origin."""
    return declared.axes or ("abc" if declared.choice in ("1", "2") else "")


def _setting_doubts(
    declared: DeclaredSymmetry, source: str, lengths: Floats, angles: Floats
) -> list[str]:
    """Return notes on the parts of a group's setting that the file leaves open."""
    if not declared.names:
        if is_unambiguous(declared.number, declared.choice, _axes(declared)):
            return []
        return [
            f"it gives only the number {declared.number} of its space group; it is read in the "
            f"setting {source}"
        ]
    symbol, named = declared.names[0]
    if named.choice and named.choice not in "12HR":
        return [f"its space group {symbol!r} is read in the setting {source}"]
    axes = {
        s.hm
        for s in named.settings
        if operations_of_setting(s).metric_misfit(lengths, angles) <= METRIC_TOLERANCE
    }
    if len(axes) > 1 and not declared.choice:
        return [
            f"its space group {symbol!r} does not say which axis is the unique one, and its cell "
            f"fits several; it is read in the setting {source}"
        ]
    return []


def _describe_candidates(candidates: Iterable[CandidateOperations]) -> str:
    return " and ".join(c.source for c in candidates)


def _candidates_of_names(
    declared: DeclaredSymmetry, lengths: Floats, angles: Floats
) -> list[CandidateOperations]:
    """Return the settings that a group's names may mean; only those that fit the cell, if any."""
    groups = [
        _candidates_of_choice(named.settings, declared.choice, lengths, angles)
        for _, named in declared.names
    ]
    if declared.choice and declared.choice not in "12HR":
        for _, named in declared.names:
            if not settings_of_choice(named.settings, declared.choice):
                # Symbol and code mean different axes: the atoms must decide.
                meant = settings_of_choice(
                    settings_of_number(named.settings[0].number), declared.choice
                )
                groups += [_candidates_of_choice(meant, "", lengths, angles)] if meant else []
    if declared.hall is not None:
        symbol, operations = declared.hall
        setting = operations.setting
        own = CandidateOperations(operations, setting.xhm() if setting else f"Hall {symbol}")
        if setting is None:
            # It has a shifted origin: the other symbols need only name the group.
            groups = [g for g in groups if g[0].operations.number != operations.number]
        groups.insert(0, [own])
    number = declared.number
    if number and not any(c.operations.number == number for group in groups for c in group):
        standard = settings_of_number(number)
        usual = (
            settings_of_choice(standard, declared.choice, _axes(declared))
            if declared.choice
            else ()
        )
        usual = usual or tuple(s for s in standard if s.hm == standard[0].hm)
        group = _candidates_of_choice(usual, declared.choice, lengths, angles)
        if group[0].operations.metric_misfit(lengths, angles) > METRIC_TOLERANCE:
            group = _candidates_of_choice(standard, declared.choice, lengths, angles)
        groups.append(group)
    return _intersect_candidates(groups)


def _candidates_of_choice(
    settings: tuple[SpaceGroup, ...], choice: str, lengths: Floats, angles: Floats
) -> list[CandidateOperations]:
    """Return the settings of the choice that fit the cell; if all axes fit, the usual ones."""
    named = settings_of_choice(settings, choice) or settings
    for possible in (named, settings):
        # The code may contradict the cell; then the cell decides.
        operations = [operations_of_setting(s) for s in possible]
        misfits = [o.metric_misfit(lengths, angles) for o in operations]
        best = min(misfits) + _METRIC_ROUNDING if min(misfits) <= METRIC_TOLERANCE else np.inf
        fitting = [
            (s, CandidateOperations(o, s.xhm()))
            for s, o, misfit in zip(possible, operations, misfits, strict=True)
            if misfit <= best
        ]
        if best < np.inf:
            break
    # Named by their symbol: two settings of group 68 have the same operations at one origin.
    return [candidate for s, candidate in fitting if s.hm == fitting[0][0].hm]


def _intersect_candidates(groups: list[list[CandidateOperations]]) -> list[CandidateOperations]:
    """Return the candidates that all names allow; if there are none, those that any allows."""
    if not groups:
        return []
    common = [
        c
        for c in groups[0]
        if all(any(c.operations == other.operations for other in group) for group in groups[1:])
    ]
    return common or _unique_candidates([c for group in groups for c in group])


def _unique_candidates(candidates: Iterable[CandidateOperations]) -> list[CandidateOperations]:
    found: dict[frozenset[str], CandidateOperations] = {}
    for candidate in candidates:
        found.setdefault(candidate.operations.key, candidate)
    return list(found.values())
