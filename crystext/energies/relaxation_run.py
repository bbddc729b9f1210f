"""Relaxes many crystals into a folder; a run that is killed can be resumed.

    relaxations.jsonl       one JSON object per crystal, in the order in which they end
    settings.json           potential and limits; see `runtime.run_folder`

A crystal is identified by its digest, so that a source may grow or change its order: no crystal is
relaxed twice, and equal crystals are relaxed once.

A crystal whose process dies (out of memory, say) is tried once more, and then gets the outcome
DIED. With a potential that calculates batches, a process relaxes several crystals together, and a
kill loses those in progress. Results do not depend on the number of processes; rounding depends on
the crystals in a batch, so a resumed run may differ by rounding. Whether a crystal is too slow
depends on the machine; a run that is resumed with more time relaxes it again, and only it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystext.energies.batched_relaxation import relax_batched
from crystext.energies.neighbours import has_isolated_atom
from crystext.energies.potentials import (
    PotentialSource,
    check_shareable,
    choose_potential,
    code_digest,
    load_potential_once,
)
from crystext.energies.relax import (
    PAPER_LIMITS,
    Relaxation,
    RelaxationLimits,
    RelaxationOutcome,
    relax,
)
from crystext.errors import SettingError
from crystext.runtime.files import write_json
from crystext.runtime.processes import Workers, run_tasks
from crystext.runtime.run_folder import SETTINGS_FILE, JsonLines, RunFolder
from crystext.runtime.threads import single_thread
from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from crystext.energies.potential import Potential

_TIME_LIMIT = "seconds"
"""The setting in which a resumed run may differ: it decides on crystals that are too slow alone."""

_MIN_CRYSTALS_FOR_PROCESSES = 4
"""Fewer crystals are relaxed faster without worker processes."""


def relax_all(
    crystals: Mapping[int, Crystal],
    out: Path,
    *,
    potential: PotentialSource,
    limits: RelaxationLimits = PAPER_LIMITS,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> dict[int, Relaxation]:
    """Relax the remaining crystals, append them to `out/relaxations.jsonl`, and return all.

    Args:
        crystals: by any whole number, e.g. the index of a sample.
        out: folder; created if missing.
        potential: see `potentials`; `auto` is the one of the relaxations in the folder, if any.
        limits: of each relaxation.
        workers: processes, with one thread each; or an executor.
        report: called with the number of crystals relaxed, and of all.

    Raises:
        ModelError: the potential cannot be loaded, or gives wrong energies.
        RunError: the folder holds relaxations of other settings than the time limit, or is
            damaged, or another process is relaxing into it.
        SettingError: fewer than one worker, or a potential that other processes cannot create.
    """
    if isinstance(workers, int) and workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    check_shareable(potential)
    # One choice for all processes, and for all runs of the command.
    potential = choose_potential(potential, recorded_potential(out)).source
    # Loaded here first, so that an error is raised once, before anything is written.
    cutoff = load_potential_once(potential).cutoff
    settings = _run_settings(potential, limits)
    digests = {index: crystal.digest() for index, crystal in crystals.items()}
    times = Counter(digests.values())
    folder, file = _run_folder(out), _relaxations_file(out)
    with folder.writing(), folder.locked():
        _accept_settings(folder, settings)
        done = _earlier_relaxations(file, times, cutoff, limits)
        file.cut_torn_line()
        count = sum(times[digest] for digest in done)
        report(count, len(crystals))
        first = _first_of_equal(digests)
        left = {i: crystals[i] for digest, i in first.items() if digest not in done}
        if left:
            folder.record_start({"crystals": len(left)})
        with (
            file.appending() as append,
            closing(iter_relaxations(left, potential, limits, workers)) as relaxed,
        ):
            for index, relaxation in relaxed:
                digest = digests[index]
                append([_relaxation_line(digest, relaxation)])
                done[digest] = relaxation
                count += times[digest]
                report(count, len(crystals))
    return {index: done[digest] for index, digest in digests.items()}


def _accept_settings(folder: RunFolder, settings: dict[str, Any]) -> None:
    """Write the settings of a run; refuse those that differ from the folder's, but for the time."""
    folder.check_settings(settings, ignored=(_TIME_LIMIT,))
    if (folder.settings() or settings) == settings:
        folder.write_settings(settings)
    else:
        write_json(folder.path / SETTINGS_FILE, settings)


