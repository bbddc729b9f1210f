"""Parse chemical formulas and lists of elements as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from crystext.chemistry.elements import ATOMIC_NUMBERS, ELECTRONEGATIVITY_RANK
from crystext.errors import SettingError, did_you_mean
from crystext.runtime.validate_numbers import whole_number

_TOKEN = re.compile(r"[A-Z][a-z]?|\d+|[()]")
_DECIMAL_TOKEN = re.compile(r"[A-Z][a-z]?|\d+\.?\d*|\.\d+|[()]")
_ASCII = str.maketrans("₀₁₂₃₄₅₆₇₈₉[]{}", "0123456789()()")
_MAX_COUNT = 100_000
"""Larger counts are taken for typing errors."""
_MAX_FORMULA_LENGTH = 1_000
_MAX_HINT_LENGTH = 60
"""Maximum characters of a formula for which a correction is suggested."""


def parse_formula(text: str) -> dict[str, int]:
    """Return the elements of a formula and their counts, as written: Ca(OH)2 has two H.

    Spaces are ignored, brackets may be nested, and counts are whole numbers.

    Raises:
        SettingError: it is not a formula, or contains a symbol that is not an element.
    """
    compact = re.sub(r"[\s_]", "", text.translate(_ASCII))
    parts = _TOKEN.findall(compact)
    if not parts or "".join(parts) != compact:
        raise _formula_error(text, compact)
    open_groups: list[dict[str, int]] = [{}]
    last: dict[str, int] = {}
    """The counts that a following number multiplies."""
    for part in [*parts, ""]:
        factor = int(part[:7]) if part.isdigit() else 1
        # A count never begins with 0: SrTi03 means the letter O.
        if not 1 <= factor <= _MAX_COUNT or part.startswith("0") or (part.isdigit() and not last):
            raise _formula_error(text, compact)
        for symbol, count in last.items():
            group = open_groups[-1]
            group[symbol] = group.get(symbol, 0) + factor * count
        last = {}
        if part == "(":
            open_groups.append({})
        elif part == ")":
            last = open_groups.pop()
            if not open_groups or not last:
                raise _formula_error(text, compact)
        elif part.isalpha():
            if part not in ATOMIC_NUMBERS:
                raise _formula_error(text, compact)
            last = {part: 1}
    if len(open_groups) > 1:
        raise _formula_error(text, compact)
    return open_groups[0]


def parse_composition(composition: str | Mapping[Any, float]) -> dict[str, int]:
    """Return the elements of a composition and their counts.

    Args:
        composition: a formula, see `parse_formula`, or a mapping from elements to whole numbers,
            such as {"Sr": 1, "Ti": 1, "O": 3} or pymatgen's `Composition`.

    Raises:
        SettingError: it is neither, or contains a symbol that is not an element.
    """
    if isinstance(composition, str):
        return parse_formula(composition)
    if not isinstance(composition, Mapping) or not composition:
        raise SettingError(
            f"a composition is {composition!r}; expected a formula such as SrTiO3, or elements and "
            "their counts such as {'Sr': 1, 'Ti': 1, 'O': 3}"
        )
    counts: dict[str, int] = {}
    for key, amount in composition.items():
        # pymatgen's elements and ions have an attribute `symbol`.
        symbol = check_element(getattr(key, "symbol", key))
        count = whole_number(f"the amount of {symbol}", amount)
        if not 1 <= count <= _MAX_COUNT:
            raise SettingError(f"the amount of {symbol} is {count}; expected 1 to {_MAX_COUNT:,}")
        counts[symbol] = counts.get(symbol, 0) + count
    return counts


def parse_amounts(text: str) -> dict[str, float]:
    """Return the elements of a formula and their amounts, which need not be whole: Fe0.62Ni0.38.

    Brackets may be nested: (Fe0.9Ni0.1)2O3. Amounts have any scale; only their ratios matter.

    Raises:
        SettingError: it is not a formula, or contains a symbol that is not an element.
    """
    try:
        return {symbol: float(count) for symbol, count in parse_formula(text).items()}
    except SettingError as error:
        compact = re.sub(r"[\s_]", "", text.translate(_ASCII))
        parts = _DECIMAL_TOKEN.findall(compact)
        if "." not in compact or "".join(parts) != compact or len(compact) > _MAX_FORMULA_LENGTH:
            raise error
        groups: list[dict[str, float]] = [{}]
        last: dict[str, float] = {}
        for part in [*parts, ""]:
            is_number = part[:1].isdigit() or part[:1] == "."
            if is_number and not last:
                raise error from None
            factor = float(part) if is_number else 1.0
            for symbol, amount in last.items():
                groups[-1][symbol] = groups[-1].get(symbol, 0.0) + factor * amount
            last = {}
            if part == "(":
                groups.append({})
            elif part == ")":
                if len(groups) < 2 or not groups[-1]:
                    raise error from None
                last = groups.pop()
            elif part.isalpha():
                if part not in ATOMIC_NUMBERS:
                    raise error from None
                last = {part: 1.0}
        found = {symbol: amount for symbol, amount in groups[0].items() if amount > 0}
        if len(groups) > 1 or not found:
            raise error from None
        return found


def reduce_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts without a common divisor, elements by electronegativity."""
    divisor = math.gcd(*counts.values())
    return {symbol: counts[symbol] // divisor for symbol in sort_by_electronegativity(counts)}


def format_formula(counts: Mapping[str, int] | Iterable[tuple[str, int]]) -> str:
    """Return a formula with elements in the given order; the count 1 is not written."""
    pairs = counts.items() if isinstance(counts, Mapping) else counts
    return "".join(f"{symbol}{n if n != 1 else ''}" for symbol, n in pairs)


def sort_by_electronegativity(symbols: Iterable[str]) -> list[str]:
    """Return elements in the order of texts and formulas."""
    return sorted(symbols, key=lambda symbol: ELECTRONEGATIVITY_RANK[ATOMIC_NUMBERS[symbol]])


def parse_elements(elements: str | Iterable[str]) -> tuple[str, ...]:
    """Return the listed elements, each once, by electronegativity.

    Args:
        elements: symbols separated by hyphens, commas or spaces, or a list of symbols.

    Raises:
        SettingError: there is none, or a symbol is not an element.
    """
    try:
        texts = [elements] if isinstance(elements, str) else [str(part) for part in elements]
    except TypeError:
        raise SettingError(
            f"elements are {elements!r}; expected symbols, such as Li-Fe-O"
        ) from None
    symbols = [symbol for text in texts for symbol in re.split(r"[-–,;\s]+", text) if symbol]
    if not symbols:
        raise SettingError("no element is named; expected symbols, such as Li-Fe-O")
    return tuple(sort_by_electronegativity({check_element(symbol) for symbol in symbols}))


def check_element(symbol: str) -> str:
    """Return the symbol of an element.

    Raises:
        SettingError: it is not an element; the message suggests similar ones.
    """
    if symbol not in ATOMIC_NUMBERS:
        near = suggest_elements(str(symbol))
        raise SettingError(f"no element {symbol!r}; expected a symbol such as Fe.{near}")
    return symbol


def suggest_elements(symbol: str) -> str:
    """Return the elements that an unknown symbol may mean, as the end of a message."""
    alike = [known for known in ATOMIC_NUMBERS if known[0] == symbol[:1].upper()]
    listed = f" Those with {alike[0][0]} are {', '.join(alike)}" if alike else ""
    return did_you_mean(symbol, ATOMIC_NUMBERS) or listed


def _formula_error(text: str, compact: str) -> SettingError:
    words = re.findall(r"[A-Za-z][a-z]*", compact)
    strange = next((word for word in words if word not in ATOMIC_NUMBERS), None)
    what = "expected symbols with whole numbers behind them, such as LiFePO4 or Ca(OH)2"
    if strange is not None:
        what = f"there is no element {strange!r}"
    guess = _guess_capitals(re.sub(r"(?<![0-9])0", "O", compact))
    if guess is not None and guess != compact:
        near = f" Did you mean {guess!r}?"
    else:
        near = "" if strange is None else suggest_elements(strange)
    shown = text if len(text) <= _MAX_HINT_LENGTH else text[:_MAX_HINT_LENGTH] + "..."
    return SettingError(f"{shown!r} is not a formula: {what}.{near}")


def _guess_capitals(text: str) -> str | None:
    """Return the text with elements capitalized; None if it cannot be read as elements.

    Of several readings, such as LiFePO4 and LiFePo4, fewer and lighter elements are more likely.
    """
    if len(text) > _MAX_HINT_LENGTH:
        return None
    readings: list[tuple[int, str] | None] = [None] * len(text) + [(0, "")]
    """The best reading of the rest of the text from each index, with its penalty."""
    for start in range(len(text) - 1, -1, -1):
        found = []
        for end in (start + 1, start + 2):
            part = text[start:end]
            symbol = part.capitalize()
            cost = 20 + ATOMIC_NUMBERS[symbol] if symbol in ATOMIC_NUMBERS else None
            if part.isdigit() or part in ("(", ")"):
                cost = 0
            if end <= len(text) and cost is not None and (rest := readings[end]) is not None:
                found.append((cost + rest[0], symbol + rest[1]))
        readings[start] = min(found, default=None)
    return readings[0][1] if readings[0] is not None else None
