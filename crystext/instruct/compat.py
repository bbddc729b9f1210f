"""Scores of the thirteen tasks as LLaMat's public code computes them.

Repository M3RG-IITD/llamat, `src/cifs/scripts/cif_eval.py`. Answers are compared as texts without
spaces. Errors are relative to the right value, and means leave out answers that are no numbers. The
volume of task 12 is divided by the number of questions plus the number of readable answers, since
the script counts only tasks with `volume` or `dimensions` in their names from zero: with readable
answers throughout, the error is halved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from crystext.benchmark.language.compat import nearest_label

EXACT, ERROR, READABLE, WELL_FORMED = "exact", "relative_error", "readable", "well_formed"
"""Names of scores."""

ALWAYS = "P1"
"""The space group that a CIF in P 1 states, whatever its crystal's: the published answer."""


def exact_score(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return the proportion of answers that equal the right text, without spaces."""
    right = sum(squeeze(x) == squeeze(y) for x, y in zip(answers, references, strict=True))
    return {EXACT: right / len(answers) if answers else math.nan}


def digits_score(answers: Sequence[str], references: Sequence[int]) -> dict[str, float]:
    """Return the proportion of answers that are digits and equal the right count."""
    right = sum(
        squeeze(x).isdigit() and int(squeeze(x)) == y
        for x, y in zip(answers, references, strict=True)
    )
    return {EXACT: right / len(answers) if answers else math.nan}


def nearest_score(
    answers: Sequence[str], references: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """Return the proportion of answers whose nearest label by edit distance is right."""
    return exact_score([nearest_label(answer, labels) for answer in answers], references)


def number_error(
    answers: Sequence[str], references: Sequence[float], *, counts_twice: bool = False
) -> dict[str, float]:
    """Return the mean relative error over the answers that are numbers, and their proportion.

    Args:
        answers: texts.
        references: the right numbers.
        counts_twice: whether the mean is divided by the number of questions as well (task 12).
    """
    errors = []
    for answer, right in zip(answers, references, strict=True):
        value = plain_number(squeeze(answer))
        if value is not None:
            errors.append(abs(right - value) / right)
    return mean_error(errors, len(answers), counts_twice=counts_twice)


def mean_error(
    errors: Sequence[float], questions: int, *, counts_twice: bool = False
) -> dict[str, float]:
    """Return the mean of the errors of readable answers, and the proportion of these."""
    count = len(errors) + (questions if counts_twice else 0)
    return {
        ERROR: sum(errors) / count if count else math.nan,
        READABLE: len(errors) / questions if questions else math.nan,
    }


def triple_error(words: Sequence[str], right: Sequence[float]) -> float | None:
    """Return the mean relative error of three numbers; None if they are not."""
    values = [plain_number(word) for word in words]
    if len(values) != 3:
        return None
    errors = [abs(y - x) / y for x, y in zip(values, right, strict=True) if x is not None]
    return sum(errors) / 3 if len(errors) == 3 else None


def is_well_formed(answer: str) -> bool:
    """Return whether an answer has the lines of a crystal: three words, three words, then atoms.

    The script raises for fewer than two lines; here they are not well formed. The words of the cell
    need not be numbers, and there need be no atom.
    """
    lines = [line.split() for line in answer.split("\n") if line]
    if len(lines) < 2 or len(lines[0]) != 3 or len(lines[1]) != 3 or len(lines) % 2:
        return False
    return all(
        len(symbol) == 1 and len(position) == 3 and None not in map(plain_number, position)
        for symbol, position in zip(lines[2::2], lines[3::2], strict=True)
    )


def well_formed_score(answers: Sequence[str]) -> Mapping[str, float]:
    """Return the proportion of answers with the lines of a crystal: nothing else is checked."""
    count = sum(map(is_well_formed, answers))
    return {WELL_FORMED: count / len(answers) if answers else math.nan}


def squeeze(text: str) -> str:
    """Return a text without spaces and line ends."""
    return text.strip().replace("\n", "").replace(" ", "")


def plain_number(text: str) -> float | None:
    """Return the number that a text is; None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None
