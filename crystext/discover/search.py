"""A search in a folder: rounds until the budget is spent; a kill at any moment costs one round.

    DIR/settings.json       what the rounds depend on; a search with other settings is refused
    DIR/rounds/00001.jsonl  a round, written whole or not at all; see `records`
    DIR/times.jsonl         the seconds of each round, which the budget counts
    DIR/candidates.csv, cif/, primitive/, report.html, search.json
                            what is made of the rounds, again after each

The same settings give the same rounds, whatever the budget, the number of processes and the times
at which the command was killed. A larger budget continues a search.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from crystext.discover.choice import MAX_UNRELAXED_EV_PER_ATOM
from crystext.discover.history import Candidate, History
from crystext.discover.records import Round, parse_round
from crystext.discover.rounds import run_round
from crystext.discover.settings import Budget
from crystext.discover.tools import Report, SearchTools
from crystext.energies.potentials import potential_identity
from crystext.errors import RunError, SettingError
from crystext.models.digest import model_hash
from crystext.runtime.files import write_text
from crystext.runtime.local_executor import LocalExecutor
from crystext.runtime.processes import Workers
from crystext.runtime.run_folder import JsonLines, RunFolder

ROUNDS_FOLDER, TIMES_FILE = "rounds", "times.jsonl"

CHECKSUMS = ("potentials_sha256", "hulls_sha256")
"""Of what may change under its name: a potential's weights or code, a hull's energies."""

_ROUND_EXPECTED = "a JSON object of a round: an arm, a text or a relaxed crystal"


class Ending(Enum):
    """Why a search ended. The value is a description for users."""

    ENOUGH = "enough candidates were found"
    TIME = "the time is spent"
    ROUNDS = "the rounds are done"
    NOTHING_NEW = "the last rounds found nothing new below the limit"


@dataclass
class Search:
    """A search, done or to do."""

    tools: SearchTools
    out: Path | None = None
    """None keeps nothing."""
    publish: Callable[[Search], None] = lambda search: None
    """Writes the files that are made of the rounds, in a folder."""
    history: History = field(init=False)
    ending: Ending | None = field(default=None, init=False)
    """None while it goes on."""
    seconds: float = field(default=0.0, init=False)
    """Of all rounds, those of earlier commands included."""
    workers: Workers = field(default=1, init=False)
    """Processes that relax, or an executor."""

    def __post_init__(self) -> None:
        """Begin without rounds."""
        limit = self.tools.settings.below + MAX_UNRELAXED_EV_PER_ATOM
        self.history = History(self.tools.sampler.text_format, limit)

    def run(
        self, budget: Budget, workers: Workers = 1, report: Report = lambda what, done, total: None
    ) -> Iterator[Candidate]:
        """Yield the candidates: those of rounds on disk first, then each as its round ends.

        Args:
            budget: when to stop.
            workers: processes that relax, or an executor; results do not depend on them.
            report: called with the progress.

        Raises:
            RunError: the folder holds something else, is in use, or cannot be written.
            CrystextError: the model cannot be sampled, or the potential fails.
        """
        with self._locked_folder(), _processes(workers) as self.workers:
            started, last = time.monotonic(), 0.0
            yield from self._read_rounds()
            before = self.seconds
            while (ending := self._reason_to_stop(budget, last)) is None:
                done = run_round(self.history, self.tools, self.workers, report)
                if self.out is not None:
                    write_text(_round_file(self.out, done.number), done.lines())
                fresh = self.history.add_matched(done)
                spent = before + time.monotonic() - started
                last, self.seconds = spent - self.seconds, spent
                self._record_time(done.number, last)
                self._publish()
                yield from fresh
            self.ending = ending
            self._publish()

    def _publish(self) -> None:
        if self.out is not None:
            self.publish(self)

    def _reason_to_stop(self, budget: Budget, last: float) -> Ending | None:
        """Return why no other round begins, or None.

        Args:
            budget: of the search.
            last: seconds of the last round; a round that would end far beyond is not begun.
        """
        history = self.history
        if budget.n is not None and len(history.candidates) >= budget.n:
            return Ending.ENOUGH
        if budget.rounds is not None and len(history.rounds) >= budget.rounds:
            return Ending.ROUNDS
        if history.rounds_without_candidate >= self.tools.settings.patience:
            return Ending.NOTHING_NEW
        # The first round is always done.
        if budget.seconds is not None and history.rounds:
            return Ending.TIME if self.seconds + last / 2 > budget.seconds else None
        return None

    @contextmanager
    def _locked_folder(self) -> Iterator[None]:
        """Hold the folder's lock, and check that it holds this search or nothing."""
        if self.out is None:
            yield
            return
        folder = run_folder(self.out)
        check_folder(self.out)
        identity = self.identity
        # A search of version 0.1 has none, and goes on.
        absent = [name for name in CHECKSUMS if name not in (folder.settings() or identity)]
        folder.check_settings(identity, ignored=absent)
        with folder.locked(), folder.writing():
            folder.check_settings(identity, ignored=absent)
            folder.write_settings(identity)
            folder.record_start({"rounds_before": len(list(_round_files(self.out)))})
            yield

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the rounds depend on, as JSON values; made once, for its checksums."""
        tools = self.tools
        return {
            "model": tools.sampler.files.source,
            "model_sha256": model_hash(tools.sampler.files.path),
            **tools.settings.values(),
            "potentials": [judge.name for judge in tools.judges],
            "potentials_sha256": [potential_identity(judge.source) for judge in tools.judges],
            "hull": tools.judges[0].hull.name,
            "hulls_sha256": [judge.hull.digest for judge in tools.judges],
            "known_sha256": tools.known_crystals.identity,
        }

    def _read_rounds(self) -> Iterator[Candidate]:
        """Take the rounds on disk, in order, and yield their candidates."""
        if self.out is None:
            return
        for number, path in enumerate(_round_files(self.out), start=1):
            yield from self.history.add(_read_round(number, path))
        times = JsonLines(self.out / TIMES_FILE, _parse_time, "a JSON object with round, seconds")
        times.cut_torn_line()
        by_round = dict(times)
        self.seconds = sum(by_round.get(done.number, 0.0) for done in self.history.rounds)

    def _record_time(self, number: int, seconds: float) -> None:
        if self.out is not None:
            line = json.dumps({"round": number, "seconds": round(seconds, 1)}) + "\n"
            with (self.out / TIMES_FILE).open("a", encoding="utf-8") as file:
                file.write(line)


@contextmanager
def _processes(workers: Workers) -> Iterator[Workers]:
    """Yield an executor; processes of this machine stay between rounds."""
    if not isinstance(workers, int):
        yield workers
        return
    if workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    with LocalExecutor(workers) as executor:
        yield executor


def run_folder(out: Path) -> RunFolder:
    """Return the folder of a search."""
    return RunFolder(
        out,
        "a search of crystext discover",
        owned=(),
        option_names={
            "model_sha256": None,
            "known_sha256": None,
            **dict.fromkeys(CHECKSUMS),
            "potentials": "--potential",
            "shipped_known": "--no-shipped",
        },
    )


def check_folder(out: Path) -> None:
    """Refuse a path that holds neither a search nor nothing; change nothing.

    Raises:
        RunError: it is a file, or a folder with other files.
    """
    folder = run_folder(out)
    folder.check_is_folder()
    if folder.settings() is None:
        folder.check_contents()


def _round_file(out: Path, number: int) -> Path:
    return out / ROUNDS_FOLDER / f"{number:05d}.jsonl"


def _round_files(out: Path) -> Iterator[Path]:
    """Yield the files of the rounds, in order; a gap ends them."""
    number = 1
    while (path := _round_file(out, number)).is_file():
        yield path
        number += 1


def _read_round(number: int, path: Path) -> Round:
    lines = JsonLines[dict[str, Any]](path, dict, _ROUND_EXPECTED)
    try:
        return parse_round(number, lines)
    except (ValueError, LookupError, TypeError) as error:
        raise RunError(
            f"{path} is damaged: expected {_ROUND_EXPECTED} in each line; remove it and the rounds "
            "after it to have them done again"
        ) from error


def _parse_time(line: Any) -> tuple[int, float]:
    return int(line["round"]), float(line["seconds"])
