"""Turns any source of crystals into a prepared file: read, standardise, select, write.

Knows what is skipped and why. Knows nothing of training (`train`) nor of the file's layout
(`dataset`).
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from crystext.data.store import write_dataset
from crystext.errors import CrystextError, InputError, RunError, SettingError
from crystext.read import existing, no_row, nothing_readable
from crystext.read.parse import Piece, ReadItem, parse
from crystext.read.sources import pieces
from crystext.standardize import standardize
from crystext.tasks.base import Record
from crystext.vocabulary import MAX_LENGTH

MIN_LENGTH = 1.0
"""Å; a shorter cell length is a mistake of its source: no two atoms are that close."""

CHUNK = 64
"""Pieces that a worker takes at a time."""

LINE_EVERY = 5000
"""Structures between two lines of progress, where standard error is no terminal."""

SHOWN = 5
"""Skipped structures that are named for each reason."""


@dataclass
class PrepareReport:
    """What became of the structures of a source."""

    written: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    """For each reason, the names of the first structures skipped for it."""
    counts: dict[str, int] = field(default_factory=dict)
    """For each reason, the number of structures skipped for it."""

    def skip(self, name: str, reason: str, detail: str) -> None:
        """Count a structure that is left out."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        named = self.skipped.setdefault(reason, [])
        if len(named) < SHOWN:
            named.append(f"{name} ({detail})" if detail else name)

    def __str__(self) -> str:
        lines = [f"{self.written:,} crystals written, {sum(self.counts.values()):,} skipped"]
        for reason, count in sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0])):
            more = ", ..." if count > SHOWN else ""
            lines.append(f"  {count:,} {reason}: {', '.join(self.skipped[reason])}{more}")
        return "\n".join(lines)


class Selection(NamedTuple):
    """What is done to each structure, and which are kept."""

    standard: bool
    max_atoms: int | None
    symprec: float


class _Outcome(NamedTuple):
    name: str
    record: Record | None
    reason: str = ""
    detail: str = ""


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    standard: bool = True,
    symprec: float = 0.1,
    max_atoms: int | None = None,
    where: Mapping[str, str] | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> PrepareReport:
    """Write the crystals of a source to a prepared file.

    A space group that the source gives is kept as the label; where it gives none and the crystals
    are standardised, the label is what spglib finds. The file does not depend on `workers`.

    Args:
        source: anything that `read_crystals` reads.
        out: the prepared file, a Parquet file.
        standard: whether crystals are brought into their standard description.
        symprec: tolerance of the standardisation in Å.
        max_atoms: cells with more atoms, counted after standardising, are skipped.
        where: for tables, the value that each of these columns must have.
        workers: processes; None takes one for each processor that may be used. A script that asks
            for more than one must have its `if __name__ == "__main__":`.
        progress: whether a bar is shown on standard error.

    Raises:
        InputError: nothing in the source can be read, or nothing is left to write.
        SettingError: a number that makes no sense, or a column that is not there.
        RunError: the place cannot be written or is full, or a worker process died.
    """
    source, out = existing(source), Path(out)
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if workers < 1:
        raise SettingError(f"workers is {workers}; expected at least 1")
    if max_atoms is not None and max_atoms < 1:
        raise SettingError(f"max_atoms is {max_atoms}; expected at least 1")
    if not symprec > 0:
        raise SettingError(f"symprec is {symprec:g}; expected a distance in Å above 0")
    _check_writable(out)
    report = PrepareReport()
    selection = Selection(standard, max_atoms, symprec)
    try:
        outcomes = _outcomes(pieces(source, where or {}), selection, workers)
        records = list(_kept(outcomes, report, progress))
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    if not records:
        raise _nothing_left(source, report, where or {})
    try:
        report.written = write_dataset(out, records)
    except OSError as error:
        out.with_name(out.name + ".partial").unlink(missing_ok=True)
        raise RunError(
            f"{out} cannot be written: {error.strerror or error}; free some space, or write "
            "elsewhere"
        ) from None
    return report


