"""Relaxing many crystals: processes with one thread each, and a file that survives a kill.

    relaxations.jsonl       one JSON object per crystal, in the order in which they end
    settings.json           what they depend on: potential and limits; others are refused
    relaxing.lock           held by the process that relaxes

A crystal is identified by its digest, so that a source may grow or change its order: nothing is
relaxed twice, nor are equal crystals.

A crystal whose process dies (for want of memory, say) is tried once more, and then has an outcome
of its own. Where the potential calculates many at once, a process relaxes some together, and a kill
loses those in progress. Results do not depend on the number of processes; rounding differs with the
crystals that are calculated together, and so may a run that was killed. Whether a crystal is too
slow depends on the machine.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from crystext.energies.batched_relaxation import relax_batched
from crystext.energies.neighbours import has_isolated_atom
from crystext.energies.potential import one_thread
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
from crystext.errors import RunError, SettingError
from crystext.runtime.processes import Workers, run_tasks
from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from crystext.energies.potential import Potential

_RELAXATIONS_FILE, _SETTINGS_FILE, _LOCK_FILE = (
    "relaxations.jsonl",
    "settings.json",
    "relaxing.lock",
)

_MIN_CRYSTALS_FOR_PROCESSES = 4
"""Fewer crystals than these are relaxed faster without processes of their own."""


def relax_all(
    crystals: Mapping[int, Crystal],
    out: Path,
    *,
    potential: PotentialSource,
    limits: RelaxationLimits = PAPER_LIMITS,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> dict[int, Relaxation]:
    """Relax what is not relaxed yet, append it to `out/relaxations.jsonl`, and return all.

    Args:
        crystals: by any whole number, e.g. the index of an attempt.
        out: folder; made if it is not there.
        potential: see `potentials`; `auto` is the one of the relaxations in the folder, if any.
        limits: of each relaxation.
        workers: processes, with one thread each; or an executor.
        report: called with the number of crystals relaxed, and of all.

    Raises:
        ModelError: the potential cannot be loaded, or gives wrong energies.
        RunError: the folder holds relaxations of other settings, or is damaged, or another process
            is relaxing into it.
        SettingError: fewer than one worker, or a potential that other processes cannot make.
    """
    if isinstance(workers, int) and workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    check_shareable(potential)
    # One choice for all processes, and for all times that the command is run.
    potential = choose_potential(potential, recorded_potential(out)).source
    # Loaded here first: what is refused is refused once, before anything is written.
    name, cutoff = load_potential_once(potential).name, load_potential_once(potential).cutoff
    # A user's function may change, and the name of its potential stay.
    code = {} if (made := code_digest(potential)) is None else {"potential_code": made}
    out.mkdir(parents=True, exist_ok=True)
    digests = {index: crystal.digest() for index, crystal in crystals.items()}
    try:
        with FileLock(out / _LOCK_FILE, timeout=0):
            _check_settings(out / _SETTINGS_FILE, {"potential": name, **code, **asdict(limits)})
            times = Counter(digests.values())
            done = {
                digest: _reject_isolated_atoms(r, cutoff)
                for digest, r in _read_relaxations(out / _RELAXATIONS_FILE)
                if digest in times
            }
            count = sum(times[digest] for digest in done)
            report(count, len(crystals))
            first: dict[str, int] = {}
            for index, digest in digests.items():
                first.setdefault(digest, index)
            left = {i: crystals[i] for digest, i in first.items() if digest not in done}
            with (
                (out / _RELAXATIONS_FILE).open("a", encoding="utf-8") as file,
                closing(_relax_in_processes(left, potential, limits, workers)) as relaxed,
            ):
                for index, relaxation in relaxed:
                    digest = digests[index]
                    _append_relaxation(file, digest, relaxation)
                    done[digest] = relaxation
                    count += times[digest]
                    report(count, len(crystals))
    except Timeout:
        raise RunError(
            f"another process is relaxing into {out}; wait for it, or give another folder"
        ) from None
    return {index: done[digest] for index, digest in digests.items()}


def recorded_potential(out: Path) -> str | None:
    """Return the name of the potential of the relaxations in a folder, or None."""
    path = out / _SETTINGS_FILE
    if not path.is_file():
        return None
    name = _read_settings(path).get("potential")
    return None if name is None else str(name)


def _relax_in_processes(
    crystals: dict[int, Crystal],
    potential: PotentialSource,
    limits: RelaxationLimits,
    workers: Workers,
) -> Generator[tuple[int, Relaxation]]:
    """Yield crystals as they are relaxed."""
    if len(crystals) < _MIN_CRYSTALS_FOR_PROCESSES:
        for index, crystal in crystals.items():
            used = load_potential_once(potential)
            with one_thread():
                relaxation = relax(crystal, used.calculator, limits, cutoff=used.cutoff)
            yield index, relaxation
        return
    make = partial(_make_relaxer, potential, limits)
    # The largest first, so that no process is left with one when the others are done.
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
                # One of them is at fault: each has a process of its own then.
                tasks += [(index,) for index in task]


def _batches(sizes: dict[int, int], potential: Potential) -> list[tuple[int, ...]]:
    """Return which crystals one process relaxes at a time, in this order.

    Args:
        sizes: numbers of atoms, by the indices of the crystals.
        potential: calculates them.
    """
    if potential.evaluate is None:
        return [(index,) for index in sizes]
    # Enough to replace those that are done; not so many that processes wait for the last.
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
    """Return what relaxes some crystals, in a process made for it."""
    import torch

    # See `potential.one_thread`; and the cores belong to the other processes.
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


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        unfinished = path.with_name(path.name + ".partial")
        unfinished.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)
        return
    there = _read_settings(path)
    if there != settings:
        different = [key for key in {**there, **settings} if there.get(key) != settings.get(key)]
        listed = "; ".join(
            f"{key} is {there.get(key, 'not set')} there, and {settings.get(key, 'not set')} here"
            for key in different
        )
        raise RunError(
            f"{path.parent} holds relaxations with other settings ({listed}); give the same "
            "settings, or another folder"
        )


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged: it is no JSON object; give another folder")
    return found


def _reject_isolated_atoms(relaxation: Relaxation, cutoff: float | None) -> Relaxation:
    """Take the energy from a crystal with an isolated atom, which older versions gave it."""
    crystal = relaxation.crystal
    if crystal is None or cutoff is None:
        return relaxation
    lattice = crystal.lattice
    if not has_isolated_atom(crystal.positions @ lattice, lattice, cutoff):
        return relaxation
    return Relaxation(
        RelaxationOutcome.ISOLATED_ATOM, None, None, relaxation.steps, relaxation.seconds
    )


def _append_relaxation(file: IO[str], digest: str, relaxation: Relaxation) -> None:
    crystal = relaxation.crystal
    line = {
        "input": digest,
        "outcome": relaxation.outcome.name,
        "energy_ev": relaxation.energy,
        "steps": relaxation.steps,
        "seconds": relaxation.seconds,
        "crystal": crystal
        and {
            "lengths": crystal.lengths.tolist(),
            "angles": crystal.angles.tolist(),
            "numbers": crystal.numbers.tolist(),
            "positions": crystal.positions.tolist(),
        },
    }
    file.write(json.dumps(line) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _read_relaxations(path: Path) -> Iterator[tuple[str, Relaxation]]:
    """Yield what is on disk already by the crystal's digest, and cut a last line that is torn."""
    if not path.exists():
        return
    end = 0
    with path.open("r+b") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                found = json.loads(line)
                digest, relaxation = str(found["input"]), _parse_relaxation(found)
            except (ValueError, KeyError, TypeError):
                raise RunError(f"{path}, line {number} is damaged; give another folder") from None
            end += len(line)
            yield digest, relaxation
        file.truncate(end)


def _parse_relaxation(line: dict[str, Any]) -> Relaxation:
    outcome, cell, energy = RelaxationOutcome[line["outcome"]], line["crystal"], line["energy_ev"]
    crystal = None
    if cell is not None:
        crystal = Crystal(
            np.array(cell["lengths"]),
            np.array(cell["angles"]),
            np.array(cell["numbers"], dtype=np.int64),
            np.array(cell["positions"]),
        )
    return Relaxation(outcome, crystal, energy, int(line["steps"]), float(line["seconds"]))
