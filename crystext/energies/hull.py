"""Formation energy, and energy above the convex hull of known phases.

    e_form = (E - sum_i n_i μ_i) / N
    e_hull(c) = min over x >= 0 of sum_p x_p e_p   with   sum_p x_p c_p = c
    e_above_hull = e_form - e_hull(c)

E is the energy of the relaxed cell, corrections included, with n_i atoms of element i, N in all;
μ_i the energy per atom of the elemental reference; c a composition in atomic fractions, and p runs
over the hull's table and the elements, whose e_p is 0. The minimum is a linear programme, solved by
SciPy's HiGHS. What lies below the hull, e_above_hull < 0, the table does not know.

What goes wrong otherwise: a hull without one of the elements is a hull of the others, and what
holds it looks stable for nothing; so it is unknown. And energies of two potentials differ by more
than phases do; so a hull knows whose energies it may be held against.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from crystext.crystal import Crystal
from crystext.energies.corrections import Scale, comparable
from crystext.errors import SettingError

_Composition = dict[str, float]
"""Atomic fractions by element symbol; they sum to 1."""

_ROUNDING = 1e-6
"""eV/atom; HiGHS meets its constraints to 1e-7."""

Points = Mapping[frozenset[str], list[tuple[_Composition, float]]]
"""Compounds' compositions and formation energies in eV/atom, by the elements they hold."""


@dataclass(frozen=True)
class Placed:
    """Where a crystal lies; nothing is known where the hull lacks an element."""

    formation_energy: float | None
    """eV/atom."""
    above_hull: float | None
    """eV/atom; negative below the hull of what is known."""
    unknown: tuple[str, ...] = ()
    """Elements that the hull lacks."""


