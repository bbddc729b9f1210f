"""The properties of crystals: meaning, unit, range, and their form in tables, stores and prompts.

A property is one entry of `PROPERTIES`; it is named nowhere else. Given an entry, the property is
read from the table column of its name or of an alias, checked against its range, stored, counted in
the report of `crystext data prepare`, and written into prompts by every prompt set that has a line
for it. Another distribution adds a property by an entry point of the group `crystext.properties`:

    [project.entry-points."crystext.properties"]
    melting_point = "my_package.properties:MELTING_POINT"

    from crystext import Property
    MELTING_POINT = Property("melting_point", "melting point", unit="K", minimum=0, decimals=0)

Some properties follow from the crystal (`compute`) or from another label (`derive`); the others are
labels that a data set may or may not have. Prompts omit missing labels; labels are never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, TypeGuard

from crystext.runtime.registry import Registry
from crystext.structures.crystal import Crystal
from crystext.structures.properties import (
    chemical_system,
    crystal_system,
    density,
    elements_by_electronegativity,
    reduced_formula,
    space_group_symbols,
)
from crystext.structures.record import Label
from crystext.structures.units import MISSING_WORDS, normal_unit, parse_quantity

PropertyKind = Literal["number", "boolean", "category"]

_SIGNIFICANT_DIGITS = 4
"""Significant digits of a number whose property defines no decimals."""

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_BOOLEAN_WORDS = {True: "yes", False: "no"}
_MISSING_WORDS = ("", "nan", "none", "null")
"""Values that tables use for an unknown category; case is ignored."""
_EMPTY = "empty"


@dataclass(frozen=True)
class Property:
    """A property: what it means, and how its values are read and written."""

    name: str
    """Key of labels, conditions and prompt lines."""
    title: str
    """Title for people, as on an axis: `energy above hull`."""
    _: KW_ONLY
    unit: str = ""
    """Unit for people, such as eV/atom; empty if the value has none."""
    kind: PropertyKind = "number"
    decimals: int | None = None
    """Decimals in prompts; 0 allows whole numbers only. None writes four significant digits."""
    minimum: float = -math.inf
    """Smaller numbers are invalid and not read."""
    maximum: float = math.inf
    """Larger numbers are invalid and not read."""
    categories: tuple[str, ...] = ()
    """The values that a category can have; empty allows any text."""
    columns: tuple[str, ...] = ()
    """Aliases of the property in tables, besides its name; the first that has a value wins."""
    compute: Callable[[Crystal], Label] | None = None
    """Computes the property from the crystal; None if it does not follow from it."""
    derived_from: str = ""
    """The label from which the property follows; empty if it follows from none."""
    derive: Callable[[Label], Label] | None = None
    """Computes the property from that label."""

    @property
    def is_label(self) -> bool:
        """Whether only a data set can provide the value."""
        return self.compute is None and self.derive is None

    @property
    def title_with_unit(self) -> str:
        """The title, with the unit in brackets if there is one."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def format(self, value: Label) -> str:
        """Return a value as prompts write it; a zero has no sign, a boolean is yes or no."""
        if self.kind == "boolean":
            return _BOOLEAN_WORDS[bool(value)]
        if self.kind == "category":
            return str(value)
        number = float(value)
        if self.decimals is None:
            text = f"{number:.{_SIGNIFICANT_DIGITS}g}"
        else:
            text = f"{number:.{self.decimals}f}"
        return text.lstrip("-") if float(text) == 0 else text

    def parse(self, raw: object) -> Label | None:
        """Return the value of a table's cell or a text; None if it is invalid.

        A number must be finite and in range, and whole if `decimals` is 0; a boolean may be
        written true, yes or 1; a category must be one of `categories`, in any case.
        """
        if self.kind == "number":
            return self._parse_number(raw)
        text = " ".join(str(raw).split())  # A prompt gives a property one line.
        if self.kind == "boolean":
            # Tables that mix booleans with gaps write 1.0.
            return _BOOLEANS.get(text.lower().removesuffix(".0"))
        if not isinstance(raw, str) or text.lower() in _MISSING_WORDS:
            return None
        if not self.categories:
            return text
        return next((x for x in self.categories if x.lower() == text.lower()), None)

    def _parse_number(self, raw: Any) -> float | None:
        try:
            number = float(raw)
        except (TypeError, ValueError):
            return None
        if not (math.isfinite(number) and self.minimum <= number <= self.maximum):
            return None
        return None if self.decimals == 0 and not number.is_integer() else number

    def is_available(self, labels: Mapping[str, Label]) -> bool:
        """Return whether a crystal with these labels has a value."""
        if self.compute is not None or is_known(labels.get(self.name)):
            return True
        return self.derive is not None and is_known(labels.get(self.derived_from))

    def value(self, crystal: Crystal, labels: Mapping[str, Label]) -> Label | None:
        """Return the value of a crystal: its label, else the derived value; None without either."""
        label = labels.get(self.name)
        if is_known(label):
            return label
        if self.compute is not None:
            return self.compute(crystal)
        source = labels.get(self.derived_from)
        return self.derive(source) if self.derive is not None and is_known(source) else None


