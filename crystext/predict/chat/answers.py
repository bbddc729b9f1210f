"""Parse the answers of chat models: a number with its unit, or yes or no.

The parser is strict. It returns a value only if the answer states one value; everything else is a
failure with a reason, which stays in the denominator:

    {"band_gap": 3.2}                      3.2
    {band_gap: 3.2 eV}                     3.2
    The band gap is about 320 meV.         0.32 (eV)
    It is 1.2 x 10^-3 eV, i.e. 0.0012 eV   0.0012
    between 1.0 and 3.4 eV, 1.0-3.4        failure: a range
    1.1 eV (PBE) or 1.8 eV (HSE)           failure: two values
    3.2 nm, for an energy                  failure: another unit
    SrTiO3 is an insulator                 failure: no number; digits of formulas do not count

Braces come first: the value of the pair whose key is the property, or of the only pair. Numbers
that carry the unit come before numbers without one. An answer about yes or no must hold words of
one kind only; `not` inverts the word after it, and a number from 0 to 1 is a probability.

What goes wrong otherwise: a lenient parser reads the 3 of SrTiO3 as a band gap, 1.0 from "1.0-3.4",
and yes from "unlikely"; the errors then look like those of the model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from crystext.structures.property_schema import Property


class Answer(NamedTuple):
    """A parsed answer."""

    value: float
    """In the property's unit; nan without a valid answer. Of a boolean, the probability of yes."""
    message: str = ""
    """Why there is no value; empty if there is one."""


_UNITS: dict[str, tuple[str, float]] = {
    "ev": ("ev", 1.0),
    "mev": ("ev", 1e-3),
    "kev": ("ev", 1e3),
    "ev/atom": ("ev/atom", 1.0),
    "mev/atom": ("ev/atom", 1e-3),
    "gpa": ("gpa", 1.0),
    "mpa": ("gpa", 1e-3),
    "kbar": ("gpa", 0.1),
    "a": ("a", 1.0),
    "nm": ("a", 10.0),
    "pm": ("a", 0.01),
    "a^3": ("a^3", 1.0),
    "nm^3": ("a^3", 1e3),
    "a^3/atom": ("a^3/atom", 1.0),
    "g/cm^3": ("g/cm^3", 1.0),
    "kg/m^3": ("g/cm^3", 1e-3),
    "k": ("k", 1.0),
    "cm^-1": ("cm^-1", 1.0),
    "mev/a^2": ("mev/a^2", 1.0),
    "mev/cell": ("mev/cell", 1.0),
}
"""Units that answers give: the dimension and the factor to its unit, by normalized spelling."""

_PER_ATOM = "/atom"

_SPELLINGS = (
    ("å", "a"), ("ångström", "a"), ("ångstrom", "a"), ("angstroms", "a"), ("angstrom", "a"),
    ("³", "^3"), ("²", "^2"), ("⁻¹", "^-1"), ("**", "^"), ("·", ""), (" per ", "/"),
    ("electronvolts", "ev"), ("electron volts", "ev"), ("kelvin", "k"), ("atoms", "atom"),
)  # fmt: skip

