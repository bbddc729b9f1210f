from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import Filter, FrechetCellFilter
from ase.optimize import FIRE

from crystext.energies.cell_filter import CellFilter


def strained_copper() -> Atoms:
    atoms = bulk("Cu") * (2, 1, 1)
    strain = np.array([[0.05, 0.02, 0.0], [0.01, -0.04, 0.03], [0.0, 0.02, 0.06]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    return atoms


def test_an_optimizer_takes_the_path_that_it_takes_with_ase_s_filter() -> None:
    ends = []
    for kind in (FrechetCellFilter, CellFilter):
        atoms = strained_copper()
        variables: Filter = kind(atoms)
        optimizer = FIRE(variables, logfile=None)
        optimizer.run(fmax=0.01, steps=30)
        ends.append(np.concatenate([atoms.positions, atoms.cell.array, variables.get_forces()]))
    assert ends[1] == pytest.approx(ends[0], abs=1e-9)


def test_forces_are_the_slopes_of_the_energy() -> None:
    atoms = strained_copper()
    variables = CellFilter(atoms)
    rng = np.random.default_rng(0)
    start = variables.get_positions() + 0.02 * rng.standard_normal((5, 3))
    variables.set_positions(start)
    forces = variables.get_forces()
    step = 1e-5
    for place in np.ndindex(start.shape):
        energies = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * step
            variables.set_positions(moved)
            energies.append(atoms.get_potential_energy())
        slope = (energies[0] - energies[1]) / (2 * step)
        assert forces[place] == pytest.approx(-slope, abs=1e-5)


def test_what_was_set_is_what_is_got() -> None:
    variables = CellFilter(strained_copper())
    wanted = variables.get_positions() + 0.01
    variables.set_positions(wanted)
    assert variables.get_positions() == pytest.approx(wanted, abs=1e-12)
