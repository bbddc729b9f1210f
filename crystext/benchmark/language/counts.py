"""Right, spurious and missed items of answers, and their F1.

    precision = TP / (TP + FP),  recall = TP / (TP + FN),  F1 = 2 TP / (2 TP + FP + FN)

The micro F1 is that of the counts of all labels together; the macro F1 is the mean of the labels'
own, over the labels that some right answer has. Counts travel in `Grade.values` under
`KIND:LABEL`, so that bootstrap replicates add them up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from crystext.benchmark.questions import Grade

UNREADABLE = "(unreadable)"
"""The label of an answer that cannot be read: it is only spurious."""

_RIGHT, _SPURIOUS, _MISSED = "right", "spurious", "missed"


class Counts(NamedTuple):
    """How many items of a label are right, said and wrong, and not said."""

    right: float = 0.0
    spurious: float = 0.0
    missed: float = 0.0

    @property
    def f1(self) -> float:
        """The F1; nan where there is nothing to say and nothing was said."""
        total = 2 * self.right + self.spurious + self.missed
        return 2 * self.right / total if total else math.nan


def count_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Return the counts of pairs of a right and an answered label.

    A wrong label is missed, and the answered one spurious: the micro F1 of pairs is their accuracy.
    """
    values: Counter[str] = Counter()
    for right, answered in pairs:
        if right == answered:
            values[f"{_RIGHT}:{right}"] += 1
        else:
            values[f"{_MISSED}:{right}"] += 1
            values[f"{_SPURIOUS}:{answered}"] += 1
    return {name: float(value) for name, value in values.items()}


def count_items(
    reference: Mapping[str, Counter[Hashable]], answered: Mapping[str, Counter[Hashable]]
) -> dict[str, float]:
    """Return the counts of an answer, by kind and label.

    Args:
        reference: the right items of each label, with how often each stands there.
        answered: those of the answer.
    """
    values: dict[str, float] = {}
    for label in {**reference, **answered}:
        expected, given = reference.get(label, Counter()), answered.get(label, Counter())
        right = (expected & given).total()
        counts = (right, given.total() - right, expected.total() - right)
        for kind, count in zip((_RIGHT, _SPURIOUS, _MISSED), counts, strict=True):
            if count:
                values[f"{kind}:{label}"] = float(count)
    return values


def add_counts(grades: Sequence[Grade]) -> dict[str, Counts]:
    """Return the counts by label, over all grades."""
    totals: dict[str, float] = {}
    for grade in grades:
        for name, value in grade.values.items():
            totals[name] = totals.get(name, 0.0) + value
    labels = dict.fromkeys(name.partition(":")[2] for name in totals if ":" in name)
    return {
        label: Counts(
            *(totals.get(f"{kind}:{label}", 0.0) for kind in (_RIGHT, _SPURIOUS, _MISSED))
        )
        for label in labels
    }


def micro_f1(counts: Mapping[str, Counts]) -> float:
    """Return the F1 of the counts of all labels together."""
    return Counts(*map(sum, zip(*counts.values(), strict=True))).f1 if counts else math.nan


def macro_f1(counts: Mapping[str, Counts]) -> float:
    """Return the mean F1 of the labels that some right answer has."""
    values = [x.f1 for x in counts.values() if x.right + x.missed > 0]
    return sum(values) / len(values) if values else math.nan
