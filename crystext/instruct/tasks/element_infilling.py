"""Naming an element that is masked at all its sites (LLaMat's task 10).

Sites are masked, never substrings: replacing the symbol in the text, as published, corrupts another
element where one symbol is part of the other (C in Ca), as in 4.0% of the cells of MP-20
validation. Masked sites come last, since their place among the others, which are sorted, would tell
how electronegative the element is. The element is uniform over the distinct ones.

A model that ranks elements may answer with several, the most probable first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_elements
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import exact_score
from crystext.instruct.printed import CIF, FORMULA_TAGS, Printed, Writer, mask_sites
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure, Record
from crystext.text.partial import DEFAULT_MARKS

_TOP = 5


class ElementInfillingQuestion(InstructionTask):
    """Which element belongs to the masked sites?"""

    name: ClassVar[str] = "element_infilling"
    title: ClassVar[str] = "element masked at all its sites"
    number: ClassVar[int] = 10
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "element_infilling": frozenset({"crystal", "mask"})
    }
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("accuracy", "right, first of a ranking"),
        Measure("top_5", f"among the first {_TOP} of rankings"),
    )

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Mask one of the elements; see `InstructionTask.make`."""
        crystal = record.require_crystal()
        element = str(rng.choice(sorted(set(crystal.symbols))))
        is_masked = np.array([symbol == element for symbol in crystal.symbols])
        order = np.argsort(is_masked, kind="stable")
        crystal = Crystal(
            crystal.lengths, crystal.angles, crystal.numbers[order], crystal.positions[order]
        )
        printed = writer.print_text(crystal, FORMULA_TAGS)
        text = _mask(printed, np.flatnonzero(is_masked[order]).tolist())
        values = {"crystal": text, "mask": DEFAULT_MARKS.mask}
        return Instruction("element_infilling", values, element, element, {}, printed.format)

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare the element, or the first of a ranking and the first five."""
        ranking = read_elements(answer)
        if isinstance(ranking, Unreadable):
            return Grade({"accuracy": 0.0, "top_5": math.nan}, ranking.message)
        is_among = float(question.reference in ranking[:_TOP])
        return Grade(
            {
                "accuracy": float(ranking[0] == question.reference),
                "top_5": is_among if len(ranking) > 1 else math.nan,
            }
        )

    def summarize(
        self, questions: Sequence[Question], grades: Sequence[Grade]
    ) -> Mapping[str, float]:
        """Return means; a single element counts as a ranking of one if other answers rank."""
        means = dict(super().summarize(questions, grades))
        if not math.isnan(means["top_5"]):
            values = [grade.values["top_5"] for grade in grades]
            firsts = [grade.values["accuracy"] for grade in grades]
            among = [y if math.isnan(x) else x for x, y in zip(values, firsts, strict=True)]
            means["top_5"] = sum(among) / len(among)
        return means

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the proportion of exact symbols."""
        return exact_score(answers, [str(question.reference) for question in questions])


def _mask(printed: Printed, sites: Sequence[int]) -> str:
    if printed.format == CIF:
        return mask_sites(printed.text, sites, DEFAULT_MARKS.mask)
    lines = printed.text.split("\n")
    for site in sites:
        lines[2 + 2 * site] = DEFAULT_MARKS.mask
    return "\n".join(lines)


ELEMENT_INFILLING = ElementInfillingQuestion()
