"""How far above the hull relaxed crystals lie, and what follows from it.

What goes wrong otherwise: crystals that were not relaxed, or hold an element that the hull lacks,
are left out, and the share of the others looks better than it is. Each has a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from crystext.energies.corrections import comparable
from crystext.energies.hull import Hull, Placed
from crystext.energies.hulls import hull_of_phases, save_hull
from crystext.energies.relaxed import Relaxed, RelaxedSet
from crystext.properties import reduced_formula

METASTABLE, STABLE = 0.1, 0.0
"""eV/atom above the hull, not reached; the limits of Gruver et al. (arXiv:2402.04379)."""


class Verdict(Enum):
    """Where a structure lies. The value is one sentence for people."""

    STABLE = "below the hull of what is known"
    METASTABLE = "above it by less than counts as metastable"
    UNSTABLE = "above it by more"
    UNKNOWN = "the hull lacks an element"
    NO_ENERGY = "there is no energy"


@dataclass(frozen=True)
class Judged:
    """A structure, and where it lies."""

    relaxed: Relaxed
    placed: Placed | None
    """None without an energy."""
    verdict: Verdict


def judge(
    found: RelaxedSet, hull: Hull, *, metastable: float = METASTABLE, stable: float = STABLE
) -> list[Judged]:
    """Return where each structure lies, in their order.

    Args:
        found: structures and energies.
        hull: one of the same potential, or of DFT where corrections make them comparable.
        metastable: eV/atom above the hull, not reached.
        stable: likewise.

    Raises:
        SettingError: the energies may not be held against this hull.
    """
    hull.check(found.potential, found.scale)
    judged = []
    for row in found.rows:
        if row.crystal is None or row.energy is None:
            judged.append(Judged(row, None, Verdict.NO_ENERGY))
            continue
        placed = hull.place(row.crystal, row.energy, found.scale)
        judged.append(Judged(row, placed, _verdict(placed, metastable, stable)))
    return judged


def make_hull(found: RelaxedSet, out: Path, name: str = "") -> Hull:
    """Write a hull of relaxed structures, elements among them, and return it.

    Only relaxations that converged count: an energy on the way down would make all others look
    stable that are compared with it.

    Raises:
        InputError: there is no element among them.
    """
    return save_hull(
        phases_of(found), out, name=name or out.stem, date=_today(), potential=found.potential
    )


def own_hull(found: RelaxedSet) -> Hull:
    """Return the hull of relaxed structures themselves, elements among them.

    Raises:
        InputError: there is no element among them.
    """
    return hull_of_phases(phases_of(found), name="self", date=_today(), potential=found.potential)


def phases_of(found: RelaxedSet) -> Iterable[tuple[str, float]]:
    """Return formulas and energies in eV/atom, corrections included, of what converged."""
    return [
        (
            reduced_formula(row.crystal.numbers),
            comparable(row.crystal, row.energy, found.scale) / len(row.crystal),
        )
        for row in found.rows
        if row.crystal is not None and row.energy is not None and row.converged is not False
    ]


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _verdict(placed: Placed, metastable: float, stable: float) -> Verdict:
    if placed.above_hull is None:
        return Verdict.UNKNOWN
    if placed.above_hull < stable:
        return Verdict.STABLE
    return Verdict.METASTABLE if placed.above_hull < metastable else Verdict.UNSTABLE
