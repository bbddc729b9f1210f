"""Export candidates: files for another program, an index with a cost for each, and a README.

    OUT/export_index.csv   a row for each candidate, in the order of priority, written or not
    OUT/README.md          what this is, what is still to bring, a line for each candidate
    OUT/001-NaCl/ ...      the files of a candidate; formats of structures have files in OUT instead

Everything is written to a temporary folder that gets its name when it is complete, so that a kill
leaves nothing half written.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crystext.errors import InputError, RunError, SettingError, describe_error, did_you_mean
from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget
from crystext.io.calculations.candidates import SourceRow, read_candidates
from crystext.io.calculations.cost import CostEstimate, estimate_cost
from crystext.io.calculations.registry import EXPORT_TARGETS
from crystext.io.read.crystext_outputs import EXPORT_INDEX_FILE
from crystext.io.write.cif_text import safe_name, symmetrized_cif
from crystext.io.write.symmetry import conventional_cell, find_wyckoff
from crystext.runtime.files import explain_os_errors, replace_atomically
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Label
from crystext.structures.space_groups import find_space_group
from crystext.structures.standardize import standardize

README_FILE = "README.md"

CELLS = ("as-read", "primitive", "conventional")
"""Cells that a crystal can be written in."""


@dataclass(frozen=True)
class ExportedCandidate:
    """A row of the index: a candidate that was written, or the reason why not."""

    place: int
    """Place in the order of priority, from 1."""
    name: str
    """Name in the source."""
    tags: dict[str, Label]
    """Where it comes from; see `Candidate.tags`."""
    crystal: Crystal | None = None
    """The crystal as it was written; None if there is none."""
    path: str = ""
    """Its folder or file, relative to the folder of the export; empty if it was not written."""
    settings: CalculationSettings | None = None
    cost: CostEstimate | None = None
    problem: str = ""
    """Why it was not written; empty if it was."""
    notes: tuple[str, ...] = ()
    """What has to be said about it, one sentence each."""


@dataclass(frozen=True)
class Export:
    """An export that was written."""

    out: Path
    target: str
    input_set: str
    """Name of the input set; empty if the target has none."""
    candidates: list[ExportedCandidate] = field(default_factory=list)
    """All candidates in their order of priority, those that were not written included."""

    @property
    def written(self) -> list[ExportedCandidate]:
        """The candidates that were written."""
        return [row for row in self.candidates if not row.problem]

    @property
    def problems(self) -> list[ExportedCandidate]:
        """The candidates that were not written."""
        return [row for row in self.candidates if row.problem]


def export_candidates(
    source: str | Path | Iterable[Any],
    to: str,
    out: str | Path,
    *,
    input_set: str | None = None,
    rank_by: str | None = None,
    energies: str | Path | None = None,
    n: int | None = None,
    cell: str = "as-read",
    symmetrized: bool = False,
    lenient: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Write the inputs of calculations, or files of structures, for crystals in order of priority.

    Args:
        source: any source that `read_crystals` reads, or crystals in Python: see `as_crystal`.
        to: name of a target: vasp, qe, cp2k, abinit, aims, atomate2, aiida, optimade, extxyz, cif.
        out: the folder to write, which must be new or empty.
        input_set: for a target with several, such as MPRelaxSet or MPScanRelaxSet of `vasp`; None
            takes the first.
        rank_by: column of the source to order by, the least first; `-NAME` puts the greatest
            first. None takes the column `rank`, else the order given.
        energies: a CSV table that `crystext hull` made of this source; it gives the order, and its
            values are written beside the candidates.
        n: export the first n only, after ordering.
        cell: `as-read`; `primitive`, the reduced standard cell of `standardize`; or
            `conventional`. For the latter two, atoms move to their symmetric positions, by at most
            0.1 Å.
        symmetrized: for `cif`, write operations and one atom for each orbit.
        lenient: see `read_crystals`.
        progress: called with the number of candidates done, and that of all.

    Returns:
        What was written. Candidates that cannot be read or written stay in the index, with the
        reason.

    Raises:
        SettingError: the target, the input set, the cell or the column does not exist.
        RunError: the folder is not empty, or cannot be written.
        InputError: nothing in the source can be read, or no candidate can be written.
    """
    target, chosen = _target(to, input_set, cell, symmetrized)
    out = Path(out)
    _check_out(out)
    rows = read_candidates(source, rank_by=rank_by, energies=energies, lenient=lenient)[:n]
    with explain_os_errors(out), replace_atomically(out) as partial:
        partial.mkdir()
        exported, candidates = [], []
        for place, row in enumerate(rows, start=1):
            candidate, entry = _prepare(place, row, cell, symmetrized, len(rows))
            if candidate is not None:
                entry = _write(target, candidate, entry, partial, chosen)
            if candidate is not None and not entry.problem:
                candidates.append(candidate)
            exported.append(entry)
            progress(place, len(rows))
        if not candidates:
            raise InputError(_nothing_written(exported, to))
        target.finish(candidates, partial, chosen)
        export = Export(out, to, chosen, exported)
        _write_index(export, partial / EXPORT_INDEX_FILE)
        _write_readme(export, target, partial / README_FILE)
        if out.is_dir():
            out.rmdir()
    return export


