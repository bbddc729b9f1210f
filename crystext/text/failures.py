"""The result of reading a text: a crystal, or the reason why it is not one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from crystext.structures.crystal import Crystal

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure


class DecodeFailure(Enum):
    """Why a text is not a crystal. The value is one sentence for people."""

    EMPTY = "there is no text"
    BAD_LENGTHS = "the line of cell lengths is not three positive numbers"
    BAD_ANGLES = "the line of cell angles is not three numbers between 0 and 180"
    NO_VOLUME = "the cell lengths and angles enclose no volume"
    NO_ATOMS = "the text ends after the cell"
    UNKNOWN_ELEMENT = "a line that should be an element symbol is not one"
    BAD_POSITION = "the line of coordinates is not three numbers in [0, 1)"
    TRUNCATED = "the text ends in the middle of a line or of an atom"
    WRONG_PRECISION = "a number does not have the decimals that the format requires"
    UNREADABLE = "the text cannot be read in its format"
    # Of Wyckoff texts.
    UNKNOWN_SPACE_GROUP = "the first line is not the number of a space group, 1 to 230"
    UNKNOWN_POSITION = "the space group has no Wyckoff position of that name"
    POINT_TAKEN = "a position without free coordinates is occupied twice"
    HIGHER_SYMMETRY = "an orbit's coordinates place it on a position of fewer atoms"
    BAD_CELL = "the last line does not hold the cell parameters that the space group leaves free"


@dataclass(frozen=True)
class Decoded:
    """The result of reading a text: a crystal, or a failure and its line."""

    crystal: Crystal | None
    failure: DecodeFailure | None = None
    line: int | None = None
    """Number, from 1, of the line at which reading stopped; None if a crystal was read."""
    detail: str = ""
    """What was found at that line."""
    repairs: tuple[str, ...] = field(default=())
    """Repairs that lenient reading made, in the order of the text."""

    @property
    def structure(self) -> Structure | None:
        """The crystal as a pymatgen `Structure`, or None."""
        return None if self.crystal is None else self.crystal.structure

    def __bool__(self) -> bool:
        return self.crystal is not None


def failure_at(
    failure: DecodeFailure, index: int, lines: list[str], line_numbers: Sequence[int]
) -> Decoded:
    """Return a failure at a line, or after the last.

    Args:
        failure: the reason.
        index: index of the line, from 0.
        lines: lines of the text.
        line_numbers: number of each line, for the message.
    """
    inside = index < len(lines)
    number = line_numbers[index] if inside else line_numbers[-1] + 1
    found = lines[index] if inside else ""
    # A line of noise may be megabytes long, so the quotation is cut.
    quoted = repr(found[:60]) + ("..." if len(found) > 60 else "")
    return Decoded(None, failure, number, quoted)
