"""The candidates of a search, ranked, and on the hull with each other.

Candidates are ranked by energy above the hull, by the first judge. Those in whose chemical system
the hull has too few phases to tell come last (`energies.hull.Evidence`). Each is then placed on the
hull to which all candidates are added: 0 there means that no mixture of known phases and other
candidates is lower.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crystext.chemistry.formulas import parse_formula
from crystext.discover.history import Candidate
from crystext.energies.extended_hull import (
    UnseatedPhase,
    decomposition_without,
    energy_on,
    extend_hull,
    unseated_phases,
)
from crystext.energies.hull import Hull
from crystext.energies.judges import Agreement, agreement
from crystext.energies.stability import Stability
from crystext.structures.properties import chemical_system


@dataclass(frozen=True)
class RankedCandidate:
    """A candidate with its rank and its position among all."""

    rank: int
    """From 1."""
    candidate: Candidate
    above_with_candidates: float
    """eV/atom above the hull with all candidates."""
    decomposition_with_candidates: str
    """The phases that compete with it there, without itself."""
    agreement: Agreement
    """Of the judges, on whether it is below the limit."""


def rank_candidates(
    candidates: Sequence[Candidate], hull: Hull, below: float
) -> list[RankedCandidate]:
    """Return candidates, the best first.

    Args:
        candidates: of a search.
        hull: of the first judge.
        below: limit in eV/atom above the hull.
    """
    ordered = sorted(candidates, key=_key)
    hulls = extended_hulls(ordered, hull)
    ranked = []
    for rank, candidate in enumerate(ordered, start=1):
        record = candidate.relaxed.judges[0]
        extended = hulls[chemical_system(candidate.crystal)]
        formula = candidate.sample.formula or ""
        amounts = {symbol: float(n) for symbol, n in parse_formula(formula).items()}
        height = extended.energy(amounts)
        assert record.e_form is not None, "a candidate has a formation energy"
        assert height is not None, "the hull has its elements"
        ranked.append(
            RankedCandidate(
                rank,
                candidate,
                max(0.0, energy_on(extended, hull, amounts, record.e_form) - height),
                decomposition_without(extended, formula, amounts),
                agreement([judge.e_above_hull for judge in candidate.relaxed.judges], below),
            )
        )
    return ranked


def extended_hulls(candidates: Sequence[Candidate], hull: Hull) -> dict[str, Hull]:
    """Return the hull with all candidates, by the chemical systems of the candidates."""
    systems = dict.fromkeys(chemical_system(candidate.crystal) for candidate in candidates)
    return {system: extended_hull(system, candidates, hull) for system in systems}


def extended_hull(system: str, candidates: Sequence[Candidate], hull: Hull) -> Hull:
    """Return the hull of a chemical system with the candidates in it."""
    elements = set(system.split("-"))
    phases = []
    for candidate in candidates:
        energy = candidate.relaxed.judges[0].e_form
        if energy is not None and set(candidate.crystal.symbols) <= elements:
            amounts: Mapping[str, float] = dict(parse_formula(candidate.sample.formula or ""))
            phases.append((amounts, energy))
    return extend_hull(hull, elements, phases)


def unseated_by_system(
    candidates: Sequence[Candidate], hull: Hull
) -> dict[str, list[UnseatedPhase]]:
    """Return the known phases that candidates make unstable, by chemical system."""
    unseated: dict[str, list[UnseatedPhase]] = defaultdict(list)
    for system, extended in extended_hulls(candidates, hull).items():
        if phases := unseated_phases(hull, extended):
            unseated[system] = phases
    return dict(unseated)


def _key(candidate: Candidate) -> tuple[bool, float, int]:
    stability = candidate.relaxed.judges[0].stability
    return stability == Stability.NO_EVIDENCE.label, candidate.above_hull, candidate.sample.index
