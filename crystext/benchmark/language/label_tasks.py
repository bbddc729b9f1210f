"""Tasks that ask for labels: one of a text, or those of given words of it.

Corrected rules: an answer must name a label as it is (in any case, within a sentence if need be);
one that names none or several is wrong and counted. A word of a text is known by itself and by
which of its occurrences it is, `Ni#2`: the published code lets repeated words collapse. Every
question and every word counts, so that the micro F1 is the accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from crystext.benchmark.language import compat, counts
from crystext.benchmark.language.counts import UNREADABLE
from crystext.benchmark.questions import Grade, Measure, Question, QuestionTask

Word = tuple[str, int]
"""A word, or several, of a text, and which of its occurrences it is, from 1."""

_MARKS = " \t`'\"*."
"""Stand around words and labels in answers."""


class LabelTask(QuestionTask):
    """What both kinds share: counts by label, and their F1.

    `Question.context["labels"]` has all labels of the task, in the order of the published lists.
    """

    measures = (
        Measure("macro_f1", "macro F1"),
        Measure("micro_f1", "micro F1"),
    )

    def __init__(self, name: str, title: str) -> None:
        """Take a name and a title."""
        self.name, self.title = name, title  # type: ignore[misc]  # of the class elsewhere

    def summarize(
        self, questions: Sequence[Question], grades: Sequence[Grade]
    ) -> Mapping[str, float]:
        """Return macro and micro F1 of the counts of all answers."""
        totals = counts.add_counts(grades)
        return {"macro_f1": counts.macro_f1(totals), "micro_f1": counts.micro_f1(totals)}


class TextLabelTask(LabelTask):
    """One label of a text, which is `Question.reference`."""

    def grade(self, question: Question, answer: str) -> Grade:
        """Grade the label that an answer names."""
        label, problem = named_label(answer, question.context["labels"])
        return Grade(counts.count_pairs([(question.reference, label or UNREADABLE)]), problem)

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the F1 of labels nearest to the answers, without empty answers."""
        labels = questions[0].context["labels"]
        return compat.pair_scores(
            (
                (question.reference, compat.nearest_label(answer.lower(), labels))
                for question, answer in zip(questions, answers, strict=True)
                if answer
            ),
            labels,
        )


class WordLabelTask(LabelTask):
    """Labels of the words in `Question.context["words"]`; `reference` has them in that order."""

    def grade(self, question: Question, answer: str) -> Grade:
        """Grade the label that an answer gives each word; one without is wrong."""
        words = [word_key(*word) for word in question.context["words"]]
        given, problem = read_word_labels(answer, words, question.context["labels"])
        pairs = [
            (label, given.get(word, UNREADABLE))
            for word, label in zip(words, question.reference, strict=True)
        ]
        return Grade(counts.count_pairs(pairs), problem)

    def write_answer(self, question: Question) -> str:
        """Return a line for each word."""
        words = [word_key(*word) for word in question.context["words"]]
        lines = zip(words, question.reference, strict=True)
        return "\n".join(f"{word}: {label}" for word, label in lines)

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the F1 over different words of each text, without empty answers."""
        labels = questions[0].context["labels"]
        pairs = []
        for question, answer in zip(questions, answers, strict=True):
            if answer:
                words = question.context["words"]
                plain = _without_numbers(answer, words)
                pairs += compat.word_pairs(
                    [word for word, _ in words], question.reference, plain, labels
                )
        return compat.pair_scores(pairs, labels)


def _without_numbers(answer: str, words: Sequence[Word]) -> str:
    """Return an answer whose words have no number of their occurrence, as in the published form."""
    plain = {word_key(*word): word[0] for word in words}
    lines = []
    for line in answer.split("\n"):
        word, colon, label = line.rpartition(":")
        lines.append(f"{plain.get(word.strip(), word)}{colon}{label}")
    return "\n".join(lines)


def named_label(answer: str, labels: Sequence[str]) -> tuple[str, str]:
    """Return the only label that an answer names and an empty text, or none and the reason.

    A label within a longer one does not count: `not glass` does not name `glass`.
    """
    rest, named = answer.casefold(), []
    for label in sorted(labels, key=len, reverse=True):
        pattern = rf"(?<!\w){re.escape(label.casefold())}(?!\w)"
        if re.search(pattern, rest):
            named.append(label)
            rest = re.sub(pattern, " ", rest)
    if len(named) == 1:
        return named[0], ""
    if not answer.strip():
        return "", "empty answer"
    return "", f"{len(named)} labels" if named else "no label"


def word_key(word: str, number: int) -> str:
    """Return a word as questions and answers name it: `Ni`, and the second time `Ni#2`."""
    return f"{word}#{number}" if number > 1 else word


def number_words(words: Sequence[str]) -> list[Word]:
    """Return each word with the number of its occurrence."""
    seen: dict[str, int] = {}
    numbered = []
    for word in words:
        seen[word] = seen.get(word, 0) + 1
        numbered.append((word, seen[word]))
    return numbered


def read_word_labels(
    answer: str, words: Sequence[str], labels: Sequence[str]
) -> tuple[dict[str, str], str]:
    """Return the label of each word that an answer labels, and why it labels none.

    A line is `WORD: LABEL`; the word may itself have colons, and bullets or quotes around it. Lines
    on other words are ignored. A word with two labels, or with one that does not exist, has none.

    Args:
        answer: of the model.
        words: the words that were asked about, as `word_key` writes them.
        labels: all that there are.
    """
    by_name = {label.casefold(): label for label in labels}
    by_word = {word.casefold(): word for word in reversed(words)} | {word: word for word in words}
    given: dict[str, set[str]] = {}
    for line in answer.splitlines():
        text, _, name = line.rpartition(":")
        text = text.strip().removeprefix("- ").strip()
        word = next(
            (by_word[x] for x in (text, text.strip(_MARKS), text.casefold()) if x in by_word), None
        )
        if word is not None:
            given.setdefault(word, set()).add(by_name.get(name.strip(_MARKS).casefold(), ""))
    single = {word: next(iter(x)) for word, x in given.items() if len(x) == 1 and "" not in x}
    if single:
        return single, ""
    return (
        {},
        "no line has a word of the question and a label" if answer.strip() else "empty answer",
    )