def _run_settings(potential: PotentialSource, limits: RelaxationLimits) -> dict[str, Any]:
    """Return all that relaxations in a folder share, as `settings.json` has it."""
    # A user's function may change while the name of its potential stays.
    digest = code_digest(potential)
    code = {} if digest is None else {"potential_code": digest}
    return {"potential": load_potential_once(potential).name, **code, **asdict(limits)}


def _earlier_relaxations(
    file: JsonLines[tuple[str, Relaxation]],
    digests: Collection[str],
    cutoff: float | None,
    limits: RelaxationLimits,
) -> dict[str, Relaxation]:
    """Return the relaxations on disk of crystals with these digests.

    Those that were stopped after less time than the limits now allow are left out.
    """
    last = {digest: relaxation for digest, relaxation in file if digest in digests}
    return {
        digest: _reject_isolated_atoms(relaxation, cutoff)
        for digest, relaxation in last.items()
        if relaxation.outcome is not RelaxationOutcome.TOO_SLOW
        or relaxation.seconds >= limits.seconds
    }


def _first_of_equal(digests: Mapping[int, str]) -> dict[str, int]:
    """Return for each digest the first crystal that has it: equal ones are relaxed once."""
    first: dict[str, int] = {}
    for index, digest in digests.items():
        first.setdefault(digest, index)
    return first


def recorded_potential(out: Path) -> str | None:
    """Return the name of the potential of the relaxations in a folder, or None."""
    name = (_run_folder(out).settings() or {}).get("potential")
    return None if name is None else str(name)


def _run_folder(out: Path) -> RunFolder:
    return RunFolder(out, "relaxations", lock_file="relaxing.lock")


def _relaxations_file(out: Path) -> JsonLines[tuple[str, Relaxation]]:
    expected = "a JSON object with input, outcome and crystal"
    return JsonLines(out / "relaxations.jsonl", _parse_relaxation, expected)


def iter_relaxations(
    crystals: Mapping[int, Crystal],
    potential: PotentialSource,
    limits: RelaxationLimits,
    workers: Workers,
) -> Generator[tuple[int, Relaxation]]:
    """Yield crystals as they are relaxed; nothing is written.

    Args:
        crystals: by any whole number.
        potential: see `potentials`; never `auto`.
        limits: of each relaxation.
        workers: processes, with one thread each; or an executor. Results do not depend on it.
    """
    if len(crystals) < _MIN_CRYSTALS_FOR_PROCESSES:
        for index, crystal in crystals.items():
            used = load_potential_once(potential)
            with single_thread():
                relaxation = relax(crystal, used.calculator, limits, cutoff=used.cutoff)
            yield index, relaxation
        return
    make = partial(_make_relaxer, potential, limits)
    # The largest first, so that no process is left with one at the end.
    by_size = sorted(crystals, key=lambda index: -len(crystals[index]))
    sizes = {index: len(crystals[index]) for index in by_size}
    tasks = _batches(sizes, load_potential_once(potential))
    while tasks:
        given = ((task, tuple(crystals[index] for index in task)) for task in tasks)
        tasks = []
        for task, relaxations in run_tasks(make, given, workers):
            if relaxations is not None:
                yield from zip(task, relaxations, strict=True)
            elif len(task) == 1:
                yield task[0], Relaxation(RelaxationOutcome.DIED, None, None, 0, 0.0)
            else:
                # One of them is the cause: each gets a separate process then.
                tasks += [(index,) for index in task]


