"""The Wyckoff format: space group, Wyckoff orbits, and the free cell parameters.

    152                       space group
    Si 3a 0.470               element, Wyckoff position, its free coordinates
    O 6c 0.413 0.267 0.119
    4.91 5.40                 the free parameters among a b c (Å) alpha beta gamma (degrees)

Orbits are sorted by electronegativity, then by letter. Values that symmetry fixes are not written,
so they are exact. The cell is the conventional one, in the setting of `positions`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import InputError
from crystext.structures.augment import randomize_description
from crystext.structures.crystal import Crystal, angles_form_cell
from crystext.structures.record import Record
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_names
from crystext.structures.wyckoff.orbits import (
    Orbit,
    WyckoffCrystal,
    from_wyckoff,
    primitive_sites,
    to_wyckoff,
)
from crystext.structures.wyckoff.positions import wyckoff_positions
from crystext.text.base import DecimalFormat
from crystext.text.failures import Decoded, DecodeFailure, failure_at
from crystext.text.lenient import (
    find_space_group_line,
    is_prose,
    repair_cell,
    repair_orbit,
    strip_lines,
)
from crystext.text.lines import (
    DIGITS,
    NUMBER_PATTERN,
    SPACE_GROUP_PATTERN,
    SYMBOL_STARTS,
    NumberedLine,
    decimal_places,
    is_space_group_line,
)

_MAX_PARAMETER = 999.0
_DIGITS_START = r"(?:[0-9]{1,3}(?:\.[0-9]{0,12})?)?"
_ORBIT_START = re.compile(
    r"(?P<symbol>[A-Z][a-z]?)"
    rf"(?: (?:[0-9]{{0,3}}|[0-9]{{1,3}}[a-zA](?: {DIGITS}){{0,2}}(?: {_DIGITS_START})?))?"
)
"""An orbit's line, possibly truncated."""