@dataclass(frozen=True)
class Hull:
    """Elemental references, and the compositions whose lowest formation energy is known."""

    references: Mapping[str, float]
    """eV/atom of each element, corrections included."""
    points: Points
    name: str = "unnamed"
    date: str = ""
    """Of the energies, as far as it is known."""
    potential: str | None = None
    """Whose energies they are; None: of Materials Project's DFT, with MP2020 corrections."""
    sources: tuple[str, ...] = ()
    """Names of the files it was read from."""

    def about(self) -> dict[str, str | list[str] | int]:
        """Return what a report says of it, as JSON values."""
        return {
            "name": self.name,
            "date": self.date or "unknown",
            "energies": self.potential or "Materials Project's DFT with MP2020 corrections",
            "sources": list(self.sources),
            "elements": len(self.references),
            "phases": sum(map(len, self.points.values())),
        }

    def check(self, potential: str, scale: Scale) -> None:
        """Raise `SettingError` unless energies of a potential may be held against this hull."""
        if self.potential is not None and self.potential != potential:
            raise SettingError(
                f"the hull {self.name} is one of energies of {self.potential}, and these are of "
                f"{potential}; energies of two potentials cannot be compared. Relax with "
                f"{self.potential}, or take a hull of {potential} (crystext hull --make writes one)"
            )
        if self.potential is None and scale is Scale.OWN:
            raise SettingError(
                f"the hull {self.name} is one of PBE(+U) energies with MP2020 corrections, and "
                f"those of {potential} are {scale.value}. Write a hull of its own with crystext "
                "hull --make"
            )

    def place(self, crystal: Crystal, energy: float, scale: Scale) -> Placed:
        """Return formation energy and distance of a relaxed crystal.

        Args:
            crystal: the relaxed cell; corrections look at its bonds.
            energy: of the cell, in eV, as the potential gives it.
            scale: what the energy holds already.
        """
        if unknown := self.unknown_elements(crystal):
            return Placed(None, None, tuple(unknown))
        whole = comparable(crystal, energy, scale)
        return Placed(self.formation_energy(crystal, whole), self.above(crystal, whole))

    def unknown_elements(self, crystal: Crystal) -> list[str]:
        """Return the elements of a crystal that the hull has no reference for."""
        return sorted(set(crystal.symbols) - set(self.references))

    def formation_energy(self, crystal: Crystal, energy: float) -> float | None:
        """Return the formation energy in eV/atom; None where an element is unknown.

        Args:
            crystal: whose composition it is.
            energy: of the cell, in eV, corrections included.
        """
        if self.unknown_elements(crystal):
            return None
        references = sum(self.references[symbol] for symbol in crystal.symbols)
        return (energy - references) / len(crystal)

    def energy(self, composition: Mapping[str, float]) -> float | None:
        """Return the hull's energy at a composition, in eV/atom; None where an element is unknown.

        Args:
            composition: amounts by element symbol, in any unit.
        """
        from scipy.optimize import linprog

        symbols = sorted(composition)
        if not all(symbol in self.references for symbol in symbols):
            return None
        if len(symbols) == 1:
            return 0.0
        phases = list(self._phases(symbols))
        fractions_E_P = np.array([[c.get(s, 0.0) for c, _ in phases] for s in symbols])
        wanted = np.array([composition[s] for s in symbols], dtype=np.float64)
        solved = linprog(
            [e for _, e in phases], A_eq=fractions_E_P, b_eq=wanted / wanted.sum(), method="highs"
        )
        if not solved.success:  # The elements alone make every composition.
            raise AssertionError(f"no hull at {dict(composition)}: {solved.message}")
        return float(solved.fun)

    def above(self, crystal: Crystal, energy: float) -> float | None:
        """Return the energy above the hull in eV/atom; None where an element is unknown.

        It is negative where the crystal lies below the hull of what is known.

        Args:
            crystal: whose composition it is.
            energy: of the cell, in eV, corrections included.
        """
        formation = self.formation_energy(crystal, energy)
        symbols, counts = np.unique(crystal.symbols, return_counts=True)
        hull = self.energy(dict(zip(symbols.tolist(), counts.tolist(), strict=True)))
        if formation is None or hull is None:
            return None
        # A phase of the hull itself must not be stable or not by the rounding of a sum.
        return 0.0 if abs(formation - hull) < _ROUNDING else formation - hull

    def _phases(self, symbols: list[str]) -> Iterator[tuple[_Composition, float]]:
        for symbol in symbols:
            yield {symbol: 1.0}, 0.0
        for size in range(2, len(symbols) + 1):
            for chosen in combinations(symbols, size):
                yield from self.points.get(frozenset(chosen), [])


def points_of(phases: Iterable[tuple[Mapping[str, float], float]]) -> Points:
    """Return the points of a hull from compounds' amounts by symbol and formation energies.

    Args:
        phases: energies in eV/atom. Elements are left out: they are at 0 by definition.
    """
    points: dict[frozenset[str], list[tuple[_Composition, float]]] = defaultdict(list)
    for amounts, energy in phases:
        if len(amounts) > 1:
            total = sum(amounts.values())
            fractions = {symbol: amount / total for symbol, amount in amounts.items()}
            points[frozenset(amounts)].append((fractions, energy))
    return dict(points)


def hull_of(phases: Iterable[tuple[Mapping[str, float], float]]) -> tuple[dict[str, float], Points]:
    """Return references and points of a hull from energies, elements among them.

    Of each composition the lowest energy is kept; an element's is its reference. Compounds with an
    element that has none are left out, for they have no formation energy.

    Args:
        phases: amounts by element symbol, and energies in eV/atom, corrections included.
    """
    lowest: dict[tuple[tuple[str, float], ...], float] = {}
    for amounts, energy in phases:
        total = sum(amounts.values())
        key = tuple(sorted((symbol, round(x / total, 9)) for symbol, x in amounts.items()))
        lowest[key] = min(energy, lowest.get(key, np.inf))
    references = {key[0][0]: energy for key, energy in lowest.items() if len(key) == 1}
    return references, points_of(
        (dict(key), energy - sum(x * references[symbol] for symbol, x in key))
        for key, energy in lowest.items()
        if all(symbol in references for symbol, _ in key)
    )
