"""What an export target is: a program or format, and how the files of a candidate are written.

A target is one file with an `ExportTarget` and one line in `EXPORT_TARGETS`; another distribution
adds one by an entry point of the group `crystext.export_targets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crystext.structures.crystal import Crystal
from crystext.structures.record import Label


@dataclass(frozen=True)
class Candidate:
    """A crystal to export, with its place in the order of priority and where it comes from."""

    place: int
    """Place in the order of priority, from 1."""
    name: str
    """Name in the source."""
    crystal: Crystal
    """The crystal in the cell that is written."""
    tags: Mapping[str, Label]
    """Where it comes from: `source`, `index`, and what the source says of it, such as `seed`,
    `log_probability` or `e_above_hull`. Keys are lower-case words joined by underscores."""
    stem: str
    """Name of its folder or file, which starts with its place: 001-NaCl."""
    wyckoff_cif: str | None = None
    """The crystal as a CIF with symmetry operations; None unless that was requested."""


@dataclass(frozen=True)
class CalculationSettings:
    """What the cost of a calculation is estimated from, and what has to be said about its input."""

    k_grid: tuple[int, int, int]
    """Number of k-points along each reciprocal vector."""
    cutoff_ev: float
    """Kinetic energy cutoff of the plane waves, in eV. Programs without plane waves are estimated
    as if they had those of MPRelaxSet."""
    is_spin_polarized: bool
    pseudopotentials: str = ""
    """Names of the pseudopotentials or basis sets that the input asks for; empty without any."""
    notes: tuple[str, ...] = ()
    """Sentences for the index, such as a warning of an input set."""


FOLDER_EACH = "{stem}"
"""Path of a candidate with a folder of its own."""


def _write_nothing(candidates: Sequence[Candidate], out: Path, input_set: str) -> None:
    """Leave the folder as it is."""


@dataclass(frozen=True)
class ExportTarget:
    """A program or format that candidates are exported to."""

    title: str
    """For people: the program or format, in one line."""
    write: Callable[[Candidate, Path, str], CalculationSettings]
    """Writes the files of a candidate into a folder, given also the name of the input set. Raises
    `InputError` if the target cannot hold the crystal; the other candidates are still written."""
    input_sets: tuple[str, ...] = ()
    """Names of input sets; the first is the default. Empty if there is nothing to choose."""
    finish: Callable[[Sequence[Candidate], Path, str], None] = _write_nothing
    """Writes the files that all candidates share, once each has been written."""
    path: str = FOLDER_EACH
    """Path of a candidate in the export, in which `{stem}` stands for its stem. By default a folder
    of its own, which `write` gets; for any other path `write` gets the common folder."""
    to_do: str = ""
    """What the user still has to bring, for the README of the export: one sentence or two."""

    @property
    def one_folder_each(self) -> bool:
        """Whether each candidate has a folder of its own."""
        return self.path == FOLDER_EACH
