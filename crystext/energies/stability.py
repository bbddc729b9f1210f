"""Classifies relaxed crystals by their energy above the hull.

Stability needs evidence: a crystal near or below a hull that does not cover its chemical system is
NO_EVIDENCE, neither stable nor metastable (`hull.Evidence`). A crystal far above any hull is
UNSTABLE with or without evidence, because a more complete hull can only be lower. Rates that are
compared with published ones use the energies alone, as papers do: below 0 eV/atom counts as
"stable", whatever the evidence.

What goes wrong otherwise: if crystals that were not relaxed, or contain an element that the hull
lacks, are left out, the proportion of stable ones looks too good. So each gets a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from crystext.energies.corrections import corrected_energy
from crystext.energies.hull import Evidence, Hull, HullPosition
from crystext.energies.hull_sources import hull_of_phases, save_hull
from crystext.energies.relaxation_files import RelaxedSet, RelaxedStructure
from crystext.structures.properties import reduced_formula

METASTABLE_EV_PER_ATOM, STABLE_EV_PER_ATOM = 0.1, 0.0
"""eV/atom above the hull, exclusive; the limits of Gruver et al. (arXiv:2402.04379)."""


_BATCH_SIZE = 256
"""Structures between two progress reports."""


class Stability(Enum):
    """Stability class of a structure. The value is a description for users; see `meaning`."""

    CANDIDATE = "below the hull of known phases: a candidate for a stable phase"
    METASTABLE = "on the hull, or above it by less than {metastable:g} eV/atom"
    UNSTABLE = "above the hull by {metastable:g} eV/atom or more"
    NO_EVIDENCE = "near or below a hull with too few phases of its elements to tell"
    UNKNOWN = "the hull lacks one of its elements"
    NO_ENERGY = "it has no energy"

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.name.lower()

    def meaning(self) -> str:
        """Return the sentence, with the default limit of METASTABLE in eV/atom."""
        return self.value.format(metastable=METASTABLE_EV_PER_ATOM)


@dataclass(frozen=True)
class StabilityResult:
    """A structure and its position relative to the hull."""

    relaxed: RelaxedStructure
    position: HullPosition | None
    """None without an energy."""
    stability: Stability

    def sentence(self, hull: Hull) -> str:
        """Return the stability with its energy and the hull's own error, for users.

        Args:
            hull: the hull of the position.
        """
        above = None if self.position is None else self.position.above_hull
        if above is None:
            return f"{self.stability.label}: {self.relaxed.message or self.stability.meaning()}"
        side = "below" if above < 0 else "above"
        error = "not known" if hull.error is None else f"about {hull.error:.3f}"
        return (
            f"{self.stability.label}: {side} the hull by {abs(above):.3f} eV/atom (hull error "
            f"{error})"
        )


def assess_stability(
    relaxed_set: RelaxedSet,
    hull: Hull,
    *,
    metastable: float = METASTABLE_EV_PER_ATOM,
    stable: float = STABLE_EV_PER_ATOM,
    report: Callable[[int], object] = lambda _count: None,
) -> list[StabilityResult]:
    """Return the stability of each structure, in their order.

    Args:
        relaxed_set: structures and energies.
        hull: of the same potential, or of DFT if corrections make the energies comparable.
        metastable: limit of METASTABLE, in eV/atom above the hull; exclusive.
        stable: limit of CANDIDATE, likewise.
        report: called from time to time with the number of finished structures.

    Raises:
        SettingError: the energies cannot be compared with this hull.
    """
    hull.check_comparable(relaxed_set.potential, relaxed_set.correction)
    with_energy = {
        i: (row.crystal, row.energy)
        for i, row in enumerate(relaxed_set.structures)
        if row.crystal is not None and row.energy is not None
    }
    positions: dict[int, HullPosition] = {}
    places = [*with_energy]
    report(len(relaxed_set.structures) - len(places))
    for start in range(0, len(places), _BATCH_SIZE):
        part = places[start : start + _BATCH_SIZE]
        placed = hull.place_all([with_energy[i] for i in part], relaxed_set.correction)
        positions |= zip(part, placed, strict=True)
        report(len(part))
    return [
        StabilityResult(
            row, positions.get(i), classify_position(positions.get(i), metastable, stable)
        )
        for i, row in enumerate(relaxed_set.structures)
    ]


def classify_position(
    position: HullPosition | None,
    metastable: float = METASTABLE_EV_PER_ATOM,
    stable: float = STABLE_EV_PER_ATOM,
) -> Stability:
    """Return the stability of a position on a hull.

    Args:
        position: None without an energy.
        metastable: eV/atom above the hull, exclusive.
        stable: likewise.
    """
    if position is None:
        return Stability.NO_ENERGY
    if position.above_hull is None or position.phases is None:
        return Stability.UNKNOWN
    if position.above_hull >= metastable:
        return Stability.UNSTABLE
    if position.phases.evidence is Evidence.NONE:
        return Stability.NO_EVIDENCE
    return Stability.CANDIDATE if position.above_hull < stable else Stability.METASTABLE


def make_hull(relaxed_set: RelaxedSet, out: Path, name: str = "") -> Hull:
    """Write a hull of relaxed structures, elements among them, and return it.

    Only converged relaxations count: an unconverged energy is too high, and would make other
    crystals look stable.

    Raises:
        InputError: there is no element among them.
    """
    return save_hull(
        converged_phases(relaxed_set),
        out,
        name=name or out.stem,
        date=_today(),
        potential=relaxed_set.potential,
    )


def hull_of_relaxed(relaxed_set: RelaxedSet) -> Hull:
    """Return the hull of relaxed structures themselves, elements among them.

    Raises:
        InputError: there is no element among them.
    """
    return hull_of_phases(
        converged_phases(relaxed_set), name="self", date=_today(), potential=relaxed_set.potential
    )


def converged_phases(relaxed_set: RelaxedSet) -> Iterable[tuple[str, float]]:
    """Return formulas and energies in eV/atom, corrections included, of converged structures."""
    return [
        (
            reduced_formula(row.crystal.numbers),
            corrected_energy(row.crystal, row.energy, relaxed_set.correction) / len(row.crystal),
        )
        for row in relaxed_set.structures
        if row.crystal is not None and row.energy is not None and row.converged is not False
    ]


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")
