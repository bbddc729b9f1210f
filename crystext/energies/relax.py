"""Relaxes a crystal: atoms and cell move until all forces are small.

The protocol of Gruver et al. (arXiv:2402.04379) and of most work with M3GNet: ASE's FIRE on
positions and cell together (in the variables of its FrechetCellFilter), until no force exceeds
0.1 eV/Å, at most 500 steps.

What goes wrong otherwise: a crystal that cannot be relaxed is not stable, and leaving it out makes
every proportion too large. So each crystal gets an outcome. Atoms within 0.7 Å, or less than 4 Å^3
per atom, make neighbour lists that cost minutes: such a crystal is refused before the potential is
called. So is one with an isolated atom (see `neighbours`), which would seem to converge in zero
steps.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from crystext.energies.neighbours import has_isolated_atom
from crystext.energies.potential import Potential, to_atoms
from crystext.io.read import as_crystal
from crystext.metrics.structure_validity import StructureFailure, structure_failure
from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from pymatgen.core.structure import Structure


class RelaxationOutcome(Enum):
    """How a relaxation ended. The value is a description for users."""

    CONVERGED = "all forces are within the limit"
    STEPS_SPENT = "forces exceed the limit after the last step allowed"
    TOO_CLOSE = "atoms are too close to start a relaxation"
    TOO_DENSE = "the volume per atom is too small to start a relaxation, or became too small"
    TOO_THIN = "the volume per atom is too large to start a relaxation, or became too large"
    ISOLATED_ATOM = "an atom is farther from every other than the potential sees"
    TOO_SLOW = "it took longer than the time allowed for one crystal; try a longer --timeout"
    NO_ENERGY = "the potential does not know an element, or gave a number that is not finite"
    DIED = "the process that relaxed it died, twice"


@dataclass(frozen=True)
class RelaxationLimits:
    """When a relaxation is converged, and when it is stopped. Defaults are the paper's."""

    fmax: float = 0.1
    """eV/Å; of atoms, and of the cell by the filter's measure."""
    steps: int = 500
    seconds: float = 120.0
    """Wall-clock time for one crystal."""
    min_distance: float = 0.7
    """Å between two atoms, images included, before the relaxation: the shortest bond, of a hydrogen
    molecule, is 0.74, and that of a hydroxide 0.96."""
    min_volume: float = 4.0
    """Å^3 per atom, before and during the relaxation."""
    max_volume: float = 1000.0
    """Å^3 per atom, likewise."""


PAPER_LIMITS = RelaxationLimits()


@dataclass(frozen=True)
class Relaxation:
    """The result of relaxing a crystal."""

    outcome: RelaxationOutcome
    crystal: Crystal | None
    """The crystal at the end of the relaxation; None without an energy."""
    energy: float | None
    """eV per cell, from the potential, without corrections; None without an energy."""
    steps: int
    seconds: float


def relax(
    crystal: Crystal | Structure | Atoms,
    potential: Potential | Calculator,
    limits: RelaxationLimits = PAPER_LIMITS,
    *,
    cutoff: float | None = None,
) -> Relaxation:
    """Relax the positions and the cell of a crystal with FIRE.

    Args:
        crystal: not modified.
        potential: a `Potential`, as `load_potential` returns it, or an ASE calculator, which is
            used without a check.
        limits: when to stop.
        cutoff: Å; None takes that of the `Potential`. Without a cutoff an isolated atom is not
            detected, and its crystal converges in zero steps.

    Returns:
        The outcome, and unless it failed the crystal and its energy.

    Raises:
        InputError: it is not a crystal.
    """
    calculator = potential
    if isinstance(potential, Potential):
        calculator, cutoff = potential.calculator, potential.cutoff if cutoff is None else cutoff
    steps = relaxation_steps(as_crystal(crystal), limits, cutoff=cutoff)
    try:
        next(steps).calc = calculator
        while True:
            # The calculator runs when its results are needed, within the time of the relaxation.
            steps.send(0.0)
    except StopIteration as end:
        relaxation: Relaxation = end.value
        return relaxation


