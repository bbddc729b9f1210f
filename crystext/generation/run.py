"""A campaign of attempts kept in a folder, which a kill at any moment leaves ready to go on.

    run/settings.json       what the attempts depend on; another campaign is refused here
    run/attempts.jsonl      one JSON object per attempt, in order of index, only ever appended to
    run/starts.jsonl        when, where and with which versions the campaign was started or resumed
    run/lock                held by the process that writes
    run/shards/             batches that other machines drew and that are not gathered yet

Attempts are drawn in batches (see `sampling_run`), each by one process of one thread (`workers`).
A batch that was cut short is drawn again and the attempts already on disk are skipped, so neither
kills nor the number of workers nor, of single conditions, a later, larger `n` changes a byte of
what was or will be written. Another batch size changes a text only where rounding tips a draw.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from crystext.errors import InUseError, RunError, SettingError
from crystext.generation.differences import setting_differences
from crystext.generation.sampling_run import SampleBatch, SamplingRun
from crystext.generation.shards import SHARDS_FOLDER, Shard, batch_file
from crystext.generation.workers import WorkerConfig, sample_batches
from crystext.inference.types import Attempt
from crystext.io.write import write_text
from crystext.models.layout import model_folder
from crystext.tasks.prompts import load_prompts

_RECORDED_PACKAGES = ("torch", "transformers", "numpy")

_ATTEMPTS, _SETTINGS, _STARTS, _LOCK = "attempts.jsonl", "settings.json", "starts.jsonl", "lock"
_PARTIAL_SETTINGS = "settings.json.partial"


@dataclass(frozen=True)
class _AttemptLine:
    """An attempt as it stands in a file."""

    index: int
    is_crystal: bool
    text: str


def run_sampling(
    run: SamplingRun,
    out: Path,
    *,
    workers: int = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> int:
    """Draw what is still missing of a campaign, and append it to `out/attempts.jsonl`.

    Batches that shards have drawn are taken from their files, which are removed afterwards.

    Args:
        run: what is wanted.
        out: the run directory; made if it is not there.
        workers: processes that draw.
        report: called with the attempts on disk, and those of them that are crystals.

    Returns:
        The number of attempts on disk, faults included.

    Raises:
        RunError: the directory holds another campaign or other files, is in use, or cannot be
            written; or a process that draws was killed.
        ModelError: the model cannot be loaded, or has not the positions that the texts need.
        SettingError: the number of workers is below 1, or the conditions cannot be met.
    """
    _check_workers(workers)
    wanted = run.identity()
    with _explain_os_errors(out):
        _check_folder(out, wanted)
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / _LOCK, timeout=0):
            # Once more: another campaign may have come and gone since.
            _check_folder(out, wanted)
            done, crystals = _cut_torn_line(out / _ATTEMPTS)
            report(done, crystals)
            if done >= run.total:
                return done
            left = run.batches(done)
            with closing(_gather_or_sample(run, left, out, workers)) as batches:
                # The first batch shows that the model can be drawn from: a folder in which nothing
                # was ever drawn belongs to no campaign.
                first = next(batches)
                _write_settings(out, wanted)
                _record_start(out, run, done)
                with (out / _ATTEMPTS).open("a", encoding="utf-8") as file:
                    for lines in chain([first], batches):
                        fresh = [x for x in lines if done <= x.index < run.total]
                        _append_lines(file, fresh)
                        done += len(fresh)
                        crystals += sum(x.is_crystal for x in fresh)
                        report(done, crystals)
            _remove_shards(out, left)
            return done


def sample_shard(
    run: SamplingRun,
    out: Path,
    shard: Shard,
    *,
    workers: int = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> bool:
    """Draw what is still missing of a shard into files of `out/shards`; nothing is gathered.

    Processes of several machines may do so at once in one directory, or each in its own, whose
    `shards` are then put together.

    Args:
        run: what is wanted, of all shards.
        out: the run directory; made if it is not there.
        shard: which batches are drawn here.
        workers: processes that draw.
        report: called with the attempts drawn here, and those of them that are crystals.

    Returns:
        Whether the campaign is whole, with what other shards have drawn: `run_sampling` then
        gathers.

    Raises:
        RunError, ModelError, SettingError: as `run_sampling`.
    """
    _check_workers(workers)
    wanted = run.identity()
    with _explain_os_errors(out):
        _check_folder(out, wanted)
        out.mkdir(parents=True, exist_ok=True)
        missing = _missing_batches(run, out)
        left = [batch for batch in shard.batches(run) if batch in missing]
        job, drawn, crystals = _worker_config(run), 0, 0
        with closing(sample_batches(job, left, workers)) as batches:
            for number, (batch, attempts) in enumerate(batches):
                if number == 0:
                    _write_settings(out, wanted)
                    _record_start(out, run, 0, shard)
                lines = _attempt_lines(job.requests[batch.request_index].prompt, attempts)
                (out / SHARDS_FOLDER).mkdir(exist_ok=True)
                write_text("".join(line.text for line in lines), batch_file(out, batch))
                drawn += len(lines)
                crystals += sum(line.is_crystal for line in lines)
                report(drawn, crystals)
        return not _missing_batches(run, out)


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")


def _worker_config(run: SamplingRun) -> WorkerConfig:
    # The folder, so that a model from the Hub is looked for there once.
    folder = model_folder(run.model).absolute()
    requests = run.requests(load_prompts(folder / "prompts"))
    return WorkerConfig(str(folder), run.settings, requests, run.conditions, run.max_tries)


def _gather_or_sample(
    run: SamplingRun, batches: Sequence[SampleBatch], out: Path, workers: int
) -> Generator[list[_AttemptLine], None, None]:
    """Yield the lines of batches, in order: from the files of shards, else drawn here."""
    there = {batch for batch in batches if batch_file(out, batch).is_file()}
    job = _worker_config(run)
    with closing(sample_batches(job, [x for x in batches if x not in there], workers)) as drawn:
        for batch in batches:
            if batch in there:
                yield _read_batch(batch_file(out, batch), batch)
            else:
                _, attempts = next(drawn)
                yield _attempt_lines(job.requests[batch.request_index].prompt, attempts)


def _missing_batches(run: SamplingRun, out: Path) -> set[SampleBatch]:
    """Return the batches that are neither in a file of a shard nor in the run."""
    missing = {batch for batch in run.batches() if not batch_file(out, batch).is_file()}
    if not missing or not (out / _ATTEMPTS).is_file():
        return missing
    # Looked at last: another process gathers first, and then removes the files.
    done = sum(1 for _ in read_attempts(out))
    return {x for x in missing if min(x.start + x.size, run.total) > done}


def _remove_shards(out: Path, gathered: Sequence[SampleBatch]) -> None:
    for batch in gathered:
        batch_file(out, batch).unlink(missing_ok=True)
    with suppress(OSError):  # Something else is in it, or it was never there.
        (out / SHARDS_FOLDER).rmdir()


def _read_batch(path: Path, batch: SampleBatch) -> list[_AttemptLine]:
    with path.open("rb") as file:
        lines = [
            _AttemptLine(attempt["index"], attempt["fault"] is None, line.decode())
            for attempt, line in _complete_lines(file, path)
        ]
    if [line.index for line in lines] != list(range(batch.start, batch.start + batch.size)):
        raise RunError(
            f"{path} does not hold the attempts that its name says; copy it anew, or remove it to "
            "have them drawn again"
        )
    return lines


def read_attempts(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the attempts of a run directory as their JSON objects.

    Raises:
        RunError: there is no such run, or a line of it is damaged.
    """
    path = out / _ATTEMPTS
    if not path.is_file():
        raise RunError(f"{out} is no run directory: it has no {_ATTEMPTS}")
    with path.open("rb") as file:
        for attempt, _ in _complete_lines(file, path):
            yield attempt


