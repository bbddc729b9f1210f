"""Completions after a relaxation, those of one formula by energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crystext.energies.potentials import PotentialSource, choose_potential, load_potential_once
from crystext.energies.relax import RelaxationLimits, RelaxationOutcome, relax
from crystext.generation.infilling.complete import InfillRun
from crystext.generation.infilling.result import (
    InfillResult,
    changes_between,
    group_problem,
    with_ranks,
)
from crystext.metrics.uniqueness import duplicates_of
from crystext.runtime.threads import single_thread
from crystext.structures.crystal import Crystal
from crystext.structures.matching import PYMATGEN_TOLERANCES
from crystext.structures.properties import reduced_formula


def relax_run(
    run: InfillRun,
    potential: PotentialSource = "auto",
    limits: RelaxationLimits | None = None,
    report: Callable[[int], object] = lambda done: None,
) -> InfillRun:
    """Return a run whose completions are relaxed, cell and known atoms included.

    Energies of different formulas cannot be compared: formulas stay in the order of their most
    probable completion, and those of one formula come by energy. Completions that become equal are
    one, the first of them. Those that cannot be relaxed stay as they were, and come last.

    Args:
        run: not modified.
        potential: see `energies.potentials`.
        limits: of each relaxation; None are those of `crystext relax`.
        report: called with the number of completions relaxed so far.

    Raises:
        ModelError: the potential cannot be loaded, or gives wrong energies.
    """
    chosen = choose_potential(potential).source
    used = load_potential_once(chosen)
    results = []
    for done, result in enumerate(run.results, start=1):
        with single_thread():
            ended = relax(result.crystal, used, limits or RelaxationLimits())
        results.append(_relaxed(run, result, ended.outcome, ended.crystal, ended.energy))
        report(done)
    formulas = [reduced_formula(result.crystal.numbers) for result in results]
    first = {formula: i for i, formula in reversed(list(enumerate(formulas)))}
    order = sorted(
        range(len(results)),
        key=lambda i: (
            results[i].energy is None,
            first[formulas[i]],
            results[i].energy or 0.0,
            i,
        ),
    )
    sorted_ = [results[i] for i in order]
    twins = duplicates_of([x.crystal for x in sorted_], tolerances=PYMATGEN_TOLERANCES)
    counts = [result.times_drawn for result in sorted_]
    for i, twin in enumerate(twins):
        if twin is not None:
            counts[twin] += counts[i]
    kept = [
        replace(result, times_drawn=count)
        for result, count, twin in zip(sorted_, counts, twins, strict=True)
        if twin is None
    ]
    return replace(
        run,
        results=with_ranks(kept),
        duplicates=run.duplicates + len(results) - len(kept),
        potential=used.name,
    )


def _relaxed(
    run: InfillRun,
    result: InfillResult,
    outcome: RelaxationOutcome,
    crystal: Crystal | None,
    energy: float | None,
) -> InfillResult:
    if crystal is None or energy is None:
        return replace(result, problem=f"not relaxed: {outcome.value}")
    problem = "" if outcome is RelaxationOutcome.CONVERGED else outcome.value
    after = replace(
        result,
        crystal=crystal,
        energy=round(energy / len(crystal), 6),
        atoms_too_close=False,
        problem=problem,
        keeps_space_group=None,
    )
    if run.sites.unit is None:
        after = replace(after, changes=tuple(changes_between(run.sites, crystal)))
    if not problem and run.space_group not in (None, after.space_group):
        after = replace(after, problem=group_problem(after.space_group))
    return after
