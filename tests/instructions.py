"""Crystals of MP-20 validation, which ships, and questions about them, for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from crystext.benchmark.questions import Grade, Question
from crystext.data.shipped import read_shipped_set, shipped_set
from crystext.instruct.base import COMPLETION, Instruction, InstructionTask
from crystext.instruct.printed import Writer
from crystext.instruct.registry import INSTRUCTION_TASKS
from crystext.instruct.words import load_words
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure, Record
from crystext.tasks.chat_prompt import ChatPrompt

N_RECORDS = 48


@cache
def records() -> list[Record]:
    """Return crystals with energies, each with a name of its own."""
    return list(islice(read_shipped_set(shipped_set("mp20_val")), N_RECORDS))


def make(
    task: InstructionTask, record: Record | Crystal, seed: int = 0, **settings: Any
) -> Instruction:
    """Return the question of a task about a crystal, of the first seed that gives one."""
    if isinstance(record, Crystal):
        record = Record(record, name="crystal")
    for i in range(seed, seed + 50):
        made = task.make(record, Writer(**settings), np.random.default_rng([i, 7]))
        if not isinstance(made, Failure):
            return made
    raise AssertionError(f"{task.name} makes no question: {made}")


def as_question(task: InstructionTask, made: Instruction, id: str = "question") -> Question:
    """Return a question as benchmarks ask it."""
    rng = np.random.default_rng(0)
    words = load_words(tasks=[task]).render(made, rng)
    context = {**made.context, COMPLETION: made.completion}
    return Question(id, task.name, ChatPrompt.of_question(words), made.reference, context)


@cache
def questions(name: str) -> tuple[Question, ...]:
    """Return the questions of a task about all records that have one."""
    task, writer = INSTRUCTION_TASKS[name], Writer()
    made = [task.make(x, writer, np.random.default_rng(i)) for i, x in enumerate(records())]
    asked = [(x.name, y) for x, y in zip(records(), made, strict=True)]
    return tuple(as_question(task, y, x) for x, y in asked if not isinstance(y, Failure))


def right_answers(name: str) -> list[str]:
    """Return the right answers to the questions of a task."""
    return [INSTRUCTION_TASKS[name].write_answer(question) for question in questions(name)]


def constant_answers(name: str, answer: str = "") -> list[str]:
    """Return one answer to all questions of a task: the most frequent right one, or that given."""
    answers = right_answers(name)
    return [answer or Counter(answers).most_common(1)[0][0]] * len(answers)


def grades(name: str, answers: Sequence[str]) -> list[Grade]:
    """Return the grades of answers to the questions of a task."""
    pairs = zip(questions(name), answers, strict=True)
    return [INSTRUCTION_TASKS[name].grade(question, answer) for question, answer in pairs]


def summary(name: str, answers: Sequence[str]) -> dict[str, float]:
    """Return the measures of answers to the questions of a task."""
    task = INSTRUCTION_TASKS[name]
    return dict(task.summarize(questions(name), grades(name, answers)))


def compat(name: str, answers: Sequence[str]) -> dict[str, float]:
    """Return the scores of the published code."""
    return dict(INSTRUCTION_TASKS[name].compat_scores(questions(name), answers))