@contextmanager
def _explain_os_errors(out: Path) -> Iterator[None]:
    """Turn what the system refuses into a message that says what to do about it."""
    try:
        yield
    except Timeout:
        raise InUseError(
            f"another process is writing to {out}; wait for it, or give another --out"
        ) from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = (
            "What was drawn so far is kept; make room and run the same command again"
            if full
            else "Choose a place where you may write, and give it as --out"
        )
        raise RunError(f"{out} cannot be written: {error.strerror or error}. {remedy}") from error


def _check_folder(out: Path, settings: dict[str, Any]) -> None:
    """Refuse a place that holds another campaign, or anything else; change nothing."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for the run")
    found = read_settings(out)
    if found is None:
        there = {p.name for p in out.iterdir()} if out.exists() else set()
        strange = sorted(name for name in there - {_LOCK} if not name.startswith(_PARTIAL_SETTINGS))
        if strange:
            raise RunError(
                f"{out} holds files that are no run ({', '.join(strange[:3])}); give an empty --out"
            )
        return
    if lines := setting_differences(found, settings):
        listed = "".join(f"\n  {line}" for line in lines)
        raise RunError(
            f"{out} holds a run made with other settings:{listed}\n"
            "Give those settings to go on with it, or another --out"
        )


def read_settings(out: Path) -> dict[str, Any] | None:
    """Return the settings of the run that a directory holds; None where it holds none.

    Raises:
        RunError: the file that should hold them is damaged.
    """
    path = out / _SETTINGS
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError(
            f"{path} is damaged: expected a JSON object of settings; restore it, or give another "
            "--out"
        )
    return found


def _write_settings(out: Path, settings: dict[str, Any]) -> None:
    """Write the settings, unless they are there."""
    if (out / _SETTINGS).exists():
        return
    # Under a name of its own: shards may be started at the same moment.
    partial = out / f"{_PARTIAL_SETTINGS}-{uuid.uuid4().hex}"
    with partial.open("w", encoding="utf-8") as file:
        file.write(json.dumps(settings, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(out / _SETTINGS)


def _cut_torn_line(path: Path) -> tuple[int, int]:
    """Cut a line that a kill tore, and return the numbers of attempts and of crystals on disk."""
    if not path.exists():
        return 0, 0
    done = crystals = end = 0
    with path.open("r+b") as file:
        for attempt, line in _complete_lines(file, path):
            if attempt["index"] != done:
                raise RunError(
                    f"{path}, line {done + 1} is not attempt {done}: the file was changed by hand; "
                    "restore it, or give another --out"
                )
            done += 1
            end += len(line)
            crystals += attempt["fault"] is None
        file.truncate(end)
    return done, crystals


def _complete_lines(file: IO[bytes], path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield attempts, each with its line.

    A line without an end was torn by a kill, and is drawn again when the run goes on: it counts as
    not written.
    """
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            attempt = json.loads(line)
            fault, index, text = attempt["fault"], attempt["index"], attempt["text"]
            whole = isinstance(index, int) and isinstance(text, str)
            whole = whole and isinstance(fault, str | None)
        except (ValueError, KeyError, TypeError, RecursionError):
            whole = False
        if not whole:
            raise RunError(
                f"{path}, line {number} is damaged: expected a JSON object with index, text and "
                "fault; restore the file, or give another --out"
            )
        yield attempt, line


def _attempt_lines(prompt: str, attempts: Sequence[Attempt]) -> list[_AttemptLine]:
    lines = []
    for attempt in attempts:
        values = {"index": attempt.index, "prompt": prompt, **asdict(attempt)}
        text = json.dumps(values | {"matched": attempt.matched}) + "\n"
        lines.append(_AttemptLine(attempt.index, attempt.fault is None, text))
    return lines


def _append_lines(file: IO[str], lines: Sequence[_AttemptLine]) -> None:
    file.writelines(line.text for line in lines)
    file.flush()
    os.fsync(file.fileno())


def _record_start(out: Path, run: SamplingRun, done: int, shard: Shard | None = None) -> None:
    from crystext import __version__

    note = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "n": run.n,
        **({"done_before": done} if shard is None else {"shard": str(shard)}),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "crystext": __version__,
        **{name: version(name) for name in _RECORDED_PACKAGES},
    }
    with (out / _STARTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")
