"""Formation energy, and energy above the convex hull of known phases.

    e_form = (E - sum_i n_i μ_i) / N
    e_above_hull = e_form - e_hull(c)

E is the energy of the relaxed cell, corrections included, with n_i atoms of element i, N in all;
μ_i is the energy per atom of the elemental reference, c the composition, and e_hull(c) the lowest
energy of a mixture of the hull's phases at c (`decomposition`).

A phase that is missing from the table leaves the hull too high, so the computed e_above_hull is a
lower bound of the one on the complete hull: a crystal far above an incomplete hull is far above the
complete one, but a crystal near or below an incomplete hull may be anywhere. So each position
states how well the table covers the crystal's chemical system (`Evidence`).

What goes wrong otherwise: on a hull without one of the elements, crystals with that element look
stable without reason; so their position is unknown. Energies of two potentials differ by more than
those of phases; so a hull records which energies may be compared with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import check_element
from crystext.energies.corrections import EnergyCorrection, corrected_energy
from crystext.energies.decomposition import Mixture, lowest_mixtures
from crystext.energies.phases import Compounds, make_compounds
from crystext.errors import SettingError
from crystext.io.read import as_crystal
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal

_ROUNDING_EV_PER_ATOM = 1e-6
"""eV/atom; energies of the shipped table are rounded to 3e-7."""

_MAX_SHOWN_ELEMENTS = 6
"""Number of elements that the hull's `repr` names."""

MIN_COMPOUNDS_FOR_EVIDENCE = 2
"""Number of compounds of all of a crystal's elements that count as evidence at other compositions.

A single compound fixes the hull only at its own composition. In Li-P-O, a table with Li3PO4 and no
other ternary puts LiPO3, which exists, 0.06 eV/atom below the hull; in Ac-Se, one with only AcSe3
puts Ac3Se4 1.2 eV/atom below it.
"""


class Evidence(Enum):
    """How well a hull covers a crystal's chemical system. The value is a description for users."""

    COMPOSITION = "the hull's table has a phase of this composition"
    ELEMENTS = "the table has two or more compounds of exactly these elements"
    NONE = "the table has at most one compound of exactly these elements, of another composition"

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.name.lower()


@dataclass(frozen=True)
class SystemPhases:
    """The phases that a hull has at a composition and in its chemical system."""

    mixture: Mixture
    """The competing phases."""
    in_system: int
    """Phases of these elements or some of them, including the elements."""
    with_all_elements: int
    """Phases that hold all of these elements and no others."""
    evidence: Evidence


@dataclass(frozen=True)
class HullPosition:
    """Position of a crystal relative to the hull; unknown if the hull lacks one of its elements."""

    formation_energy: float | None
    """eV/atom."""
    above_hull: float | None
    """eV/atom; negative below the hull."""
    unknown_elements: tuple[str, ...] = ()
    """Elements that the hull lacks."""
    phases: SystemPhases | None = None
    """How well the hull covers the chemical system; None if it lacks an element."""


