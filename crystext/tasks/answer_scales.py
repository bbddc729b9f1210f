"""How the value of a property is written as an answer, and which answers there are.

A number is written in one of two ways:

    digits   significant digits, -1.234 or 1.2e-05: any tokenizer, any range
    levels   one of some hundred numbers that follow the training values, each a token of its own:
             the answer's whole distribution is read after one step

Fixed decimals would lose targets of 1e-5. A boolean is written yes or no.

What goes wrong otherwise: digits that are sampled freely have a mean that explodes, since a rare
wrong exponent outweighs all other answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from crystext.errors import InputError
from crystext.structures.crystal import Floats
from crystext.structures.property_schema import Property

DEFAULT_DIGITS = 4

NUMBER_PATTERN = r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]\d{2})?"
"""The form of a number in an answer."""

_NUMBER = re.compile(NUMBER_PATTERN)

_QUANTILE_WEIGHT = 0.7
"""Levels lie at equal steps of a mixture: this part follows the training values, the rest is even
over their range, so that the tails have levels too."""

_NO, _YES = "no", "yes"


@dataclass(frozen=True)
class AnswerScale:
    """The answers of one property."""

    target: Property
    levels: tuple[float, ...] = ()
    """Ascending; the only possible answers. Empty: any number, by digits."""
    digits: int = DEFAULT_DIGITS
    """Significant digits of a written number."""
    atoms: frozenset[float] = field(default=frozenset(), repr=False)
    """Levels that are single frequent values, such as a band gap of exactly 0."""
    mean: float = 0.0
    std: float = 1.0
    """Of the training values."""

    @classmethod
    def fit(cls, target: Property, values: Floats, count: int) -> Self:
        """Place levels by training values.

        Values that hold at least 1/count of the data are levels themselves. Fewer levels result
        where there are fewer distinct values.

        Args:
            target: the property.
            values: of the training records; nan is left out.
            count: maximum number of levels.

        Raises:
            InputError: there are fewer than two distinct values.
        """
        known = np.sort(values[np.isfinite(values)])
        distinct, counts = np.unique(known, return_counts=True)
        if len(distinct) < 2:
            found = f"all {len(known)} are {distinct[0]:g}" if len(known) else "there is none"
            raise InputError(
                f"{target.name} cannot be learned: among its training values {found}; expected two "
                "or more different values"
            )
        stats: dict[str, Any] = {"mean": float(known.mean()), "std": float(known.std())}
        if target.kind == "boolean":
            return cls(target, (0.0, 1.0), atoms=frozenset((0.0, 1.0)), **stats)
        if len(distinct) <= count:
            levels = _written_levels(distinct)
            return cls(target, levels, atoms=frozenset(levels), **stats)
        frequent = distinct[counts * count >= len(known)]
        rest = known[~np.isin(known, frequent)]
        spread = _mixture_levels(rest, max(2, count - len(frequent)))
        atoms = _written_levels(frequent)
        return cls(target, _written_levels([*spread, *atoms]), atoms=frozenset(atoms), **stats)

    @property
    def is_boolean(self) -> bool:
        """Whether the answers are yes and no."""
        return self.target.kind == "boolean"

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The texts of all answers, by level; empty if any number is possible."""
        if self.is_boolean:
            return (_NO, _YES)
        return tuple(map(self._write_number, self.levels))

    def write(self, value: float, rng: np.random.Generator | None = None, jitter: float = 0) -> str:
        """Return the answer for a value: its digits, or the nearest level.

        Args:
            value: finite.
            rng: for the jitter; None adds none.
            jitter: standard deviation of the noise that is added before the level is chosen, in
                units of `std`. Neighbouring levels are then learned together. A value that is
                a level of its own (`atoms`) gets none.
        """
        if self.is_boolean:
            return self.choices[int(value >= 0.5)]
        if not self.levels:
            return self._write_number(value)
        if rng is not None and jitter > 0 and value not in self.atoms:
            value += jitter * self.std * float(rng.standard_normal())
        return self.choices[int(np.abs(self._levels - value).argmin())]

    def parse(self, text: str) -> float | None:
        """Return the value of an answer; None if it is not one. A boolean is 1 or 0."""
        if self.is_boolean:
            return {_NO: 0.0, _YES: 1.0}.get(text)
        if _NUMBER.fullmatch(text) is None:
            return None
        value = float(text)
        return value if math.isfinite(value) else None

    @cached_property
    def _levels(self) -> Floats:
        return np.array(self.levels)

    def _write_number(self, value: float) -> str:
        text = f"{value:.{self.digits}g}"
        return text.lstrip("-") if float(text) == 0 else text


def _written_levels(values: Sequence[float] | Floats) -> tuple[float, ...]:
    """Return distinct values, ascending, rounded as answers write them."""
    return tuple(sorted({float(f"{value:.{DEFAULT_DIGITS}g}") + 0.0 for value in values}))


def _mixture_levels(values: Floats, count: int) -> Floats:
    """Return means of ascending values between equal steps of the mixture."""
    even = (values - values[0]) / max(values[-1] - values[0], 1e-300)
    by_rank = np.arange(len(values)) / len(values)
    place = _QUANTILE_WEIGHT * by_rank + (1 - _QUANTILE_WEIGHT) * even
    group = np.minimum((place * count).astype(int), count - 1)
    sums = np.bincount(group, values, minlength=count)
    sizes = np.bincount(group, minlength=count)
    return np.asarray(sums[sizes > 0] / sizes[sizes > 0])
