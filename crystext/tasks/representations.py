"""Representations: the texts of a record that a model can be given.

    formula       Na4Cl4, as the source writes it, else that of the crystal's cell
    composition   Na 0.500, then Cl 0.500, a line each: elements by electronegativity, and fractions
    smiles        of a molecule, from the source; or a random one of its SMILES, with RDKit
    description   prose on a structure, from the source
    cif           the source's CIF, else a P1 CIF of the crystal
    plain, ...    a crystal in any text format (`text.formats`)

A generator writes crystals in a format; a property can be predicted from any representation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import parse_amounts, sort_by_electronegativity
from crystext.chemistry.molecules import has_rdkit, random_smiles
from crystext.errors import CrystextError, SettingError, did_you_mean
from crystext.io.write.cif_text import cif
from crystext.structures.properties import cell_formula
from crystext.structures.record import Record
from crystext.text.base import Format
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
    _write: Callable[[Record, np.random.Generator | None], str | None]

    def write(self, record: Record, rng: np.random.Generator | None = None) -> str | None:
        """Return a record's text; None if it lacks what this representation needs.

        Args:
            record: any.
            rng: for a random one of equivalent texts, if the representation has several.

        Raises:
            InputError, SettingError: what the record has is invalid.
        """
        return self._write(record, rng)


def formula_text(record: Record, rng: np.random.Generator | None = None) -> str | None:
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


def composition_text(record: Record, rng: np.random.Generator | None = None) -> str | None:
    """Return elements by electronegativity with their fractions, a line each."""
    given = record.texts.get("formula")
    if record.crystal is None and given is not None:
        return _composition_of_formula(given)
    found = amounts(record)
    return None if found is None else _composition(found)


@lru_cache(maxsize=1 << 16)
def _composition_of_formula(formula: str) -> str:
    return _composition(parse_amounts(formula))


def _composition(counts: Mapping[str, float]) -> str:
    total = sum(counts.values())
    return "\n".join(
        f"{symbol} {_fraction(counts[symbol] / total)}"
        for symbol in sort_by_electronegativity(counts)
    )


def _fraction(value: float) -> str:
    if value >= _SMALL_FRACTION:
        return f"{value:.3f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def smiles_text(record: Record, rng: np.random.Generator | None = None) -> str | None:
    """Return the source's SMILES; with random numbers, and RDKit, a random one of the molecule."""
    given = record.texts.get("smiles")
    if given is None or rng is None:
        return given
    seed = int(rng.integers(2**31 - 1))
    return (random_smiles(given, seed) or given) if has_rdkit() else given


def _cif_text(record: Record, rng: np.random.Generator | None) -> str | None:
    given = record.texts.get("cif")
    if given is None and record.crystal is not None:
        return cif(record.crystal)
    return given


def _source_text(name: str) -> Callable[[Record, np.random.Generator | None], str | None]:
    return lambda record, rng: record.texts.get(name)


REPRESENTATIONS: Mapping[str, Representation] = {
    x.name: x
    for x in (
        Representation("formula", "chemical formula", formula_text),
        Representation("composition", "elements and their fractions", composition_text),
        Representation("smiles", "molecule as SMILES", smiles_text),
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
    return Representation(name, fmt.title, partial(_crystal_text, fmt))


def _crystal_text(fmt: Format, record: Record, rng: np.random.Generator | None) -> str | None:
    if record.crystal is None:
        return None
    if rng is None and fmt.name in record.texts:
        return record.texts[fmt.name]
    if rng is None:
        return fmt.encode(record.crystal)
    if fmt.needs_wyckoff and record.wyckoff is None:
        return fmt.equivalent_texts(record.crystal, 1, rng)[0]
    return fmt.encode_record(record, rng)


def text_and_problem(
    record: Record, representation: Representation, rng: np.random.Generator | None = None
) -> tuple[str, str]:
    """Return a record's text and an empty string, or an empty text and the reason for it."""
    if record.failure is not None:
        return "", record.failure.message or record.failure.kind
    try:
        text = representation.write(record, rng)
    except CrystextError as error:
        return "", str(error)
    if not text:
        return "", f"it has no {representation.name}, which this model reads"
    return text, ""


def preferred_text(
    record: Record, names: Sequence[str], rng: np.random.Generator | None = None
) -> tuple[str, str, str]:
    """Return the first representation that a record has, its text, and an empty string.

    Without any: two empty strings, and the reason why it lacks the first one.
    """
    problem = ""
    for name in names:
        text, reason = text_and_problem(record, get_representation(name), rng)
        if text:
            return name, text, ""
        problem = problem or reason
    return "", "", problem
