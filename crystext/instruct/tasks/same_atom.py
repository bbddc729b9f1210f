"""Whether two sites hold the same atom (LLaMat's task 7), as two questions with two labels.

The published question, whether two atoms can be exchanged with the crystal unchanged, is answered
by their elements alone. Here one half of the questions asks for the same element, and the other
half whether the symmetry of the crystal maps one site on the other (spglib, 0.1 Å).

Yes and No are equally likely for every crystal, and a crystal without pairs of both kinds is left
out: whoever always says Yes has a balanced accuracy of one half. A cell of one atom has no pair;
the published loop never ends there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import ClassVar

import numpy as np

from crystext.benchmark.questions import Grade, Measure, Question
from crystext.errors import InputError
from crystext.instruct.answers import Unreadable, read_yes_or_no
from crystext.instruct.base import Instruction, InstructionTask
from crystext.instruct.compat import nearest_score
from crystext.instruct.printed import SYMMETRY_TAGS, Writer, sites_with_names
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure, Record
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import find_symmetry

YES, NO = "Yes", "No"

_Pair = tuple[int, int]


class SameAtom(InstructionTask):
    """Are two sites of one element, or equivalent by symmetry?"""

    name: ClassVar[str] = "same_atom"
    title: ClassVar[str] = "same element, or equivalent sites"
    number: ClassVar[int] = 7
    templates: ClassVar[Mapping[str, frozenset[str]]] = {
        "same_element": frozenset({"crystal", "first", "second"}),
        "equivalent_sites": frozenset({"crystal", "first", "second", "symprec"}),
    }
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("balanced_accuracy", "balanced accuracy"),
        Measure("same_element", "balanced accuracy, same element"),
        Measure("equivalent_sites", "balanced accuracy, equivalent sites"),
    )

    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Ask about a pair of sites; see `InstructionTask.make`."""
        crystal = record.require_crystal()
        if len(crystal) < 2:
            return Failure("the cell has one atom, so no pair")
        printed = writer.print_file(crystal, SYMMETRY_TAGS)
        template = ("same_element", "equivalent_sites")[int(rng.integers(2))]
        sites = sites_with_names(printed.crystal)
        try:
            pairs = _pairs(printed.crystal, list(sites), template, rng)
        except InputError:
            return Failure("spglib finds no symmetry")
        if not (pairs[True] and pairs[False]):
            return Failure(f"no two pairs of sites, one for Yes and one for No ({template})")
        is_same = bool(rng.integers(2))
        pair = pairs[is_same][int(rng.integers(len(pairs[is_same])))]
        first, second = (sites[site] for site in rng.permutation(pair).tolist())
        values = {"crystal": printed.text, "first": first, "second": second}
        if template == "equivalent_sites":
            values["symprec"] = f"{SYMPREC:g}"
        answer = YES if is_same else NO
        return Instruction(template, values, answer, is_same, {"label": template}, printed.format)

    def grade(self, question: Question, answer: str) -> Grade:
        """Compare yes or no."""
        is_same = read_yes_or_no(answer)
        if isinstance(is_same, Unreadable):
            return self.unreadable(is_same.message)
        return Grade({"balanced_accuracy": float(is_same == question.reference)})

    def summarize(
        self, questions: Sequence[Question], grades: Sequence[Grade]
    ) -> Mapping[str, float]:
        """Return the mean of the accuracies over Yes and over No, for each label and for both."""
        summary = {}
        for label in self.templates:
            rates = []
            for is_same in (True, False):
                values = [
                    grade.values["balanced_accuracy"]
                    for question, grade in zip(questions, grades, strict=True)
                    if question.context["label"] == label and question.reference == is_same
                ]
                rates += [sum(values) / len(values)] if values else []
            summary[label] = sum(rates) / len(rates) if len(rates) == 2 else math.nan
        known = [value for value in summary.values() if not math.isnan(value)]
        return {"balanced_accuracy": sum(known) / len(known) if known else math.nan, **summary}

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the proportion of answers that are nearer to the right one of Yes and No."""
        return nearest_score(answers, [self.write_answer(x) for x in questions], (YES, NO))


def _pairs(
    crystal: Crystal, sites: Sequence[int], template: str, rng: np.random.Generator
) -> dict[bool, list[_Pair]]:
    """Return the pairs of sites by the right answer.

    Half of the time the sites that are not equivalent are of one element, if there are any such:
    else different elements would give the answer away.
    """
    symbols = crystal.symbols
    classes: Sequence[object] = symbols
    if template == "equivalent_sites":
        symmetry = find_symmetry(crystal.lattice, crystal.positions, crystal.numbers, SYMPREC)
        classes = [int(x) for x in symmetry.equivalent_atoms]
    pairs: dict[bool, list[_Pair]] = {True: [], False: []}
    for i, j in combinations(sites, 2):
        pairs[classes[i] == classes[j]].append((i, j))
    if template == "equivalent_sites" and rng.random() < 0.5:
        alike = [pair for pair in pairs[False] if symbols[pair[0]] == symbols[pair[1]]]
        pairs[False] = alike or pairs[False]
    return pairs


SAME_ATOM = SameAtom()
