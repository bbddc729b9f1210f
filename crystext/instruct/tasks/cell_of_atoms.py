"""The cell for given atoms and fractional coordinates (LLaMat's task 11).

Cells are compared after Niggli reduction, so that another choice of the same lattice's axes is
right. The volume is compared too: errors of three lengths say little about it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.instruct.answers import Unreadable, read_numbers
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import READABLE, triple_error
from crystext.instruct.printed import CELL_TAGS, CIF, Writer
from crystext.structures.crystal import (
    Floats,
    angles_form_cell,
    basis_vectors,
    cell_volume,
    lengths_and_angles,
)
from crystext.structures.record import Failure, Record
from crystext.structures.standardize import niggli_reduce

LENGTH_TOLERANCE, ANGLE_TOLERANCE = 0.05, 5.0
"""Largest relative error of a length, and error of an angle in degrees, of a right cell."""


class CellOfAtoms(InstructionTask):
    """Which cell fits these atoms?"""

    name: ClassVar[str] = "cell_of_atoms"
    title: ClassVar[str] = "cell for given atoms"
    number: ClassVar[int] = 11
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "cell_of_atoms": frozenset({"crystal", "form"}),
        "form_cell": frozenset(),
    }
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("right_cell", "lengths within 5%, angles within 5 degrees (Niggli)"),
        Measure("length_error", "relative error of lengths (Niggli)", higher_is_better=False),
        Measure("angle_error", "error of angles (Niggli)", "degrees", higher_is_better=False),
        Measure("volume_error", "relative error of the volume", higher_is_better=False),
    )

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask for the cell; see `InstructionTask.make`."""
        printed = writer.print_text(record.require_crystal(), CELL_TAGS)
        lengths, angles = printed.crystal.lengths.tolist(), printed.crystal.angles.tolist()
        lines = printed.text.split("\n")
        if printed.format == CIF:
            shown = printed.text
            completion = "\n".join(" ".join(f"{x:g}" for x in row) for row in (lengths, angles))
        else:
            shown, completion = "\n".join(lines[2:]), "\n".join(lines[:2])
        return Instruction(
            "cell_of_atoms",
            {"crystal": shown},
            completion,
            {"lengths": lengths, "angles": angles},
            {},
            printed.format,
            {"form": [("form_cell", {})]},
        )

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare the cells."""
        numbers = read_numbers(answer, 6, lines=2)
        if isinstance(numbers, Unreadable):
            return self.unreadable(numbers.message)
        lengths, angles = np.array(numbers[:3]), np.array(numbers[3:])
        if not (lengths.min() > 0 and lengths.max() < math.inf and angles_form_cell(*numbers[3:])):
            return self.unreadable("the lengths and angles do not form a cell")
        right = np.array(question.reference["lengths"]), np.array(question.reference["angles"])
        own, other = niggli_cell(lengths, angles), niggli_cell(*right)
        length_errors = np.abs(own[0] - other[0]) / other[0]
        angle_errors = np.abs(own[1] - other[1])
        volume = float(cell_volume(*right))
        return Grade(
            {
                "right_cell": float(
                    length_errors.max() <= LENGTH_TOLERANCE
                    and angle_errors.max() <= ANGLE_TOLERANCE
                ),
                "length_error": float(length_errors.mean()),
                "angle_error": float(angle_errors.mean()),
                "volume_error": abs(float(cell_volume(lengths, angles)) - volume) / volume,
            }
        )

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the mean relative errors of lengths and angles over answers of two lines."""
        lengths, angles = [], []
        for question, answer in zip(questions, answers, strict=True):
            right = [
                [float(x) for x in line.split()] for line in self.write_answer(question).split("\n")
            ]
            rows = [line.split() for line in answer.split("\n") if line]
            if len(rows) != 2:
                continue
            errors = [triple_error(row, values) for row, values in zip(rows, right, strict=True)]
            if errors[0] is not None and errors[1] is not None:
                lengths.append(errors[0])
                angles.append(errors[1])
        count = len(lengths)
        return {
            "relative_error_of_lengths": sum(lengths) / count if count else math.nan,
            "relative_error_of_angles": sum(angles) / count if count else math.nan,
            READABLE: count / len(questions) if questions else math.nan,
        }


def niggli_cell(lengths: Floats, angles: Floats) -> tuple[Floats, Floats]:
    """Return the lengths and angles of the Niggli-reduced cell; the given ones if there is none."""
    reduced = niggli_reduce(basis_vectors(lengths, angles))
    return (lengths, angles) if reduced is None else lengths_and_angles(reduced)


CELL_OF_ATOMS = CellOfAtoms()
