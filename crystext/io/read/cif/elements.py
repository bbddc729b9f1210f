"""The elements of a CIF's sites: from types, or from labels if there are no types.

A type gives the element directly. A label only begins with it, and `CD`, `HG1` or `NP` may be
cadmium or the carbon called D: only the elements of the file's formula decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.errors import InputError
from crystext.io.read.cif.grammar import UNKNOWN_VALUES

ISOTOPES = {"D": "H", "T": "H"}
"""Isotopes with their own symbols, and their element."""

_TYPE = re.compile(r"(\d{1,3})?([A-Za-z]{1,3})(?:[\d+\-.()]*|\d*_\w+|\([IVX]+\))$")
_HEAVIEST_ELEMENT = 98
"""Californium. Heavier elements have no crystals: OG is an oxygen, and NH4 is not nihonium."""

_ATOM_GROUP = re.compile(r"[A-Z]{2}\d+")
"""A group of atoms such as CO3, which is not cobalt."""

_LETTERS = re.compile(r"[^A-Za-z]*([A-Za-z]+)")
_NON_ELEMENT_PREFIXES = ("wat", "vac")
"""Prefixes of labels that mean a group of atoms, or no atom."""


class SiteElement(NamedTuple):
    """The element of a type or a label."""

    symbol: str
    """Of an element."""
    isotope: str = ""
    """D or T, if that is given instead."""


def element_of_type(text: str) -> SiteElement | None:
    """Return the element of a type symbol, ignoring its charge; None if it is not an element."""
    if not (match := _TYPE.match(text)):
        return None
    symbol = match[2].title()
    if match[2].isupper() and (
        ATOMIC_NUMBERS.get(symbol, 0) > _HEAVIEST_ELEMENT
        or (_ATOM_GROUP.fullmatch(text) and set(match[2]) < ATOMIC_NUMBERS.keys())
    ):
        return None
    if symbol in ISOTOPES:
        return SiteElement(ISOTOPES[symbol], symbol)
    if symbol == "H" and match[1] in ("2", "3"):
        return SiteElement("H", {"2": "D", "3": "T"}[match[1]])
    return SiteElement(symbol) if symbol in ATOMIC_NUMBERS else None


def elements_of_labels(
    labels: Sequence[str], formula: Iterable[str], *, composition_is_checked: bool = False
) -> list[SiteElement | None]:
    """Return the element of each label; None for labels without one.

    Args:
        labels: labels of the sites, in order.
        formula: the elements of the file's formula, including D and T; empty if it has none.
        composition_is_checked: whether the atoms will be compared with the amounts of that
            formula. Then CA beside C1, in a formula with Ca and C, is the calcium, since no other
            label means it.

    Raises:
        InputError: a label may mean either of two elements, and the formula does not decide.
    """
    declared = set(formula)
    known = {ISOTOPES.get(symbol, symbol) for symbol in declared}
    found: list[SiteElement | _AmbiguousElement | None] = [
        _element_of_label(i, label, known, declared) for i, label in enumerate(labels, start=1)
    ]
    certain = {element.symbol for element in found if isinstance(element, SiteElement)}
    result: list[SiteElement | None] = []
    for element in found:
        if isinstance(element, _AmbiguousElement):
            if (
                not composition_is_checked
                or element.two_letter in certain
                or element.one_letter not in certain
            ):
                raise element.error
            element = SiteElement(element.two_letter)
        result.append(element)
    return result


class _AmbiguousElement(NamedTuple):
    """The two elements that a label may mean."""

    two_letter: str
    one_letter: str
    error: InputError


def _element_of_label(
    number: int, label: str, formula_elements: set[str], declared: set[str]
) -> SiteElement | _AmbiguousElement | None:
    match = _LETTERS.match(label)
    if (
        match is None
        or label in UNKNOWN_VALUES
        or match[1].lower().startswith(_NON_ELEMENT_PREFIXES)
    ):
        return None
    letters = match[1]
    pair, one = letters[:2].title(), letters[:1].upper()
    readings = [
        s for s in dict.fromkeys((pair, one)) if 1 <= ATOMIC_NUMBERS.get(s, 0) <= _HEAVIEST_ELEMENT
    ]
    if one in ISOTOPES and pair not in ATOMIC_NUMBERS and (one in declared or one == "D"):
        return SiteElement("H", one)
    if formula_elements:
        # Contradictions with the formula are found when the atoms are counted.
        readings = [symbol for symbol in readings if symbol in formula_elements] or readings
        if one in ISOTOPES and one in declared and pair not in formula_elements:
            return SiteElement("H", one)
    if len(letters) > 1 and letters[1].islower() and pair in readings:
        return SiteElement(pair)
    if letters.lower().startswith("oh") and not formula_elements:
        return None
    if len(readings) > 1:
        refusal = InputError(
            f"site {number} ({label}) has no type, and its label may stand for {readings[0]} or "
            f"{readings[1]}; expected _atom_site_type_symbol. Add it, or a _chemical_formula_sum "
            "that tells them apart"
        )
        return _AmbiguousElement(readings[0], readings[1], refusal)
    return SiteElement(readings[0]) if readings else None
