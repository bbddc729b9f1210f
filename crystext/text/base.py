"""The interface of a text format: how a crystal is written, read, augmented and prompted for.

A format is one object. Code outside this room queries the object, never which format it is:
the prompts (`template`), the tasks (`record_as_written`, `encode_record`), the training data
(`needs_wyckoff`), the conditions (`enforces`), the likelihoods (`line_kinds`) and the grammar room,
which looks up `grammar`.

To add one: one file here with a subclass of `Format`, and one line in `formats.FORMATS`; or, from
another distribution, an entry point of the group `crystext.formats`. A new format must write
(`encode`), read (`decode`), recognize its texts (`recognizes`) and bound their length
(`max_characters`). The rest has defaults. A format without a `grammar` is sampled unconstrained,
and each text is decoded afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from crystext.errors import SettingError
from crystext.structures.augment import translate
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import WyckoffCrystal
from crystext.text.failures import Decoded, DecodeFailure
from crystext.text.lines import NumberedLine


@dataclass(frozen=True)
class Format(ABC):
    """A way to write a crystal as text."""

    name: str
    """Name in options, recipes and model folders."""
    title: str = field(kw_only=True)
    """What its texts hold, in a few words."""

    template: ClassVar[str] = "generate"
    """Prompt template that requests a crystal in this format. A prompt cannot distinguish formats
    that share a template, so a model writes one of them."""
    enforces: ClassVar[tuple[str, ...]] = ()
    """Conditions that its grammar enforces besides those on the composition and number of atoms."""
    needs_wyckoff: ClassVar[bool] = False
    """Whether `encode_record` needs `Record.wyckoff`; training skips crystals without it."""
    lists_sites: ClassVar[bool] = False
    """Whether every site has two lines, element and coordinates, in the order of
    `Crystal.text_order`; parts of such a text can be left out and completed (`text.partial`)."""
    grammar: ClassVar[str | None] = None
    """Import path, `module:class`, of the grammar that constrains sampling (`grammar.base`)."""

    @property
    def decimals(self) -> tuple[int, int, int] | None:
        """Decimals of lengths, angles and coordinates; None if they are not fixed."""
        return None

    @abstractmethod
    def encode(self, crystal: Crystal) -> str:
        """Write a crystal.

        Raises:
            InputError: the format cannot hold it.
        """

    @abstractmethod
    def decode(self, text: str, *, strict: bool = True, exact: bool = True) -> Decoded:
        """Read a text; never raises.

        Args:
            text: any text.
            strict: True accepts the exact form only; False also repairs what is unambiguous. A
                strictly valid text reads the same either way.
            exact: whether every number must have the decimals of this format.
        """

    @abstractmethod
    def recognizes(self, text: str) -> bool:
        """Return whether a text begins as texts of this format do, whatever its decimals."""

    @abstractmethod
    def max_characters(self, max_atoms: int) -> int:
        """Return an upper bound on the number of characters of a text of so many atoms.

        Sampling ends texts there.
        """

    def lenient_start(self, lines: Sequence[NumberedLine]) -> int | None:
        """Return the index of the line at which a crystal of this format begins amid prose."""
        return None

    def regex(self, *, max_atoms: int, elements: Sequence[str]) -> str | None:
        """Return a regular expression that matches whole texts; None if the format has none."""
        return None

    def encode_in_given_order(self, crystal: Crystal) -> str:
        """Write a crystal with its atoms in the order in which they are given.

        Raises:
            SettingError: the format does not list sites.
        """
        raise SettingError(
            f"the format {self.name} ({self.title}) does not list every atom on separate lines, "
            "so parts of a crystal cannot be completed in it; use a model of the plain format"
        )

    def equivalent_texts(self, crystal: Crystal, count: int, rng: np.random.Generator) -> list[str]:
        """Return texts of random equivalent descriptions of a crystal; by default, translations.

        A perfect model assigns all of them the same probability.

        Raises:
            InputError: the format cannot hold the crystal.
        """
        return [self.encode(translate(crystal, rng)) for _ in range(count)]

    def record_as_written(self, record: Record) -> Record:
        """Return a record with the cell and labels that its text declares."""
        return record

    def encode_record(self, record: Record, rng: np.random.Generator) -> str:
        """Write a record for training. Its crystal is already randomly translated and permuted.

        Raises:
            InputError: the format cannot hold the crystal.
        """
        return self.encode(record.require_crystal())

    def declared_wyckoff(self, text: str) -> WyckoffCrystal | None:
        """Return the space group, orbits and cell that a text declares; None if it has none."""
        return None

    def line_kinds(self, text: str) -> list[str]:
        """Return what each line of a text holds; `lengths`, `angles` and `cell` are the cell."""
        return ["text"] * (text.count("\n") + 1)


@dataclass(frozen=True)
class DecimalFormat(Format):
    """A format of lines that hold numbers with fixed decimals."""

    length_decimals: int
    angle_decimals: int
    coordinate_decimals: int

    @property
    def decimals(self) -> tuple[int, int, int]:
        """Decimals of lengths, angles and coordinates."""
        return self.length_decimals, self.angle_decimals, self.coordinate_decimals

    @abstractmethod
    def read_lines(self, lines: list[str], line_numbers: Sequence[int], *, exact: bool) -> Decoded:
        """Read the strict form.

        Args:
            lines: lines of the text.
            line_numbers: number of each line, for failures.
            exact: see `decode`.
        """

    @abstractmethod
    def repair(self, lines: list[str]) -> tuple[list[NumberedLine], tuple[str, ...]]:
        """Return the lines of the crystal in the strict form, and the repairs."""

    def read_repaired(
        self, lines: list[str], line_numbers: Sequence[int], *, exact: bool
    ) -> Decoded:
        """Read lines that `repair` returned."""
        return self.read_lines(lines, line_numbers, exact=exact)

    def decode(self, text: str, *, strict: bool = True, exact: bool = True) -> Decoded:
        """Read a text; see `Format.decode`."""
        if not text.strip():
            found = "nothing but white space" if text else "nothing"
            return Decoded(None, DecodeFailure.EMPTY, 1, found)
        lines = text.split("\n")
        decoded = self.read_lines(lines, range(1, len(lines) + 1), exact=exact)
        if strict or decoded:
            return decoded
        repaired, repairs = self.repair(lines)
        decoded = self.read_repaired(
            [line.text for line in repaired], [line.number for line in repaired], exact=exact
        )
        return replace(decoded, repairs=repairs)
