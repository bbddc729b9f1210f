"""A run of `crystext sample` in a folder, which a kill at any moment leaves ready to continue.

    run/attempts.jsonl      one JSON object per sample, in order of index, failures included
    run/settings.json       what the samples depend on; see `runtime.run_folder` for the others
    run/shards/             batches that other machines sampled and that are not gathered yet

Samples come in batches (see `sampling_run`), each from one process of one thread (`workers`). A
batch that was interrupted is sampled again, and the samples already on disk are skipped. So kills,
the number of workers and, with single conditions, a larger `n` later do not change a byte of the
output, nor does the batch size of a small model: its texts do not depend on one another, where
products round alike for any number of rows. With other models it changes a text only where rounding
changes a choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from crystext.errors import RunError, SettingError
from crystext.generation.sampling_run import SampleBatch, SamplingRun
from crystext.generation.shards import SHARDS_FOLDER, Shard, batch_file
from crystext.generation.workers import WorkerConfig, sample_in_processes
from crystext.inference.types import Attempt
from crystext.io.read.crystext_outputs import ATTEMPT_EXPECTED, ATTEMPTS_FILE, parse_attempt
from crystext.runtime.files import write_text
from crystext.runtime.run_folder import JsonLines, RunFolder

_OPTION_NAMES = {"format": "--text-format", "model_sha256": None, "prompt": None}
"""Options of `crystext sample` whose name differs from the setting's; None: there is no option."""

_SETTINGS_OF_0_1 = {
    "max_tries": "max_attempts_per_sample",
    "distance_scale": "min_distance_ratio",
}


def run_folder(out: Path) -> RunFolder:
    """Return the folder of a run of `crystext sample`."""
    return RunFolder(
        out,
        "a run of crystext sample",
        owned=(),
        option_names=_OPTION_NAMES,
        renamed_settings=_SETTINGS_OF_0_1,
    )


@dataclass(frozen=True)
class _SampleLine:
    """A sample as stored in a file."""

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
    """Sample the missing samples of a run, and append them to `out/attempts.jsonl`.

    Batches of shards are taken from their files, which are removed afterwards.

    Args:
        run: the run.
        out: the run directory; made if it is not there.
        workers: number of processes.
        report: called with the numbers of samples and of crystals on disk.

    Returns:
        The number of samples on disk, failures included.

    Raises:
        RunError: the directory holds another run or other files, is in use, or cannot be written;
            or a process was killed.
        ModelError: the model cannot be loaded, or has too few positions for the texts.
        SettingError: the number of workers is below 1, or the conditions are infeasible.
    """
    _check_workers(workers)
    wanted, folder = run.identity(), run_folder(out)
    with folder.writing():
        _check_folder(folder, wanted)
        with folder.locked():
            # Check again: another run may have started and ended since.
            _check_folder(folder, wanted)
            file = _attempts_file(out / ATTEMPTS_FILE)
            done, crystals = _count_samples(file)
            file.cut_torn_line()
            report(done, crystals)
            if done >= run.total:
                return done
            left = run.batches(done)
            with closing(_gather_or_sample(run, left, out, workers)) as batches:
                # The first batch shows that the model can be sampled: a folder without samples
                # belongs to no run.
                first = next(batches)
                folder.write_settings(wanted)
                folder.record_start({"n": run.n, "samples_before": done})
                with file.appending() as append:
                    for lines in chain([first], batches):
                        fresh = [x for x in lines if done <= x.index < run.total]
                        append(line.text for line in fresh)
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
    """Sample the missing batches of a shard into files of `out/shards`; nothing is gathered.

    Processes of several machines may share one directory, or use one each and merge their `shards`
    folders afterwards.

    Args:
        run: the run, of all shards.
        out: the run directory; made if it is not there.
        shard: which batches are sampled here.
        workers: number of processes.
        report: called with the numbers of samples and of crystals sampled here.

    Returns:
        Whether the run is complete, given the batches of other shards: `run_sampling` then
        gathers.

    Raises:
        RunError, ModelError, SettingError: as `run_sampling`.
    """
    _check_workers(workers)
    wanted, folder = run.identity(), run_folder(out)
    with folder.writing():
        _check_folder(folder, wanted)
        out.mkdir(parents=True, exist_ok=True)
        missing = _missing_batches(run, out)
        left = [batch for batch in shard.batches(run) if batch in missing]
        config, sampled, crystals = _worker_config(run), 0, 0
        with closing(sample_in_processes(config, left, workers)) as batches:
            for number, (batch, attempts) in enumerate(batches):
                if number == 0:
                    folder.write_settings(wanted)
                    folder.record_start({"n": run.n, "shard": str(shard)})
                lines = _sample_lines(config.requests[batch.request_index].prompt, attempts)
                write_text(batch_file(out, batch), "".join(line.text for line in lines))
                sampled += len(lines)
                crystals += sum(line.is_crystal for line in lines)
                report(sampled, crystals)
        return not _missing_batches(run, out)


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise SettingError(f"{workers} workers: expected 1 or more")


