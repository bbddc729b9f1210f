"""Finding the space group of a structure whose file lists every atom (LLaMat's task 4).

The right answer is what spglib finds in the printed crystal at 0.1 Å. The file states no symmetry:
the published question shows a CIF in P 1, whose symbol is the answer, always P1.

Accuracy is averaged over space groups (macro), so that one frequent group scores no more than a
rare one: whoever always says P1 is right in one group of many.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_space_group
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import ALWAYS, exact_score
from crystext.instruct.printed import SYMMETRY_TAGS, Writer
from crystext.structures.properties import crystal_system, space_group_symbols
from crystext.structures.record import Failure, Record
from crystext.structures.space_groups import SYMPREC, find_space_group


class SpaceGroupOfFile(InstructionTask):
    """Which space group does the arrangement have?"""

    name: ClassVar[str] = "space_group"
    title: ClassVar[str] = "space group"
    number: ClassVar[int] = 4
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "space_group": frozenset({"crystal", "symprec"})
    }
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("macro_accuracy", "right, mean over space groups"),
        Measure("accuracy", "right"),
        Measure("crystal_system", "right crystal system"),
    )

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask for the group that spglib finds; see `InstructionTask.make`."""
        printed = writer.print_file(record.require_crystal(), SYMMETRY_TAGS)
        number = find_space_group(printed.crystal)
        if number is None:
            return Failure("spglib finds no space group")
        values = {"crystal": printed.text, "symprec": f"{SYMPREC:g}"}
        symbol = space_group_symbols()[number]
        return Instruction("space_group", values, symbol, number, {}, printed.format)

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare the group, whatever its spelling or setting."""
        number = read_space_group(answer)
        if isinstance(number, Unreadable):
            return self.unreadable(number.message)
        system = crystal_system(number) == crystal_system(int(question.reference))
        right = float(number == question.reference)
        return Grade({"macro_accuracy": right, "accuracy": right, "crystal_system": float(system)})

    def summarize(
        self, questions: Sequence[Question], grades: Sequence[Grade]
    ) -> Mapping[str, float]:
        """Return means; the first is the mean over the space groups that occur."""
        means = dict(super().summarize(questions, grades))
        groups: dict[int, list[float]] = defaultdict(list)
        for question, grade in zip(questions, grades, strict=True):
            groups[int(question.reference)].append(grade.values["accuracy"])
        rates = [sum(x) / len(x) for x in groups.values()]
        means["macro_accuracy"] = sum(rates) / len(rates) if rates else math.nan
        return means

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the proportion of answers that say P1, which is always the published answer."""
        return exact_score(answers, [ALWAYS] * len(answers))


SPACE_GROUP = SpaceGroupOfFile()
