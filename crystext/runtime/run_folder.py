"""A folder that one run owns; a run killed at any moment can be resumed from it.

    FOLDER/settings.json    settings that affect results; a run with other settings is refused
    FOLDER/NAME.jsonl       one JSON object per result, append-only
    FOLDER/starts.jsonl     when, where and with which versions the run was started or resumed
    FOLDER/lock             held by the process that writes

`sample`, `relax`, `evaluate` and `train` share it; each declares its files and the contents of a
line. A line truncated by a kill counts as not written, so its result is computed again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock, Timeout

from crystext.errors import InUseError, RunError
from crystext.runtime.files import PARTIAL_SUFFIX, explain_os_errors, write_json
from crystext.runtime.provenance import collect_provenance

SETTINGS_FILE, STARTS_FILE, LOCK_FILE = "settings.json", "starts.jsonl", "lock"

_KINDS_BY_FILE = {
    "attempts.jsonl": "a run of crystext sample",
    "relaxed.parquet": "relaxed crystals",
    "report.json": "an evaluation",
    "candidates.csv": "a search of crystext discover",
    "recipe.yaml": "a training run",
    "store.json": "a store of crystals",
    "corpus.json": "a corpus",
    "model.safetensors": "a model",
    "adapter_model.safetensors": "an adapter",
}
"""Files by which a folder is recognized, and what such a folder holds."""

_MAX_VALUE_LENGTH = 300
"""Maximum characters of a setting in a message; longer values are cut."""

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class RunFolder:
    """A folder for one kind of run: the files it may contain, and its settings."""

    path: Path
    kind: str
    """What the folder holds, with its article: `a training run`."""
    owned: Collection[str] | None = None
    """Names of the files that a run writes, apart from the lock and unfinished files: a folder
    with other files is refused. None refuses a folder only if it is recognized as something
    else."""
    lock_file: str = LOCK_FILE
    option_names: Mapping[str, str | None] | None = None
    """Options to name in messages, by setting, where their name differs from it; a value of None
    means the setting has no option. None instead of a mapping: messages name no options."""
    renamed_settings: Mapping[str, str] = field(default_factory=dict)
    """Current names of settings by the names that version 0.1 wrote."""

    def check_contents(self) -> None:
        """Refuse a path that holds something else; change nothing.

        Raises:
            RunError: it is a file, or a folder with files that this kind of run does not write.
        """
        self.check_is_folder()
        names = sorted(path.name for path in self.path.iterdir()) if self.path.exists() else []
        recognized = [
            f"{kind} ({name})"
            for name, kind in _KINDS_BY_FILE.items()
            if name in names and kind != self.kind
        ]
        if self.owned is None:
            others = recognized
        else:
            others = [
                name
                for name in names
                if name not in {*self.owned, self.lock_file} and PARTIAL_SUFFIX not in name
            ]
        if others:
            found = recognized[0] if recognized else f"other files ({', '.join(others[:3])})"
            raise RunError(
                f"{self.path} holds {found}, not {self.kind}; give another --out, which may be a "
                "new folder"
            )

    def check_is_folder(self) -> None:
        """Refuse a file at the path of the folder.

        Raises:
            RunError: it is one.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; expected a folder for {self.kind}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if it is missing, and hold its lock, which only one process can.

        Raises:
            InUseError: another process holds it.
            RunError: the folder cannot be made.
        """
        lock = FileLock(self.path / self.lock_file, timeout=0)
        with self.writing():
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                raise InUseError(
                    f"another process is writing to {self.path}; wait for it, or give another --out"
                ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Explain OSErrors raised while results are written.

        Raises:
            RunError: in place of an OSError.
        """
        with explain_os_errors(
            self.path,
            if_full="what was written so far is kept: free some space and run the same command "
            "again",
            otherwise="choose a place where you may write, and give it as --out",
        ):
            yield

    def settings(self) -> dict[str, Any] | None:
        """Return the settings of the run in the folder, by current name; None without a run.

        Raises:
            RunError: the settings file is damaged.
        """
        path = self.path / SETTINGS_FILE
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RunError(
                f"{path} is damaged: expected a JSON object of settings; restore it, or give "
                "another --out"
            )
        return rename_keys(found, self.renamed_settings)

    def check_settings(self, requested: Mapping[str, Any], ignored: Collection[str] = ()) -> None:
        """Refuse to continue a run with other settings; a folder without settings is accepted.

        Args:
            requested: JSON values by name.
            ignored: settings that may differ.

        Raises:
            RunError: with a line for each setting that differs, or the file is damaged.
        """
        existing = self.settings()
        if existing is not None:
            self.refuse_differences(existing, requested, ignored)

    def refuse_differences(
        self,
        existing: Mapping[str, Any],
        requested: Mapping[str, Any],
        ignored: Collection[str] = (),
    ) -> None:
        """Refuse to continue a run with other settings.

        Raises:
            RunError: with a line for each setting that differs.
        """
        lines = setting_differences(existing, requested, self.option_names, ignored)
        if lines:
            listed = "".join(f"\n  {line}" for line in lines)
            raise RunError(
                f"{self.path} holds {self.kind} with other settings:{listed}\n"
                "Give those settings to continue it, or another --out"
            )

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the settings unless the folder has some; several processes may do so at once.

        Raises:
            RunError: the folder cannot be written.
        """
        if not (self.path / SETTINGS_FILE).exists():
            with self.writing():
                write_json(self.path / SETTINGS_FILE, dict(settings), shared=True)

    def record_start(self, note: Mapping[str, Any]) -> None:
        """Append when, where and with which versions the run is started or resumed.

        Raises:
            RunError: the folder cannot be written.
        """
        line = json.dumps({**note, **collect_provenance().model_dump()}) + "\n"
        with self.writing(), (self.path / STARTS_FILE).open("a", encoding="utf-8") as file:
            file.write(line)


def rename_keys(values: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return values with their current names; if a value has both, the current one counts."""
    if renamed.keys().isdisjoint(values):
        return dict(values)
    present = {renamed[key]: value for key, value in values.items() if key in renamed}
    order = {renamed.get(key, key): None for key in values}
    kept = {key: value for key, value in values.items() if key not in renamed}
    return {key: kept.get(key, present.get(key)) for key in order}


