"""Which operations of symmetry a CIF means: those it lists, or those of the group that it names.

A file says its symmetry up to six times: as a list of operations, a Hall symbol, a Hermann-Mauguin
symbol in several places, a number and a code for the origin or axes. Where these agree there is one
answer. Where they do not, or where a symbol leaves the origin open, all answers are returned, for
the atoms to decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.io.read.cif.build import METRIC
from crystext.io.read.cif.declared import Declared, declared_symmetry
from crystext.io.read.cif.grammar import Block
from crystext.io.read.cif.operations import (
    Operations,
    identity,
    operations_of_list,
    operations_of_setting,
)
from crystext.io.read.cif.symbols import choices_of, extension, is_settled_by, settings_of_number
from crystext.structures.crystal import Floats

if TYPE_CHECKING:
    from gemmi import SpaceGroup

LISTS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
MAGNETIC = "_space_group_symop_magn_operation_xyz"
MAGNETIC_CENTRING = "_space_group_symop_magn_centering_xyz"
MAGNETIC_GROUP = ("_space_group_magn_name_bns", "_space_group_magn_number_bns",
                  "_space_group_magn_name_og", "_space_group_magn_number_og")  # fmt: skip
SYSTEM = ("_space_group_crystal_system", "_symmetry_cell_setting")


_ROUNDING = 1e-3
"""How much a printed cell misses a metric by, as `Operations.misfit` counts it."""


class Candidate(NamedTuple):
    """Operations that a file may mean."""

    operations: Operations
    source: str
    """What in the file says so."""


class Symmetry(NamedTuple):
    """What a file says of its symmetry."""

    candidates: list[Candidate]
    """The likeliest first."""
    conflict: str
    """What contradicts itself in it; empty where nothing does."""
    open: str
    """What it leaves open, such as the origin; empty where it leaves nothing open."""
    notes: list[str]
    confirmed: bool
    """Whether two things in the file agree on the first candidate."""


def symmetry_of(block: Block, lengths: Floats, angles: Floats) -> Symmetry:
    """Return the operations that a file may mean.

    Args:
        block: the data block.
        lengths: of the cell, in Å.
        angles: in degrees; with the lengths they tell hexagonal from rhombohedral axes, and which
            axis of a monoclinic cell is the unique one.

    Raises:
        InputError: it names a group that is not known, and says nothing else; or an operation
            cannot be read.
    """
    if any(name.startswith(("_space_group_ssg", "_space_group_symop_ssg")) for name in block.items):
        raise InputError(
            "it describes a modulated structure by a superspace group; expected a crystal with "
            "three-dimensional symmetry. Take an approximant, a supercell"
        )
    if listed := _magnetic(block):
        return Symmetry([Candidate(listed, "its magnetic operations")], "", "", [], False)
    declared = declared_symmetry(block)
    listed = _listed(block)
    if listed is None and declared.says_nothing and (group := block.value(*MAGNETIC_GROUP)):
        raise InputError(
            f"its magnetic space group is {group}, and it lists no operations; expected "
            "_space_group_symop_magn_operation.xyz. Add them"
        )
    if listed is not None:
        return _by_list(listed, declared, lengths, angles)
    if declared.says_nothing and not declared.unknown:
        return _by_nothing(block)
    return _by_name(declared, lengths, angles)


def _listed(block: Block) -> Operations | None:
    lists = [block.column(name) for name in LISTS]
    operations = [operations_of_list(_joined(triplets)) for triplets in lists if triplets]
    if len(operations) > 1 and operations[0] != operations[1]:
        raise InputError(
            f"its two lists of symmetry operations, {LISTS[0]} and {LISTS[1]}, differ; expected "
            "one. Take out the one that is wrong"
        )
    return operations[0] if operations else None


def _joined(triplets: list[str]) -> list[str]:
    """Return operations that stand whole in one text field, or one by one, as one each."""
    return [
        line
        for text in triplets
        for line in re.split(r"[\n;]", text)
        if line.strip() and line.strip() not in ("?", ".")
    ]


def _magnetic(block: Block) -> Operations | None:
    """Return the operations of a magnetic group without what they do to spins."""
    triplets = block.column(MAGNETIC)
    if not triplets:
        return None
    centrings = block.column(MAGNETIC_CENTRING) or ["x,y,z,+1"]
    spatial = [operations_of_list([",".join(t.split(",")[:3]) for t in part])
               for part in (triplets, centrings)]  # fmt: skip
    product = spatial[0].times(spatial[1])
    if product.fault:
        raise InputError(
            f"its magnetic operations are no group: {product.fault}; expected all operations of "
            "one, with its centrings"
        )
    return product


def _by_list(listed: Operations, declared: Declared, lengths: Floats, angles: Floats) -> Symmetry:
    own = Candidate(listed, "the operations that it lists")
    if listed.fault:
        return _by_faulty_list(listed, _settings_named(declared, lengths, angles))
    conflict = _disagreement(listed, declared)
    if not conflict and listed.misfit(lengths, angles) > METRIC:
        conflict = "its list of symmetry operations does not keep its cell"
    if conflict:
        named = _settings_named(declared, lengths, angles)
        return Symmetry(_distinct([own, *named]), conflict, "", [], False)
    notes = []
    if declared.unknown and declared.says_nothing:
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
    return Symmetry([own], "", "", notes, not declared.says_nothing)


def _by_faulty_list(listed: Operations, named: list[Candidate]) -> Symmetry:
    conflict = f"its list of symmetry operations is no group: {listed.fault}"
    completed = listed.closed()
    fitting = [c for c in named if listed.key <= c.operations.key]
    exact = [c for c in fitting if c.operations == completed]
    if fitting:
        return Symmetry(exact or fitting, conflict, "", [], bool(exact))
    if completed is None:
        raise InputError(f"{conflict}; expected all operations of one group")
    own = Candidate(completed, "the group that its operations generate")
    return Symmetry([own], conflict, "", [], False)


def _disagreement(listed: Operations, declared: Declared) -> str:
    """Return how a list of operations contradicts the names beside it; empty if it does not."""
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
        choice = extension(listed.setting)
        if choice and choice != declared.choice:
            return (
                f"its list of symmetry operations is that of {listed.setting.xhm()}, and it "
                f"names the choice {declared.choice!r}"
            )
    return ""


def _by_nothing(block: Block) -> Symmetry:
    """Return P1 for a file without a group: a note, or a conflict if it names a crystal system."""
    candidate = Candidate(identity(), "P1, as if it listed every atom")
    system = block.value(*SYSTEM).lower()
    if system in ("", "triclinic", "unknown"):
        note = f"it says nothing of symmetry, and is read as {candidate.source}"
        return Symmetry([candidate], "", "", [note], False)
    conflict = f"it is of the {system} system, and names no space group"
    return Symmetry([candidate], conflict, "", [], False)


def _by_name(declared: Declared, lengths: Floats, angles: Floats) -> Symmetry:
    candidates = _settings_named(declared, lengths, angles)
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
    choice = extension(setting) if setting else ""
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
        conflict = f"it names two space groups, {_listing(candidates)}"
    elif declared.hall is not None and len(candidates) > 1:
        conflict = f"it names two settings of its space group, {_listing(candidates)}"
    open_ = ""
    if not conflict and len(declared.choices) > 1:
        conflict = f"it names two choices of origin or axes, {' and '.join(declared.choices)}"
    if not conflict and len(candidates) > 1:
        open_ = f"it does not say which setting of its space group it means: {_listing(candidates)}"
    if not conflict and not declared.hall:
        symbols = {c.source.partition(":")[0] for c in candidates}
        source = candidates[0].source if len(candidates) == 1 else " or ".join(sorted(symbols))
        notes += _doubts(declared, source, lengths, angles)
    several = bool(declared.hall) + bool(declared.names) + bool(declared.number) > 1
    return Symmetry(candidates, conflict, open_, notes, several)


def _axes(declared: Declared) -> str:
    """Return the axes that a code means beside a number: the usual ones, if it names an origin."""
    return declared.axes or ("abc" if declared.choice in ("1", "2") else "")


def _doubts(declared: Declared, source: str, lengths: Floats, angles: Floats) -> list[str]:
    """Return what is not said of the setting in which a group is read, as notes."""
    if not declared.names:
        if is_settled_by(declared.number, declared.choice, _axes(declared)):
            return []
        return [
            f"of its space group it gives the number {declared.number} alone; it is read in the "
            f"setting {source}"
        ]
    symbol, named = declared.names[0]
    if named.choice and named.choice not in "12HR":
        return [f"its space group {symbol!r} is read in the setting {source}"]
    axes = {
        s.hm for s in named.settings if operations_of_setting(s).misfit(lengths, angles) <= METRIC
    }
    if len(axes) > 1 and not declared.choice:
        return [
            f"its space group {symbol!r} does not say which axis is the unique one, and its cell "
            f"fits several; it is read in the setting {source}"
        ]
    return []


def _listing(candidates: Iterable[Candidate]) -> str:
    return " and ".join(c.source for c in candidates)


def _settings_named(declared: Declared, lengths: Floats, angles: Floats) -> list[Candidate]:
    """Return the settings that the names of a group may mean, those that fit the cell if any do."""
    groups = [
        _chosen(named.settings, declared.choice, lengths, angles) for _, named in declared.names
    ]
    if declared.choice and declared.choice not in "12HR":
        for _, named in declared.names:
            if not choices_of(named.settings, declared.choice):
                # The symbol is that of other axes than the code means: the atoms have to decide.
                meant = choices_of(settings_of_number(named.settings[0].number), declared.choice)
                groups += [_chosen(meant, "", lengths, angles)] if meant else []
    if declared.hall is not None:
        symbol, operations = declared.hall
        setting = operations.setting
        own = Candidate(operations, setting.xhm() if setting else f"Hall {symbol}")
        if setting is None:
            # Of a shifted origin: the symbols beside it have to name the group, and no more.
            groups = [g for g in groups if g[0].operations.number != operations.number]
        groups.insert(0, [own])
    number = declared.number
    if number and not any(c.operations.number == number for group in groups for c in group):
        standard = settings_of_number(number)
        usual = choices_of(standard, declared.choice, _axes(declared)) if declared.choice else ()
        usual = usual or tuple(s for s in standard if s.hm == standard[0].hm)
        group = _chosen(usual, declared.choice, lengths, angles)
        if group[0].operations.misfit(lengths, angles) > METRIC:
            group = _chosen(standard, declared.choice, lengths, angles)
        groups.append(group)
    return _agreed(groups)


def _chosen(
    settings: tuple[SpaceGroup, ...], choice: str, lengths: Floats, angles: Floats
) -> list[Candidate]:
    """Return settings of the choice that fit the cell; of axes that all fit, the usual ones."""
    named = choices_of(settings, choice) or settings
    for possible in (named, settings):
        # The code may say one thing, and the cell another: the cell cannot be otherwise.
        operations = [operations_of_setting(s) for s in possible]
        misfits = [o.misfit(lengths, angles) for o in operations]
        best = min(misfits) + _ROUNDING if min(misfits) <= METRIC else np.inf
        fitting = [
            (s, Candidate(o, s.xhm()))
            for s, o, misfit in zip(possible, operations, misfits, strict=True)
            if misfit <= best
        ]
        if best < np.inf:
            break
    # By their own symbol: two settings of group 68 have the same operations at one origin.
    return [candidate for s, candidate in fitting if s.hm == fitting[0][0].hm]


def _agreed(groups: list[list[Candidate]]) -> list[Candidate]:
    """Return what all names allow; where there is none such, what any of them allows."""
    if not groups:
        return []
    common = [
        c
        for c in groups[0]
        if all(any(c.operations == other.operations for other in group) for group in groups[1:])
    ]
    return common or _distinct([c for group in groups for c in group])


def _distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    found: dict[frozenset[str], Candidate] = {}
    for candidate in candidates:
        found.setdefault(candidate.operations.key, candidate)
    return list(found.values())