_SIGN = "[-−+]"
_NUMBER = re.compile(
    rf"""
    (?<![\w.^])                                   # not inside a word, a formula or a number
    (?P<sign>{_SIGN}?)\s?
    (?:
      (?P<mantissa>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)
      (?:
        [eE](?P<exponent>{_SIGN}?\d+)
        | \s?[x×*·]\s?10\s?(?:\^|\*\*)?\s?[({{]?(?P<power>{_SIGN}?\d+|[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)[)}}]?
      )?
    )
    (?![\w^])(?!\.\d)
    """,
    re.VERBOSE,
)
_POWER_OF_TEN = re.compile(
    rf"(?<![\w.^×*])(?P<sign>{_SIGN}?)10\s?(?:\^|\*\*)\s?[({{]?(?P<power>{_SIGN}?\d+)[)}}]?"
)
_GLUED_UNIT = re.compile(r"(?<=\d)(?=(?:m|k)?eV\b|GPa\b|MPa\b|kbar\b|Å|K\b|g/cm)")
"""Between a number and a unit that follows without a space: 3.2eV."""
_SUPERSCRIPTS = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹−", "-+0123456789-")
_UNIT = re.compile(
    r"""
    \s{0,2}(?P<unit>
      (?:[mk]?eV|electron\s?volts?|GPa|MPa|kbar|kg|g|nm|pm|[Åå]ngstr[öo]ms?|[Aa]ngstroms?|Å|A(?=\^|³|[-/])
         |K\b|[Kk]elvin|cm(?=\^-1|⁻¹|-1))
      (?:\s?(?:\^|\*\*)?-?[0-9]|[³²]|⁻¹)?
      (?:(?:\s?/\s?|\sper\s)(?:atoms?|cm|m|Å|A|cell)(?:\s?(?:\^|\*\*)?[0-9]|[³²])?)?
    )(?!\w)
    """,
    re.VERBOSE,
)
_RANGE_BETWEEN = re.compile(r"^\s*(?:-|–|—|−|to|~|\.\.+|…)\s*$")
_UNCERTAINTY = re.compile(r"(?:±|\+/-|\+-)\s*\d+(?:\.\d+)?")
_INVERSE_CUBE = re.compile(r"\bg[ ·]?cm\s?\^?[({]?(?:[-−]3|⁻³)[)}]?")
_BRACES = re.compile(r"\{([^{}]*)\}")
_KEY = re.compile(r"""(?:^|[,;\n])\s{0,20}["'`]?([A-Za-z][\w\s()/.-]{0,80}?)["'`]?\s{0,20}[:=]""")
"""The key of a pair within braces, which need not be JSON."""

_YES = ("yes", "true", "likely")
_NO = ("no", "false", "unlikely")
_NEGATIONS = ("not", "isn't", "never", "non")
_OPPOSITES = {"direct": "indirect", "stable": "unstable"}
"""Words that answer a question about them: `indirect` answers whether a gap is direct."""
_NEGATED_PREFIXES = ("in", "un", "non")


def parse_answer(text: str, target: Property) -> Answer:
    """Return the value that an answer states; never raises.

    Args:
        text: the answer, as the model wrote it.
        target: the property; its name, title and unit are used.
    """
    if not text.strip():
        return Answer(math.nan, "empty answer")
    stated, message = _stated(text, target)
    if message:
        return Answer(math.nan, message)
    if target.kind == "boolean":
        return _parse_boolean(stated, target)
    return _parse_number(stated, target)


def _stated(text: str, target: Property) -> tuple[str, str]:
    """Return the part of an answer that states the value; without braces, all of it."""
    blocks = _BRACES.findall(text)
    if not blocks:
        return text, ""
    pairs = [pair for block in blocks for pair in _pairs(block)]
    if not pairs:
        return (blocks[0], "") if len(blocks) == 1 else (text, "")
    names = {_normal(target.name), _normal(target.title)}
    named = [value for key, value in pairs if _normal(key) in names]
    values = named or [value for _, value in pairs]
    different = {value.strip() for value in values}
    if len(different) > 1:
        which = f"values of {target.name}" if named else f"pairs, none of them {target.name}"
        return "", f"ambiguous: {len(different)} {which}"
    return values[0], ""


def _pairs(block: str) -> list[tuple[str, str]]:
    """Return keys and values of the inside of braces, which need not be JSON."""
    keys = list(_KEY.finditer(block))
    ends = [*(key.start() for key in keys[1:]), len(block)]
    return [
        (key[1], block[key.end() : end].strip().strip("\"'`,").strip())
        for key, end in zip(keys, ends, strict=False)
    ]


