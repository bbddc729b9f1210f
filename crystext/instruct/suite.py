"""The suite `cif-tasks`: asks the questions of a set of instructions in a benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from crystext.benchmark.language.suite import (
    QuestionSuite,
    Selection,
    SuiteQuestions,
    choose_questions,
    select_tasks,
)
from crystext.benchmark.questions import Question, QuestionTask
from crystext.errors import InputError
from crystext.inference.text_models.base import ChatDecoding
from crystext.instruct.registry import INSTRUCTION_TASKS


class CifTasks(QuestionSuite):
    """LLaMat's thirteen tasks, with corrected definitions, and its own scores beside them."""

    name: ClassVar[str] = "cif-tasks"
    title: ClassVar[str] = "Questions about crystals, LLaMat's thirteen tasks corrected"
    tasks: ClassVar[Mapping[str, QuestionTask]] = INSTRUCTION_TASKS
    data: ClassVar[str] = (
        "a folder of crystext instruct build, whose test part is asked; or one of its JSONL files"
    )
    # A CIF of 20 atoms has some 900 tokens.
    decoding: ClassVar[ChatDecoding] = ChatDecoding(max_new_tokens=1024)
    compat: ClassVar[str] = "llamat"
    # Source: the inference scripts of M3RG-IITD/llamat. The penalty punishes repeated digits.
    compat_decoding: ClassVar[ChatDecoding] = ChatDecoding(
        temperature=0.75, top_k=50, max_new_tokens=300, frequency_penalty=1.0
    )

    def questions(self, data: Path, selection: Selection) -> SuiteQuestions:
        """Read the questions of the test part, or of the given file; see `QuestionSuite`."""
        # Heavy, and not needed for the suite's title.
        from crystext.instruct.build import MANIFEST_FILE
        from crystext.instruct.dataset import question_file, read_lines

        path = question_file(data)
        names = select_tasks(self, selection.tasks)
        by_task: dict[str, list[Question]] = defaultdict(list)
        for _, question in read_lines(path):
            if question.task not in INSTRUCTION_TASKS:
                raise InputError(
                    f"{path} has a question of the task {question.task!r}, which does not exist "
                    f"here; there are {', '.join(INSTRUCTION_TASKS)}. Is a plugin missing?"
                )
            if question.task in names:
                by_task[question.task].append(question)
        if not by_task:
            raise InputError(f"{path} has no question of {', '.join(names)}; give other --tasks")
        missing = [
            name
            for name in names
            if name not in by_task and (selection.tasks or INSTRUCTION_TASKS[name].is_default)
        ]
        notes = [f"{path.name} has no questions of {', '.join(missing)}"] if missing else []
        if path.parent.joinpath(MANIFEST_FILE).exists() and path.stem != "test":
            notes.append(f"questions of {path.name}: a model may have been trained on them")
        return SuiteQuestions(
            {name: choose_questions(by_task[name], selection) for name in names if name in by_task},
            notes,
        )


CIF_TASKS = CifTasks()
