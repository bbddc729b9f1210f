"""Oxidation states and bond-valence sums of the sites of a crystal.

The bond-valence sum of an atom is the sum of s = exp((R - 1.015 d) / 0.31) over its neighbours
within 4 Å, with R from the elements' parameters, positive for the less electronegative atom; only
pairs with an electronegative element count. Source: O'Keeffe and Brese, J. Am. Chem. Soc. 113, 3226
(1991), as in pymatgen's `BVAnalyzer`, whose factor 1.015 is for cells relaxed by PBE. Its states
are the most probable ones for these sums in the ICSD whose charges balance.

The global instability index is the root mean square of sum minus state over all sites, in valence
units. Source: Salinas-Sanchez et al., J. Solid State Chem. 100, 201 (1992).

What goes wrong otherwise: the usual limit of 0.2, above which a crystal is strained, is for
parameters fitted to each pair of elements. These are of single elements, and coarser: cubic SrTiO3
has 0.49. So the index is told without a verdict; compare it with that of related crystals.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystext.chemistry.charge_balance import format_states, neutral_states
from crystext.chemistry.formulas import sort_by_electronegativity
from crystext.metrics.composition_validity import is_composition_valid
from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

_RADIUS = 4.0
"""Å."""

_PBE_SCALE = 1.015


@dataclass(frozen=True)
class Charges:
    """What is found of the charges in a crystal."""

    states: tuple[int, ...] | None
    """Oxidation state of each site by bond valences; None if none fit."""
    sums: tuple[float, ...] | None
    """Bond-valence sum of each site, in valence units; None if an element has no parameters."""
    usual_states: str | None
    """States by element, as `Li=1 P=5 O=-2`, in which the formula balances with the usual ones (see
    `chemistry.charge_balance`); None if it does not."""
    composition_valid: bool
    """By SMACT, with its table of 2014; see `metrics.composition_validity`."""
    problem: str = ""
    """Why there are no states or no sums; empty if there are."""

    @property
    def instability_index(self) -> float | None:
        """The global instability index in valence units; None without states."""
        if self.states is None or self.sums is None:
            return None
        off = np.array(self.sums) - np.array(self.states)
        return float(np.sqrt((off**2).mean()))


def find_charges(crystal: Crystal) -> Charges:
    """Return oxidation states and bond-valence sums of a crystal."""
    counts = Counter(crystal.symbols)
    ordered = tuple((symbol, counts[symbol]) for symbol in sort_by_electronegativity(counts))
    usual = neutral_states(ordered, ())
    structure = crystal.structure
    unknown = _without_parameters(counts)
    problem = ""
    sums = states = None
    if unknown:
        problem = f"no bond-valence parameters are known for {', '.join(unknown)}"
    else:
        sums = _bond_valence_sums(structure)
        states = _states(structure)
        if states is None:
            problem = "no oxidation states that balance fit the bond valences"
    return Charges(
        states,
        sums,
        None if usual is None else format_states(usual),
        is_composition_valid(crystal.numbers),
        problem,
    )


def _without_parameters(symbols: Counter[str]) -> list[str]:
    from pymatgen.analysis.bond_valence import BV_PARAMS

    known = {element.symbol for element in BV_PARAMS}
    return [symbol for symbol in sort_by_electronegativity(symbols) if symbol not in known]


def _bond_valence_sums(structure: Structure) -> tuple[float, ...]:
    from pymatgen.analysis.bond_valence import calculate_bv_sum

    neighbours = structure.get_all_neighbors(_RADIUS)
    return tuple(
        float(calculate_bv_sum(site, near, scale_factor=_PBE_SCALE))
        for site, near in zip(structure, neighbours, strict=True)
    )


def _states(structure: Structure) -> tuple[int, ...] | None:
    """Return the oxidation states by pymatgen's `BVAnalyzer`; None if none fit."""
    from pymatgen.analysis.bond_valence import BVAnalyzer

    try:
        found = BVAnalyzer(max_radius=_RADIUS, distance_scale_factor=_PBE_SCALE).get_valences(
            structure
        )
    except (ValueError, LookupError, TypeError, ArithmeticError):
        # It says so for charges that cannot balance, and stumbles over sites without neighbours.
        return None
    return tuple(int(state) for state in found)
