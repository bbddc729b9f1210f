"""The chosen samples of a run folder, beside all of its samples.

    run/attempts.jsonl      all samples, as without a selection
    run/selected.jsonl      the lines of those that were chosen, in order of index, with `rank`,
                            `log_probability_per_token`, `predicted_e_above_hull` if energies
                            decided, `space_group_found` and `prototype`
    run/settings.json       has a section `selection`: what was chosen, of how many, by what

A folder with `selected.jsonl` is read as the chosen samples by every command that reads crystals,
and evaluations say so. Order of index, not of rank: the first hundred are then a fair part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crystext.errors import RunError
from crystext.generation.run import run_folder
from crystext.generation.selection import SelectionSummary
from crystext.io.read.crystext_outputs import ATTEMPT_EXPECTED, SELECTED_FILE, parse_attempt
from crystext.runtime.files import write_json, write_text
from crystext.runtime.run_folder import SETTINGS_FILE, JsonLines

SECTION = "selection"
"""Name of the section of `settings.json`."""


def read_selection(out: Path) -> SelectionSummary | None:
    """Return what the chosen samples of a run folder are; None if nothing was chosen.

    Raises:
        RunError: the settings do not say it, or the choice was interrupted.
    """
    section, is_there = _section(out), (out / SELECTED_FILE).is_file()
    if section is None and not is_there:
        return None
    try:
        summary = SelectionSummary.model_validate(section)
    except ValidationError:
        raise RunError(
            f"{out / SETTINGS_FILE} does not say what {SELECTED_FILE} holds: its section {SECTION} "
            "is missing or damaged; restore it, or give the command of the run again"
        ) from None
    if not is_there:
        raise RunError(
            f"{out} has no {SELECTED_FILE}, and its settings say that samples were chosen; give "
            "the command of the run again, which chooses without sampling"
        )
    return summary


def read_selected(out: Path) -> list[dict[str, Any]]:
    """Return the chosen samples of a run folder as JSON objects, in order of index.

    Raises:
        RunError: a line is damaged.
    """
    return list(JsonLines(out / SELECTED_FILE, parse_attempt, ATTEMPT_EXPECTED))


def write_selection(
    out: Path, summary: SelectionSummary, samples: Iterable[Mapping[str, Any]]
) -> None:
    """Write the chosen samples of a run folder, in place of an earlier choice.

    Args:
        out: the folder, with the settings of its run.
        summary: what was chosen.
        samples: lines of `attempts.jsonl` as JSON objects, with the values of the choice.

    Raises:
        RunError: the folder cannot be written, or another process writes to it.
    """
    folder = run_folder(out)
    with folder.locked(), folder.writing():
        # A kill in between leaves settings without samples, which `read_selection` reports; never
        # samples that other settings describe.
        (out / SELECTED_FILE).unlink(missing_ok=True)
        write_json(
            out / SETTINGS_FILE, {**(folder.settings() or {}), SECTION: summary.model_dump()}
        )
        write_text(out / SELECTED_FILE, "".join(json.dumps(dict(x)) + "\n" for x in samples))


def refuse_selection(out: Path) -> None:
    """Refuse a folder with chosen samples to a command that chooses none.

    Raises:
        RunError: samples were chosen in it.
    """
    section = _section(out)
    if section is None and not (out / SELECTED_FILE).is_file():
        return
    command = ""
    if isinstance(section, dict) and {"keep_best", "of", "by"} <= section.keys():
        command = " {keep_best} --of {of} --by {by}".format(**section)
    raise RunError(
        f"{out} holds a run whose best samples were chosen; give --keep-best{command} to continue "
        "it, or another --out"
    )


def _section(out: Path) -> Any:
    """Return the section of the settings; None if it is missing or they cannot be read."""
    try:
        return (run_folder(out).settings() or {}).get(SECTION)
    except RunError:
        return None  # Samples can be read without settings; chosen ones cannot, see above.
