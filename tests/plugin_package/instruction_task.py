"""An instruction task: how many different elements a file has. It brings its own words."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_numbers
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.printed import Writer
from crystext.structures.record import Failure, Record


class ElementCount(InstructionTask):
    """How many different elements does the crystal have?"""

    name: ClassVar[str] = "element_count"
    title: ClassVar[str] = "number of elements"
    number: ClassVar[int] = 0
    templates: ClassVar[Mapping[str, frozenset[str]]] = {"element_count": frozenset({"crystal"})}
    paraphrases: ClassVar[Mapping[str, Sequence[str]]] = {
        "element_count": ["{crystal}\n\nHow many different elements are there?"]
    }
    measures: ClassVar[tuple[Measure, ...]] = (Measure("accuracy", "right"),)
    is_default: ClassVar[bool] = False

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        printed = writer.print_file(record.require_crystal())
        count = len(set(printed.crystal.symbols))
        return Instruction(
            "element_count", {"crystal": printed.text}, str(count), count, {}, printed.format
        )

    def grade(self, question: Question, answer: str) -> Grade:
        numbers = read_numbers(answer, 1)
        if isinstance(numbers, Unreadable):
            return self.unreadable(numbers.message)
        return Grade({"accuracy": float(numbers[0] == question.reference)})


TASK = ElementCount()
