"""Reading the lengths or the angles of the cell from a file (LLaMat's task 2).

The answer is rounded. Angles that are cut, as in the published answers, differ in 41.8% of the
cells of MP-20 validation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_numbers
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import mean_error, triple_error
from crystext.instruct.printed import Writer
from crystext.structures.record import Failure, Record

_PARTS = {"lengths": ("cell_lengths", 2), "angles": ("cell_angles", 1)}
"""What is asked for, with the template and the decimals of the answer."""

_ROUNDING_SLACK = 1e-9
"""Of an answer that is rounded exactly half a unit away from the value."""


class CellParameters(InstructionTask):
    """What are the three lengths, or the three angles?"""

    name: ClassVar[str] = "cell_parameters"
    title: ClassVar[str] = "lengths or angles of the cell"
    number: ClassVar[int] = 2
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        template: frozenset({"crystal", "decimals"}) for template, _ in _PARTS.values()
    }
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("within_rounding", "all three right within rounding"),
        Measure("length_error", "absolute error of lengths", "Å", higher_is_better=False),
        Measure("angle_error", "absolute error of angles", "degrees", higher_is_better=False),
    )

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask for lengths or angles, each half of the time; see `InstructionTask.make`."""
        printed = writer.print_file(record.require_crystal())
        part = ("lengths", "angles")[int(rng.integers(2))]
        template, decimals = _PARTS[part]
        values = getattr(printed.crystal, part).tolist()
        return Instruction(
            template,
            {"crystal": printed.text, "decimals": str(decimals)},
            ", ".join(f"{x:.{decimals}f}" for x in values),
            values,
            {"part": part, "decimals": decimals},
            printed.format,
        )

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare three numbers with those of the file."""
        numbers = read_numbers(answer, 3)
        if isinstance(numbers, Unreadable):
            return self.unreadable(numbers.message)
        errors = np.abs(np.array(numbers) - np.array(question.reference))
        half_unit = 0.5 * 10.0 ** -int(question.context["decimals"])
        is_length = question.context["part"] == "lengths"
        mean = float(errors.mean())
        return Grade(
            {
                "within_rounding": float((errors <= half_unit + _ROUNDING_SLACK).all()),
                "length_error": mean if is_length else math.nan,
                "angle_error": math.nan if is_length else mean,
            }
        )

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the mean relative error over answers of three numbers between commas."""
        errors = []
        for question, answer in zip(questions, answers, strict=True):
            right = [float(x) for x in self.write_answer(question).split(",")]
            words = [x.strip().replace("\n", "").replace(" ", "") for x in answer.split(",") if x]
            if (error := triple_error(words, right)) is not None:
                errors.append(error)
        return mean_error(errors, len(questions))


CELL_PARAMETERS = CellParameters()
