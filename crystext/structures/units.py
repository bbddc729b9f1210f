"""Cells of tables that are no bare number: with a unit, such as `3.1 GPa`, or missing."""

from __future__ import annotations

import re

MISSING_WORDS = ("null", "none", "nan", "na", "n/a", "<na>", "-", "--", "?")
"""Words for an unknown value; case is ignored."""

_NUMBER_WITH_UNIT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s+\-.,].*)")

_UNIT_NAMES = frozenset(
    """
    eV Ha Hartree Ry J cal kcal K °C C degC °F F Pa bar atm N V A T Oe H W S F Hz s min h d a y m g
    kg t L l mol M u Da amu Å A Ang Angstrom Angstroms angstrom bohr Bohr a0 D Debye muB μB µB e C
    atom atoms cell fu f.u. formula ion rad deg degree degrees ° % ppm wt% at% Ω Ohm ohm B b px
    """.split()
)
_PREFIXES = ("", "k", "M", "G", "T", "P", "c", "d", "m", "µ", "μ", "u", "n", "p", "f")


def is_unit(text: str) -> bool:
    """Return whether a text is a physical unit, such as eV/atom, W m^-1 K^-1, 10^-6 or %."""
    parts = re.findall(r"[^\s/*·^⁻⁰¹²³⁴⁵⁶⁷⁸⁹0-9+\-]+", text)
    return bool(parts) and all(
        any(part.removeprefix(prefix) in _UNIT_NAMES for prefix in _PREFIXES) for part in parts
    )


def parse_quantity(text: str) -> tuple[float, str] | None:
    """Return the number and the unit of a text such as `3.1 GPa`; None if it is no such text."""
    match = _NUMBER_WITH_UNIT.fullmatch(text.strip())
    if match is None or not is_unit(match[2]):
        return None
    return float(match[1]), match[2].strip()


def normal_unit(unit: str) -> str:
    """Return a unit in a form that equal units share: `g / cm3` and `g/cm^3`."""
    text = re.sub(r"[\s^*·]|\*\*", "", unit).replace("µ", "μ")
    return re.sub(r"\b(m|k|M)?ev\b", r"\1eV", text).replace("Angstrom", "Å")