def setting_differences(
    existing: Mapping[str, Any],
    requested: Mapping[str, Any],
    option_names: Mapping[str, str | None] | None = None,
    ignored: Collection[str] = (),
) -> list[str]:
    """Return a line for each setting that differs: `seed (--seed): 11 there, 12 here`.

    Args:
        existing: settings of the run in a folder; those of a section are compared one by one.
        requested: settings of the run that is to continue it.
        option_names: the options that set them; None if there are none.
        ignored: names that may differ.
    """
    lines = []
    for key in [*requested, *(key for key in existing if key not in requested)]:
        old, new = existing.get(key), requested.get(key)
        if old == new or key in ignored:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += [f"{key}.{line}" for line in setting_differences(old, new)]
            continue
        name = key
        if option_names is not None:
            option = option_names.get(key, "--" + key.replace("_", "-"))
            name = key if option is None else f"{key} ({option})"
        lines.append(f"{name}: {_shortened(old)} there, {_shortened(new)} here")
    return lines


def _shortened(value: Any) -> str:
    if value is None:
        return "not given"
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}..."


class JsonLines(Generic[_Value]):
    """An append-only file with one JSON object per line."""

    def __init__(self, path: Path, parse: Callable[[Any], _Value], expected: str) -> None:
        """Describe the file; nothing is opened.

        Args:
            path: path of the file, which need not exist.
            parse: converts the JSON value of a line. It raises ValueError, LookupError or TypeError
                for an invalid value.
            expected: what a line should be, for the message about a damaged one.
        """
        self.path, self.parse, self.expected = path, parse, expected

    def __iter__(self) -> Iterator[_Value]:
        for value, _ in self.with_bytes():
            yield value

    def with_bytes(self) -> Generator[tuple[_Value, bytes], None, None]:
        """Yield the value of each complete line with its bytes; skip a truncated last line.

        Raises:
            RunError: a line is damaged.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    value = self.parse(json.loads(line))
                except (ValueError, LookupError, TypeError, RecursionError):
                    raise RunError(
                        f"{self.path}, line {number} is damaged: expected {self.expected}; restore "
                        "the file, or give another --out"
                    ) from None
                yield value, line

    def cut_torn_line(self) -> None:
        """Remove a truncated last line; call it before anything is appended."""
        if not self.path.exists():
            return
        with self.path.open("r+b") as file:
            end = 0
            for line in file:
                end += len(line) if line.endswith(b"\n") else 0
            file.truncate(end)

    @contextmanager
    def appending(self) -> Iterator[Callable[[Iterable[str]], None]]:
        """Yield a function that appends lines, each with its line end, and flushes them to disk.

        Raises:
            OSError: see `RunFolder.writing`.
        """
        with self.path.open("a", encoding="utf-8") as file:

            def append(lines: Iterable[str]) -> None:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())

            yield append
