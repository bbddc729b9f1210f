"""A hull with further phases: which of them are stable beside each other, and what they unseat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.energies.decomposition import lowest_mixtures
from crystext.energies.hull import Hull
from crystext.energies.phases import Compounds, formula_of, make_compounds
from crystext.structures.properties import reduced_formula

_ON_HULL_EV_PER_ATOM = 1e-6
_UNSEATED_EV_PER_ATOM = 1e-4
"""eV/atom; less is rounding."""


@dataclass(frozen=True)
class UnseatedPhase:
    """A phase of a hull that further phases make unstable."""

    formula: str
    above_hull: float
    """eV/atom above the hull with the further phases."""
    decomposition: str


def extend_hull(
    hull: Hull, elements: Iterable[str], phases: Iterable[tuple[Mapping[str, float], float]]
) -> Hull:
    """Return the part of a hull within some elements, with further phases.

    A phase of one element that lies below the element's reference becomes the reference, from which
    all formation energies then count (see `energy_on`).

    Args:
        hull: has the elements' references.
        elements: symbols.
        phases: amounts by element symbol, and formation energies in eV/atom on the hull's scale.
    """
    named, listed = sorted(set(elements)), list(phases)
    references = {symbol: hull.references[symbol] for symbol in named}
    for amounts, energy in listed:
        if len(amounts) == 1:
            (symbol,) = amounts
            references[symbol] = min(references[symbol], hull.references[symbol] + energy)
    extended = replace(hull, references=references)
    compounds = hull.compounds
    inside = compounds.within([ATOMIC_NUMBERS[symbol] for symbol in named]).tolist()
    old = [(compounds.composition(i), float(compounds.energies[i])) for i in inside]
    moved = [(amounts, energy_on(extended, hull, amounts, e)) for amounts, e in [*old, *listed]]
    merged = make_compounds(moved)
    # A height of the hull stays one, unless a phase has a lower energy there.
    heights = {
        formula_of(amounts): energy
        for i, (amounts, energy) in zip(inside, moved, strict=False)
        if compounds.height_only[i]
    }
    flags = [
        heights.get(merged.formula(i)) == energy
        for i, energy in enumerate(merged.energies.tolist())
    ]
    flagged = Compounds(
        merged.starts, merged.elements, merged.amounts, merged.energies, np.array(flags, dtype=bool)
    )
    return replace(extended, compounds=flagged)


def energy_on(extended: Hull, hull: Hull, amounts: Mapping[str, float], energy: float) -> float:
    """Return a formation energy of a hull as one of the extended hull, in eV/atom.

    They differ where an element's reference does: without this, a compound would still be compared
    with elements that are no longer the lowest.

    Args:
        extended: by `extend_hull`.
        hull: what was extended.
        amounts: by element symbol.
        energy: eV/atom.
    """
    total = sum(amounts.values())
    lower = sum(n * (hull.references[x] - extended.references[x]) for x, n in amounts.items())
    return energy + lower / total


def decomposition_without(hull: Hull, formula: str, amounts: Mapping[str, float]) -> str:
    """Return the competing phases at a composition, the phase of that composition left out.

    Args:
        hull: has the phase.
        formula: of the phase, for an element, which decomposes into nothing else.
        amounts: by element symbol.
    """
    composition = {ATOMIC_NUMBERS[symbol]: amount for symbol, amount in amounts.items()}
    if len(composition) == 1:
        return formula
    own = hull.compounds.find(composition)
    return str(lowest_mixtures([composition], hull.compounds, [own])[0])


def unseated_phases(before: Hull, after: Hull) -> list[UnseatedPhase]:
    """Return the phases that are on a hull and above the extended one, the farthest first.

    Args:
        before: a hull.
        after: the same within some elements, by `extend_hull`.
    """
    compounds = before.compounds
    inside = compounds.within([ATOMIC_NUMBERS[symbol] for symbol in after.references]).tolist()
    unseated = [
        UnseatedPhase(symbol, above, symbol)
        for symbol, reference in after.references.items()
        if (above := before.references[symbol] - reference) > _UNSEATED_EV_PER_ATOM
    ]
    for i in inside:
        amounts, energy = compounds.composition(i), float(compounds.energies[i])
        was, now = before.energy(amounts), after.phases_at(amounts)
        if was is None or now is None or compounds.height_only[i]:
            continue
        above = energy_on(after, before, amounts, energy) - now.mixture.energy
        if energy <= was + _ON_HULL_EV_PER_ATOM and above > _UNSEATED_EV_PER_ATOM:
            unseated.append(UnseatedPhase(reduced_formula(dict(amounts)), above, str(now.mixture)))
    return sorted(unseated, key=lambda phase: (-phase.above_hull, phase.formula))
