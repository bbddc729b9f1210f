"""Counting the atoms of an element in a file (LLaMat's task 1).

The element is uniform over the distinct ones. Drawn over atoms, as published, it is most often the
most frequent one, so that answers lean to the whole cell's size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_numbers
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import digits_score
from crystext.instruct.printed import Writer
from crystext.structures.record import Failure, Record


class AtomCount(InstructionTask):
    """How many atoms of an element does the cell hold?"""

    name: ClassVar[str] = "atom_count"
    title: ClassVar[str] = "number of atoms of an element"
    number: ClassVar[int] = 1
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "atom_count": frozenset({"crystal", "element"})
    }
    measures: ClassVar[tuple[Measure, ...]] = (Measure("accuracy", "right"),)

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask for one of the elements; see `InstructionTask.make`."""
        printed = writer.print_file(record.require_crystal())
        symbols = printed.crystal.symbols
        element = str(rng.choice(sorted(set(symbols))))
        count = symbols.count(element)
        values = {"crystal": printed.text, "element": element}
        return Instruction(
            "atom_count", values, str(count), count, {"element": element}, printed.format
        )

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare the count."""
        numbers = read_numbers(answer, 1)
        if isinstance(numbers, Unreadable):
            return self.unreadable(numbers.message)
        return Grade({"accuracy": float(numbers[0] == question.reference)})

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the proportion of answers that are digits, and right."""
        return digits_score(answers, [int(question.reference) for question in questions])


ATOM_COUNT = AtomCount()