@dataclass(frozen=True, repr=False)
class Hull:
    """Elemental references, and compounds with their lowest formation energies."""

    references: Mapping[str, float]
    """eV/atom of each element, corrections included."""
    compounds: Compounds
    name: str = "unnamed"
    date: str = ""
    """Of the energies, if known."""
    potential: str | None = None
    """Potential of the energies; None: Materials Project's DFT, with MP2020 corrections."""
    sources: tuple[str, ...] = ()
    """Names of the files it was read from."""
    error: float | None = None
    """Mean absolute error of the hull's height in eV/atom; None if not measured."""
    _phases_by_composition: dict[tuple[tuple[int, int | float], ...], SystemPhases] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def digest(self) -> str:
        """SHA-256 of its energies, whatever its name: hulls that share one place crystals alike."""
        compounds = self.compounds
        references = sorted(self.references.items())
        parts = [json.dumps(references).encode()]
        parts += [
            array.tobytes()
            for array in (
                compounds.starts,
                compounds.elements,
                compounds.amounts,
                compounds.energies,
                compounds.height_only,
            )
        ]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def __repr__(self) -> str:
        """Say what the hull holds; its energies would be a hundred thousand numbers."""
        elements = sorted(self.references)
        shown = ", ".join(elements[:_MAX_SHOWN_ELEMENTS])
        more = ", ..." if len(elements) > _MAX_SHOWN_ELEMENTS else ""
        source = f", from {', '.join(self.sources)}" if self.sources else ""
        return (
            f"<Hull {self.name}: {format_count(len(self.compounds), 'compound')} of "
            f"{format_count(len(elements), 'element')} ({shown}{more}){source}>"
        )

    def summary(self) -> dict[str, str | list[str] | int | float | None]:
        """Return the hull's description for reports, as JSON values."""
        return {
            "name": self.name,
            "date": self.date or "unknown",
            "energies": self.potential or "Materials Project's DFT with MP2020 corrections",
            "sources": list(self.sources),
            "elements": len(self.references),
            "phases": len(self.compounds),
            "error_ev_per_atom": self.error,
        }

    def check_comparable(self, potential: str, correction: EnergyCorrection) -> None:
        """Raise `SettingError` unless energies of a potential may be compared with this hull."""
        if self.potential is not None and self.potential != potential:
            other = f"a hull of {potential} (crystext hull --make writes one)"
            if correction is not EnergyCorrection.OWN:
                other = f"the hull mp2020, or {other}"
            raise SettingError(
                f"the hull {self.name} has energies of {self.potential}, and these are of "
                f"{potential}; energies of two potentials cannot be compared. Relax with "
                f"{self.potential}, or take {other}"
            )
        if self.potential is None and correction is EnergyCorrection.OWN:
            raise SettingError(
                f"the hull {self.name} has PBE(+U) energies with MP2020 corrections, and "
                f"those of {potential} are {correction.value}. Write a separate hull with "
                "crystext hull --make"
            )

    def place(
        self, crystal: Any, energy: float, scale: EnergyCorrection = EnergyCorrection.CORRECTED
    ) -> HullPosition:
        """Return formation energy, energy above the hull and competing phases of a relaxed crystal.

        Args:
            crystal: the relaxed cell: a `Crystal`, a pymatgen `Structure` or ASE's `Atoms`.
                Corrections look at its bonds.
            energy: of the cell, in eV, as the potential gives it.
            scale: corrections that the energy contains; they are added to uncorrected ones.
        """
        (position,) = self.place_all([(as_crystal(crystal), energy)], scale)
        return position

    def place_all(
        self, relaxed: Sequence[tuple[Crystal, float]], correction: EnergyCorrection
    ) -> list[HullPosition]:
        """Return the position of each of many crystals, in their order; see `place`.

        Args:
            relaxed: crystals, and the energies of their cells in eV.
            correction: corrections that the energies contain already.
        """
        known = [crystal for crystal, _ in relaxed if not self.unknown_elements(crystal)]
        self._find_all([_composition(crystal) for crystal in known])
        return [self._place(crystal, energy, correction) for crystal, energy in relaxed]

    def _place(self, crystal: Crystal, energy: float, correction: EnergyCorrection) -> HullPosition:
        if unknown := self.unknown_elements(crystal):
            return HullPosition(None, None, tuple(unknown))
        whole = corrected_energy(crystal, energy, correction)
        return HullPosition(
            self.formation_energy(crystal, whole),
            self.above(crystal, whole),
            (),
            self._find(_composition(crystal)),
        )

    def unknown_elements(self, crystal: Crystal) -> list[str]:
        """Return the elements of a crystal without a reference in the hull."""
        return sorted(set(crystal.symbols) - set(self.references))

    def formation_energy(self, crystal: Crystal, energy: float) -> float | None:
        """Return the formation energy in eV/atom; None if an element is unknown.

        Args:
            crystal: whose composition it is.
            energy: of the cell, in eV, corrections included.
        """
        if self.unknown_elements(crystal):
            return None
        references = sum(self.references[symbol] for symbol in crystal.symbols)
        return (energy - references) / len(crystal)

    def phases_at(self, composition: Mapping[str, float]) -> SystemPhases | None:
        """Return the competing phases at a composition; None if an element is unknown.

        Args:
            composition: amounts by element symbol, in any unit, such as {"Li": 1, "P": 1, "O": 3}.

        Raises:
            SettingError: a symbol is not an element, or an amount is not above 0.
        """
        if not composition or not all(0 < n < np.inf for n in composition.values()):
            raise SettingError(
                f"the composition is {dict(composition)}; expected amounts above 0 by element "
                'symbol, such as {"Li": 1, "P": 1, "O": 3}'
            )
        if not {check_element(symbol) for symbol in composition} <= self.references.keys():
            return None
        return self._find({ATOMIC_NUMBERS[symbol]: n for symbol, n in composition.items()})

    def energy(self, composition: Mapping[str, float]) -> float | None:
        """Return the hull's energy at a composition, in eV/atom; None if an element is unknown.

        Args:
            composition: amounts by element symbol, in any unit.
        """
        found = self.phases_at(composition)
        return None if found is None else found.mixture.energy

    def above(self, crystal: Crystal, energy: float) -> float | None:
        """Return the energy above the hull in eV/atom; None if an element is unknown.

        It is negative if the crystal lies below the hull of the phases in the table.

        Args:
            crystal: whose composition it is.
            energy: of the cell, in eV, corrections included.
        """
        formation = self.formation_energy(crystal, energy)
        if formation is None:
            return None
        height = self._find(_composition(crystal)).mixture.energy
        # Rounding must not decide whether a phase of the hull itself is stable.
        return 0.0 if abs(formation - height) < _ROUNDING_EV_PER_ATOM else formation - height

    def _find(self, composition: Mapping[int, float]) -> SystemPhases:
        (found,) = self._find_all([composition])
        return found

    def _find_all(self, compositions: Sequence[Mapping[int, float]]) -> list[SystemPhases]:
        """Return the phases of each composition, computed once for each distinct one."""
        keys = [_composition_key(composition) for composition in compositions]
        new = {
            key: composition
            for key, composition in zip(keys, compositions, strict=True)
            if key not in self._phases_by_composition
        }
        mixtures = lowest_mixtures([*new.values()], self.compounds)
        for (key, composition), mixture in zip(new.items(), mixtures, strict=True):
            self._phases_by_composition[key] = self._describe_system(composition, mixture)
        return [self._phases_by_composition[key] for key in keys]

    def _describe_system(self, composition: Mapping[int, float], mixture: Mixture) -> SystemPhases:
        elements = len(composition)
        of_all = 1 if elements == 1 else len(self.compounds.with_exactly(composition))
        if elements == 1 or self.compounds.find(composition) is not None:
            evidence = Evidence.COMPOSITION
        else:
            evidence = Evidence.ELEMENTS if of_all >= MIN_COMPOUNDS_FOR_EVIDENCE else Evidence.NONE
        in_system = elements + len(self.compounds.within(composition))
        return SystemPhases(mixture, in_system, of_all, evidence)


