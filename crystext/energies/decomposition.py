"""The lowest energy of a mixture of phases at a composition, and the phases in it.

    e_hull(c) = min over x >= 0 of sum_p x_p e_p   with   sum_p x_p c_p = c

c and c_p are compositions in atomic fractions, e_p formation energies in eV/atom, and x_p the
proportion of atoms in phase p; the elements are phases with e_p = 0. The minimum is a linear
programme, solved by SciPy's HiGHS for many compositions at once: a programme of one composition
costs some 4 ms, mostly preparation, and one of 64 costs a quarter of that for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.elements import SYMBOLS
from crystext.energies.phases import Compounds

_BATCH_SIZE = 64
"""Compositions per linear programme."""

_MIN_PROPORTION = 1e-6
"""Proportion of atoms below which a phase is left out; HiGHS meets its constraints to 1e-7."""


@dataclass(frozen=True)
class Mixture:
    """The mixture of phases that has the lowest energy at a composition."""

    energy: float
    """The height of the hull: formation energy in eV/atom."""
    phases: tuple[tuple[str, float], ...]
    """Formulas and the proportion of atoms in each, the largest first; they sum to 1.

    If a table has the height of the hull at a composition but not its phases, these are the phases
    that come nearest to that height.
    """

    def __str__(self) -> str:
        """Return the mixture as text, 0.53 Li3PO4 + 0.47 P2O5: proportions of atoms."""
        return " + ".join(
            f"{share:.2f} {formula}" if share >= 0.01 else f"{share:.1g} {formula}"
            for formula, share in self.phases
        )


@dataclass(frozen=True)
class _LinearProgram:
    """The linear programme of one composition."""

    elements: list[int]
    compound_indices: NDArray[np.int64]
    """(C,): indices of the candidate compounds."""
    fractions: NDArray[np.float64]
    """(elements, elements + C): of the elements themselves, then of the compounds."""
    energies: NDArray[np.float64]
    """(elements + C,): in eV/atom."""
    composition: NDArray[np.float64]
    """(elements,): the composition."""


@dataclass(frozen=True)
class _Solution:
    energy: float
    proportions: list[float]
    """The largest first."""
    indices: list[int]
    """Of the phases, in the order of the programme."""


def lowest_mixtures(
    compositions: Sequence[Mapping[int, float]],
    compounds: Compounds,
    excluded: Sequence[int | None] | None = None,
) -> list[Mixture]:
    """Return the mixture of the lowest energy at each composition.

    Args:
        compositions: amounts by atomic number, in any unit.
        compounds: the phases besides the elements.
        excluded: for each composition, the index of a compound to exclude.
    """
    left_out = excluded or [None] * len(compositions)
    mixtures: list[Mixture] = []
    for i in range(0, len(compositions), _BATCH_SIZE):
        part = [*zip(compositions[i : i + _BATCH_SIZE], left_out[i : i + _BATCH_SIZE], strict=True)]
        mixtures += _lowest_mixtures_of_batch(part, compounds)
    return mixtures


def _lowest_mixtures_of_batch(
    batch: Sequence[tuple[Mapping[int, float], int | None]], compounds: Compounds
) -> list[Mixture]:
    problems = [
        _linear_program(composition, compounds, left_out) for composition, left_out in batch
    ]
    solutions = _solve(problems)
    energies = [solution.energy for solution in solutions]
    # A height of the hull is not a phase: the phases are those of a mixture without it.
    again = [
        i
        for i, (problem, solution) in enumerate(zip(problems, solutions, strict=True))
        if any(compounds.height_only[c] for c in _compounds_in(problem, solution))
    ]
    if again:
        for i in again:
            composition, left_out = batch[i]
            problems[i] = _linear_program(composition, compounds, left_out, phases_only=True)
        for i, solution in zip(again, _solve([problems[i] for i in again]), strict=True):
            solutions[i] = solution
    return [
        Mixture(energy, _phase_proportions(problem, solution, compounds))
        for energy, problem, solution in zip(energies, problems, solutions, strict=True)
    ]


def _linear_program(
    composition: Mapping[int, float],
    compounds: Compounds,
    excluded: int | None,
    phases_only: bool = False,
) -> _LinearProgram:
    elements = sorted(composition)
    chosen = compounds.within(elements)
    # A compound above the elements is never in the mixture of lowest energy.
    chosen = chosen[compounds.energies[chosen] < 0]
    if excluded is not None:
        chosen = chosen[chosen != excluded]
    if phases_only:
        chosen = chosen[~compounds.height_only[chosen]]
    fractions = np.hstack([np.eye(len(elements)), compounds.fractions(chosen, elements)])
    energies = np.concatenate([np.zeros(len(elements)), compounds.energies[chosen]])
    wanted = np.array([composition[z] for z in elements], dtype=np.float64)
    return _LinearProgram(elements, chosen, fractions, energies, wanted / wanted.sum())


def _solve(problems: Sequence[_LinearProgram]) -> list[_Solution]:
    """Solve several programmes as one, whose minimum is the sum of theirs."""
    from scipy.optimize import linprog
    from scipy.sparse import block_diag

    solved = linprog(
        np.concatenate([problem.energies for problem in problems]),
        A_eq=block_diag([problem.fractions for problem in problems], format="csc"),
        b_eq=np.concatenate([problem.composition for problem in problems]),
        # The simplex method ends at a vertex: at most as many phases as elements.
        method="highs-ds",
    )
    if not solved.success:  # The elements alone reach every composition.
        raise AssertionError(f"the hull has no lowest mixture: {solved.message}")
    ends = np.cumsum([len(problem.energies) for problem in problems])[:-1]
    return [
        _solution(problem, shares)
        for problem, shares in zip(problems, np.split(solved.x, ends), strict=True)
    ]


def _solution(problem: _LinearProgram, proportions: NDArray[np.float64]) -> _Solution:
    places = np.flatnonzero(proportions > _MIN_PROPORTION)
    # HiGHS meets the constraints to 1e-7; with the phases it chose they can be met exactly.
    exact = np.linalg.lstsq(problem.fractions[:, places], problem.composition, rcond=None)[0]
    order = np.argsort(-exact, kind="stable")
    energy = float(exact @ problem.energies[places])
    return _Solution(energy, exact[order].tolist(), places[order].tolist())


def _compounds_in(problem: _LinearProgram, solution: _Solution) -> list[int]:
    """Return the indices of the compounds in the mixture."""
    elements = len(problem.elements)
    return [int(problem.compound_indices[p - elements]) for p in solution.indices if p >= elements]


def _phase_proportions(
    problem: _LinearProgram, solution: _Solution, compounds: Compounds
) -> tuple[tuple[str, float], ...]:
    symbols = [SYMBOLS[z - 1] for z in problem.elements]
    formulas = [
        symbols[p]
        if p < len(symbols)
        else compounds.formula(int(problem.compound_indices[p - len(symbols)]))
        for p in solution.indices
    ]
    return tuple(zip(formulas, solution.proportions, strict=True))