@dataclass(frozen=True)
class WyckoffFormat(DecimalFormat):
    """A format that gives a crystal by its space group and Wyckoff orbits."""

    template: ClassVar[str] = "generate_wyckoff"
    enforces: ClassVar[tuple[str, ...]] = ("space_group", "crystal_system")
    needs_wyckoff: ClassVar[bool] = True
    grammar: ClassVar[str | None] = "crystext.grammar.wyckoff.grammar:WyckoffGrammar"

    def encode(self, crystal: Crystal) -> str:
        """Write a crystal, in any description, by space group and orbits.

        Raises:
            InputError: spglib finds no symmetry, or `decode` would refuse the text.
        """
        text = self.encode_wyckoff(to_wyckoff(crystal))
        # Costs a few percent of the symmetry search.
        lines = text.split("\n")
        read = self.read_lines(lines, range(1, len(lines) + 1), exact=True)
        if read.failure is not None:
            raise InputError(
                f"the format {self.name} cannot represent the crystal: {read.failure.value}; its "
                f"text would be {text!r}"
            )
        return text

    def encode_wyckoff(self, crystal: WyckoffCrystal) -> str:
        """Write a crystal given by its orbits, in the order given.

        `decode` refuses a text whose orbits coincide, if only after rounding.

        Raises:
            InputError: the cell is too large or too small for the format.
        """
        places = self._cell_decimals(crystal.space_group)
        if not all(
            0.5 * 10.0**-n < x < _MAX_PARAMETER for x, n in zip(crystal.cell, places, strict=True)
        ):
            raise InputError(
                f"the format {self.name} cannot represent the cell {crystal.cell}: expected "
                f"numbers of {self.length_decimals} decimals below {_MAX_PARAMETER:g}"
            )
        cell = [f"{x:.{n}f}" for x, n in zip(crystal.cell, places, strict=True)]
        orbits = [_orbit_line(orbit, self.coordinate_decimals) for orbit in crystal.orbits]
        return "\n".join([str(crystal.space_group), *orbits, " ".join(cell)])

    def encode_masked(self, crystal: WyckoffCrystal, number: int, mask: str) -> str:
        """Return the text with `mask` in place of the element of this atomic number."""
        first, *lines = self.encode_wyckoff(crystal).split("\n")
        for i, orbit in enumerate(crystal.orbits):
            if orbit.atomic_number == number:
                lines[i] = " ".join([mask, *lines[i].split(" ")[1:]])
        return "\n".join([first, *lines])

    def _cell_decimals(self, space_group: int) -> list[int]:
        """Return the decimals of each free cell parameter."""
        names = free_parameter_names(space_group)
        return [self.length_decimals if len(name) == 1 else self.angle_decimals for name in names]

    def recognizes(self, text: str) -> bool:
        """Return whether the first of several lines is a whole number."""
        first, newline, _ = text.partition("\n")
        return bool(newline and SPACE_GROUP_PATTERN.fullmatch(first.strip()))

    def max_characters(self, max_atoms: int) -> int:
        """Return an upper bound on the number of characters of a text of so many atoms."""
        line = len("\nNa 192j") + 3 * (self.coordinate_decimals + len(" 0."))
        return len("230") + max_atoms * line + 6 * len(" 100.00")

    def read_lines(self, lines: list[str], line_numbers: Sequence[int], *, exact: bool) -> Decoded:
        """Read the strict form. The crystal is returned in a Niggli-reduced primitive cell."""
        found = self._parse(lines, line_numbers, exact=exact)
        if isinstance(found, Decoded):
            return found
        crystal = from_wyckoff(found)
        if crystal.volume > 0:
            return Decoded(crystal)
        # A primitive cell may be so much flatter than the conventional one that it has no volume.
        return failure_at(DecodeFailure.NO_VOLUME, len(lines) - 1, lines, line_numbers)

    def declared_wyckoff(self, text: str) -> WyckoffCrystal | None:
        """Return the space group, orbits and cell that a text declares; None if it has none."""
        if not self.recognizes(text):
            return None
        lines = text.split("\n")
        found = self._parse(lines, range(1, len(lines) + 1), exact=False)
        return None if isinstance(found, Decoded) else found

    def _parse(
        self, lines: list[str], line_numbers: Sequence[int], *, exact: bool
    ) -> WyckoffCrystal | Decoded:
        """Return what a text declares, or why it cannot be read."""

        def failure(kind: DecodeFailure, index: int) -> Decoded:
            return failure_at(kind, index, lines, line_numbers)

        if not is_space_group_line(lines[0]):
            return failure(DecodeFailure.UNKNOWN_SPACE_GROUP, 0)
        group = int(lines[0])
        if len(lines) < 2:
            return failure(DecodeFailure.TRUNCATED, 1)
        last = len(lines) - 1
        orbits: list[Orbit] = []
        for i in range(1, last):
            found = _parse_orbit(lines[i], group)
            if isinstance(found, DecodeFailure):
                return failure(found, i)
            if not found.free_coordinates.size and any(
                found.position is other.position for other in orbits
            ):
                return failure(DecodeFailure.POINT_TAKEN, i)
            try:
                primitive_sites(found)
            except InputError as error:
                return Decoded(None, DecodeFailure.HIGHER_SYMMETRY, line_numbers[i], str(error))
            orbits.append(found)
        cell = _parse_numbers(lines[last].split(" "))
        if cell is None or len(cell) != len(free_parameter_names(group)):
            return failure(
                DecodeFailure.TRUNCATED
                if _is_truncated(lines[last], group)
                else DecodeFailure.BAD_CELL,
                last,
            )
        if not orbits:
            return failure(DecodeFailure.NO_ATOMS, last)
        if min(cell) <= 0:
            return failure(DecodeFailure.BAD_CELL, last)
        _, angles = cell_parameters(group, cell)
        if not (angles.max() < 180 and angles_form_cell(*angles.tolist())):
            return failure(DecodeFailure.NO_VOLUME, last)
        if exact and (wrong := self._wrong_precision(lines, group)) is not None:
            return failure(DecodeFailure.WRONG_PRECISION, wrong)
        return WyckoffCrystal(group, tuple(orbits), tuple(cell))

    def _wrong_precision(self, lines: list[str], space_group: int) -> int | None:
        """Return the index of the first line whose numbers have other decimals than expected."""
        for i, line in enumerate(lines[1:-1], start=1):
            if any(decimal_places(x) != self.coordinate_decimals for x in line.split(" ")[2:]):
                return i
        places = self._cell_decimals(space_group)
        found = [decimal_places(word) for word in lines[-1].split(" ")]
        return None if found == places else len(lines) - 1

    def lenient_start(self, lines: Sequence[NumberedLine]) -> int | None:
        """Return the index of the first space-group number that is followed by an orbit."""
        return find_space_group_line(lines, 0)

    def repair(self, lines: list[str]) -> tuple[list[NumberedLine], tuple[str, ...]]:
        """Bring a loosely written text into the strict form where that is unambiguous."""
        repairs: dict[str, None] = {}
        kept = strip_lines(lines, repairs)
        start = find_space_group_line(kept, 0) or 0
        if start > 0:
            repairs["text before the crystal"] = None
        out = [kept[start]]
        end = start + 1
        while end < len(kept) and (orbit := repair_orbit(kept[end], repairs)):
            out.append(orbit)
            end += 1
        if end < len(kept) and (cell := repair_cell(kept[end], repairs)):
            out.append(cell)
            end += 1
            if end < len(kept) and is_prose(kept, end):
                repairs["text after the crystal"] = None
                end = len(kept)
        return out + kept[end:], tuple(repairs)

    def equivalent_texts(self, crystal: Crystal, count: int, rng: np.random.Generator) -> list[str]:
        """Return texts with random choices of origin, axes and representative sites.

        The space group's normaliser allows no other choice (`augment.randomize_description`).
        """
        wyckoff = to_wyckoff(crystal)
        return [self.encode_wyckoff(randomize_description(wyckoff, rng)) for _ in range(count)]

    def record_as_written(self, record: Record) -> Record:
        """Return a record with a primitive cell and the space group of its Wyckoff description."""
        wyckoff = _require_wyckoff(record)
        labels = {**record.labels, "space_group": float(wyckoff.space_group)}
        crystal = record.require_crystal()
        if len(crystal) != wyckoff.n_atoms:
            crystal = from_wyckoff(wyckoff)
        return replace(record, crystal=crystal, labels=labels)

    def encode_record(self, record: Record, rng: np.random.Generator) -> str:
        """Write a random description of a record's crystal."""
        return self.encode_wyckoff(randomize_description(_require_wyckoff(record), rng))

    def line_kinds(self, text: str) -> list[str]:
        """Return what each line of a text holds."""
        return ["space group", *["orbit"] * (text.count("\n") - 1), "cell"]


