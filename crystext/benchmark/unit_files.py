"""The units of a benchmark in its run folder: what is finished, and the rows of each.

    OUT/units.jsonl      one line per finished unit
    OUT/ROWS/UNIT.jsonl  the rows of a unit, appended as they come

A unit is what one method says about one task (and fold). Its identity is a digest of all that its
rows depend on: a folder that holds the same unit with another identity is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.errors import RunError
from crystext.runtime.run_folder import JsonLines, RunFolder

UNITS_FILE = "units.jsonl"


@dataclass(frozen=True)
class UnitKey:
    """What tells units apart."""

    values: Mapping[str, str]
    """Such as task, method and fold."""
    identity: str

    @property
    def title(self) -> str:
        """The values, for messages and progress."""
        return " ".join(filter(None, self.values.values()))


class UnitFiles:
    """The finished units of a folder, and the files of rows."""

    def __init__(self, folder: RunFolder, rows_folder: str) -> None:
        """Describe the files; nothing is opened.

        Args:
            folder: of the run.
            rows_folder: name of the folder inside it that holds the rows.
        """
        self.folder, self._rows = folder, folder.path / rows_folder
        self._lines = JsonLines(folder.path / UNITS_FILE, dict, "a finished unit")

    def prepare(self) -> None:
        """Make the folder of rows, and remove what a kill left of a line.

        Raises:
            RunError: the folder cannot be written.
        """
        self._lines.cut_torn_line()
        with self.folder.writing():
            self._rows.mkdir(exist_ok=True)

    def path(self, key: UnitKey) -> Path:
        """Return the path of a unit's rows."""
        words = re.sub(r"[^\w.-]+", "_", "-".join(key.values.values()))[:120]
        return self._rows / f"{words}-{key.identity[:8]}.jsonl"

    def finished(self, key: UnitKey) -> dict[str, Any] | None:
        """Return the line of a finished unit; None if it is not finished.

        Raises:
            RunError: the folder holds this unit with another identity.
        """
        for line in self._lines:
            if all(line.get(name) == value for name, value in key.values.items()):
                if line["identity"] != key.identity:
                    raise RunError(
                        f"{self.folder.path} holds {' '.join(key.values.values())} of other data, "
                        "another model, or with another split, other prompts or decoding; give "
                        "another --out"
                    )
                if self.path(key).exists():
                    return line
        return None

    def finish(self, key: UnitKey, values: Mapping[str, Any]) -> None:
        """Write that a unit is finished, with what belongs to it besides its rows.

        Raises:
            RunError: the folder cannot be written.
        """
        line = json.dumps({**key.values, "identity": key.identity, **values}) + "\n"
        with self.folder.writing(), self._lines.appending() as append:
            append([line])


def cut_to_whole_parts(lines: JsonLines[Any], size: int, total: int) -> int:
    """Cut rows that a kill left of a part, and return how many are left.

    A sampled answer depends on the prompts that are answered together: a part is done again whole.

    Args:
        lines: the rows.
        size: number of rows of a part; the last one may be shorter.
        total: number of rows of the unit.
    """
    lines.cut_torn_line()
    lengths = [len(line) for _, line in lines.with_bytes()]
    done = len(lengths) if len(lengths) >= total else len(lengths) - len(lengths) % size
    if done < len(lengths):
        with lines.path.open("r+b") as file:
            file.truncate(sum(lengths[:done]))
    return done
