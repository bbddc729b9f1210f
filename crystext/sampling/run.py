"""A campaign of attempts kept in a folder, which a kill at any moment leaves ready to go on.

    run/settings.json       what the attempts depend on; another campaign is refused here
    run/attempts.jsonl      one JSON object per attempt, in order of index, only ever appended to
    run/starts.jsonl        when, where and with which versions the campaign was started or resumed
    run/lock                held by the process that writes

Attempts are drawn in batches (see `campaign`), each by one process with one thread (see `workers`).
A batch that was cut short is drawn again and the attempts already on disk are skipped, so neither
kills nor the number of workers nor, of single conditions, a later, larger `n` changes a byte of
what was or will be written. Another batch size changes a text only where rounding tips a draw.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from crystext.errors import RunError, SettingError
from crystext.models.folder import model_folder
from crystext.prompts import load_prompts
from crystext.sampling.attempt import Attempt
from crystext.sampling.campaign import Campaign
from crystext.sampling.workers import Job, draw_batches
from crystext.tasks.generate import generation_prompt

_VERSIONED = ("torch", "transformers", "numpy")

_ATTEMPTS, _SETTINGS, _STARTS, _LOCK = "attempts.jsonl", "settings.json", "starts.jsonl", "lock"
_PARTIAL_SETTINGS = "settings.json.partial"


def sample(
    campaign: Campaign,
    out: Path,
    *,
    workers: int = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> int:
    """Draw what is still missing of a campaign, and append it to `out/attempts.jsonl`.

    Args:
        campaign: what is wanted.
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
    if workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")
    wanted = campaign.identity()
    with _explained(out):
        _check(out, wanted)
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / _LOCK, timeout=0):
            # Once more: another campaign may have come and gone since.
            _check(out, wanted)
            done, crystals = _repair(out / _ATTEMPTS)
            report(done, crystals)
            if done >= campaign.total:
                return done
            # The folder, so that a model from the Hub is looked for there once.
            folder = model_folder(campaign.model).absolute()
            requests = campaign.requests(load_prompts(folder / "prompts"))
            job = Job(
                str(folder), campaign.settings, requests, campaign.conditions, campaign.max_tries
            )
            with closing(draw_batches(job, campaign.batches(done), workers)) as batches:
                # The first batch shows that the model can be drawn from: a folder in which nothing
                # was ever drawn belongs to no campaign.
                first = next(batches)
                _claim(out, wanted)
                _note_start(out, campaign, done)
                with (out / _ATTEMPTS).open("a", encoding="utf-8") as file:
                    for batch, attempts in chain([first], batches):
                        fresh = [x for x in attempts if done <= x.index < campaign.total]
                        _append(file, requests[batch.request].prompt, fresh)
                        done += len(fresh)
                        crystals += sum(x.fault is None for x in fresh)
                        report(done, crystals)
            return done


def read_attempts(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the attempts of a run directory as their JSON objects.

    Raises:
        RunError: there is no such run, or a line of it is damaged.
    """
    path = out / _ATTEMPTS
    if not path.is_file():
        raise RunError(f"{out} is no run directory: it has no {_ATTEMPTS}")
    with path.open("rb") as file:
        for attempt, _ in _whole_lines(file, path):
            yield attempt


def unconditional_prompt(folder: Path) -> str:
    """Return the prompt that asks a model for any crystal, in the words it was trained with."""
    return generation_prompt(load_prompts(folder / "prompts"))


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn what the system refuses into a message that says what to do about it."""
    try:
        yield
    except Timeout:
        raise RunError(
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


def _check(out: Path, wanted: dict[str, Any]) -> None:
    """Refuse a place that holds another campaign, or anything else; change nothing."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for the run")
    path = out / _SETTINGS
    if not path.exists():
        there = {p.name for p in out.iterdir()} if out.exists() else set()
        strange = sorted(there - {_LOCK, _PARTIAL_SETTINGS})
        if strange:
            raise RunError(
                f"{out} holds files that are no run ({', '.join(strange[:3])}); give an empty --out"
            )
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}); give another --out") from None
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged (no JSON object); give another --out")
    keys = [*wanted, *(key for key in found if key not in wanted)]
    different = [key for key in keys if found.get(key) != wanted.get(key)]
    if "model_sha256" not in different:
        # The same weights in another place.
        different = [key for key in different if key != "model"]
    if different:
        lines = [
            f"  {key}: {_short(found.get(key))} there, {_short(wanted.get(key))} asked for"
            for key in different
        ]
        raise RunError(
            f"{out} holds a run made with other settings:\n" + "\n".join(lines) + "\n"
            "Give those settings to go on with it, or another --out"
        )


def _short(value: Any) -> str:
    """Return a setting for a message; a long table's conditions are cut short."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


def _claim(out: Path, wanted: dict[str, Any]) -> None:
    """Write the settings, unless they are there."""
    if (out / _SETTINGS).exists():
        return
    with (out / _PARTIAL_SETTINGS).open("w", encoding="utf-8") as file:
        file.write(json.dumps(wanted, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    (out / _PARTIAL_SETTINGS).replace(out / _SETTINGS)


def _repair(path: Path) -> tuple[int, int]:
    """Cut a line that a kill tore, and return the numbers of attempts and of crystals on disk."""
    if not path.exists():
        return 0, 0
    done = crystals = end = 0
    with path.open("r+b") as file:
        for attempt, end in _whole_lines(file, path):  # noqa: B007
            if attempt["index"] != done:
                raise RunError(
                    f"{path}, line {done + 1} is not attempt {done}: the file was changed by hand; "
                    "restore it, or give another --out"
                )
            done += 1
            crystals += attempt["fault"] is None
        file.truncate(end)
    return done, crystals


def _whole_lines(file: IO[bytes], path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield attempts, each with the place in the file where it ends.

    A line without an end was torn by a kill, and is drawn again when the run goes on: it counts as
    not written.
    """
    end = 0
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
        end += len(line)
        yield attempt, end


def _append(file: IO[str], prompt: str, attempts: list[Attempt]) -> None:
    for attempt in attempts:
        line = {"index": attempt.index, "prompt": prompt, **asdict(attempt)}
        file.write(json.dumps(line | {"matched": attempt.matched}) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _note_start(out: Path, campaign: Campaign, done: int) -> None:
    from crystext import __version__

    note = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "n": campaign.n,
        "done_before": done,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "crystext": __version__,
        **{name: version(name) for name in _VERSIONED},
    }
    with (out / _STARTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")
