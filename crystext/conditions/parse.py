"""Parse the values of conditions, as people and tables write them, to one canonical spelling."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from crystext.chemistry.elements import ELEMENT_LISTS
from crystext.chemistry.formulas import parse_elements
from crystext.conditions.element_counts import parse_element_counts
from crystext.conditions.oxidation import parse_oxidation
from crystext.conditions.sampling_constraints import CRYSTAL_SYSTEMS
from crystext.conditions.units import parse_units
from crystext.errors import SettingError, did_you_mean
from crystext.runtime.validate_numbers import whole_number
from crystext.structures.properties import reduced_formula
from crystext.structures.space_groups import parse_space_group

_ALLOWED_RANGES = {
    "density": (0.01, 30.0, "g/cm3"),
    "formation_energy": (-20.0, 20.0, "eV/atom"),
    "band_gap": (0.0, 20.0, "eV"),
    "e_above_hull": (0.0, 20.0, "eV/atom"),
}
"""Ranges of the values. The densest solid, osmium, has 22.6 g/cm3."""


def to_plain_value(value: Any) -> Any:
    """Return a value as a plain Python number, list or stripped text."""
    if hasattr(value, "tolist"):  # Of NumPy, or a column of pandas.
        value = value.tolist()
    return value.strip() if isinstance(value, str) else value


def parse_condition(name: str, value: Any) -> Any:
    """Return a value of a condition in its canonical spelling.

    Raises:
        SettingError: the value is invalid; the message names the nearest valid one.
    """
    if name == "composition":
        return reduced_formula(value if isinstance(value, Mapping) else str(value))
    if name in ("chemical_system", "elements", "only"):
        return parse_elements(value)
    if name in _PARSERS:
        return _PARSERS[name](value)
    if name == "n_atoms":
        return _parse_range(value)
    if name == "space_group":
        return parse_space_group(value)
    if name == "crystal_system":
        system = str(value).lower()
        if system not in CRYSTAL_SYSTEMS:
            raise SettingError(
                f"no crystal system {value!r}; there are {', '.join(CRYSTAL_SYSTEMS)}."
                + did_you_mean(system, CRYSTAL_SYSTEMS)
            )
        return system
    if name == "neutral":
        return _parse_bool(value)
    return _parse_number(name, value)


def _parse_range(value: Any) -> tuple[int, int]:
    wrong = SettingError(
        f"a number of atoms of {value!r}: expected one such as 8, or a range such as 8-20"
    )
    if isinstance(value, str):
        value = re.split(r"\s*[-–,]\s*", value)
    ends = list(value) if isinstance(value, tuple | list) else [value]
    try:
        numbers = [whole_number("it", _number_of(end)) for end in ends]
    except (SettingError, ValueError):
        raise wrong from None
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise wrong
    fewest, most = numbers[0], numbers[-1]
    if fewest > most:
        raise SettingError(
            f"a number of atoms from {fewest} to {most}: the first is larger than the second; try "
            f"{most}-{fewest}"
        )
    return fewest, most


def _number_of(end: Any) -> Any:
    return float(end) if isinstance(end, str) else end


def _parse_number(name: str, value: Any) -> float:
    lowest, highest, unit = _ALLOWED_RANGES[name]
    what = name.replace("_", " ")
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise SettingError(f"a {what} of {value!r}: expected a number in {unit}") from None
    if not lowest <= number <= highest:
        nearest = (
            "" if math.isnan(number) else f"; the nearest is {min(max(number, lowest), highest):g}"
        )
        raise SettingError(
            f"a {what} of {number:g} {unit}: expected {lowest:g} to {highest:g}{nearest}"
        )
    return number


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    text = str(value).lower()
    if text not in words:
        raise SettingError(f"neutral is {value!r}: expected yes or no." + did_you_mean(text, words))
    return words[text]


def _parse_excluded(value: Any) -> tuple[str, ...]:
    """Return elements that are excluded one by one, or by the name of a list."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple | set | frozenset):
        return parse_elements(value)
    symbols: list[str] = []
    faults: list[str] = []
    for word in (word for text in texts for word in re.split(r"[,;\s]+", str(text)) if word):
        named = ELEMENT_LISTS.get(word.lower().replace("_", "-"))
        if named is not None:
            symbols += named
            continue
        try:
            symbols += parse_elements(word)
        except SettingError as error:
            near = did_you_mean(word.lower(), ELEMENT_LISTS)
            faults.append(
                f"{word!r} is neither a list ({', '.join(ELEMENT_LISTS)}) nor elements.{near}"
                if near
                else f"{error} Lists are {', '.join(ELEMENT_LISTS)}"
            )
    if faults:
        raise SettingError("exclude: " + "; ".join(faults))
    return parse_elements(symbols)


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "exclude": _parse_excluded,
    "atoms_of": parse_element_counts,
    "oxidation": parse_oxidation,
    "unit": parse_units,
}
