"""A task: counting the atoms of a crystal."""

from dataclasses import dataclass

import numpy as np

from crystext.structures.record import Record
from crystext.tasks import Example, Task
from crystext.tasks.prompts import PromptSet
from crystext.text import Format


@dataclass(frozen=True)
class AtomCount(Task):
    """The prompt shows a crystal, and the completion is its number of atoms."""

    measures = ("correct",)

    def make(
        self, record: Record, prompts: PromptSet, fmt: Format, rng: np.random.Generator
    ) -> Example:
        text = fmt.encode_record(record, rng)
        return Example(f"{text}\nAtoms:\n", str(len(record.require_crystal())), fmt)

    def score(self, example: Example, answer: str) -> dict[str, float]:
        return {"correct": float(answer.strip() == example.completion)}


TASK = AtomCount("count_atoms")
