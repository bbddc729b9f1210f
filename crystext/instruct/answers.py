"""Read what models answer: numbers, elements, formulas, yes or no, space groups and crystals.

An answer may be a sentence around the value, or reasoning that ends in it: the whole text is read
first, and then its last line. It is never guessed: two different values where one is expected are
no answer. Every reader returns the value, or `Unreadable` with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, TypeVar

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import parse_formula, reduce_counts
from crystext.errors import SettingError
from crystext.instruct.printed import CIF
from crystext.io.read.cif import looks_like_cif
from crystext.io.read.parse import Piece, parse_piece
from crystext.structures.crystal import Crystal
from crystext.structures.space_groups import parse_space_group
from crystext.text import decode

_Value = TypeVar("_Value")

_NUMBER = re.compile(
    r"(?<![\w.^])[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![A-Za-z0-9_]|\.\d)"
)
"""A number that is no part of a word, such as Fe2, nor the exponent of a unit, such as Å^3."""

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
"""The comma of 1,234.5, where one number is expected."""

_DATA_BLOCK = re.compile(r"^data_\S*[ \t]*$", re.MULTILINE)
"""The line at which a CIF begins behind prose."""

_FENCE = re.compile(r"^[ \t]*```[^\n]*\n?", re.MULTILINE)


class Unreadable(NamedTuple):
    """Why an answer is invalid."""

    message: str


def read_numbers(answer: str, count: int, lines: int = 1) -> tuple[float, ...] | Unreadable:
    """Return exactly so many numbers: those of the whole answer, else of its last lines.

    Args:
        answer: the text.
        count: number of numbers; a single one may be repeated.
        lines: number of last lines that are read if the whole answer holds other numbers.
    """
    text = _plain(answer)
    if count == 1:
        text = _THOUSANDS.sub("", text)
    for part in (text, "\n".join(text.split("\n")[-lines:])):
        numbers = tuple(float(x) for x in _NUMBER.findall(part))
        if count == 1 and len(set(numbers)) == 1:
            return numbers[:1]
        if len(numbers) == count:
            return numbers
    return _unreadable(answer, "one number" if count == 1 else f"{count} numbers")


def read_element(answer: str) -> str | Unreadable:
    """Return the symbol of one element, which may be given by its English name."""
    return _read(answer, _element, "an element")


def read_elements(answer: str) -> list[str] | Unreadable:
    """Return one element, or a ranking of several: Fe, Co, Ni."""
    words = re.sub(r"(?m)^\s*\d+[.)]\s*", " ", _plain(answer))
    symbols = [_element(word) for word in re.split(r"[\s,;>]+", words) if word]
    if len(symbols) > 1 and all(symbols):
        return [symbol for symbol in dict.fromkeys(symbols) if symbol]
    single = read_element(answer)
    return single if isinstance(single, Unreadable) else [single]


def read_formula(answer: str) -> dict[str, int] | Unreadable:
    """Return the counts of a reduced formula."""
    return _read(answer, _formula, "a formula")


def read_space_group(answer: str) -> int | Unreadable:
    """Return the number of a space group, given by any of its symbols or by number."""
    return _read(answer, _space_group, "a space group")


def read_yes_or_no(answer: str) -> bool | Unreadable:
    """Return whether the answer is yes: its first word, or the only one of the two in it."""
    words = re.findall(r"[a-z]+", _plain(answer).lower())
    if words and words[0] in ("yes", "no"):
        return bool(words[0] == "yes")
    met = {word for word in words if word in ("yes", "no")}
    if len(met) == 1:
        return "yes" in met
    return _unreadable(answer, "Yes or No")


def read_crystal(answer: str, format: str) -> Crystal | Unreadable:
    """Return a crystal, in the format that was requested or in another that is recognized."""
    text = _FENCE.sub("", answer).strip("\n")
    if not text.strip():
        return _unreadable(answer, "a crystal")
    block = _DATA_BLOCK.search(text)
    text = text[block.start() :] if block else text
    if format == CIF or looks_like_cif(text):
        record = parse_piece(Piece("the answer", "cif", text + "\n"))[0]
        if record.crystal is not None:
            return record.crystal
        return Unreadable(record.message or "it is not a CIF")
    decoded = decode(text, strict=False)
    if decoded.crystal is None:
        return Unreadable(decoded.failure.value if decoded.failure else "it is not a crystal")
    return decoded.crystal


def _read(
    answer: str, reader: Callable[[str], _Value | None], expected: str
) -> _Value | Unreadable:
    """Return the first value of: the answer, its last line, what follows a colon, the last word."""
    text = _plain(answer)
    last = text.split("\n")[-1].strip()
    after = re.split(r":|=|\b(?:is|are)\b", last)[-1].strip()
    for part in dict.fromkeys((text, last, after, last.split(" ")[-1])):
        for words in dict.fromkeys((part.strip(), part.strip(" .!,;\"'()"))):
            if words and (value := reader(words)) is not None:
                return value
    return _unreadable(answer, expected)


def _plain(answer: str) -> str:
    """Return an answer without the marks of formatted text."""
    return re.sub(r"\*\*|[`$]", "", _FENCE.sub("", answer)).strip().rstrip(".")


def _element(word: str) -> str | None:
    if word in ATOMIC_NUMBERS and word in SYMBOLS:
        return word
    return _symbols_by_name().get(word.lower())


@cache
def _symbols_by_name() -> dict[str, str]:
    from ase.data import atomic_names

    names = {atomic_names[z].lower(): symbol for z, symbol in enumerate(SYMBOLS, start=1)}
    return {**names, "aluminum": "Al", "cesium": "Cs", "sulphur": "S"}


def _formula(text: str) -> dict[str, int] | None:
    try:
        return reduce_counts(parse_formula(re.sub(r"_?\{(\d+)\}", r"\1", text)))
    except SettingError:
        return None


def _space_group(text: str) -> int | None:
    # A sentence is no symbol, and looking for the nearest takes time.
    if len(text) > 20 or not re.search(r"\d|^[PABCFIR]", text):
        return None
    try:
        return parse_space_group(text)
    except SettingError:
        return None


def _unreadable(answer: str, expected: str) -> Unreadable:
    """Return the reason, without the answer: equal reasons are counted together."""
    return Unreadable(f"not {expected}" if answer.strip() else "empty")
