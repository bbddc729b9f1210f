"""Measure models on a suite of questions: ask, grade, and write the results.

What goes wrong otherwise: answers that cannot be read are dropped, and a model that answers little
and well looks better than one that answers everything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crystext.benchmark.language.entries import Respondent, open_respondents
from crystext.benchmark.language.page import write_page
from crystext.benchmark.language.results import FailedQuestions, MeasureInfo, QuestionResults
from crystext.benchmark.language.run import QuestionRun, QuestionUnit, ReportProgress
from crystext.benchmark.language.scores import ScoredUnit, mean_scores, score_unit
from crystext.benchmark.language.suite import (
    QUESTION_SUITES,
    QuestionSuite,
    Selection,
    SuiteQuestions,
)
from crystext.benchmark.results import PAGE_FILE, RESULTS_FILE
from crystext.errors import InputError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from crystext.runtime.files import write_text
from crystext.runtime.provenance import collect_provenance


@dataclass(frozen=True)
class QuestionOptions:
    """What to ask, and how."""

    selection: Selection = field(default_factory=Selection)
    decoding: ChatDecoding | None = None
    """Of models; None is that of the suite."""


def benchmark_questions(
    suite: QuestionSuite | str,
    data: Path,
    methods: Sequence[str],
    out: Path,
    options: QuestionOptions | None = None,
    *,
    answers: Sequence[Path] = (),
    progress: ReportProgress = lambda *_: None,
) -> QuestionResults:
    """Measure methods on a suite of questions and write `results.json` and `report.html`.

    A run that was killed is resumed from its folder.

    Args:
        suite: a suite, or its name.
        data: the user's data.
        methods: `chat:MODEL`, `oracle`, `constant`.
        out: folder of the run.
        options: what to ask, and how.
        answers: files of answers that were written elsewhere.
        progress: takes a unit's name, the questions done, their number, and a note.

    Raises:
        InputError: files are missing, or no task has an answer.
        SettingError: an option is invalid.
        RunError: the folder holds something else, or cannot be written.
    """
    options = options or QuestionOptions()
    suite = suite if isinstance(suite, QuestionSuite) else QUESTION_SUITES.find(suite)
    selection = options.selection
    decoding = options.decoding or default_decoding(suite, is_compat=selection.is_compat)
    respondents = open_respondents(methods, answers, decoding, selection.seed)
    questions = _questions(suite, data, selection)
    run = QuestionRun(suite, questions, respondents, out, selection)
    units: list[ScoredUnit] = []
    failed: list[FailedQuestions] = []
    for unit in run.run(progress):
        if isinstance(unit, QuestionUnit):
            units.append(score_unit(unit))
        else:
            failed.append(FailedQuestions(**vars(unit)))
    if not units:
        raise InputError(failed[0].message)
    results = _results(suite, questions, respondents, units, failed, selection, decoding)
    write_text(out / RESULTS_FILE, results.model_dump_json(indent=2) + "\n")
    write_page(results, out / PAGE_FILE)
    return results


def write_question_prompts(
    suite: QuestionSuite | str, data: Path, path: Path, selection: Selection | None = None
) -> int:
    """Write the questions of a suite as JSON lines, for any program or service to answer.

    Each line has the task, the id and the messages. The answers, with task and id, are graded by
    `benchmark_questions`.

    Returns:
        The number of questions.

    Raises:
        InputError: files are missing.
        SettingError: an option is invalid.
        RunError: the file cannot be written.
    """
    suite = suite if isinstance(suite, QuestionSuite) else QUESTION_SUITES.find(suite)
    questions = _questions(suite, data, selection or Selection())
    lines = [
        json.dumps({"task": name, "id": x.id, **x.prompt.as_json()}, ensure_ascii=False) + "\n"
        for name, part in questions.by_task.items()
        for x in part
    ]
    write_text(path, "".join(lines))
    return len(lines)


def default_decoding(suite: QuestionSuite, *, is_compat: bool) -> ChatDecoding:
    """Return how models answer a suite unless options say otherwise.

    Raises:
        SettingError: there is no published code to be compatible with.
    """
    if is_compat and not suite.compat:
        raise SettingError(f"{suite.name} has no published scores; leave out --compat")
    return suite.compat_decoding if is_compat else suite.decoding


def _questions(suite: QuestionSuite, data: Path, selection: Selection) -> SuiteQuestions:
    if not data.exists():
        raise InputError(f"no file or folder {data}; expected {suite.data}, as --data")
    questions = suite.questions(data, selection)
    by_task = {name: part for name, part in questions.by_task.items() if part}
    if not by_task:
        raise InputError(f"{data} gives no question for {suite.name}; expected {suite.data}")
    return SuiteQuestions(by_task, questions.notes)


def _results(
    suite: QuestionSuite,
    questions: SuiteQuestions,
    respondents: Sequence[Respondent],
    units: Sequence[ScoredUnit],
    failed: list[FailedQuestions],
    selection: Selection,
    decoding: ChatDecoding,
) -> QuestionResults:
    n = selection.n
    order = list(questions.by_task)
    results = sorted((unit.result for unit in units), key=lambda x: order.index(x.task))
    return QuestionResults(
        suite=suite.name,
        title=suite.title,
        licence=suite.licence,
        compat=suite.compat,
        is_compat=selection.is_compat,
        options={
            "seed": str(selection.seed),
            "questions": "all" if n is None else f"at most {n:,} of a task, chosen by the seed",
            "decoding of models": decoding.describe(),
        },
        methods={x.label: x.title for x in respondents},
        measures={
            name: {
                x.name: MeasureInfo(title=x.title, unit=x.unit, higher_is_better=x.higher_is_better)
                for x in suite.tasks[name].measures
            }
            for name in order
        },
        tasks=results,
        means=mean_scores(suite, units),
        failed=failed,
        notes=list(questions.notes),
        provenance=collect_provenance(),
    )
