"""The interface of an instruction task: make a question from a crystal, and grade its answers.

To add a task: one file in `tasks` with an `InstructionTask`, and one line in the registry; or, from
another distribution, an entry point of the group `crystext.instruction_tasks`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from crystext.benchmark.questions import Grade, Question, QuestionTask

if TYPE_CHECKING:
    # `crystext benchmark --help` names the suite of these tasks.
    import numpy as np

    from crystext.instruct.printed import Writer
    from crystext.structures.record import Failure, Record

COMPLETION = "completion"
"""Key of the right answer, as a text, in the context of a question."""


@dataclass(frozen=True)
class Instruction:
    """A question without its words, and the right answer."""

    template: str
    """Name of the template of the prompt set that asks it."""
    values: Mapping[str, str]
    """Values of the template's placeholders."""
    completion: str
    """The right answer as a model should write it."""
    reference: Any
    """What answers are compared with, as JSON holds it."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What else grading needs, as JSON holds it."""
    format: str = ""
    """Format of the crystal that the question shows or requests; the words depend on it."""
    parts: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]] = field(default_factory=dict)
    """Placeholders that are filled by further templates, with the values of each, one behind the
    other; without any, the placeholder is left out with the space before it."""


class InstructionTask(QuestionTask):
    """A kind of question about a crystal."""

    number: ClassVar[int]
    """Its number in LLaMat's list; 0 if it is not there."""
    templates: ClassVar[Mapping[str, frozenset[str]]]
    """Templates of prompt sets that it uses, with the placeholders that each must have."""
    paraphrases: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Words for prompt sets that lack its templates: for tasks of plugins."""
    is_default: ClassVar[bool] = True
    """Whether it is one of `--tasks all`."""

    @abstractmethod
    def make(
        self, record: Record, writer: Writer, rng: np.random.Generator
    ) -> Instruction | Failure:
        """Make a question about a crystal; or say why there is none, by a kind that counts share.

        Args:
            record: a crystal with its labels.
            writer: shows crystals.
            rng: the only source of randomness.
        """

    def write_answer(self, question: Question) -> str:
        """Return the right answer as a model should write it."""
        return str(question.context[COMPLETION])

    @property
    def rates(self) -> tuple[str, ...]:
        """Names of the measures that are 0 for an answer that cannot be read; others are nan."""
        return tuple(x.name for x in self.measures if x.higher_is_better and not x.unit)

    def unreadable(self, message: str) -> Grade:
        """Return the grade of an answer that cannot be read."""
        rates = self.rates
        return Grade({x.name: 0.0 if x.name in rates else math.nan for x in self.measures}, message)
