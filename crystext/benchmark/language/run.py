"""Ask the questions of a suite, one resumable unit at a time.

    OUT/settings.json        what the questions depend on; other settings are refused
    OUT/answers/UNIT.jsonl   one line per question: its id and the answer, as they come
    OUT/units.jsonl          one line per finished unit
    OUT/results.json         see `results`
    OUT/report.html          the page for people

A unit is one task and one method. A kill loses at most the answers that were being waited for: what
stands in `answers` is not asked again. Grades are not stored: they are computed from the answers
each time, so that a correction of a grade needs no model. A service that stays away ends a unit
without a result; the same command asks the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.benchmark.language.entries import Respondent
from crystext.benchmark.language.suite import QuestionSuite, Selection, SuiteQuestions
from crystext.benchmark.questions import Question, QuestionTask
from crystext.benchmark.unit_files import UNITS_FILE, UnitFiles, UnitKey, cut_to_whole_parts
from crystext.errors import InputError, ModelError
from crystext.inference.text_models.stored_answers import StoredAnswer
from crystext.runtime.files import json_digest
from crystext.runtime.run_folder import JsonLines, RunFolder

ANSWERS_FOLDER = "answers"

_OWNED = (
    "settings.json",
    "starts.jsonl",
    UNITS_FILE,
    ANSWERS_FOLDER,
    "results.json",
    "report.html",
)

ReportProgress = Callable[[str, int, int, str], object]
"""Takes a unit's name, the questions done, their total, and a note."""


@dataclass(frozen=True)
class QuestionUnit:
    """A task that a method has answered."""

    task: QuestionTask
    method: str
    questions: Sequence[Question]
    answers: Sequence[StoredAnswer]
    """(N,) in the order of the questions."""
    seconds: float
    """Of asking; of a resumed unit, that of its last start."""


@dataclass(frozen=True)
class QuestionUnitError:
    """A task that a method has not answered, and why."""

    task: str
    method: str
    message: str


class QuestionRun:
    """A run folder with the answers to a suite."""

    def __init__(
        self,
        suite: QuestionSuite,
        questions: SuiteQuestions,
        respondents: Sequence[Respondent],
        folder: Path,
        selection: Selection,
    ) -> None:
        """Describe a run; nothing is written yet."""
        self.suite, self.questions, self.respondents = suite, questions, respondents
        self.selection = selection
        self.folder = RunFolder(
            folder,
            "a benchmark",
            owned=_OWNED,
            option_names={"suite": None, "compat": "--compat"},
        )
        self._files = UnitFiles(self.folder, ANSWERS_FOLDER)

    def identity(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share; tasks can be added."""
        return {
            "suite": self.suite.name,
            "n": self.selection.n,
            "seed": self.selection.seed,
            "compat": self.suite.compat if self.selection.is_compat else "",
        }

    def run(self, progress: ReportProgress) -> Iterator[QuestionUnit | QuestionUnitError]:
        """Yield every unit, as soon as it is finished: task by task of each method.

        Raises:
            RunError: the folder holds something else or a run with other settings, or cannot be
                written.
            InUseError: another process writes to the folder.
            ModelError: a model does not exist.
        """
        identities = {x.label: x.identity() for x in self.respondents}
        self.folder.check_contents()
        with self.folder.locked():
            self.folder.check_settings(self.identity())
            self.folder.write_settings(self.identity())
            self.folder.record_start({"methods": [x.label for x in self.respondents]})
            self._files.prepare()
            for respondent in self.respondents:
                unusable = ""
                for name, questions in self.questions.by_task.items():
                    task = self.suite.tasks[name]
                    key = _key(name, respondent.label, identities[respondent.label], questions)
                    try:
                        # What is unusable for one task is not tried again for the next.
                        if unusable and self._files.finished(key) is None:
                            raise ModelError(unusable)
                        yield self._run_unit(task, respondent, questions, key, progress)
                    except (InputError, ModelError) as error:
                        unusable = str(error) if isinstance(error, ModelError) else ""
                        yield QuestionUnitError(name, respondent.label, str(error))

    def _run_unit(
        self,
        task: QuestionTask,
        respondent: Respondent,
        questions: Sequence[Question],
        key: UnitKey,
        progress: ReportProgress,
    ) -> QuestionUnit:
        lines = JsonLines(self._files.path(key), StoredAnswer.parse, "an answer")
        finished = self._files.finished(key)
        if finished is None:
            start, total, size = time.monotonic(), len(questions), respondent.questions_at_once
            respondent.prepare(task, questions)
            done = cut_to_whole_parts(lines, size, total)
            progress(key.title, done, total, "")
            with self.folder.writing(), lines.appending() as append:
                while done < total:
                    part = questions[done : done + size]
                    answers = respondent.answer(task, part)
                    stored = zip(part, answers, strict=True)
                    append(StoredAnswer(x.id, *answer).line() for x, answer in stored)
                    done += len(part)
                    progress(key.title, done, total, "")
            finished = {"n": total, "seconds": round(time.monotonic() - start, 3)}
            self._files.finish(key, finished)
        return QuestionUnit(task, respondent.label, questions, list(lines), finished["seconds"])


def _key(task: str, method: str, identity: Any, questions: Sequence[Question]) -> UnitKey:
    asked = [[question.id, question.prompt.as_json()] for question in questions]
    return UnitKey({"task": task, "method": method}, json_digest([identity, asked]))
