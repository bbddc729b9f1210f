"""Relaxes many crystals at once, with a potential that is faster on batches than one by one.

Each crystal relaxes as in `relax`; only the calculations are batched. The next crystal replaces one
that is finished.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ase.calculators.calculator import Calculator

from crystext.energies.potential import CalculatorResults, EvaluateBatch
from crystext.energies.relax import (
    CALCULATOR_ERRORS,
    PAPER_LIMITS,
    Relaxation,
    RelaxationLimits,
    relaxation_steps,
)
from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms


class _RunningRelaxation(NamedTuple):
    """A crystal that is being relaxed."""

    position: int
    steps: Generator[Atoms, float, Relaxation]
    atoms: Atoms
    calculator: _StoredResults


class _StoredResults(Calculator):
    """Returns the last results for the atoms, without checking whether they have moved since."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")  # type: ignore[assignment]

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        return self.results[name]


def relax_batched(
    crystals: Sequence[Crystal],
    evaluate: EvaluateBatch,
    limits: RelaxationLimits = PAPER_LIMITS,
    max_atoms: int = 160,
    *,
    cutoff: float | None = None,
) -> list[Relaxation]:
    """Relax crystals.

    Args:
        crystals: not modified.
        evaluate: the potential; if it raises an error for a batch, each is calculated alone.
        limits: when each stops. The time of a batch is divided among its crystals.
        max_atoms: maximum number of atoms in a batch; a larger crystal is calculated alone.
        cutoff: Å; that of the `Potential`, as in `relax`.

    Returns:
        The relaxation of each, in their order.
    """
    found: dict[int, Relaxation] = {}
    waiting = list(enumerate(crystals))[::-1]
    running: list[_RunningRelaxation] = []
    while waiting or running:
        room = max_atoms - sum(len(run.atoms) for run in running)
        while waiting and (len(waiting[-1][1]) <= room or not running):
            place, crystal = waiting.pop()
            steps = relaxation_steps(crystal, limits, cutoff=cutoff)
            try:
                atoms = next(steps)
            except StopIteration as end:
                found[place] = end.value
                continue
            atoms.calc = held = _StoredResults()  # type: ignore[no-untyped-call]
            running.append(_RunningRelaxation(place, steps, atoms, held))
            room -= len(crystal)
        started = time.monotonic()
        results = _evaluate_or_errors([run.atoms for run in running], evaluate)
        share = (time.monotonic() - started) / max(len(running), 1)
        left = []
        for run, result in zip(running, results, strict=True):
            try:
                if isinstance(result, Exception):
                    run.steps.throw(result)
                else:
                    run.calculator.results = dict(result)
                    run.steps.send(share)
            except StopIteration as end:
                found[run.position] = end.value
            else:
                left.append(run)
        running = left
    return [found[place] for place in range(len(crystals))]


def _evaluate_or_errors(
    atoms: list[Atoms], evaluate: EvaluateBatch
) -> list[CalculatorResults | Exception]:
    """Calculate, and return the error in place of each result that raised one."""
    if not atoms:
        return []
    try:
        return list(evaluate(atoms))
    except CALCULATOR_ERRORS as error:
        if len(atoms) == 1:
            return [error]
        return [_evaluate_or_errors([one], evaluate)[0] for one in atoms]
