"""Many crystals relaxed together end as each does alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from crystext.energies.batched_relaxation import relax_batched
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import RelaxationLimits, RelaxationOutcome, relax
from crystext.energies.relaxation_run import relax_all
from crystext.structures.crystal import Crystal
from tests.energies.test_relaxation_run import CRYSTALS, strained
from tests.process_tasks import COPPER

URANIUM = Crystal(COPPER.lengths, COPPER.angles, np.full(len(COPPER), 92), COPPER.positions)
CLOSE = Crystal(COPPER.lengths, COPPER.angles, COPPER.numbers, COPPER.positions * 0.1)


class Counting:
    """Calculates with EMT, and counts."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, many: Sequence[Atoms]) -> list[dict[str, Any]]:
        self.sizes.append(len(many))
        found = []
        for atoms in many:
            alone = atoms.copy()
            alone.calc = EMT()
            energy = alone.get_potential_energy()
            found.append(
                {
                    "energy": energy,
                    "free_energy": energy,
                    "forces": alone.get_forces(),
                    "stress": alone.get_stress(),
                }
            )
        return found


def test_each_goes_the_way_it_would_go_alone() -> None:
    crystals = list(strained(7).values())
    evaluate = Counting()
    together = relax_batched(crystals, evaluate, max_atoms=3 * len(COPPER))
    alone = [relax(crystal, EMT()) for crystal in crystals]
    assert [(r.outcome, r.steps, r.energy) for r in together] == [
        (r.outcome, r.steps, r.energy) for r in alone
    ]
    assert [r.crystal for r in together] == [r.crystal for r in alone]
    assert max(evaluate.sizes) == 3
    # Of each, the start and every step.
    assert sum(evaluate.sizes) == sum(r.steps + 1 for r in alone)


def test_a_crystal_of_more_atoms_than_are_calculated_at_once_is_alone() -> None:
    evaluate = Counting()
    found = relax_batched([COPPER, COPPER], evaluate, max_atoms=1)
    assert [r.outcome for r in found] == [RelaxationOutcome.CONVERGED] * 2
    assert set(evaluate.sizes) == {1}


def test_what_fails_leaves_the_others_alone() -> None:
    crystals = [COPPER, URANIUM, CLOSE, COPPER]
    outcomes = [r.outcome for r in relax_batched(crystals, Counting())]
    good = RelaxationOutcome.CONVERGED
    assert outcomes == [good, RelaxationOutcome.NO_ENERGY, RelaxationOutcome.TOO_CLOSE, good]


def test_limits_hold_for_each() -> None:
    wide = strained(9)[8]
    (spent,) = relax_batched([wide], Counting(), RelaxationLimits(steps=2))
    assert (spent.outcome, spent.steps) == (RelaxationOutcome.STEPS_SPENT, 2)
    assert spent.energy is not None
    (slow,) = relax_batched([wide], Counting(), RelaxationLimits(seconds=0))
    assert slow.outcome is RelaxationOutcome.TOO_SLOW


def test_nothing_is_relaxed_to_nothing() -> None:
    assert relax_batched([], Counting()) == []


@pytest.fixture(scope="module")
def weights(shared_data: Any) -> str:
    return str(shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES")


def test_m3gnet_says_of_many_what_it_says_of_each(weights: str) -> None:
    potential = load_potential_once(weights)
    assert potential.evaluate is not None
    several = [crystal for index, crystal in CRYSTALS.items() if index != 4]
    together = relax_batched(several, potential.evaluate, max_atoms=4)
    for relaxation, crystal in zip(together, several, strict=True):
        alone = relax(crystal, potential.calculator)
        assert relaxation.outcome is alone.outcome is RelaxationOutcome.CONVERGED
        assert relaxation.energy == pytest.approx(alone.energy, abs=1e-3 * len(crystal))


LONELY = Crystal(np.full(3, 9.5), np.full(3, 90.0), np.array([11]), np.zeros((1, 3)))


def test_a_crystal_with_an_isolated_atom_harms_none_that_is_calculated_with_it(
    weights: str,
) -> None:
    potential = load_potential_once(weights)
    assert potential.evaluate is not None
    found = relax_batched(
        [CRYSTALS[0], LONELY, CRYSTALS[1]], potential.evaluate, cutoff=potential.cutoff
    )
    good = RelaxationOutcome.CONVERGED
    assert [r.outcome for r in found] == [good, RelaxationOutcome.ISOLATED_ATOM, good]


def test_the_number_of_processes_changes_nothing_where_many_are_together(
    weights: str, tmp_path: Any
) -> None:
    crystals = {i: CRYSTALS[(0, 1, 4, 9)[i % 4]] for i in range(12)}
    one = relax_all(crystals, tmp_path / "one", potential=weights, workers=1)
    two = relax_all(crystals, tmp_path / "two", potential=weights, workers=2)
    assert {i: (r.outcome, r.energy) for i, r in one.items()} == {
        i: (r.outcome, r.energy) for i, r in two.items()
    }