def _target(
    to: str, input_set: str | None, cell: str, symmetrized: bool
) -> tuple[ExportTarget, str]:
    """Return the target and the name of its input set; refuse what it does not have."""
    target = EXPORT_TARGETS.find(to)
    if cell not in CELLS:
        raise SettingError(
            f"no cell is called {cell!r}; there are {', '.join(CELLS)}." + did_you_mean(cell, CELLS)
        )
    if symmetrized and to != "cif":
        raise SettingError(
            f"files for {to} cannot hold symmetry operations; try cif, or the conventional cell"
        )
    sets = target.input_sets
    if input_set is None:
        return target, sets[0] if sets else ""
    if not sets:
        raise SettingError(f"{to} has no input sets; leave out {input_set!r}")
    if input_set not in sets:
        raise SettingError(
            f"{to} has no input set {input_set!r}; it has {', '.join(sets)}."
            + did_you_mean(input_set, sets)
        )
    return target, input_set


def _check_out(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"the folder {out} holds files already; name another, or empty it")
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder to write to")


def _prepare(
    place: int, row: SourceRow, cell: str, symmetrized: bool, total: int
) -> tuple[Candidate | None, ExportedCandidate]:
    """Return the candidate in the requested cell, and its row; no candidate if there is none."""
    record, tags = row
    if record.crystal is None:
        problem = record.message or "it has no structure"
        return None, ExportedCandidate(place, record.name, tags, problem=problem)
    crystal, notes, text = record.crystal, record.notes, None
    stem = f"{place:0{max(3, len(str(total)))}d}-{safe_name(reduced_formula(crystal.numbers))}"
    try:
        crystal.check()
        if cell == "primitive":
            crystal, _ = standardize(crystal)
        elif cell == "conventional" or symmetrized:
            wyckoff = find_wyckoff(crystal)
            crystal = conventional_cell(wyckoff) if cell == "conventional" else crystal
            text = symmetrized_cif(wyckoff, stem) if symmetrized else None
    except InputError as error:
        notes = (*notes, f"the cell is written as it is: {error}")
    candidate = Candidate(place, record.name, crystal, tags, stem, text)
    return candidate, ExportedCandidate(place, record.name, tags, crystal, notes=notes)


def _write(
    target: ExportTarget, candidate: Candidate, entry: ExportedCandidate, out: Path, input_set: str
) -> ExportedCandidate:
    """Write the files of a candidate, and return its row with what was written."""
    folder = out / candidate.stem if target.one_folder_each else out
    if target.one_folder_each:
        folder.mkdir()
    before = {**vars(entry)}
    try:
        settings = target.write(candidate, folder, input_set)
        cost = estimate_cost(candidate.crystal, settings)
    except OSError:
        raise
    except InputError as error:
        problem = str(error)
    except Exception as error:  # Other packages raise anything for a crystal they do not expect.
        problem = describe_error(error, f"{target.title} cannot write this crystal")
    else:
        notes = (*entry.notes, *settings.notes)
        path = target.path.format(stem=candidate.stem)
        written = {"settings": settings, "cost": cost, "notes": notes, "path": path}
        return ExportedCandidate(**{**before, **written})
    if target.one_folder_each:
        shutil.rmtree(folder)
    return ExportedCandidate(**{**before, "problem": problem})