def _kept(outcomes: Iterator[_Outcome], report: PrepareReport, progress: bool) -> Iterator[Record]:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("preparing"), MofNCompleteColumn(), TimeElapsedColumn()
    bar = Progress(
        *columns, console=console, disable=not (progress and console.is_terminal), transient=True
    )
    with bar:
        task = bar.add_task("preparing", total=None)
        for i, outcome in enumerate(outcomes, start=1):
            bar.advance(task)
            if progress and bar.disable and i % LINE_EVERY == 0:
                console.print(f"prepared {i:,}", highlight=False)
            if outcome.record is None:
                report.skip(outcome.name, outcome.reason, outcome.detail)
            else:
                yield outcome.record


def _outcomes(given: Iterator[Piece], selection: Selection, workers: int) -> Iterator[_Outcome]:
    """Yield what becomes of each piece, in order, with few pieces in flight."""
    first = list(islice(given, CHUNK))
    chunks = chain([first], iter(lambda: list(islice(given, CHUNK)), []))
    # Starting processes takes longer than the work on a few structures.
    if workers == 1 or len(first) < CHUNK:
        for chunk in chunks:
            yield from _work(chunk, selection)
        return
    # Forking a process that already has threads, such as pyarrow's, can lock it up.
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[list[_Outcome]]] = deque()
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_work, chunk, selection))
            if len(waiting) > 3 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise RunError(
            "a worker process died, most likely for want of memory; try fewer --workers"
        ) from None
    finally:
        # What is still waiting when something went wrong need not be done.
        pool.shutdown(cancel_futures=True)


def _work(chunk: list[Piece], selection: Selection) -> list[_Outcome]:
    return [_select(item, selection) for piece in chunk for item in parse(piece)]


def _select(item: ReadItem, selection: Selection) -> _Outcome:
    crystal, labels = item.crystal, dict(item.labels)
    if crystal is None:
        return _Outcome(item.name, None, "cannot be read", item.problem or "")
    if selection.standard:
        try:
            crystal, space_group = standardize(crystal, selection.symprec)
        except CrystextError as error:
            return _Outcome(item.name, None, "cannot be standardised", str(error))
        labels.setdefault("space_group", float(space_group))
    if selection.max_atoms is not None and len(crystal) > selection.max_atoms:
        reason = f"with more than {selection.max_atoms} atoms"
        return _Outcome(item.name, None, reason, str(len(crystal)))
    shortest, longest = crystal.lengths.min(), crystal.lengths.max()
    if shortest < MIN_LENGTH:
        return _Outcome(
            item.name, None, f"with a cell length below {MIN_LENGTH:g} Å", f"{shortest:g} Å"
        )
    # Rounding to two decimals must stay below as well.
    if round(float(longest), 2) >= MAX_LENGTH:
        return _Outcome(
            item.name, None, f"with a cell length of {MAX_LENGTH} Å or more", f"{longest:g} Å"
        )
    return _Outcome(item.name, Record(crystal, labels))


def _nothing_left(source: Path, report: PrepareReport, where: Mapping[str, str]) -> InputError:
    if report.counts.keys() <= {"cannot be read"} and report.counts:
        return InputError(f"{source}: {str(report).replace('0 crystals written, ', '', 1)}")
    if report.counts:
        return InputError(f"nothing of {source} is left: {report}")
    return no_row(source, where) if where else nothing_readable(source, [])


def _check_writable(out: Path) -> None:
    """Find out before the work, not after it, that its result could not be written."""
    partial = out.with_name(out.name + ".partial")
    try:
        if out.is_dir():
            raise IsADirectoryError(21, "it is a folder; expected a file", str(out))
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.open("wb").close()
        partial.unlink()
    except OSError as error:
        raise RunError(
            f"{out} cannot be written: {error.strerror or error}; choose a place where you may "
            "write"
        ) from None
