"""Explains why no crystal of a space group can have the requested atoms, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from crystext.chemistry.formulas import format_formula
from crystext.conditions.sampling_constraints import MAX_ATOMS, Constraints, max_atoms_hint
from crystext.errors import SettingError
from crystext.grammar.wyckoff.lookahead import Lookahead, lookahead_for
from crystext.grammar.wyckoff.site_table import site_table
from crystext.structures.properties import crystal_system

_MAX_LISTED = 6
"""Most groups or numbers of atoms that a message lists."""

_MAX_TRIED_ATOMS = 200
"""Most atoms of the larger crystals that are tried; the largest orbits have 48."""


def raise_if_infeasible(constraints: Constraints) -> None:
    """Do nothing if some crystal can be written in the Wyckoff format as requested.

    Raises:
        SettingError: none can; the message says why, and names the nearest feasible request.
    """
    if lookahead_for(constraints).space_groups.any():
        return
    group, system = constraints.space_group, constraints.crystal_system
    where = f"space group {group}" if group is not None else f"any {system} space group"
    message = f"no crystal in {where} has {_describe_atoms(constraints)}"
    if group is not None:
        message += f": orbits there have {_describe_orbit_sizes(group)} in a primitive cell"
    advice = [*_suggest_sizes(constraints), *_suggest_space_groups(constraints)]
    raise SettingError(message + "; " + (", or ".join(advice) or "ask for other elements"))


def _describe_atoms(constraints: Constraints) -> str:
    low, high = constraints.min_atoms, constraints.max_atoms
    number = f"{low}" if low == high else f"{low} to {high}"
    number += " atom" if low == high == 1 else " atoms"
    if constraints.formula:
        return f"the formula {format_formula(constraints.formula)} with {number}"
    if constraints.counts:
        each = ", ".join(
            f"{symbol} {fewest}" if fewest == most else f"{symbol} {fewest} to {most}"
            for symbol, fewest, most in constraints.counts
        )
        return f"{number}, of which {each}"
    if constraints.require:
        return f"{number}, {', '.join(constraints.require)} among them"
    return number


def _describe_orbit_sizes(group: int) -> str:
    """Describe the orbit sizes of a group, and which of them are scarce."""
    known = site_table(group)
    stock = known.remaining_points(0)
    once = [
        f"{size} ({'once' if n == 1 else f'{n} times at most'})"
        for size, n in zip(known.limited_sizes, stock, strict=True)
    ]
    many = [str(size) for size in known.unlimited_sizes]
    sizes = [*once, *many]
    return (
        " or ".join([", ".join(sizes[:-1]), sizes[-1]]) if len(sizes) > 1 else sizes[0]
    ) + " atoms"


def _suggest_sizes(constraints: Constraints) -> Iterator[str]:
    """Yield advice to take another number of atoms: the nearest feasible below and above."""
    low, high = constraints.min_atoms, constraints.max_atoms
    unit = sum(count for _, count in constraints.formula) or 1
    below = range((low - 1) // unit * unit, 0, -unit)
    above = range(high // unit * unit + unit, min(_MAX_TRIED_ATOMS, MAX_ATOMS) + 1, unit)
    fitting = [
        n
        for sizes in (below, above)
        for n in [_first_feasible_size(constraints, sizes)]
        if n is not None
    ]
    if fitting:
        numbers = " or ".join(map(str, fitting))
        most = fitting[-1]
        larger = f": {max_atoms_hint(most)}" if most > high else ""
        noun = "atom" if fitting == [1] else "atoms"
        yield f"take {numbers} {noun}{larger}"


def _first_feasible_size(constraints: Constraints, sizes: range) -> int | None:
    needed = len(constraints.require)
    for n in sizes:
        if n < needed:
            continue
        try:
            sized = replace(constraints, min_atoms=n, max_atoms=n)
        except SettingError:  # The numbers of atoms of elements do not add up to n.
            continue
        if Lookahead(sized).space_groups.any():
            return n
    return None


def _suggest_space_groups(constraints: Constraints) -> Iterator[str]:
    """Yield advice to take another space group, of the same crystal system if possible."""
    group = constraints.space_group
    if group is None:
        system = constraints.crystal_system
        groups = Lookahead(replace(constraints, crystal_system=None)).space_groups
        systems = dict.fromkeys(crystal_system(int(g)) for g in np.flatnonzero(groups))
        if systems and system is not None:
            yield f"another crystal system ({', '.join(systems)})"
        return
    anywhere = replace(constraints, space_group=None, crystal_system=None)
    fitting = np.flatnonzero(Lookahead(anywhere).space_groups).tolist()
    alike = [g for g in fitting if crystal_system(g) == crystal_system(group)]
    listed = sorted(alike or fitting, key=lambda g: abs(g - group))[:_MAX_LISTED]
    if listed:
        kind = f"{crystal_system(group)} " if alike else ""
        yield f"another {kind}space group, such as {', '.join(map(str, sorted(listed)))}"
