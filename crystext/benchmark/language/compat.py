"""Labels as the published evaluation of LLaMat scores them, quirks included.

- An answer is mapped to the nearest label by edit distance, so that nonsense always becomes one;
- a dictionary of words holds the labels of a text, so that repeated words collapse into the last;
- a line counts if it has one colon: a word with a colon is lost;
- a word that the answer does not name is missed, and costs no precision;
- empty answers are dropped, with their questions;
- the macro F1 is the mean over all labels of the task: one that no text has counts as 0.

Source: arXiv:2412.09560 and the code that its authors published (M3RG-IITD/llamat, commit 1dbee74,
`evaluation_codes/ft_eval.py`). What goes wrong otherwise: our stricter scores would be compared
with published ones that no wrong form of an answer can lower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from crystext.benchmark.language.counts import Counts, micro_f1

COMPAT = "llamat"
"""The name of these rules on the command line."""

_OUTSIDE = "O"
"""The label of a word that is not named; no label of a task."""


def nearest_label(answer: str, labels: Sequence[str]) -> str:
    """Return the label of least edit distance to an answer without spaces, the first of equals."""
    return _nearest(answer.strip().replace(" ", ""), tuple(labels))


@lru_cache(maxsize=1 << 16)
def _nearest(text: str, labels: tuple[str, ...]) -> str:
    return min(labels, key=lambda label: edit_distance(text, label))


def edit_distance(first: str, second: str) -> int:
    """Return how many characters to insert, delete or replace (Levenshtein)."""
    row = list(range(len(second) + 1))
    for i, x in enumerate(first, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(second, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def pair_scores(pairs: Iterable[tuple[str, str]], labels: Sequence[str]) -> Mapping[str, float]:
    """Return macro and micro F1 of pairs of a right and a predicted label, over given labels."""
    right, spurious, missed = (dict.fromkeys(labels, 0) for _ in range(3))
    for expected, predicted in pairs:
        if expected == predicted:
            right[expected] = right.get(expected, 0) + 1
            continue
        # A label that is none of the task's counts for nothing.
        for numbers, label in ((spurious, predicted), (missed, expected)):
            if label in numbers:
                numbers[label] += 1
    counts = {x: Counts(right[x], spurious[x], missed[x]) for x in labels}
    values = [x.f1 if x.right else 0.0 for x in counts.values()]
    micro = micro_f1(counts)
    return {"macro_f1": sum(values) / len(labels), "micro_f1": micro if micro == micro else 0.0}


def word_pairs(
    words: Sequence[str], labels: Sequence[str], answer: str, names: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the right and the predicted label of each different word.

    Args:
        words: as the text has them, repeated ones included.
        labels: the right ones.
        answer: a line for each word, `WORD: LABEL`.
        names: the labels of the task, in the order of the published lists.
    """
    pairs = {word.lower(): (label, _OUTSIDE) for word, label in zip(words, labels, strict=True)}
    for line in answer.split("\n"):
        parts = [part.strip().lower() for part in line.split(":")]
        if len(parts) == 2:
            word, predicted = parts[0], nearest_label(parts[1], names)
            pairs[word] = (pairs[word][0] if word in pairs else _OUTSIDE, predicted)
    return list(pairs.values())
