"""A machine-learned potential that has to prove itself before it says anything.

What a potential is, whatever made it: a calculator of ASE's, what its energies hold, and crystals
whose energies it has to give. See `potentials` for those that are known by name, and `proof`.

What goes wrong otherwise: a calculator that was loaded says nothing of whether it computes what its
weights have learned, and wrong energies look like energies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystext.crystal import Crystal
from crystext.energies.corrections import Scale
from crystext.energies.proof import ELEMENTS, FORMED, FORMED_TOLERANCE
from crystext.errors import ModelError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

TOLERANCE_EV_PER_ATOM = 1e-3
"""How far an energy of a proof may be off. Single precision makes no more than 1e-5."""

Results = Mapping[str, Any]
"""By the names of ASE: energy and free_energy in eV, forces in eV/Å, stress in eV/Å^3 by Voigt."""

Evaluate = Callable[[Sequence["Atoms"]], list[Results]]
"""Calculates many crystals at once."""

Proof = tuple[tuple[str, Crystal, float], ...]
"""Crystals, their names, and the energies in eV/atom that a potential has to give them."""


@dataclass(frozen=True)
class Potential:
    """A calculator, and what has to be known of its energies."""

    name: str
    """Unlike that of any other weights: relaxations and hulls are known by it."""
    calculator: Calculator
    """Of ASE; gives energy (eV), forces (eV/Å) and stress (eV/Å^3)."""
    scale: Scale = Scale.OWN
    """What its energies hold. OWN is the safe answer: such energies meet no others."""
    proof: Proof = ()
    """What it has to give; where it is empty, measured heats of formation (`proof.FORMED`)."""
    evaluate: Evaluate | None = None
    """Calculates many crystals at once; None where only the calculator does, one at a time."""
    at_once: int = 1
    """How many atoms are best calculated together."""

    def energy(self, crystal: Crystal) -> float:
        """Return the energy of a cell in eV, without corrections."""
        atoms = to_atoms(crystal)
        atoms.calc = self.calculator
        return float(atoms.get_potential_energy())


def prove(potential: Potential) -> None:
    """Raise `ModelError` unless the potential gives the energies that it has to give."""
    wrong = []
    try:
        if potential.proof:
            kind, tolerance = "energies", TOLERANCE_EV_PER_ATOM
            pairs = [
                (name, potential.energy(crystal) / len(crystal), expected)
                for name, crystal, expected in potential.proof
            ]
        else:
            kind, tolerance = "heats of formation", FORMED_TOLERANCE
            pairs = _formed(potential)
    # Each calculator has errors of its own.
    except Exception as error:
        raise ModelError(
            f"the potential {potential.name} cannot prove itself: {error!r}; give crystals that it "
            "knows, with their energies, as its proof"
        ) from error
    for name, found, expected in pairs:
        if not abs(found - expected) <= tolerance:
            wrong.append(f"{name} {found:.4f} instead of {expected:.4f}")
    if wrong:
        raise ModelError(
            f"the potential {potential.name} gives wrong {kind} in eV/atom: {'; '.join(wrong)}. "
            "The installed library runs these weights in another way than they were trained; try "
            "the version in constraints.txt"
        )


def to_atoms(crystal: Crystal) -> Atoms:
    """Return a crystal as ASE atoms, periodic in all directions."""
    from ase import Atoms

    return Atoms(
        numbers=crystal.numbers,
        cell=crystal.lattice,
        scaled_positions=crystal.positions,
        pbc=True,
    )


def _formed(potential: Potential) -> list[tuple[str, float, float]]:
    """Return heats of formation in eV/atom: names, the potential's, measured ones."""
    elements = {s: potential.energy(crystal) / len(crystal) for s, crystal in ELEMENTS.items()}
    return [
        (
            name,
            (potential.energy(crystal) - sum(elements[s] for s in crystal.symbols)) / len(crystal),
            measured,
        )
        for name, crystal, measured in FORMED
    ]
