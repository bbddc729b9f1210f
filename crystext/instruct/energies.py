"""Check requested energies in generated crystals: relax each, and place it relative to the hull.

No text of a crystal shows its energies, so grades leave these conditions open. Here every generated
crystal for which a formation energy or an energy above the hull was requested is relaxed by a
potential, and compared with a hull, as `crystext relax` and `crystext hull` do. A crystal that
cannot be relaxed satisfies neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from crystext.benchmark.entries import RawAnswer, read_answers
from crystext.benchmark.questions import Question
from crystext.energies.hull import Hull
from crystext.energies.potential import Potential
from crystext.energies.relax import PAPER_LIMITS, RelaxationLimits, relax
from crystext.errors import InputError
from crystext.instruct.dataset import question_file, read_lines
from crystext.instruct.tasks.generation import CONDITIONAL_GENERATION, ENERGIES
from crystext.metrics.intervals import Proportion
from crystext.structures.crystal import Crystal


class EnergyCalculator:
    """Calculates the energies of crystals in eV/atom, after relaxation."""

    def __init__(
        self, potential: Potential, hull: Hull, limits: RelaxationLimits = PAPER_LIMITS
    ) -> None:
        """Take a potential and a hull.

        Raises:
            SettingError: energies of the two cannot be compared.
        """
        hull.check_comparable(potential.name, potential.scale)
        self.potential, self.hull, self.limits = potential, hull, limits

    def __call__(self, crystal: Crystal) -> Mapping[str, float]:
        """Return `formation_energy` and `e_above_hull`; nothing if there is no energy."""
        relaxed = relax(crystal, self.potential, self.limits)
        if relaxed.crystal is None or relaxed.energy is None:
            return {}
        position = self.hull.place(relaxed.crystal, relaxed.energy, self.potential.scale)
        values = dict(zip(ENERGIES, (position.formation_energy, position.above_hull), strict=True))
        return {name: value for name, value in values.items() if value is not None}


class EnergyResults(NamedTuple):
    """How many answers satisfy requested energies."""

    satisfied: dict[str, Proportion]
    """By condition, over all questions that request it."""
    all_satisfied: Proportion
    """Valid, with all conditions, over the questions that request an energy."""


def check_requested_energies(
    data: Path,
    answers: Path,
    calculator: EnergyCalculator,
    *,
    n: int | None = None,
    start_progress: Callable[[str, int | None], Callable[..., object]],
) -> EnergyResults:
    """Grade answers to questions that request energies.

    Args:
        data: a set of instructions, or one of its files.
        answers: a file of answers with ids, such as a run of `crystext benchmark` keeps.
        calculator: of energies.
        n: only the first n questions that request an energy.
        start_progress: shows progress.

    Raises:
        InputError: no question requests an energy, or no answer belongs to one that does.
    """
    path = question_file(data)
    questions = [
        question
        for _, question in read_lines(path)
        if question.task == CONDITIONAL_GENERATION.name
        and set(ENERGIES) & set(question.context["conditions"])
    ][:n]
    if not questions:
        raise InputError(
            f"{path} has no question that requests an energy; build it from crystals with energies"
        )
    by_id = _answers_by_id(read_answers(answers), questions, answers)
    task = CONDITIONAL_GENERATION.with_energies(calculator)
    advance = start_progress("energies", len(questions))
    values = []
    for question in questions:
        values.append(task.grade(question, by_id.get(question.id, "")).values)
        advance(1)
    counts = {
        name: [x[name] for x, q in zip(values, questions, strict=True)
               if name in q.context["conditions"]]
        for name in ENERGIES
    }  # fmt: skip
    return EnergyResults(
        {name: Proportion(int(sum(x)), len(x)) for name, x in counts.items() if x},
        Proportion(int(sum(x["satisfied"] for x in values)), len(values)),
    )


def _answers_by_id(
    answers: Sequence[RawAnswer], questions: Sequence[Question], path: Path
) -> dict[str, str]:
    by_id = {str(x.id): x.answer for x in answers if x.id is not None}
    if not any(question.id in by_id for question in questions):
        raise InputError(
            f"{path} has no answer to a question that requests an energy, such as "
            f"{questions[0].id!r}; expected lines with id and answer"
        )
    return by_id
