"""Why no crystal of some space group can have the atoms asked for, and what would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from crystext.chemistry.formulas import formula_text
from crystext.conditions.constraints import MOST_ATOMS, Constraints, largest_size
from crystext.errors import SettingError
from crystext.grammar.wyckoff.lookahead import LookAhead, look_ahead
from crystext.grammar.wyckoff.site_table import places
from crystext.structures.properties import crystal_system

_NAMED = 6
"""Groups or numbers of atoms that a message lists at most."""

_TRIED = 200
"""Atoms up to which larger crystals are looked for; the largest orbits have 48."""


def refuse_the_impossible(constraints: Constraints) -> None:
    """Do nothing if some crystal can be written by its symmetry as asked for.

    Raises:
        SettingError: none can; the message says why, and names the nearest that can.
    """
    if look_ahead(constraints).groups.any():
        return
    group, system = constraints.space_group, constraints.crystal_system
    where = f"space group {group}" if group is not None else f"any {system} space group"
    message = f"no crystal in {where} has {_atoms_asked(constraints)}"
    if group is not None:
        message += f": orbits there have {_sizes(group)} in a primitive cell"
    advice = [*_other_sizes(constraints), *_other_groups(constraints)]
    raise SettingError(message + "; " + (", or ".join(advice) or "ask for other elements"))


def _atoms_asked(constraints: Constraints) -> str:
    low, high = constraints.min_atoms, constraints.max_atoms
    number = f"{low}" if low == high else f"{low} to {high}"
    number += " atom" if low == high == 1 else " atoms"
    if constraints.formula:
        return f"the formula {formula_text(constraints.formula)} with {number}"
    if constraints.require:
        return f"{number}, {', '.join(constraints.require)} among them"
    return number


def _sizes(group: int) -> str:
    """Say how many atoms orbits of a group have, and which sizes are scarce."""
    known = places(group)
    stock = known.stock(0)
    once = [
        f"{size} ({'once' if n == 1 else f'{n} times at most'})"
        for size, n in zip(known.scarce_sizes, stock, strict=True)
    ]
    many = [str(size) for size in known.free_sizes]
    sizes = [*once, *many]
    return (
        " or ".join([", ".join(sizes[:-1]), sizes[-1]]) if len(sizes) > 1 else sizes[0]
    ) + " atoms"


def _other_sizes(constraints: Constraints) -> Iterator[str]:
    """Yield advice to take another number of atoms: the nearest below and above that do."""
    low, high = constraints.min_atoms, constraints.max_atoms
    unit = sum(count for _, count in constraints.formula) or 1
    below = range((low - 1) // unit * unit, 0, -unit)
    above = range(high // unit * unit + unit, min(_TRIED, MOST_ATOMS) + 1, unit)
    fitting = [n for sizes in (below, above) for n in [_first(constraints, sizes)] if n is not None]
    if fitting:
        numbers = " or ".join(map(str, fitting))
        most = fitting[-1]
        larger = f": {largest_size(most)}" if most > high else ""
        noun = "atom" if fitting == [1] else "atoms"
        yield f"take {numbers} {noun}{larger}"


def _first(constraints: Constraints, sizes: range) -> int | None:
    needed = len(constraints.require)
    for n in sizes:
        if n < needed:
            continue
        if LookAhead(replace(constraints, min_atoms=n, max_atoms=n)).groups.any():
            return n
    return None


def _other_groups(constraints: Constraints) -> Iterator[str]:
    """Yield advice to take another space group, of the same crystal system if one does."""
    group = constraints.space_group
    if group is None:
        system = constraints.crystal_system
        groups = LookAhead(replace(constraints, crystal_system=None)).groups
        systems = dict.fromkeys(crystal_system(int(g)) for g in np.flatnonzero(groups))
        if systems and system is not None:
            yield f"another crystal system ({', '.join(systems)})"
        return
    anywhere = replace(constraints, space_group=None, crystal_system=None)
    fitting = np.flatnonzero(LookAhead(anywhere).groups).tolist()
    alike = [g for g in fitting if crystal_system(g) == crystal_system(group)]
    listed = sorted(alike or fitting, key=lambda g: abs(g - group))[:_NAMED]
    if listed:
        kind = f"{crystal_system(group)} " if alike else ""
        yield f"another {kind}space group, such as {', '.join(map(str, sorted(listed)))}"
