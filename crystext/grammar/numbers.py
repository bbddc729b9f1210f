"""The grammar of written numbers: which texts can begin one, and which are one.

    -1.234    0.0213    1.2e-05

A sign, digits, a point and further digits, an exponent of two digits; at most so many significant
digits; exponents within a range, so that no answer is absurd.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BEGINNING = re.compile(
    r"(?P<sign>-?)(?:(?P<whole>0|[1-9]\d*)(?:(?P<point>\.)(?P<part>\d*))?"
    r"(?:(?P<e>e)(?P<exponent>[+-]?\d{0,2}))?)?"
)
_MAX_LEADING_ZEROS = 3
"""Zeros between the point and the first other digit; smaller numbers have an exponent."""


@dataclass(frozen=True)
class NumberGrammar:
    """Numbers of at most so many significant digits, within powers of ten."""

    digits: int
    """Maximum number of significant digits."""
    negative: bool = True
    """Whether numbers can be below 0."""
    min_exponent: int = -12
    max_exponent: int = 12
    """Range of a written exponent."""

    def can_begin(self, text: str) -> bool:
        """Return whether a text is the beginning of a number, or a whole one."""
        found = _BEGINNING.fullmatch(text)
        if found is None or (found["sign"] and not self.negative):
            return False
        whole, part = found["whole"] or "", found["part"] or ""
        zeros = len(part) - len(part.lstrip("0")) if whole == "0" else 0
        significant = len(part) - zeros if whole == "0" else len(whole) + len(part)
        if significant > self.digits or zeros > _MAX_LEADING_ZEROS:
            return False
        if found["point"] and not part and significant == self.digits:
            return False
        if not found["e"]:
            return True
        return (
            bool(whole)
            and not text.split("e")[0].endswith(".")
            and self._allows_exponent(found["exponent"], len(whole))
        )

    def is_number(self, text: str) -> bool:
        """Return whether a text is a whole number."""
        found = _BEGINNING.fullmatch(text)
        if found is None or not found["whole"] or not self.can_begin(text):
            return False
        if found["point"] and not found["part"]:
            return False
        return not found["e"] or len(found["exponent"]) == 3

    def _allows_exponent(self, exponent: str, whole_digits: int) -> bool:
        """Return whether an exponent, possibly incomplete, leads into the range."""
        if whole_digits != 1:
            return False
        candidates = range(self.min_exponent, self.max_exponent + 1)
        return any(f"{x:+03d}".startswith(exponent) for x in candidates if x)
