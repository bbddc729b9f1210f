"""A potential, checked against known energies before it is used.

A potential is an ASE calculator, the corrections in its energies (see
`corrections.EnergyCorrection`), its cutoff, and crystals with known energies. See `potentials` for
those available by name, and `known_energies` for crystals that check any other.

What goes wrong otherwise: a calculator that loads without an error may still compute something
other than its weights were trained for, and wrong energies look plausible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.known_energies import (
    ELEMENT_CRYSTALS,
    FORMATION_ENERGIES,
    FORMATION_ENERGY_TOLERANCE,
)
from crystext.errors import ModelError, SettingError, describe_error
from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

TOLERANCE_EV_PER_ATOM = 1e-3
"""Tolerance of a known energy. Single precision causes errors of at most 1e-5."""

CalculatorResults = Mapping[str, Any]
"""By the names of ASE: energy and free_energy in eV, forces in eV/Å, stress in eV/Å^3 by Voigt."""

EvaluateBatch = Callable[[Sequence["Atoms"]], list[CalculatorResults]]
"""Calculates many crystals at once."""

EnergiesOfBatch = Callable[[Sequence["Atoms"]], list[float]]
"""Calculates the energies of many crystals at once, in eV, and nothing else."""

KnownEnergies = tuple[tuple[str, Crystal, float], ...]
"""Names of crystals, the crystals, and their known energies by a potential, in eV/atom."""

_REQUIRED_PROPERTIES = ("energy", "forces", "stress")
"""Properties that a relaxation of atoms and cell needs, by the names of ASE."""

_KNOWN_ENERGIES_REMEDY = (
    "return a Potential with known_energies=((name, crystal, eV per atom), ...), energies that are "
    "known for it: see examples/08_potential.py"
)


@dataclass(frozen=True)
class Potential:
    """An ASE calculator, and the description of its energies.

    See `examples/08_potential.py`.
    """

    name: str
    """Unique to the weights: relaxations and hulls are identified by it."""
    calculator: Calculator
    """Of ASE; gives energy (eV), forces (eV/Å) and stress (eV/Å^3)."""
    scale: EnergyCorrection = EnergyCorrection.OWN
    """Corrections in its energies. OWN is safe: such energies are compared with no others."""
    known_energies: KnownEnergies = ()
    """Energies that it has to reproduce to `TOLERANCE_EV_PER_ATOM`; without any, it has to
    reproduce measured heats of formation (`known_energies.FORMATION_ENERGIES`)."""
    evaluate: EvaluateBatch | None = None
    """Calculates many crystals at once; None if only the calculator is available, one at a time."""
    energies: EnergiesOfBatch | None = None
    """Calculates the energies alone, in eV, in less time; None if they are not to be had alone."""
    at_once: int = 1
    """Best number of atoms in a batch."""
    cutoff: float | None = None
    """Å; atoms farther apart do not interact, and a crystal with an isolated atom has no energy.
    None if there is no cutoff, or it is unknown."""

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Refuse the keyword that version 0.1 had for `known_energies`."""
        if "proof" in kwargs:
            raise SettingError(
                "the keyword proof of Potential is called known_energies now; write "
                "known_energies=((name, crystal, eV per atom), ...)"
            )
        return super().__new__(cls)

    def energy(self, crystal: Crystal) -> float:
        """Return the energy of a cell in eV, without corrections."""
        atoms = to_atoms(crystal)
        atoms.calc = self.calculator
        return float(atoms.get_potential_energy())


def check_energies(potential: Potential) -> None:
    """Raise `ModelError` unless the potential reproduces its known energies.

    Without any, it has to reproduce measured heats of formation.
    """
    given = getattr(potential.calculator, "implemented_properties", _REQUIRED_PROPERTIES)
    if lacking := [name for name in _REQUIRED_PROPERTIES if name not in given]:
        raise ModelError(
            f"the potential {potential.name} does not calculate {' and '.join(lacking)}; a "
            f"relaxation needs {', '.join(_REQUIRED_PROPERTIES)}"
        )
    wrong = []
    try:
        if potential.known_energies:
            kind, tolerance = "energies", TOLERANCE_EV_PER_ATOM
            pairs = [
                (name, potential.energy(crystal) / len(crystal), expected)
                for name, crystal, expected in potential.known_energies
            ]
        else:
            kind, tolerance = "heats of formation", FORMATION_ENERGY_TOLERANCE
            pairs = _formation_energies(potential)
    # Each calculator raises its own errors.
    except Exception as error:
        of = "heats of formation of NiAl, SiC and TiC"
        if potential.known_energies:
            of = "its known energies"
        reason = describe_error(error, "its calculator does not run on them")
        raise ModelError(
            f"the potential {potential.name} cannot be checked: it fails at {of} ({reason}). "
            f"To check it, {_KNOWN_ENERGIES_REMEDY}"
        ) from error
    for name, found, expected in pairs:
        if not abs(found - expected) <= tolerance:
            wrong.append(f"{name} {found:.4f} instead of {expected:.4f}")
    if wrong:
        remedy = (
            "The installed library runs these weights differently than they were trained; try "
            "the version in constraints.txt"
            if potential.known_energies
            else f"If they are right for this potential, {_KNOWN_ENERGIES_REMEDY}"
        )
        raise ModelError(
            f"the potential {potential.name} gives wrong {kind} in eV/atom: {'; '.join(wrong)}. "
            + remedy
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


def _formation_energies(potential: Potential) -> list[tuple[str, float, float]]:
    """Return heats of formation in eV/atom: names, the potential's, measured ones."""
    elements = {
        s: potential.energy(crystal) / len(crystal) for s, crystal in ELEMENT_CRYSTALS.items()
    }
    return [
        (
            name,
            (potential.energy(crystal) - sum(elements[s] for s in crystal.symbols)) / len(crystal),
            measured,
        )
        for name, crystal, measured in FORMATION_ENERGIES
    ]