def _require_wyckoff(record: Record) -> WyckoffCrystal:
    assert record.wyckoff is not None, "the format declares that it needs it"
    return record.wyckoff


def _orbit_line(orbit: Orbit, decimals: int) -> str:
    free = [f"{round(x, decimals) % 1.0:.{decimals}f}" for x in orbit.free_coordinates.tolist()]
    return " ".join([SYMBOLS[orbit.atomic_number - 1], orbit.position.name, *free])


def _is_truncated(line: str, group: int) -> bool:
    """Return whether the text's last line is the start of an orbit's line or of the cell's."""
    if line in SYMBOL_STARTS:
        return True
    if orbit := _ORBIT_START.fullmatch(line):
        return orbit["symbol"] in ATOMIC_NUMBERS
    before = len(free_parameter_names(group)) - 1
    return bool(re.fullmatch(rf"(?:{DIGITS} ){{0,{before}}}{_DIGITS_START}", line))


def _parse_orbit(line: str, group: int) -> Orbit | DecodeFailure:
    symbol, _, rest = line.partition(" ")
    name, *numbers = rest.split(" ")
    if symbol not in ATOMIC_NUMBERS:
        return DecodeFailure.UNKNOWN_ELEMENT
    position = wyckoff_positions(group).get(name[-1:])
    if position is None or position.name != name:
        return DecodeFailure.UNKNOWN_POSITION
    free = _parse_numbers(numbers)
    if free is None or len(free) != len(position.free_axes) or max(free, default=0.0) >= 1:
        return DecodeFailure.BAD_POSITION
    return Orbit(ATOMIC_NUMBERS[symbol], position, np.array(free))


def _parse_numbers(words: list[str]) -> list[float] | None:
    if not all(NUMBER_PATTERN.fullmatch(word) for word in words):
        return None
    return [float(word) for word in words]


WYCKOFF = WyckoffFormat(
    "wyckoff", 2, 2, 3, title="space group, Wyckoff orbits and free cell parameters"
)