def _batches(sizes: dict[int, int], potential: Potential) -> list[tuple[int, ...]]:
    """Return the batches of crystals, in this order.

    Args:
        sizes: numbers of atoms, by the indices of the crystals.
        potential: calculates them.
    """
    if potential.evaluate is None:
        return [(index,) for index in sizes]
    # Enough to replace finished ones; not so many that processes wait for the last.
    least, most = potential.at_once // 2, 4 * potential.at_once
    atoms = min(max(sum(sizes.values()) // 16, least), most)
    tasks: list[list[int]] = []
    room = 0
    for index, size in sizes.items():
        if size > room:
            tasks.append([])
            room = atoms
        tasks[-1].append(index)
        room -= size
    return [tuple(task) for task in tasks]


def _make_relaxer(
    potential: PotentialSource, limits: RelaxationLimits
) -> Callable[[tuple[Crystal, ...]], list[Relaxation]]:
    """Return the function that relaxes crystals in a worker process."""
    import torch

    # See `threads.single_thread`; and the cores belong to the other processes.
    torch.set_num_threads(1)
    found = load_potential_once(potential)
    if found.evaluate is None:
        return partial(_one_by_one, calculator=found.calculator, limits=limits, cutoff=found.cutoff)
    return partial(
        relax_batched,
        evaluate=found.evaluate,
        limits=limits,
        max_atoms=found.at_once,
        cutoff=found.cutoff,
    )


def _one_by_one(
    crystals: tuple[Crystal, ...],
    calculator: Calculator,
    limits: RelaxationLimits,
    cutoff: float | None,
) -> list[Relaxation]:
    return [relax(crystal, calculator, limits, cutoff=cutoff) for crystal in crystals]


def _reject_isolated_atoms(relaxation: Relaxation, cutoff: float | None) -> Relaxation:
    """Remove the energy of a crystal with an isolated atom, which older versions recorded."""
    crystal = relaxation.crystal
    if crystal is None or cutoff is None:
        return relaxation
    lattice = crystal.lattice
    if not has_isolated_atom(crystal.positions @ lattice, lattice, cutoff):
        return relaxation
    return Relaxation(
        RelaxationOutcome.ISOLATED_ATOM, None, None, relaxation.steps, relaxation.seconds
    )


def _relaxation_line(digest: str, relaxation: Relaxation) -> str:
    crystal = relaxation.crystal
    line = {
        "input": digest,
        "outcome": relaxation.outcome.name,
        "energy_ev": relaxation.energy,
        "steps": relaxation.steps,
        "seconds": relaxation.seconds,
        "crystal": crystal and crystal_to_json(crystal),
    }
    return json.dumps(line) + "\n"


def _parse_relaxation(line: Any) -> tuple[str, Relaxation]:
    outcome, cell, energy = RelaxationOutcome[line["outcome"]], line["crystal"], line["energy_ev"]
    crystal = None if cell is None else crystal_from_json(cell)
    steps, seconds = int(line["steps"]), float(line["seconds"])
    return str(line["input"]), Relaxation(outcome, crystal, energy, steps, seconds)


def crystal_to_json(crystal: Crystal) -> dict[str, Any]:
    """Return a crystal as JSON values, with all digits."""
    return {
        "lengths": crystal.lengths.tolist(),
        "angles": crystal.angles.tolist(),
        "numbers": crystal.numbers.tolist(),
        "positions": crystal.positions.tolist(),
    }


def crystal_from_json(values: Mapping[str, Any]) -> Crystal:
    """Return the crystal that `crystal_to_json` wrote.

    Raises:
        LookupError, ValueError, TypeError: the values are others.
    """
    return Crystal(
        np.array(values["lengths"]),
        np.array(values["angles"]),
        np.array(values["numbers"], dtype=np.int64),
        np.array(values["positions"]),
    )