def references_and_compounds(
    phases: Iterable[tuple[Mapping[str, float], float]],
) -> tuple[dict[str, float], Compounds]:
    """Return references and compounds of a hull from energies, elements among them.

    The lowest energy of each composition is kept; an element's is its reference. Compounds with an
    element without a reference are left out, since they have no formation energy.

    Args:
        phases: amounts by element symbol, and energies in eV/atom, corrections included.
    """
    listed = [*phases]
    references: dict[str, float] = {}
    for amounts, energy in listed:
        if len(amounts) == 1:
            (symbol,) = amounts
            references[symbol] = min(energy, references.get(symbol, np.inf))
    return references, make_compounds(
        (amounts, energy - _elements_energy(amounts, references))
        for amounts, energy in listed
        if amounts.keys() <= references.keys()
    )


def _elements_energy(amounts: Mapping[str, float], references: Mapping[str, float]) -> float:
    """Return the energy of the elements of a composition, in eV/atom."""
    total = sum(amounts.values())
    return sum(n / total * references[symbol] for symbol, n in amounts.items())


def _composition(crystal: Crystal) -> dict[int, int]:
    """Return the number of atoms of each atomic number in a crystal."""
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _composition_key(composition: Mapping[int, float]) -> tuple[tuple[int, int | float], ...]:
    """Return a key that all multiples of a composition share."""
    amounts = sorted(composition.items())
    if all(float(n).is_integer() for _, n in amounts):
        divisor = np.gcd.reduce([int(n) for _, n in amounts])
        return tuple((z, int(n) // int(divisor)) for z, n in amounts)
    total = sum(n for _, n in amounts)
    return tuple((z, n / total) for z, n in amounts)
