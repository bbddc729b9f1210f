"""The formula of a crystal from its atoms: in a file (LLaMat's task 6) or a text (13).

The file does not state it: the name of its data block and the lines with formulas are left out.
Answers are right if their reduced compositions are equal, so that SrTiO3 and O3TiSr are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.chemistry.formulas import parse_formula
from crystext.instruct.answers import Unreadable, read_formula
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import exact_score
from crystext.instruct.printed import FORMULA_TAGS, Printed, Writer
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Failure, Record


class CifFormula(InstructionTask):
    """What is the formula of the crystal in a file?"""

    name: ClassVar[str] = "cif_formula"
    title: ClassVar[str] = "formula of a file"
    number: ClassVar[int] = 6
    templates: ClassVar[Mapping[str, frozenset[str]]] = {"cif_formula": frozenset({"crystal"})}
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("accuracy", "equal reduced compositions"),
        Measure("elements", "right elements"),
    )

    def printed(self, crystal: Crystal, writer: Writer) -> Printed:
        """Return the crystal as the question shows it."""
        return writer.print_file(crystal, FORMULA_TAGS)

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask for the reduced formula; see `InstructionTask.make`."""
        printed = self.printed(record.require_crystal(), writer)
        formula = reduced_formula(printed.crystal)
        return Instruction(
            self.name, {"crystal": printed.text}, formula, formula, {}, printed.format
        )

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare the compositions."""
        counts = read_formula(answer)
        if isinstance(counts, Unreadable):
            return self.unreadable(counts.message)
        right = parse_formula(str(question.reference))
        return Grade(
            {
                "accuracy": float(counts == right),
                "elements": float(counts.keys() == right.keys()),
            }
        )

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the proportion of answers that are the very string of the formula."""
        return exact_score(answers, [str(question.reference) for question in questions])


class TextFormula(CifFormula):
    """What is the formula of the crystal in a text?"""

    name: ClassVar[str] = "text_formula"
    title: ClassVar[str] = "formula of a text"
    number: ClassVar[int] = 13
    templates: ClassVar[Mapping[str, frozenset[str]]] = {"text_formula": frozenset({"crystal"})}

    def printed(self, crystal: Crystal, writer: Writer) -> Printed:
        """Return the text, or a CIF without its formulas."""
        return writer.print_text(crystal, FORMULA_TAGS)


CIF_FORMULA, TEXT_FORMULA = CifFormula(), TextFormula()