PROPERTIES = Registry(
    "property",
    Property,
    {
        entry.name: entry
        for entry in (
            Property("formula", "reduced formula", kind="category", compute=reduced_formula),
            Property(
                "elements",
                "elements",
                kind="category",
                compute=lambda crystal: " ".join(elements_by_electronegativity(crystal)),
            ),
            Property(
                "chemical_system", "chemical system", kind="category", compute=chemical_system
            ),
            Property(
                "space_group",
                "space group",
                decimals=0,
                minimum=1,
                maximum=230,
                columns=("spacegroup.number", "spacegroup", "spacegroup_number"),
            ),
            Property(
                "space_group_symbol",
                "space-group symbol",
                kind="category",
                derived_from="space_group",
                derive=lambda number: space_group_symbols()[int(number)],
            ),
            Property(
                "crystal_system",
                "crystal system",
                kind="category",
                derived_from="space_group",
                derive=lambda number: crystal_system(int(number)),
            ),
            Property("n_atoms", "atoms in the cell", decimals=0, minimum=1, compute=len),
            Property("density", "density", unit="g/cm^3", decimals=2, minimum=0, compute=density),
            Property(
                "formation_energy",
                "formation energy",
                unit="eV/atom",
                decimals=2,
                columns=("formation_energy_per_atom",),
            ),
            Property("band_gap", "band gap", unit="eV", decimals=2, columns=("gap pbe",)),
            Property(
                "e_above_hull",
                "energy above hull",
                unit="eV/atom",
                decimals=3,
                columns=("energy_above_hull",),
            ),
            Property("is_gap_direct", "direct band gap", kind="boolean"),
            Property("is_metal", "metal", kind="boolean"),
            Property(
                "magnetic_ordering",
                "magnetic ordering",
                kind="category",
                categories=("NM", "FM", "AFM", "FiM"),
                columns=("ordering",),
            ),
        )
    },
    plural="properties",
)
"""All properties by name; the order is that of prompts and reports."""


def is_known(value: Label | None) -> TypeGuard[Label]:
    """Return whether a label has a value, that is neither None nor nan."""
    return value is not None and value == value


@cache
def label_columns() -> dict[str, tuple[str, ...]]:
    """Return the table columns of each label, its own name first."""
    return {name: (name, *entry.columns) for name, entry in PROPERTIES.items() if entry.is_label}


class UnusedValue(NamedTuple):
    """A cell of a label's column that is no value of the label."""

    label: str
    reason: str
    """Shared by cells with the same defect: `empty`, `not a number`, `below the minimum of 0`."""
    text: str
    """The cell; empty if it is."""


def parse_labels(row: Mapping[str, Any]) -> tuple[dict[str, Label], tuple[UnusedValue, ...]]:
    """Return the labels of a table's row, by property name, and the cells that are no value.

    A number may have the unit of its property: `3.1 GPa`.

    Args:
        row: values by column; columns that are not properties are ignored.
    """
    labels: dict[str, Label] = {}
    unused: list[UnusedValue] = []
    for name, columns in label_columns().items():
        cells = [row[column] for column in columns if column in row]
        if not cells:
            continue
        raw = next((cell for cell in cells if not _is_missing(cell)), None)
        value, reason = _value_or_reason(PROPERTIES[name], raw)
        if value is None:
            text = "" if reason == _EMPTY else str(raw)
            unused.append(UnusedValue(name, reason, text))
        else:
            labels[name] = value
    return labels, tuple(unused)


def _is_missing(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in _MISSING_WORDS
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _value_or_reason(entry: Property, raw: Any) -> tuple[Label | None, str]:
    """Return the value of a cell; or None, and why it is none."""
    if raw is None:
        return None, _EMPTY
    number = raw
    if entry.kind == "number" and isinstance(raw, str) and (quantity := parse_quantity(raw)):
        number, unit = quantity
        if normal_unit(unit) != normal_unit(entry.unit):
            return None, f"in {unit} instead of {entry.unit}" if entry.unit else f"with unit {unit}"
    if (value := entry.parse(number)) is not None:
        return value, ""
    if isinstance(raw, str) and raw.strip().lower() in MISSING_WORDS:
        return None, _EMPTY
    if entry.kind == "boolean":
        return None, "neither yes nor no"
    if entry.kind == "category":
        return None, f"not one of {', '.join(entry.categories)}"
    return None, _reason_of_number(entry, number)


def _reason_of_number(entry: Property, raw: Any) -> str:
    """Return why a cell is no number of a property."""
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return "not a number"
    if not math.isfinite(number):
        return "not finite"
    if number < entry.minimum:
        return f"below the minimum of {entry.minimum:g}"
    if number > entry.maximum:
        return f"above the maximum of {entry.maximum:g}"
    return "not a whole number"


def available_properties(
    labels: Mapping[str, Label], names: Iterable[str] | None = None
) -> list[str]:
    """Return the properties that a crystal with these labels has.

    Args:
        labels: of the crystal.
        names: properties to consider; None is all.
    """
    chosen = PROPERTIES if names is None else names
    return [name for name in chosen if PROPERTIES[name].is_available(labels)]


def format_properties(
    crystal: Crystal, labels: Mapping[str, Label], names: Iterable[str] | None = None
) -> dict[str, str]:
    """Return properties of a crystal as prompts write them.

    Args:
        crystal: the crystal.
        labels: values by property name; missing and nan ones are left out.
        names: some of `available_properties`; None is all of them.
    """
    values = {
        name: PROPERTIES[name].value(crystal, labels)
        for name in (available_properties(labels) if names is None else names)
    }
    return {
        name: PROPERTIES[name].format(value) for name, value in values.items() if value is not None
    }
