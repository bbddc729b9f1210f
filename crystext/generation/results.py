"""Samples and infill results, and their export to other libraries, tables, files and pictures.

`Results` is a sequence of items, each a crystal or a failure; it converts them to pymatgen and ASE
objects, tables, files and pictures. Sampling returns `Samples` of `Sample`, infilling returns
`InfillResults`. Failures keep their place, so that proportions of all samples can be computed.
"""

from __future__ import annotations

import base64
import html
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, overload

from crystext.errors import InputError
from crystext.generation.condition_columns import condition_columns, describe_conditions
from crystext.generation.infilling.complete import InfillRun
from crystext.generation.infilling.result import InfillResult, to_ase_atoms
from crystext.inference.types import Attempt
from crystext.io.render import render_png
from crystext.io.write import Layout, write_crystals
from crystext.metrics.uniqueness import duplicates_of
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.properties import density, reduced_formula
from crystext.structures.space_groups import find_space_group
from crystext.text import Format, decode

if TYPE_CHECKING:
    from ase import Atoms
    from pandas import DataFrame
    from pymatgen.core.structure import Structure

_MAX_SHOWN = 8
"""Maximum number of crystals in a picture of several."""


class Result(Protocol):
    """An item of `Results`: a crystal or a failure."""

    @property
    def index(self) -> int:
        """Its index among all items, from 0."""

    @property
    def crystal(self) -> Crystal | None:
        """The crystal; None where the text is none."""

    @property
    def structure(self) -> Structure | None:
        """The crystal as a pymatgen structure, a new one each time."""

    @property
    def satisfied(self) -> bool:
        """Whether it is a crystal that satisfies every condition that can be checked."""

    def row(self) -> dict[str, Any]:
        """Return what a table says of it: plain values by column."""

    def to_ase(self) -> Atoms:
        """Return the crystal as ASE's Atoms, with the values of `row` in its `info`."""


ResultT = TypeVar("ResultT", bound=Result)


