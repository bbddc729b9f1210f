"""Space groups: parse numbers and common symbols, and find that of a crystal."""

from __future__ import annotations

import logging
import re
from functools import cache
from types import ModuleType

from crystext.errors import InputError, SettingError, did_you_mean
from crystext.structures.crystal import Crystal, Floats, Ints
from crystext.structures.standardize import find_symmetry

SYMPREC = 0.1
"""Å; how far atoms may be from their symmetric positions: the usual tolerance for reported space
groups."""

_FORMER_SYMBOLS = {"Abm2": 39, "Aba2": 41, "Cmca": 64, "Cmma": 67, "Ccca": 68}
"""Symbols used until 1992, when the International Tables introduced e for a double glide."""


def parse_space_group(value: int | str) -> int:
    """Return the number of a space group.

    Args:
        value: a number, or a symbol: short, full, or of another setting; with or without spaces
            and underscores, and with or without the bar of a cubic group (Fm3m).

    Raises:
        SettingError: the group does not exist; the message names the nearest.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not text:
        raise SettingError(f"space group {value!r}: expected 1 to 230, or a symbol such as Fm-3m")
    if digits := re.fullmatch(r"([-+]?)0*(\d+)(\.0*)?", text):
        # Nine digits suffice to find the nearest group.
        number = int(digits[1] + digits[2][:9])
        if not 1 <= number <= 230:
            nearest = min(max(number, 1), 230)
            raise SettingError(
                f"no space group has the number {text}; expected 1 to 230. The nearest is {nearest}"
            )
        return number
    spellings = _numbers_by_symbol()
    plain = re.sub(r"[\s_]", "", text).replace("−", "-").replace("–", "-")
    if plain in spellings:
        return spellings[plain]
    for known, number in spellings.items():
        if known.lower() == plain.lower():
            return number
    raise SettingError(
        f"no space group is called {text!r}; expected 1 to 230, or a symbol such as Fm-3m."
        + did_you_mean(plain, spellings)
    )


@cache
def _numbers_by_symbol() -> dict[str, int]:
    """Return the number of each spelling, without spaces and underscores.

    Source: spglib's table of 530 settings. No two groups share a spelling.
    """
    import spglib

    found: dict[str, int] = {}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        if kind is None:
            continue
        full = kind.international_full
        spellings = [kind.international_short, full, *kind.international.split("=")]
        if 3 <= kind.number <= 15:
            # P 1 2_1/n 1, the axes without symmetry left out, is the usual P2_1/n.
            spellings.append("".join(part for part in full.split() if part != "1"))
        if kind.number >= 200:
            spellings.append(kind.international_short.replace("-3", "3"))
        for spelling in spellings:
            found.setdefault(re.sub(r"[\s_]", "", spelling), kind.number)
    return found | _FORMER_SYMBOLS


def find_space_group(crystal: Crystal, symprec: float = SYMPREC) -> int | None:
    """Return the number of the space group that spglib finds; None if it finds none.

    Args:
        crystal: the crystal.
        symprec: Å; how far atoms may be from their symmetric positions.
    """
    try:
        found = find_symmetry(crystal.lattice, crystal.positions, crystal.numbers, symprec)
    except InputError:
        return None
    return int(found.number)


def moyo_space_group(
    lattice: Floats, positions: Floats, numbers: Ints, symprec: float = SYMPREC
) -> int | None:
    """Return the number of the space group that moyo finds; None if it finds none.

    It takes a tenth of spglib's time, and finds the same group in all but a few crystals at the
    edge of the tolerance: where the two could differ, spglib's is the one to report.

    Args:
        lattice: basis vectors as rows, Å; shape (3, 3).
        positions: fractional; shape (N, 3).
        numbers: atomic numbers; shape (N,).
        symprec: Å; how far atoms may be from their symmetric positions.
    """
    moyopy = _quiet_moyo()
    try:
        cell = moyopy.Cell(lattice.tolist(), positions.tolist(), numbers.tolist())
        return int(moyopy.MoyoDataset(cell, symprec=symprec, angle_tolerance=None).number)
    # The errors of moyo have no common class below this one.
    except Exception:
        return None


@cache
def _quiet_moyo() -> ModuleType:
    """Import moyo; it would warn of operations that it leaves out, which are not used here."""
    import moyopy

    # It asks for the levels of its loggers once.
    if (log := logging.getLogger("moyo")).level == logging.NOTSET:
        log.setLevel(logging.ERROR)
    return moyopy
