"""Naming the element at given coordinates (LLaMat's task 3).

Coordinates are wrapped into [0, 1) after rounding, and a site is asked for only if no other site
has the same coordinates to three decimals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_element
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import exact_score
from crystext.instruct.printed import Writer, sites_with_names
from crystext.structures.record import Failure, Record


class ElementAtSite(InstructionTask):
    """Which element sits at these coordinates?"""

    name: ClassVar[str] = "element_at_site"
    title: ClassVar[str] = "element at given coordinates"
    number: ClassVar[int] = 3
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "element_at_site": frozenset({"crystal", "coordinates"})
    }
    measures: ClassVar[tuple[Measure, ...]] = (Measure("accuracy", "right"),)

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask for a uniformly chosen site; see `InstructionTask.make`."""
        printed = writer.print_file(record.require_crystal())
        sites = sites_with_names(printed.crystal)
        if not sites:
            return Failure("no site has coordinates of its own to three decimals")
        site = int(rng.choice(list(sites)))
        element = printed.crystal.symbols[site]
        values = {"crystal": printed.text, "coordinates": sites[site]}
        return Instruction(
            "element_at_site", values, element, element, {"site": site}, printed.format
        )

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare the element."""
        element = read_element(answer)
        if isinstance(element, Unreadable):
            return self.unreadable(element.message)
        return Grade({"accuracy": float(element == question.reference)})

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the proportion of exact symbols."""
        return exact_score(answers, [str(question.reference) for question in questions])


ELEMENT_AT_SITE = ElementAtSite()
