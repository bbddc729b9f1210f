"""The volume of the cell: calculated from a file (LLaMat's task 5) or a text (12), or copied.

The right volume is that of the printed cell. The published questions differ: task 5 shows the line
that states the volume, so it is copying, and task 12 shows rounded or cut lengths and angles and
compares with the volume of the cell before. A perfect calculator then has an error above 1%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_numbers
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import number_error
from crystext.instruct.printed import CIF, VOLUME_TAG, Printed, Writer
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure, Record

TOLERANCE = 0.01
"""Largest relative error of a right answer."""

_UNROUNDED = "volume_before_printing"
"""Key of the volume of the cell before it was printed, in Å^3, in contexts."""


class Volume(InstructionTask):
    """What is the volume of the cell?"""

    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("within_1_percent", "right within 1%"),
        Measure("relative_error", "relative error", higher_is_better=False),
    )
    counts_twice: ClassVar[bool] = False
    """Whether the published score is divided by the number of questions as well."""

    def printed(self, crystal: Crystal, writer: Writer) -> Printed:
        """Return the crystal as the question shows it, without a stated volume."""
        return writer.print_file(crystal, (VOLUME_TAG,))

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask for the volume of the printed cell; see `InstructionTask.make`."""
        crystal = record.require_crystal()
        printed = self.printed(crystal, writer)
        volume = printed.crystal.volume
        if not volume > 0:
            return Failure("as printed, the cell has no volume")
        return Instruction(
            self.name,
            {"crystal": printed.text},
            f"{volume:.2f}",
            volume,
            {_UNROUNDED: crystal.volume},
            printed.format,
        )

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare the volume."""
        numbers = read_numbers(answer, 1)
        if isinstance(numbers, Unreadable):
            return self.unreadable(numbers.message)
        error = abs(numbers[0] - question.reference) / question.reference
        if not math.isfinite(error):
            return self.unreadable("the number is not finite")
        return Grade({"within_1_percent": float(error <= TOLERANCE), "relative_error": error})

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the relative error, against the volume of the cell before it was printed."""
        volumes = [float(question.context[_UNROUNDED]) for question in questions]
        return number_error(answers, volumes, counts_twice=self.counts_twice)


class CellVolume(Volume):
    """What is the volume of the cell of a file that does not state it?"""

    name: ClassVar[str] = "cell_volume"
    title: ClassVar[str] = "volume of the cell of a file"
    number: ClassVar[int] = 5
    templates: ClassVar[Mapping[str, frozenset[str]]] = {"cell_volume": frozenset({"crystal"})}


class CellVolumeCopy(Volume):
    """Which volume does a CIF state?"""

    name: ClassVar[str] = "cell_volume_copy"
    title: ClassVar[str] = "stated volume of the cell, copied"
    number: ClassVar[int] = 5
    templates: ClassVar[Mapping[str, frozenset[str]]] = {"cell_volume_copy": frozenset({"crystal"})}
    is_default: ClassVar[bool] = False

    def printed(self, crystal: Crystal, writer: Writer) -> Printed:
        """Return a CIF with its volume: no other format states one."""
        return writer.print_as(crystal, CIF)


class TextVolume(Volume):
    """What is the volume of the cell of a text?"""

    name: ClassVar[str] = "text_volume"
    title: ClassVar[str] = "volume of the cell of a text"
    number: ClassVar[int] = 12
    templates: ClassVar[Mapping[str, frozenset[str]]] = {"text_volume": frozenset({"crystal"})}
    counts_twice: ClassVar[bool] = True

    def printed(self, crystal: Crystal, writer: Writer) -> Printed:
        """Return the text, or a CIF without its volume."""
        return writer.print_text(crystal, (VOLUME_TAG,))


CELL_VOLUME, CELL_VOLUME_COPY, TEXT_VOLUME = CellVolume(), CellVolumeCopy(), TextVolume()