def _worker_config(run: SamplingRun, total: int | None = None) -> WorkerConfig:
    requests = run.requests(run.files.prompts, run.files.description.format)
    return WorkerConfig(
        run.files, run.settings, requests, run.conditions, run.max_attempts_per_sample, total
    )


def _gather_or_sample(
    run: SamplingRun, batches: Sequence[SampleBatch], out: Path, workers: int
) -> Generator[list[_SampleLine], None, None]:
    """Yield the lines of batches, in order: from the files of shards, else sampled here."""
    there = {batch for batch in batches if batch_file(out, batch).is_file()}
    config = _worker_config(run, run.total)
    missing = [batch for batch in batches if batch not in there]
    with closing(sample_in_processes(config, missing, workers)) as sampled:
        for batch in batches:
            if batch in there:
                yield _read_batch(batch_file(out, batch), batch)
            else:
                _, attempts = next(sampled)
                yield _sample_lines(config.requests[batch.request_index].prompt, attempts)


def _missing_batches(run: SamplingRun, out: Path) -> set[SampleBatch]:
    """Return the batches that are neither in a file of a shard nor in the run."""
    missing = {batch for batch in run.batches() if not batch_file(out, batch).is_file()}
    if not missing or not (out / ATTEMPTS_FILE).is_file():
        return missing
    # Checked last: another process gathers first, and then removes the files.
    done = sum(1 for _ in read_attempts(out))
    return {x for x in missing if min(x.start + x.size, run.total) > done}


def _remove_shards(out: Path, gathered: Sequence[SampleBatch]) -> None:
    for batch in gathered:
        batch_file(out, batch).unlink(missing_ok=True)
    with suppress(OSError):  # The folder holds something else, or does not exist.
        (out / SHARDS_FOLDER).rmdir()


def _read_batch(path: Path, batch: SampleBatch) -> list[_SampleLine]:
    lines = [
        _SampleLine(attempt["index"], attempt["failure"] is None, line.decode())
        for attempt, line in _attempts_file(path).with_bytes()
    ]
    if [line.index for line in lines] != list(range(batch.start, batch.start + batch.size)):
        raise RunError(
            f"{path} does not hold the samples that its name says; copy it again, or remove it to "
            "have them sampled again"
        )
    return lines


def read_attempts(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the samples of a run folder as JSON objects, with the present names of their keys.

    Raises:
        RunError: there is no such run, or a line of it is damaged.
    """
    path = out / ATTEMPTS_FILE
    if not path.is_file():
        raise RunError(f"{out} is not a run folder: it has no {ATTEMPTS_FILE}")
    yield from _attempts_file(path)


def _check_folder(folder: RunFolder, settings: dict[str, Any]) -> None:
    """Reject a folder that holds another run or other files, without changing it."""
    folder.check_is_folder()
    existing = folder.settings()
    if existing is None:
        folder.check_contents()
        return
    # What was chosen of the samples is no setting of theirs, see `selected_file`. The same weights
    # in another folder are the same model.
    ignored = ["selection"]
    if existing.get("model_sha256") == settings["model_sha256"]:
        ignored.append("model")
    folder.refuse_differences(existing, settings, ignored)


def _attempts_file(path: Path) -> JsonLines[dict[str, Any]]:
    return JsonLines(path, parse_attempt, ATTEMPT_EXPECTED)


def _count_samples(file: JsonLines[dict[str, Any]]) -> tuple[int, int]:
    """Return the numbers of samples and of crystals on disk."""
    done = crystals = 0
    for attempt in file:
        if attempt["index"] != done:
            raise RunError(
                f"{file.path}, line {done + 1} is not sample {done}: the file was changed by hand; "
                "restore it, or give another --out"
            )
        done += 1
        crystals += attempt["failure"] is None
    return done, crystals


def _sample_lines(prompt: str, attempts: Sequence[Attempt]) -> list[_SampleLine]:
    lines = []
    for attempt in attempts:
        values = {
            "index": attempt.index,
            "prompt": prompt,
            "text": attempt.text,
            "failure": attempt.failure,
            "log_probability": attempt.log_probability,
            "tokens": attempt.tokens,
            "attempts": attempt.attempts,
            "conditions": [asdict(condition) for condition in attempt.conditions],
            "satisfied": attempt.satisfied,
        }
        # Where nothing is refused, a line is that of the versions before.
        if attempt.refused:
            values["refused"] = dict(attempt.refused)
        text = json.dumps(values) + "\n"
        lines.append(_SampleLine(attempt.index, attempt.failure is None, text))
    return lines
