"""Representations: the texts of a record that a model can be given.

    formula       Na4Cl4, as the source writes it, else that of the crystal's cell
    composition   Na 0.500, then Cl 0.500, a line each: elements by electronegativity, and fractions
    smiles        of a molecule, from the source
    description   prose on a structure, from the source
    cif           the source's CIF, else a P1 CIF of the crystal
    plain, ...    a crystal in any text format (`text.formats`)

A generator writes crystals in a format; a property can be predicted from any representation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import parse_amounts, sort_by_electronegativity
from crystext.errors import CrystextError, SettingError, did_you_mean
from crystext.io.write.cif_text import cif
from crystext.structures.properties import cell_formula
from crystext.structures.record import Record
from crystext.text.formats import FORMATS

_SMALL_FRACTION = 0.01
"""Smaller fractions get two significant digits instead of three decimals."""

SOURCE_TEXTS = ("formula", "smiles", "description", "cif")
"""Representations that a source can give as a text of its own (`Record.texts`)."""


@dataclass(frozen=True)
class Representation:
    """A way to write a record as text."""

    name: str
    title: str
    """What its texts hold, in a few words."""
    write: Callable[[Record], str | None]
    """Writes a record; None if it lacks what this representation needs. Raises `InputError` or
    `SettingError` if what it has is invalid."""


def formula_text(record: Record) -> str | None:
    """Return the formula that the source gives, else that of the crystal's cell."""
    given = record.texts.get("formula")
    if given is None and record.crystal is not None:
        return cell_formula(record.crystal.numbers)
    return given


def amounts(record: Record) -> dict[str, float] | None:
    """Return the elements of a record and their amounts; None if it has no composition.

    Raises:
        SettingError: the source's formula is invalid.
    """
    if record.crystal is not None:
        numbers, counts = np.unique(record.crystal.numbers, return_counts=True)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        return {SYMBOLS[z - 1]: float(count) for z, count in pairs}
    given = record.texts.get("formula")
    return None if given is None else parse_amounts(given)


def composition_text(record: Record) -> str | None:
    """Return elements by electronegativity with their fractions, a line each."""
    found = amounts(record)
    if found is None:
        return None
    total = sum(found.values())
    return "\n".join(
        f"{symbol} {_fraction(found[symbol] / total)}"
        for symbol in sort_by_electronegativity(found)
    )


def _fraction(value: float) -> str:
    if value >= _SMALL_FRACTION:
        return f"{value:.3f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def _cif_text(record: Record) -> str | None:
    given = record.texts.get("cif")
    if given is None and record.crystal is not None:
        return cif(record.crystal)
    return given


def _source_text(name: str) -> Callable[[Record], str | None]:
    return lambda record: record.texts.get(name)


REPRESENTATIONS: Mapping[str, Representation] = {
    x.name: x
    for x in (
        Representation("formula", "chemical formula", formula_text),
        Representation("composition", "elements and their fractions", composition_text),
        Representation("smiles", "molecule as SMILES", _source_text("smiles")),
        Representation("description", "prose on a structure", _source_text("description")),
        Representation("cif", "CIF", _cif_text),
    )
}
"""Representations besides the text formats, by name."""


def get_representation(name: str) -> Representation:
    """Return the representation of a name; every text format is one.

    Raises:
        SettingError: there is none; the message lists all.
    """
    if name in REPRESENTATIONS:
        return REPRESENTATIONS[name]
    if name not in FORMATS:
        known = [*REPRESENTATIONS, *FORMATS]
        raise SettingError(
            f"no representation {name!r}; there are {', '.join(known)}." + did_you_mean(name, known)
        )
    fmt = FORMATS[name]

    def write(record: Record) -> str | None:
        if record.crystal is None:
            return None
        return (
            fmt.encode_record(record, np.random.default_rng(0))
            if (fmt.needs_wyckoff and record.wyckoff is not None)
            else fmt.encode(record.crystal)
        )

    return Representation(name, fmt.title, write)


def text_and_problem(record: Record, representation: Representation) -> tuple[str, str]:
    """Return a record's text and an empty string, or an empty text and the reason for it."""
    if record.failure is not None:
        return "", record.failure.message or record.failure.kind
    try:
        text = representation.write(record)
    except CrystextError as error:
        return "", str(error)
    if not text:
        return "", f"it has no {representation.name}, which this model reads"
    return text, ""
