"""Relaxation, with ASE's own potential for copper, whose lattice constant is known."""

import numpy as np
import pytest
from ase.calculators.emt import EMT

from crystext.energies.relax import RelaxationLimits, RelaxationOutcome, relax
from crystext.structures.crystal import Crystal

EMT_CUTOFF = 5.88
"""Å; beyond it EMT calculates no pair of copper atoms."""

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def copper(length=3.59, positions=FCC, number=29):
    return Crystal(
        np.full(3, length),
        np.full(3, 90.0),
        np.full(len(positions), number),
        np.array(positions, float),
    )


def test_a_strained_crystal_finds_the_lattice_constant_of_its_potential():
    result = relax(copper(3.9), EMT(), RelaxationLimits(fmax=0.005))
    assert result.outcome is RelaxationOutcome.CONVERGED
    # EMT was fitted to 3.61; its minimum, which ASE's documentation gives, is at 3.59.
    assert result.crystal.lengths == pytest.approx(np.full(3, 3.59), abs=0.02)
    assert result.crystal.angles == pytest.approx(np.full(3, 90.0), abs=0.1)
    assert result.energy < relax(copper(3.9), EMT(), RelaxationLimits(steps=1)).energy


def test_a_displaced_atom_goes_back_to_its_place():
    displaced = FCC + np.array([[0.04, 0.02, 0.0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    result = relax(copper(positions=displaced), EMT(), RelaxationLimits(fmax=0.005))
    steps = result.crystal.positions - result.crystal.positions[0] - FCC
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


@pytest.mark.parametrize(
    ("crystal", "limits", "outcome"),
    [
        (copper(), RelaxationLimits(), RelaxationOutcome.CONVERGED),
        (copper(3.9), RelaxationLimits(steps=1), RelaxationOutcome.STEPS_SPENT),
        (copper(3.9), RelaxationLimits(seconds=0), RelaxationOutcome.TOO_SLOW),
        (
            copper(positions=[[0, 0, 0], [0.1, 0, 0]]),
            RelaxationLimits(),
            RelaxationOutcome.TOO_CLOSE,
        ),
        (
            copper(0.6, positions=[[0, 0, 0]]),
            RelaxationLimits(min_volume=0),
            RelaxationOutcome.TOO_CLOSE,
        ),
        (copper(2.5), RelaxationLimits(min_distance=0), RelaxationOutcome.TOO_DENSE),
        (copper(3.9), RelaxationLimits(max_volume=10), RelaxationOutcome.TOO_THIN),
        (copper(number=92), RelaxationLimits(), RelaxationOutcome.NO_ENERGY),
        (copper(9.0), RelaxationLimits(), RelaxationOutcome.ISOLATED_ATOM),
    ],
)
def test_every_relaxation_has_an_outcome(crystal, limits, outcome):
    result = relax(crystal, EMT(), limits, cutoff=EMT_CUTOFF)
    assert result.outcome is outcome
    with_energy = outcome in (RelaxationOutcome.CONVERGED, RelaxationOutcome.STEPS_SPENT)
    assert (result.energy is not None) == (result.crystal is not None) == with_energy


def test_atoms_of_hydrogen_may_be_as_near_as_in_their_molecule():
    molecule = copper(3.7, positions=[[0, 0, 0], [0.2, 0, 0]], number=1)
    assert (
        relax(molecule, EMT(), RelaxationLimits(steps=1)).outcome is RelaxationOutcome.STEPS_SPENT
    )


def test_relaxing_leaves_the_crystal_as_it_is():
    crystal = copper(3.9)
    relax(crystal, EMT())
    assert crystal == copper(3.9)


class Forgetful(EMT):
    """Counts how often it is asked, and pulls the cell apart."""

    asked = 0

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        self.asked += 1
        self.results["stress"] = np.array([-0.5, -0.5, -0.5, 0, 0, 0])


def test_a_crystal_with_an_isolated_atom_is_refused_before_the_potential_is_asked():
    calculator = Forgetful()
    far = copper(12.0, positions=[[0, 0, 0]])
    assert relax(far, calculator, cutoff=EMT_CUTOFF).outcome is RelaxationOutcome.ISOLATED_ATOM
    assert calculator.asked == 0
    # Without a cutoff, nothing tells that the energy means nothing.
    assert relax(copper(9.0), EMT()).outcome is RelaxationOutcome.CONVERGED


def test_a_cell_that_grows_until_an_atom_sees_no_other_is_given_up():
    calculator = Forgetful()
    result = relax(copper(4.0), calculator, RelaxationLimits(max_volume=1e6), cutoff=EMT_CUTOFF)
    assert result.outcome is RelaxationOutcome.ISOLATED_ATOM
    assert (result.energy, result.crystal) == (None, None)
    assert calculator.asked == result.steps > 1


def test_forces_that_vanish_by_symmetry_alone_do_not_end_a_relaxation():
    """Every atom of fcc copper is at a centre of inversion; its stress moves the cell."""
    result = relax(copper(4.4), EMT(), RelaxationLimits(fmax=0.01), cutoff=EMT_CUTOFF)
    assert result.outcome is RelaxationOutcome.CONVERGED
    assert result.steps > 1
    assert result.crystal.lengths == pytest.approx(np.full(3, 3.59), abs=0.02)
