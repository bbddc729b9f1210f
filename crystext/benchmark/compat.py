"""Parse answers as LLM4Mat-Bench does, so that scores can be compared with its published ones.

Its rules differ from those of `answers`, and `--compat llm4mat` applies them:

- the answer is cut to what stands between the first { and the first };
- of the element symbols that occur anywhere in the text, the first in the order of the periodic
  table is taken, and every word that contains it is deleted;
- a number is `a x 10^b` or `a × 10^b`, else one with an exponent such as 1e-8 (either loses the
  sign in front), else `10^b`, else the mean of a range if the text holds at least two ranges, else
  the first number: a single "1.0-3.4" is 1.0;
- numbers of 100,000 and more are invalid, except means of ranges;
- a boolean is yes if any of the words for yes occurs, as a part of other words too: "unlikely"
  contains "likely";
- empty and invalid answers are dropped before a score is computed, and a score over fewer than ten
  answers is "Inval.".

Source: Rubungo et al., LLM4Mat-Bench, arXiv:2411.00177, and its public evaluation script. What goes
wrong otherwise: a stricter parser gives a chat model another score than the published one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from crystext.chemistry.elements import SYMBOLS
from crystext.inference.text_models.base import ChatDecoding
from crystext.predict.chat.answers import Answer

COMPAT = "llm4mat"
"""The name of the rules on the command line."""

DECODING = ChatDecoding(temperature=1.0, top_k=10, max_new_tokens=800, max_length=800)
"""That of the published run: sampling, without a seed there."""

MIN_VALID = 10
"""Number of valid answers below which a score is `INVALID`."""

INVALID = "Inval."
"""How the leaderboard marks a score over too few valid answers."""

_LIMIT = 100_000.0
_NOT_LISTED = frozenset(("He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og"))
"""Noble gases do not delete words."""

_TIMES_POWER = re.compile(r"(\d+(?:\.\d+)?)\s*[x×]\s*10\s*\^*\s*(-?\d+)")
_EXPONENT = re.compile(r"\d+(?:\.\d+)?[eE][+-]?\d+")
_POWER = re.compile(r"\^([+-]?\d+)")
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*-\s*(-?\d+(?:\.\d+)?)")
_FIRST = re.compile(r"-?\d+\.?\d*")


def cut_answer(text: str) -> str:
    """Return what stands between the first { and the first }, with both; empty without them."""
    start, end = text.find("{"), text.find("}")
    return text[start : end + 1] if 0 <= start < end else ""


def parse_number(text: str) -> Answer:
    """Return the number that the benchmark reads from an answer; never raises."""
    if not text:
        return Answer(math.nan, "empty answer")
    text = _without_formulas(text)
    # The benchmark looks for x before ×, wherever they stand.
    power = _TIMES_POWER.search(text.replace("×", " ")) or _TIMES_POWER.search(text)
    if power is not None:
        return _limited(_scaled(float(power[1]), int(power[2][:9])))
    if (exponent := _EXPONENT.search(text)) is not None:
        return _limited(float(exponent[0]))
    if "10^" in text:
        found = _POWER.search(text)
        return Answer(math.nan, "no number") if found is None else _limited(
            _scaled(1.0, int(found[1][:9]))
        )  # fmt: skip
    ranges = _RANGE.findall(text)
    if len(ranges) > 1:
        mean = (float(ranges[0][0]) + float(ranges[0][1])) / 2
        return Answer(mean) if math.isfinite(mean) else Answer(math.nan, "not finite")
    first = _FIRST.search(text)
    return Answer(math.nan, "no number") if first is None else _limited(float(first[0]))


def parse_boolean(text: str, yes: Sequence[str], no: Sequence[str]) -> Answer:
    """Return 1 if a word for yes occurs anywhere, else 0 if one for no does; never raises."""
    if not text:
        return Answer(math.nan, "empty answer")
    if any(word in text for word in yes):
        return Answer(1.0)
    if any(word in text for word in no):
        return Answer(0.0)
    return Answer(math.nan, "neither yes nor no")


def _without_formulas(text: str) -> str:
    symbol = next((x for x in SYMBOLS if x not in _NOT_LISTED and x in text), None)
    return text if symbol is None else re.sub(rf"\b\w*{symbol}\w*\b", "", text)


def _scaled(mantissa: float, exponent: int) -> float:
    return mantissa * 10.0**exponent if exponent < 300 else math.inf


def _limited(value: float) -> Answer:
    if abs(value) >= _LIMIT or not math.isfinite(value):
        return Answer(math.nan, f"{value:g} is too large")
    return Answer(value)
