"""Targets from the columns of a table: title and unit from the header, values from the cells.

A header such as `gap (eV)` gives the title `gap` and the unit eV. A cell is a number, a number with
a unit, a word, or missing; `Cells` counts them while a table is read, and `read_target` makes
numbers or booleans of them afterwards, once all cells are known.

What goes wrong otherwise: a library that infers types reads "300 meV" as missing and 1.2 as 1.2, or
takes NaN, the formula of sodium nitride, for a gap in the table; and what it dropped isn't counted.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crystext.errors import InputError
from crystext.structures.crystal import Floats, Ints
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.structures.units import MISSING_WORDS, is_unit, normal_unit, parse_quantity

_YES_WORDS = {"yes", "true", "y", "t", "direct", "positive", "active"}
_NO_WORDS = {"no", "false", "n", "f", "indirect", "negative", "inactive"}
_NEGATIONS = ("in", "un", "im", "non", "non-", "non ", "not ", "not_", "no ")

_HEADER_WITH_UNIT = re.compile(r"(.*\S)\s*[(\[]\s*([^()\[\]]+?)\s*[)\]]")
_FUNCTIONS = ("log", "log10", "log2", "ln", "exp", "sqrt", "abs", "max", "min", "mean", "std")
"""Before a bracket, these are functions of what is in it."""

_MAX_WORDS = 20
"""A column with more different words holds texts, not classes."""


def split_header(header: str) -> tuple[str, str]:
    """Return the name in a header and its unit: `gap (eV)` is `gap` in `eV`.

    Brackets that hold no unit belong to the name: `gap (PBE)`, `log10(K_VRH)`.
    """
    match = _HEADER_WITH_UNIT.fullmatch(header.strip())
    if match is None:
        return header.strip(), ""
    name, unit = match.groups()
    if not is_unit(unit) or name.lower() in _FUNCTIONS:
        return header.strip(), ""
    return name, unit


def target_of_header(header: str) -> tuple[str, Property]:
    """Return the name and the property of a column.

    A column that has the name or an alias of a known number or boolean is that property; any other
    is a new one, a number so far.

    Raises:
        InputError: it is a known property in another unit.
    """
    name, unit = split_header(header)
    for known, entry in PROPERTIES.items():
        columns = (known, *entry.columns)
        if entry.kind != "category" and (name in columns or header in columns):
            if unit and normal_unit(unit) != normal_unit(entry.unit):
                raise InputError(
                    f"the column {header!r} is in {unit}; {entry.title} is expected in "
                    f"{entry.unit or 'no unit'}. Convert it, or rename the column"
                )
            return known, entry
    return name, Property(name, name.replace("_", " "), unit=unit)


class Cells:
    """The cells of a column: numbers, words and missing ones, in order."""

    def __init__(self, header: str) -> None:
        self.header = header
        self.numbers = array("d")
        """Numbers, nan for anything else."""
        self.codes = array("i")
        """Of a word its index in `words`, of a missing cell that in `gaps` as -2, -3, ...; -1 for
        a number."""
        self.words: dict[str, int] = {}
        self.gaps: dict[str, int] = {}
        """Reasons why a cell is missing."""
        self.units: Counter[str] = Counter()
        self.example_by_unit: dict[str, str] = {}
        self.is_text = False
        """Whether it holds so many different words that it is no target."""

    def __len__(self) -> int:
        return len(self.codes)

    def add(self, cell: object) -> None:
        """Add the next cell: a number, a boolean, a text, or None."""
        if self.is_text:
            return
        if isinstance(cell, bool | np.bool_):
            self._add_word("true" if cell else "false")
            return
        if isinstance(cell, str):
            text = cell.strip()
            try:
                number = float(text) if "_" not in text else None
            except ValueError:
                number = None
            if number is None or text.lower().lstrip("+-") == "nan":
                self._add_text(text)
                return
        elif isinstance(cell, int | float | np.number):
            number = float(cell)
        elif cell is None:
            self._add_gap("an empty cell")
            return
        else:
            self._add_word(str(cell)[:40])
            return
        if math.isfinite(number):
            self.numbers.append(number)
            self.codes.append(-1)
        else:
            self._add_gap("an empty cell" if math.isnan(number) else "infinite")

    def _add_text(self, text: str) -> None:
        if not text:
            self._add_gap("an empty cell")
        elif text.lower() in MISSING_WORDS:
            self._add_gap(f"{text!r}")
        elif (quantity := parse_quantity(text)) is not None:
            number, unit = quantity
            self.units[unit] += 1
            self.example_by_unit.setdefault(unit, text)
            self.numbers.append(number)
            self.codes.append(-1)
        else:
            self._add_word(" ".join(text.split())[:40])

    def _add_word(self, word: str) -> None:
        self.numbers.append(math.nan)
        self.codes.append(self.words.setdefault(word, len(self.words)))
        self.is_text = len(self.words) > _MAX_WORDS and len(self.words) > len(self) / 2

    def _add_gap(self, reason: str) -> None:
        self.numbers.append(math.nan)
        self.codes.append(-2 - self.gaps.setdefault(reason, len(self.gaps)))


class Target(NamedTuple):
    """The values of a column."""

    property: Property
    values: Floats
    """One per cell, nan where there is none; of a boolean 1 or 0."""
    reasons: list[str]
    """Why a cell has no value; empty if it has one."""
    notes: list[str]


def read_target(
    cells: Cells, entry: Property, *, is_requested: bool, keeps_kind: bool
) -> Target | None:
    """Return the values of a column, or None if it is no target.

    Args:
        cells: all cells.
        entry: the property.
        is_requested: whether the user asked for this column. Otherwise it is a target only if at
            least half of its filled cells are numbers, or if it has exactly two classes.
        keeps_kind: whether the property's kind is settled. Otherwise a column with two classes, or
            with 0 and 1 alone, is a boolean.

    Raises:
        InputError: its cells have different units; or a requested column holds no such values.
    """
    numbers = np.array(cells.numbers)
    codes = np.array(cells.codes, dtype=np.int64)
    found = numbers[codes == -1]
    n_words = int((codes >= 0).sum())
    classes = {word.lower() for word in cells.words}
    is_binary = bool(((found == 0) | (found == 1)).all())
    if cells.is_text:
        pass
    elif entry.kind == "number" and len(found) and (is_requested or len(found) >= n_words):
        guess = not (keeps_kind or cells.units or entry.unit) and is_binary
        if guess and (n_words == 0 and len(np.unique(found)) == 2):
            return _binary(cells, entry, numbers, codes)
        if not (guess and n_words):
            return _numeric(cells, entry, numbers, codes)
    may_be_classes = entry.kind == "boolean" or not keeps_kind or entry.kind == "category"
    if may_be_classes and is_binary and 1 <= len(classes) <= 2:
        if len(classes) == 2 or classes & (_YES_WORDS | _NO_WORDS):
            return _two_classes(cells, entry, numbers, codes)
    elif entry.kind == "boolean" and len(found) and not n_words:
        return _binary(cells, entry, numbers, codes)
    if is_requested:
        raise _no_target_error(cells, entry)
    return None


def _no_target_error(cells: Cells, entry: Property) -> InputError:
    if not len(cells) or (not cells.words and not (np.array(cells.codes) == -1).any()):
        return InputError(f"the column {cells.header!r} has no value; give another target")
    shown = ", ".join(map(repr, list(cells.words)[:3]))
    return InputError(
        f"the column {cells.header!r} holds {shown}; expected numbers, or two classes such as yes "
        f"and no, so that {entry.title} can be predicted"
    )


def _numeric(cells: Cells, entry: Property, numbers: Floats, codes: Ints) -> Target:
    notes = []
    units = {normal_unit(unit): unit for unit in cells.units}
    if len(units) > 1:
        listed = " and ".join(f"{cells.example_by_unit[unit]!r}" for unit in units.values())
        raise InputError(
            f"the column {cells.header!r} has cells in different units, such as {listed}; convert "
            "them to one unit"
        )
    if units:
        ((normal, unit),) = units.items()
        if entry.unit and normal != normal_unit(entry.unit):
            raise InputError(
                f"the column {cells.header!r} has cells such as {cells.example_by_unit[unit]!r}; "
                f"expected {entry.unit}. Convert them to one unit"
            )
        if not entry.unit:
            entry = replace(entry, unit=unit)
        bare = int((codes == -1).sum()) - sum(cells.units.values())
        if bare:
            notes.append(f"{cells.header}: {bare:,} cells without a unit are read as {unit}")
    reasons = _reasons(cells, codes, "no number")
    values = numbers.copy()
    for i in np.flatnonzero(codes == -1).tolist():
        if entry.parse(numbers[i]) is None:
            values[i] = math.nan
            reasons[i] = "out of range" if entry.decimals != 0 else "out of range or not whole"
    return Target(entry, values, reasons, notes)


def _binary(cells: Cells, entry: Property, numbers: Floats, codes: Ints) -> Target:
    reasons = _reasons(cells, codes, "neither yes nor no")
    values = np.where((numbers == 0) | (numbers == 1), numbers, math.nan)
    for i in np.flatnonzero((codes == -1) & np.isnan(values)).tolist():
        reasons[i] = "neither yes nor no"
    return Target(replace(entry, kind="boolean"), values, reasons, [])


def _two_classes(cells: Cells, entry: Property, numbers: Floats, codes: Ints) -> Target:
    classes = sorted({word.lower() for word in cells.words})
    yes = _yes_class(classes)
    is_yes = np.array([word.lower() == yes for word in cells.words], dtype=float)
    values = np.where(codes >= 0, is_yes[np.maximum(codes, 0)], math.nan)
    values = np.where((codes == -1) & ((numbers == 0) | (numbers == 1)), numbers, values)
    reasons = _reasons(cells, codes, "")
    for i in np.flatnonzero((codes == -1) & np.isnan(values)).tolist():
        reasons[i] = "neither yes nor no"
    notes = []
    if not {*classes} <= {"yes", "no", "true", "false"}:
        no = next((word for word in classes if word != yes), "")
        notes.append(f"{cells.header}: {yes!r} is yes" + (f", {no!r} is no" if no else ""))
        if entry.kind != "boolean":
            entry = replace(entry, title=f"{entry.title} is {yes}")
    return Target(replace(entry, kind="boolean"), values, reasons, notes)


def _yes_class(classes: list[str]) -> str:
    """Return which of one or two classes means yes: the one without a negation, else the last."""
    for word in classes:
        if word in _YES_WORDS:
            return word
        if word in _NO_WORDS:
            return next((other for other in classes if other != word), "yes")
    for word in classes:
        if any(prefix + word in classes for prefix in _NEGATIONS):
            return word
    return classes[-1]


def _reasons(cells: Cells, codes: Ints, of_words: str) -> list[str]:
    gaps = list(cells.gaps)

    def reason(code: int) -> str:
        if code >= 0:
            return of_words
        return "" if code == -1 else gaps[-2 - code]

    return [reason(code) for code in codes.tolist()]


def count_reasons(target: Target) -> Mapping[str, int]:
    """Return how many cells have no value, by reason, the most frequent first."""
    return dict(Counter(reason for reason in target.reasons if reason).most_common())
