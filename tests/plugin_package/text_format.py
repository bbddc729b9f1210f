"""A text format: a crystal on one line, as `4 4 4 90 90 90; Cs 0 0 0; Cl 0.5 0.5 0.5`."""

import re

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.structures.crystal import Crystal
from crystext.text.base import Format
from crystext.text.failures import Decoded, DecodeFailure


class OneLineFormat(Format):
    """The cell and the sites, to four decimals, divided by semicolons."""

    template = "generate_line"

    def encode(self, crystal: Crystal) -> str:
        rows = [[*crystal.lengths, *crystal.angles], *crystal.positions]
        numbers = [" ".join(f"{x:.4f}" for x in row) for row in rows]
        sites = zip(crystal.symbols, numbers[1:], strict=True)
        return "; ".join([numbers[0], *(f"{symbol} {place}" for symbol, place in sites)])

    def decode(self, text: str, *, strict: bool = True, exact: bool = True) -> Decoded:
        try:
            cell, *sites = [part.split() for part in text.split(";")]
            crystal = Crystal(
                np.array(cell[:3], dtype=float),
                np.array(cell[3:], dtype=float),
                np.array([ATOMIC_NUMBERS[site[0]] for site in sites]),
                np.array([site[1:] for site in sites], dtype=float) % 1,
            )
        except (ValueError, KeyError, IndexError) as error:
            return Decoded(None, DecodeFailure.TRUNCATED, 1, type(error).__name__)
        return Decoded(crystal)

    def recognizes(self, text: str) -> bool:
        return re.match(r"\S+( \S+){5}; [A-Z]", text) is not None

    def max_characters(self, max_atoms: int) -> int:
        return 60 + 30 * max_atoms


FORMAT = OneLineFormat("one_line", title="a crystal on one line")
