"""Estimate what is known of the energies of crystals without published ones, from a potential's.

Formation energies: those of the potential, moved by a robust linear correction per element that
fits the published ones. Energies above the hull: a hull of a training set alone is too high where
compounds are missing from it, so heights above it are taken for an order only. Crystals of a kind
(such as: members of a data set that holds nothing above 0.08 eV/atom, of well-covered systems) get,
in this order, the quantiles of what is published for crystals of their kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from crystext.energies.hull import Hull
from crystext.energies.phases import make_compounds
from crystext.structures.crystal import Crystal, Floats

N_ELEMENTS = 119
"""Columns of element fractions, by atomic number."""

RIDGE = 1.0
ROBUST_EV_PER_ATOM = 0.05
"""Residuals above it count linearly (Huber)."""


def element_fractions(crystals: Sequence[Crystal]) -> Floats:
    """Return the atomic fractions of the elements, (N, 119)."""
    found = np.zeros((len(crystals), N_ELEMENTS))
    for row, crystal in zip(found, crystals, strict=True):
        np.add.at(row, crystal.numbers, 1 / len(crystal))
    return found


def formation_energies(
    crystals: Sequence[Crystal], energies: Floats, references: Mapping[str, float]
) -> Floats:
    """Return formation energies in eV/atom of energies in eV/atom; nan where one is unknown."""
    elements = [np.mean([references.get(s, np.nan) for s in c.symbols]) for c in crystals]
    return np.asarray(energies - np.array(elements), dtype=np.float64)


def element_correction(fractions: Floats, differences: Floats) -> Floats:
    """Return the energies per element, (119,), that explain differences best; nan is left out."""
    known = np.isfinite(differences)
    x, y = fractions[known], differences[known]
    weights, found = np.ones(len(y)), np.zeros(x.shape[1])
    for _ in range(20):
        matrix = x.T @ (x * weights[:, None]) + RIDGE * np.eye(x.shape[1])
        found = np.linalg.solve(matrix, x.T @ (weights * y))
        residuals = np.abs(y - x @ found)
        weights = np.minimum(1, ROBUST_EV_PER_ATOM / np.maximum(residuals, 1e-9))
    return np.asarray(found)


def hull_of(crystals: Sequence[Crystal], heights: Floats, references: Mapping[str, float]) -> Hull:
    """Return the hull of formation energies, or of the hull's heights at these compositions."""
    phases = [
        (dict(Counter(crystal.symbols)), float(height))
        for crystal, height in zip(crystals, heights, strict=True)
        if np.isfinite(height)
    ]
    return Hull(references, make_compounds(phases))


def heights_above(
    crystals: Sequence[Crystal], energies: Floats, hull: Hull
) -> tuple[Floats, list[str]]:
    """Return formation energies less the hull's, in eV/atom, and how well the hull covers each."""
    above, evidence = np.full(len(crystals), np.nan), [""] * len(crystals)
    for i, crystal in enumerate(crystals):
        if not np.isfinite(energies[i]):
            continue
        phases = hull.phases_at(dict(Counter(crystal.symbols)))
        if phases is not None:
            above[i] = energies[i] - phases.mixture.energy
            evidence[i] = phases.evidence.label
    return above, evidence


def quantiles_in_order(order: Floats, published: Floats) -> Floats:
    """Return the quantiles of published values in an order: the lowest gets the lowest.

    Args:
        order: (N,), nan where unknown: such a row gets the median.
        published: values of crystals of this kind, one or more.
    """
    found = np.full(len(order), float(np.median(published)))
    known = np.flatnonzero(np.isfinite(order))
    ranks = np.empty(len(known))
    ranks[np.argsort(order[known], kind="stable")] = (np.arange(len(known)) + 0.5) / len(known)
    found[known] = np.quantile(published, ranks)
    return found