class Results(Sequence[ResultT]):
    """A sequence of items; slices have the same type."""

    _columns: tuple[str, ...] = ()
    """Columns of a table without rows."""
    _full_precision: bool = False
    """Whether CIFs have all digits."""

    def __init__(self, results: Iterable[ResultT]) -> None:
        self._results = list(results)

    @overload
    def __getitem__(self, place: int) -> ResultT: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> ResultT | Self:
        if isinstance(place, slice):
            return self._subset(self._results[place])
        return self._results[place]

    def __len__(self) -> int:
        return len(self._results)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._results == other._results

    __hash__ = None  # type: ignore[assignment]

    @property
    def crystals(self) -> list[Crystal]:
        """The crystals, in order; failures are left out."""
        return [crystal for crystal in (result.crystal for result in self) if crystal is not None]

    @property
    def structures(self) -> list[Structure]:
        """The crystals as pymatgen structures, new ones each time; failures are left out."""
        return [s for s in (result.structure for result in self) if s is not None]

    @property
    def satisfied(self) -> Self:
        """The crystals that satisfy every condition that can be checked."""
        return self._subset(result for result in self if result.satisfied)

    def unique(self, workers: int = 1) -> Self:
        """Return the crystals without duplicates: the first of each, in order.

        Args:
            workers: processes that compare; for more than one, a script needs its
                `if __name__ == "__main__":`.

        Crystals are duplicates if pymatgen's StructureMatcher matches them, see
        `metrics.uniqueness`.
        """
        held = [(result, result.crystal) for result in self]
        parsed = [(result, crystal) for result, crystal in held if crystal is not None]
        earlier = duplicates_of([crystal for _, crystal in parsed], workers=workers)
        pairs = zip(parsed, earlier, strict=True)
        return self._subset(result for (result, _), twin in pairs if twin is None)

    def to_ase(self) -> list[Atoms]:
        """Return the crystals as ASE's Atoms; failures are left out.

        The values of its table row are in `info`, except texts of several lines such as the
        crystal's text: extended XYZ has a single line for all of `info`, and ASE could not read
        them back.
        """
        return [result.to_ase() for result in self if result.crystal is not None]

    def to_dataframe(self) -> DataFrame:
        """Return a row for each item, failures included; an empty table has the columns, too."""
        import pandas as pd

        rows = [result.row() for result in self]
        return pd.DataFrame(rows, columns=None if rows else list(self._columns))

    def save(
        self,
        out: str | Path,
        to: str | None = None,
        *,
        symmetrized: bool = False,
        conventional: bool = False,
    ) -> Path:
        """Write the crystals to a file or a folder, whole or not at all; return where.

        Failures are left out. Each crystal is named by its index and formula. Tables (Parquet, CSV)
        also have the columns of `to_dataframe`, and so do the properties of pymatgen's structures
        in JSON.

        Args:
            out: ends in .cif, .extxyz, .xyz, .parquet, .csv or .json, or for a single crystal in
                .vasp, or is called POSCAR; a path without a suffix is a folder with a file for
                each.
            to: cif, poscar, extxyz, parquet, csv or json; None takes it from the path, a folder's
                is cif.
            symmetrized: CIFs have the conventional cell, the operations of the space group, and one
                atom for each orbit with its Wyckoff letter. The group is the one that a Wyckoff
                text declares, else the one that spglib finds at 0.1 Å; atoms are moved onto it. A
                crystal in which none is found is written as it is, with a warning.
            conventional: the conventional cell with all its atoms, in any format.

        Raises:
            InputError: there is no crystal.
            SettingError: an unknown format or suffix, or symmetry operations for a format that
                cannot hold them.
            RunError: the path cannot be written, or is a folder that is not empty.
        """
        held = [(result, result.crystal) for result in self]
        parsed = [(result, crystal) for result, crystal in held if crystal is not None]
        if not parsed:
            raise InputError(f"none of the {len(self)} is a crystal, so there is nothing to write")
        named = [
            (f"{result.index:06d}-{reduced_formula(crystal.numbers)}", crystal)
            for result, crystal in parsed
        ]
        rows = [result.row() for result, _ in parsed]
        names = dict.fromkeys(name for row in rows for name in row if name not in _WRITER_COLUMNS)
        columns = {name: _uniform_column([row.get(name) for row in rows]) for name in names}
        labels = [labels for result, _ in parsed if (labels := self._labels(result))]
        write_crystals(
            named,
            out,
            to,
            columns=columns,
            labels=labels or None,
            layout=Layout(symmetrized, conventional, self._full_precision),
            texts=[self._text(result) for result, _ in parsed],
            note=lambda message: warnings.warn(message, stacklevel=4),
        )
        return Path(out)

    def _text(self, result: ResultT) -> str | None:
        """Return the text of a whole crystal; None if there is none."""
        return None

    def _labels(self, result: ResultT) -> Sequence[str]:
        """Return the labels of the sites of a crystal; empty if it has none."""
        return ()

    def _subset(self, results: Iterable[ResultT]) -> Self:
        """Return some of these; if empty, their table keeps the columns."""
        part = self._same_kind(results)
        if not len(part):
            part._columns = tuple(self.to_dataframe().columns)
        return part

    def _same_kind(self, results: Iterable[ResultT]) -> Self:
        """Return a sequence of this kind."""
        return type(self)(results)

    def __repr__(self) -> str:
        return f"<{self._summary()}>"

    def _summary(self) -> str:
        return f"{type(self).__name__}: {len(self)}, {format_count(len(self.crystals), 'crystal')}"

    def _repr_html_(self) -> str:
        shown = self.crystals[:_MAX_SHOWN]
        picture = f"<br>{_html_image(shown)}" if shown else ""
        return f"<div>{html.escape(self._summary())}{picture}</div>"


