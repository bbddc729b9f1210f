"""Relaxing many crystals: processes with one thread each, and a file that survives a kill.

    relaxations.jsonl       one JSON object per crystal, as they end, only ever appended to
    settings.json           what they depend on; other settings are refused
    relaxing.lock           held by the one who relaxes

A crystal is known by its digest, so that a source may grow or be put in another order and nothing
is relaxed twice, equal crystals neither.

A crystal whose process dies (for want of memory, say) is tried once more, and then counted as an
outcome of its own. Where the potential calculates many at once, a process relaxes some together,
and a kill loses those it has in hand. Results do not depend on the number of processes; with what a
crystal is calculated changes them by rounding, and so may a kill. Whether a crystal is too slow
depends on the machine.
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

from crystext.crystal import Crystal
from crystext.energies.potentials import Source, check_shareable, loaded
from crystext.energies.relax import PAPER, Limits, Outcome, Relaxation, relax
from crystext.energies.together import relax_together
from crystext.errors import RunError, SettingError, in_words
from crystext.processes import Workers, share_out

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from crystext.energies.potential import Potential

_LINES, _SETTINGS, _LOCK = "relaxations.jsonl", "settings.json", "relaxing.lock"

_FEW = 4
"""Below this number of crystals a process of their own costs more than it saves."""


def relax_all(
    crystals: Mapping[int, Crystal],
    out: Path,
    *,
    potential: Source,
    limits: Limits = PAPER,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> dict[int, Relaxation]:
    """Relax what is not relaxed yet, append it to `out/relaxations.jsonl`, and return all.

    Args:
        crystals: by any whole number, e.g. the index of an attempt.
        out: folder; made if it is not there.
        potential: see `potentials`.
        limits: of each relaxation.
        workers: processes, with one thread each; or an executor.
        report: called with the number of crystals relaxed, and of all.

    Raises:
        ModelError: the potential cannot be loaded, or does not prove itself.
        RunError: the folder holds relaxations of other settings, or is damaged, or another process
            is relaxing into it.
        SettingError: fewer than one worker, or a potential that other processes cannot make.
    """
    if isinstance(workers, int) and workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    check_shareable(potential)
    # Here first: a potential that is refused is refused once, before anything is written.
    name = loaded(potential).name
    out.mkdir(parents=True, exist_ok=True)
    digests = {index: crystal.digest() for index, crystal in crystals.items()}
    try:
        with FileLock(out / _LOCK, timeout=0):
            _claim(out / _SETTINGS, {"potential": name, **asdict(limits)})
            times = Counter(digests.values())
            done = {digest: r for digest, r in _read(out / _LINES) if digest in times}
            count = sum(times[digest] for digest in done)
            report(count, len(crystals))
            first: dict[str, int] = {}
            for index, digest in digests.items():
                first.setdefault(digest, index)
            left = {i: crystals[i] for digest, i in first.items() if digest not in done}
            with (
                (out / _LINES).open("a", encoding="utf-8") as file,
                closing(_relaxed(left, potential, limits, workers)) as relaxed,
            ):
                for index, relaxation in relaxed:
                    digest = digests[index]
                    _append(file, digest, relaxation)
                    done[digest] = relaxation
                    count += times[digest]
                    report(count, len(crystals))
    except Timeout:
        raise RunError(
            f"another process is relaxing into {out}; wait for it, or give another folder"
        ) from None
    return {index: done[digest] for index, digest in digests.items()}


def _relaxed(
    crystals: dict[int, Crystal], potential: Source, limits: Limits, workers: Workers
) -> Generator[tuple[int, Relaxation]]:
    """Yield crystals as they are relaxed."""
    if len(crystals) < _FEW:
        for index, crystal in crystals.items():
            yield index, relax(crystal, loaded(potential).calculator, limits)
        return
    make = partial(_relaxer, potential, limits)
    # The largest first, so that no process is left with one when the others are done.
    by_size = sorted(crystals, key=lambda index: -len(crystals[index]))
    sizes = {index: len(crystals[index]) for index in by_size}
    tasks = _tasks(sizes, loaded(potential))
    while tasks:
        given = ((task, tuple(crystals[index] for index in task)) for task in tasks)
        tasks = []
        for task, relaxations in share_out(make, given, workers):
            if relaxations is not None:
                yield from zip(task, relaxations, strict=True)
            elif len(task) == 1:
                yield task[0], Relaxation(Outcome.DIED, None, None, 0, 0.0)
            else:
                # One of them is at fault: each has a process of its own then.
                tasks += [(index,) for index in task]


def _tasks(sizes: dict[int, int], potential: Potential) -> list[tuple[int, ...]]:
    """Return which crystals one process takes in hand at a time, in this order.

    Args:
        sizes: numbers of atoms, by the indices of the crystals.
        potential: calculates them.
    """
    if potential.evaluate is None:
        return [(index,) for index in sizes]
    # Many, so that there is one to take the place of another that is done; and not so many that
    # processes wait for the last.
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


def _relaxer(
    potential: Source, limits: Limits
) -> Callable[[tuple[Crystal, ...]], list[Relaxation]]:
    """Return what relaxes some crystals, in a process made for it."""
    import torch

    # Two threads relax one crystal slower than one does, and take the other processes' cores.
    torch.set_num_threads(1)
    found = loaded(potential)
    if found.evaluate is None:
        return partial(_one_by_one, calculator=found.calculator, limits=limits)
    return partial(relax_together, evaluate=found.evaluate, limits=limits, at_once=found.at_once)


def _one_by_one(
    crystals: tuple[Crystal, ...], calculator: Calculator, limits: Limits
) -> list[Relaxation]:
    return [relax(crystal, calculator, limits) for crystal in crystals]


def _claim(path: Path, wanted: dict[str, Any]) -> None:
    if not path.exists():
        unfinished = path.with_name(path.name + ".partial")
        unfinished.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(
            f"{path} is damaged ({in_words(error, 'it is no JSON')}); give another folder"
        ) from None
    if found != wanted:
        raise RunError(
            f"{path.parent} holds relaxations made otherwise: {found} there, {wanted} asked for. "
            "Give another folder"
        )


def _append(file: IO[str], digest: str, relaxation: Relaxation) -> None:
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


def _read(path: Path) -> Iterator[tuple[str, Relaxation]]:
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
                digest, relaxation = str(found["input"]), _relaxation(found)
            except (ValueError, KeyError, TypeError):
                raise RunError(f"{path}, line {number} is damaged; give another folder") from None
            end += len(line)
            yield digest, relaxation
        file.truncate(end)


def _relaxation(found: dict[str, Any]) -> Relaxation:
    outcome, cell, energy = Outcome[found["outcome"]], found["crystal"], found["energy_ev"]
    crystal = None
    if cell is not None:
        crystal = Crystal(
            np.array(cell["lengths"]),
            np.array(cell["angles"]),
            np.array(cell["numbers"], dtype=np.int64),
            np.array(cell["positions"]),
        )
    return Relaxation(outcome, crystal, energy, int(found["steps"]), float(found["seconds"]))
