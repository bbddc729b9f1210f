"""Relaxing a crystal: atoms and cell move until all forces are small.

The rule of Gruver et al. (arXiv:2402.04379) and of most who use M3GNet: ASE's FIRE on positions and
cell together (in the variables of its FrechetCellFilter), until no force exceeds 0.1 eV/Å, 500
steps at most.

What goes wrong otherwise: a crystal that cannot be relaxed is not stable, and leaving it out makes
every share too large. So each crystal gets an outcome. Atoms within 1 Å, or less than 4 Å^3 an
atom, make neighbour lists that cost minutes: such a crystal is refused before the potential is
asked. So is one with an atom beyond the potential's cutoff (see `neighbours`), which would seem to
converge in no step at all.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from crystext.energies.neighbours import has_isolated_atom
from crystext.energies.potential import to_atoms
from crystext.metrics.structure_validity import StructureFailure, structure_failure
from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


class RelaxationOutcome(Enum):
    """How a relaxation ended. The value is one sentence for people."""

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
    """When a relaxation is done, and when it is given up. Defaults are the paper's."""

    fmax: float = 0.1
    """eV/Å; of atoms, and of the cell by the filter's measure."""
    steps: int = 500
    seconds: float = 120.0
    """Wall-clock time for one crystal."""
    min_distance: float = 0.7
    """Å between two atoms, images included, before the relaxation: the nearest that are bonded, in
    a molecule of hydrogen, are 0.74 apart, and those of a hydroxide 0.96."""
    min_volume: float = 4.0
    """Å^3 an atom, before and during the relaxation."""
    max_volume: float = 1000.0
    """Å^3 an atom, likewise."""


PAPER_LIMITS = RelaxationLimits()


@dataclass(frozen=True)
class Relaxation:
    """What became of a crystal."""

    outcome: RelaxationOutcome
    crystal: Crystal | None
    """As it was when the relaxation ended; None without an energy."""
    energy: float | None
    """eV a cell, by the potential alone, without corrections; None without an energy."""
    steps: int
    seconds: float


def relax(
    crystal: Crystal,
    calculator: Calculator,
    limits: RelaxationLimits = PAPER_LIMITS,
    *,
    cutoff: float | None = None,
) -> Relaxation:
    """Relax a crystal.

    Args:
        crystal: left as it is.
        calculator: of ASE, e.g. that of a `Potential`.
        limits: when to stop.
        cutoff: Å; that of the `Potential`. None asks for the energy of isolated atoms, too.
    """
    steps = relaxation_steps(crystal, limits, cutoff=cutoff)
    try:
        next(steps).calc = calculator
        while True:
            # The calculator is asked when its numbers are needed, in the relaxation's own time.
            steps.send(0.0)
    except StopIteration as end:
        relaxation: Relaxation = end.value
        return relaxation


CALCULATOR_ERRORS = (
    *(ValueError, KeyError, IndexError, RuntimeError, ArithmeticError),
    np.linalg.LinAlgError,
)
"""An element that the potential does not know, or a matrix without a logarithm: each calculator
has errors of its own. The crystal is counted, and the next is relaxed."""


def relaxation_steps(
    crystal: Crystal, limits: RelaxationLimits = PAPER_LIMITS, *, cutoff: float | None = None
) -> Generator[Atoms, float, Relaxation]:
    """Relax a crystal, and leave it to the caller what calculates, and when.

    Args:
        crystal: left as it is.
        limits: when to stop. The seconds are those spent here, and those that were sent.
        cutoff: as in `relax`.

    Yields:
        The atoms, one object all along, wherever their energy, forces and stress are needed next:
        the calculator that they have when this goes on has to give them. What was raised instead
        may be thrown in.

    Receives:
        How many seconds the calculation took.

    Returns:
        What became of the crystal.
    """
    since, spent = time.monotonic(), 0.0

    def ended(outcome: RelaxationOutcome, steps: int = 0, atoms: Atoms | None = None) -> Relaxation:
        seconds = round(spent + time.monotonic() - since, 3)
        if atoms is None:
            return Relaxation(outcome, None, None, steps, seconds)
        energy = float(atoms.get_potential_energy())
        return Relaxation(outcome, _crystal(atoms), energy, steps, seconds)

    fault = structure_failure(
        crystal, min_distance=limits.min_distance, min_volume=limits.min_volume * len(crystal)
    )
    if fault is not None:
        dense = fault is StructureFailure.NO_VOLUME
        return ended(RelaxationOutcome.TOO_DENSE if dense else RelaxationOutcome.TOO_CLOSE)

    from ase.optimize import FIRE

    from crystext.energies.cell_filter import CellFilter

    atoms = to_atoms(crystal)
    optimizer = FIRE(CellFilter(atoms), logfile=None)
    optimizer.fmax = limits.fmax
    steps = 0
    try:
        while True:
            if (refused := _failure_before_step(atoms, limits, cutoff)) is not None:
                return ended(refused, steps)
            spent += time.monotonic() - since
            spent += yield atoms
            since = time.monotonic()
            if not np.isfinite(atoms.get_potential_energy()):
                return ended(RelaxationOutcome.NO_ENERGY, steps)
            if optimizer.converged():
                return ended(RelaxationOutcome.CONVERGED, steps, atoms)
            if spent + time.monotonic() - since > limits.seconds:
                return ended(RelaxationOutcome.TOO_SLOW, steps)
            if steps >= limits.steps:
                return ended(RelaxationOutcome.STEPS_SPENT, steps, atoms)
            # Moves the atoms by the forces that are known, and asks for none where they come to be.
            optimizer.step()
            steps += 1
    except CALCULATOR_ERRORS:
        return ended(RelaxationOutcome.NO_ENERGY, steps)


def _failure_before_step(
    atoms: Atoms, limits: RelaxationLimits, cutoff: float | None
) -> RelaxationOutcome | None:
    """Return why a potential cannot be asked for an energy of these atoms, or None."""
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