def _normal(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


class _Number(NamedTuple):
    value: float
    unit: str
    """Normalized; empty if the answer gives none."""
    start: int
    end: int
    number_end: int


def _parse_number(text: str, target: Property) -> Answer:
    clean = _INVERSE_CUBE.sub("g/cm^3", _UNCERTAINTY.sub(" ", _GLUED_UNIT.sub(" ", text)))
    numbers = _numbers(clean)
    if not numbers:
        return Answer(math.nan, "no number")
    for first, second in pairwise(numbers):
        between = clean[first.end : second.start]
        is_and = between.strip() == "and" and re.search(
            r"\bbetween\s*$", clean[: first.start], re.IGNORECASE
        )
        # The hyphen of "1.0 - 3.4" is read as the sign of the second number.
        hyphen = not between.strip() and clean[second.start] in "-−"
        if _RANGE_BETWEEN.match(between) or is_and or hyphen:
            return Answer(math.nan, "ambiguous: a range")
    expected = _normal_unit(target.unit)
    with_unit = [x for x in numbers if _factor(x.unit, expected) is not None and x.unit]
    candidates = with_unit or [x for x in numbers if not x.unit]
    if not candidates:
        unit = clean[numbers[0].number_end : numbers[0].end].strip()
        return Answer(math.nan, f"another unit: {unit}, expected {target.unit or 'none'}")
    values = [x.value * (_factor(x.unit, expected) or 1.0) for x in candidates]
    if any(not math.isclose(x, values[0], rel_tol=1e-9, abs_tol=1e-300) for x in values):
        return Answer(math.nan, f"ambiguous: {len(set(values))} values")
    value = values[0]
    if not math.isfinite(value):
        return Answer(math.nan, "not finite")
    if not target.minimum <= value <= target.maximum:
        return Answer(math.nan, f"out of range: {value:g}")
    return Answer(value)


def _numbers(text: str) -> list[_Number]:
    """Return the numbers of a text with their units, in order."""
    found: list[_Number] = []
    for match in sorted(
        [*_POWER_OF_TEN.finditer(text), *_NUMBER.finditer(text)],
        key=lambda x: (x.start(), -x.end()),
    ):
        if found and match.start() < found[-1].number_end:
            continue
        groups = match.groupdict()
        exponent = groups.get("exponent") or groups["power"] or "0"
        digits = (groups.get("mantissa") or "1").replace(",", "")
        # As one text, so that the number is rounded once.
        magnitude = float(f"{digits}e{exponent.translate(_SUPERSCRIPTS)}")
        negative = groups["sign"] in ("-", "−")
        unit = _UNIT.match(text, match.end())
        found.append(
            _Number(
                -magnitude if negative else magnitude,
                "" if unit is None else _normal_unit(unit["unit"]),
                match.start(),
                match.end() if unit is None else unit.end(),
                match.end(),
            )
        )
    return found


def _normal_unit(unit: str) -> str:
    text = f" {unit.lower()} "
    for spelling, normal in _SPELLINGS:
        text = text.replace(spelling, normal)
    text = re.sub(r"\s", "", text)
    return re.sub(r"(?<=[a-z])(-?\d)", r"^\1", text)


def _factor(unit: str, expected: str) -> float | None:
    """Return what to multiply with; None if the unit does not measure the expected quantity.

    An energy per atom may be given in eV, since the property says that it is per atom; not the
    other way round.
    """
    if not unit or unit == expected:
        return 1.0
    given, wanted = _UNITS.get(unit), _UNITS.get(expected)
    if given is None or wanted is None:
        return None
    dimension, factor = given
    if dimension == wanted[0] or dimension + _PER_ATOM == wanted[0]:
        return factor / wanted[1]
    return None


def _parse_boolean(text: str, target: Property) -> Answer:
    yes, no = _words(target)
    votes: set[bool] = set()
    words = re.findall(r"[\w']+", text.lower().replace("-", " ").replace("_", " "))
    for i, word in enumerate(words):
        if word in yes or word in no:
            inverted = any(x in _NEGATIONS for x in words[max(i - 2, 0) : i])
            votes.add((word in yes) != inverted)
    if len(votes) > 1:
        return Answer(math.nan, "ambiguous: both yes and no")
    if votes:
        return Answer(float(votes.pop()))
    values = {x.value for x in _numbers(text)}
    if len(values) == 1 and 0 <= (value := values.pop()) <= 1:
        return Answer(value)
    return Answer(math.nan, "ambiguous: several numbers" if values else "neither yes nor no")


def _words(target: Property) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words for yes and no; `direct` and `indirect` answer about a direct gap."""
    about = re.findall(r"[a-z]+", f"{target.name} {target.title}".lower().replace("_", " "))
    yes, no = list(_YES), list(_NO)
    for word, opposite in _OPPOSITES.items():
        if word in about:
            yes.append(word)
            no.append(opposite)
    return yes, no