def _nothing_written(rows: Sequence[ExportedCandidate], to: str) -> str:
    reasons = dict.fromkeys(row.problem for row in rows)
    first = f"{rows[0].name}: {rows[0].problem}"
    if len(rows) == 1:
        return first
    more = "" if len(reasons) == 1 else f", and {len(reasons) - 1} further reasons"
    return f"none of the {len(rows):,} candidates can be written for {to}; {first}{more}"


_INDEX_COLUMNS = (
    *("place", "path", "formula", "n_atoms", "space_group"),
    *("electrons", "k_points", "k_grid", "cutoff_ev", "plane_waves", "spin_polarized"),
    *("pseudopotentials", "relative_cost", "problem", "notes"),
)


def _write_index(export: Export, path: Path) -> None:
    """Write the table of candidates: the columns above, then the tags of the source."""
    tags = list(dict.fromkeys(key for row in export.candidates for key in row.tags))
    tags = [key for key in tags if key not in _INDEX_COLUMNS]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*_INDEX_COLUMNS, *tags], lineterminator="\n")
        writer.writeheader()
        for row in export.candidates:
            own = {key: value for key, value in row.tags.items() if key in tags}
            writer.writerow({**own, **_index_row(row)})


def _index_row(row: ExportedCandidate) -> dict[str, object]:
    values: dict[str, object] = {"place": row.place, "path": row.path, "problem": row.problem}
    values["notes"] = "; ".join(row.notes)
    if row.crystal is not None:
        values["formula"] = reduced_formula(row.crystal.numbers)
        values["n_atoms"] = len(row.crystal)
        values["space_group"] = find_space_group(row.crystal) or ""
    if row.settings is not None and row.cost is not None:
        values["electrons"] = row.cost.electrons
        values["k_points"] = row.cost.k_points
        values["k_grid"] = " ".join(map(str, row.settings.k_grid))
        values["cutoff_ev"] = round(row.settings.cutoff_ev, 3)
        values["plane_waves"] = row.cost.plane_waves
        values["spin_polarized"] = row.settings.is_spin_polarized
        values["pseudopotentials"] = row.settings.pseudopotentials
        values["relative_cost"] = float(f"{row.cost.relative_cost:.3g}")
    return values


def _write_readme(export: Export, target: ExportTarget, path: Path) -> None:
    """Write what the folder is, what is still to bring, and a line for each candidate."""
    chosen = f", {export.input_set}" if export.input_set else ""
    lines = [
        f"# {format_count(len(export.written), 'candidate')} for {target.title}{chosen}",
        "",
        f"In order of priority. {EXPORT_INDEX_FILE} has a row for each, with where it comes from "
        "and a relative cost: in units of silicon in MPRelaxSet, to order calculations by. It is "
        "not a time.",
        "",
        *([target.to_do, ""] if target.to_do else []),
    ]
    lines += [f"- {_readme_line(row)}" for row in export.candidates]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _readme_line(row: ExportedCandidate) -> str:
    name = f"{row.place}. {_plain(row.name)}"
    if row.problem:
        return f"{name}: not written: {_plain(row.problem)}"
    assert row.crystal is not None
    assert row.cost is not None
    said = [
        f"{reduced_formula(row.crystal.numbers)}, {format_count(len(row.crystal), 'atom')}",
        f"relative cost {row.cost.relative_cost:.3g}",
        *row.notes,
    ]
    return f"{row.path or name}: {_plain('; '.join(said))}"


def _plain(text: str) -> str:
    """Return a text from a file in one line, with what Markdown takes for markup escaped."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))