@dataclass(frozen=True)
class Sample(Attempt):
    """A sampled text and its crystal, or its failure."""

    prompt: str = field(default="", kw_only=True)
    seed: int | None = field(default=None, kw_only=True)
    """Seed of the sampling: the same seed gives the same sample."""
    format: str | Format | None = field(default=None, kw_only=True, repr=False)
    """Format of the text; None accepts any."""

    @classmethod
    def from_attempt(
        cls,
        attempt: Attempt,
        prompt: str,
        seed: int | None = None,
        format: str | Format | None = None,
    ) -> Self:
        """Take an attempt, its prompt, and the seed and format of the sampling."""
        return cls(**vars(attempt), prompt=prompt, seed=seed, format=format)

    @cached_property
    def crystal(self) -> Crystal | None:
        """The crystal; None where the text is none."""
        if self.failure or self.checked_crystal is not None:
            return self.checked_crystal
        return decode(self.text, format=self.format).crystal

    @property
    def structure(self) -> Structure | None:
        """The crystal as a pymatgen structure, a new one each time."""
        return None if self.crystal is None else self.crystal.structure

    @property
    def formula(self) -> str | None:
        """Reduced formula, elements by electronegativity."""
        return None if self.crystal is None else reduced_formula(self.crystal.numbers)

    @cached_property
    def space_group(self) -> int | None:
        """Number of the space group that spglib finds at 0.1 Å; None where it finds none."""
        return None if self.crystal is None else find_space_group(self.crystal)

    @property
    def density(self) -> float | None:
        """In g/cm^3; None for a failure."""
        return None if self.crystal is None else density(self.crystal)

    def to_ase(self) -> Atoms:
        """Return the crystal as ASE's Atoms, with what a table says of it in its `info`.

        Raises:
            InputError: the text is not a crystal.
        """
        return to_ase_atoms(self)

    def row(self) -> dict[str, Any]:
        """Return what a table says of it: plain values by column."""
        return {
            "index": self.index,
            "formula": self.formula,
            "n_atoms": None if self.crystal is None else len(self.crystal),
            "space_group": self.space_group,
            "density": self.density,
            "volume": None if self.crystal is None else self.crystal.volume,
            "log_probability": self.log_probability,
            "failure": self.failure,
            "attempts": self.attempts,
            "satisfied": self.satisfied,
            **condition_columns(self.conditions),
            "seed": self.seed,
            "prompt": self.prompt,
            "text": self.text,
        }

    def __repr__(self) -> str:
        if self.crystal is None:
            return f"<Sample {self.index}: no crystal ({self.failure})>"
        kept = f", {describe_conditions(self.conditions)}" if self.conditions else ""
        return (
            f"<Sample {self.index}: {self.formula}, {format_count(len(self.crystal), 'atom')}, "
            f"log-probability {self.log_probability:.1f}{kept}>"
        )

    def _repr_html_(self) -> str:
        picture = "" if self.crystal is None else f"<br>{_html_image([self.crystal])}"
        return f"<div>{html.escape(repr(self)[1:-1])}{picture}</div>"


class Samples(Results[Sample]):
    """Samples in the order of their indices."""

    _columns = (
        *("index", "formula", "n_atoms", "space_group", "density", "volume"),
        *("log_probability", "failure", "attempts", "satisfied", "seed", "prompt", "text"),
    )

    @property
    def seed(self) -> int | None:
        """Seed of the sampling, also if it was random; None if the samples have several."""
        seeds = {sample.seed for sample in self}
        return seeds.pop() if len(seeds) == 1 else None

    @property
    def refused(self) -> dict[str, int]:
        """Texts that missed each condition, those sampled again included; see `Attempt`."""
        return dict(sum((Counter(dict(sample.refused)) for sample in self), Counter()))

    def _text(self, result: Sample) -> str | None:
        return result.text

    def _summary(self) -> str:
        asked = any(sample.conditions for sample in self)
        kept = f", {len(self.satisfied)} satisfied" if asked else ""
        return f"{super()._summary()}{kept}"


class InfillResults(Results[InfillResult]):
    """Completions of one structure, the best first (see `infilling.ranking`)."""

    _columns = (
        *("rank", "log_probability", "formula", "changes", "space_group", "density"),
        *("count", "atoms_too_close", "orbits", "problem", "energy"),
    )
    _full_precision = True

    def __init__(
        self, results: Iterable[InfillResult], infill_run: InfillRun, seed: int | None = None
    ) -> None:
        super().__init__(results)
        self.infill_run = infill_run
        """The request and the number of sampled texts."""
        self.seed = seed
        """Seed of the sampling, also if it was random; ranked elements need none."""

    def _same_kind(self, results: Iterable[InfillResult]) -> Self:
        return type(self)(results, self.infill_run, self.seed)

    def _labels(self, result: InfillResult) -> Sequence[str]:
        return result.labels

    def _summary(self) -> str:
        changes = "; ".join(map(str, self[0].changes)) if len(self) else ""
        best = f", first {changes or 'as it was'}" if len(self) else ""
        dropped = self.infill_run.rejected
        return f"InfillResults: {len(self)}{best}" + (
            f", {dropped} left out that keep less" if dropped else ""
        )


_WRITER_COLUMNS = ("formula", "n_atoms", "volume")
"""Columns that `write_crystals` adds itself."""


def _uniform_column(values: list[object]) -> list[object]:
    """Return the values of a column, as texts if they have several types."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return values
    return [None if value is None else str(value) for value in values]


def _html_image(crystals: Sequence[Crystal]) -> str:
    data = base64.b64encode(render_png(crystals, dpi=72)).decode()
    return f'<img src="data:image/png;base64,{data}">'