CALCULATOR_ERRORS = (
    *(ValueError, KeyError, IndexError, RuntimeError, ArithmeticError),
    np.linalg.LinAlgError,
)
"""An unknown element, or a matrix without a logarithm: each calculator raises its own errors. The
crystal is counted, and the next is relaxed."""


def relaxation_steps(
    crystal: Crystal, limits: RelaxationLimits = PAPER_LIMITS, *, cutoff: float | None = None
) -> Generator[Atoms, float, Relaxation]:
    """Relax a crystal, with calculations done by the caller.

    Args:
        crystal: not modified.
        limits: when to stop. The time is that spent here plus the seconds received.
        cutoff: as in `relax`.

    Yields:
        The atoms, always the same object, whenever their energy, forces and stress are needed: on
        resumption their calculator has to return them. An error raised instead may be thrown in.

    Receives:
        The seconds that the calculation took.

    Returns:
        The relaxation of the crystal.
    """
    since, spent = time.monotonic(), 0.0

    def ended(outcome: RelaxationOutcome, steps: int = 0, atoms: Atoms | None = None) -> Relaxation:
        seconds = round(spent + time.monotonic() - since, 3)
        if atoms is None:
            return Relaxation(outcome, None, None, steps, seconds)
        energy = float(atoms.get_potential_energy())
        return Relaxation(outcome, _crystal(atoms), energy, steps, seconds)

    if (refused := _failure_before_relaxation(crystal, limits)) is not None:
        return ended(refused)

    from ase.optimize import FIRE

    from crystext.energies.cell_filter import CellFilter

    atoms = to_atoms(crystal)
    optimizer = FIRE(CellFilter(atoms), logfile=None)
    moved, steps = optimizer.optimizable, 0
    try:
        while True:
            if (refused := _failure_before_step(atoms, limits, cutoff)) is not None:
                return ended(refused, steps)
            spent += time.monotonic() - since
            spent += yield atoms
            since = time.monotonic()
            if not np.isfinite(atoms.get_potential_energy()):
                return ended(RelaxationOutcome.NO_ENERGY, steps)
            # Versions of ASE differ in the arguments of `optimizer.converged`, not in this.
            if moved.converged(moved.get_gradient(), limits.fmax):
                return ended(RelaxationOutcome.CONVERGED, steps, atoms)
            if spent + time.monotonic() - since > limits.seconds:
                return ended(RelaxationOutcome.TOO_SLOW, steps)
            if steps >= limits.steps:
                return ended(RelaxationOutcome.STEPS_SPENT, steps, atoms)
            # Moves the atoms by the known forces, without computing those at the new positions.
            optimizer.step()
            steps += 1
    except CALCULATOR_ERRORS:
        return ended(RelaxationOutcome.NO_ENERGY, steps)


def _failure_before_relaxation(
    crystal: Crystal, limits: RelaxationLimits
) -> RelaxationOutcome | None:
    """Return why a crystal is not relaxed at all, or None."""
    failure = structure_failure(
        crystal, min_distance=limits.min_distance, min_volume=limits.min_volume * len(crystal)
    )
    if failure is None:
        return None
    dense = failure is StructureFailure.NO_VOLUME
    return RelaxationOutcome.TOO_DENSE if dense else RelaxationOutcome.TOO_CLOSE


def _failure_before_step(
    atoms: Atoms, limits: RelaxationLimits, cutoff: float | None
) -> RelaxationOutcome | None:
    """Return why the potential is not called for these atoms, or None."""
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        return RelaxationOutcome.NO_ENERGY
    volume = atoms.get_volume() / len(atoms)
    if volume < limits.min_volume:
        return RelaxationOutcome.TOO_DENSE
    if cutoff is not None and has_isolated_atom(atoms.positions, atoms.cell.array, cutoff):
        return RelaxationOutcome.ISOLATED_ATOM
    return RelaxationOutcome.TOO_THIN if volume > limits.max_volume else None


def _crystal(atoms: Atoms) -> Crystal:
    cell = atoms.cell.cellpar()
    return Crystal(
        np.array(cell[:3]),
        np.array(cell[3:]),
        np.array(atoms.numbers, dtype=np.int64),
        np.array(atoms.get_scaled_positions(wrap=True)),
    )
