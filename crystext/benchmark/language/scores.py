"""Grades of answers as results: measures with intervals, scores of published code, means.

A measure is `QuestionTask.summarize` over all questions of a task. Its interval holds 95% of
bootstrap replicates: questions are drawn anew with replacement, each with its grade. The mean over
tasks gives each task the same weight, and so does its interval.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crystext.benchmark.language.results import MeanScore, QuestionTaskResult
from crystext.benchmark.language.run import QuestionUnit
from crystext.benchmark.language.suite import QuestionSuite
from crystext.benchmark.questions import Grade
from crystext.benchmark.results import Score
from crystext.benchmark.scores import score_with_interval

_REPLICATES = 500
_REPLICATED_GRADES = 1_000_000
"""Grades drawn for an interval at most: of many questions there are fewer replicates."""
_MIN_REPLICATES = 50


class ScoredUnit(NamedTuple):
    """The result of a task, and the replicates of its measures."""

    result: QuestionTaskResult
    replicates: Sequence[Mapping[str, float]]


def score_unit(unit: QuestionUnit, *, seed: int = 0) -> ScoredUnit:
    """Return the result of a task and a method.

    Args:
        unit: the questions with their answers.
        seed: of the bootstrap.
    """
    task, questions = unit.task, unit.questions
    grades = [_grade(unit, i) for i in range(len(questions))]
    values = task.summarize(questions, grades)
    rng = np.random.default_rng([seed, zlib.crc32(task.name.encode())])
    n = len(questions)
    replicates = []
    for _ in range(min(_REPLICATES, max(_MIN_REPLICATES, _REPLICATED_GRADES // n))):
        rows = rng.integers(0, n, n).tolist()
        replicates.append(task.summarize([questions[i] for i in rows], [grades[i] for i in rows]))
    problems = Counter(grade.problem for grade in grades if grade.problem)
    compat = task.compat_scores(questions, [answer.answer for answer in unit.answers])
    result = QuestionTaskResult(
        task=task.name,
        title=task.title,
        method=unit.method,
        n=n,
        n_valid=n - problems.total(),
        measures={
            x.name: score_with_interval(
                values[x.name], [drawn[x.name] for drawn in replicates], "no answer has a value"
            )
            for x in task.measures
        },
        compat={name: value if math.isfinite(value) else None for name, value in compat.items()},
        problems=dict(problems.most_common()),
        seconds=unit.seconds,
    )
    return ScoredUnit(result, replicates)


def _grade(unit: QuestionUnit, i: int) -> Grade:
    answer = unit.answers[i]
    grade = unit.task.grade(unit.questions[i], answer.answer)
    return replace(grade, problem=answer.message) if answer.message else grade


def mean_scores(suite: QuestionSuite, units: Sequence[ScoredUnit]) -> list[MeanScore]:
    """Return the means over tasks of the measures that the suite averages."""
    by_method: dict[str, list[ScoredUnit]] = defaultdict(list)
    for unit in units:
        if not suite.mean_tasks or unit.result.task in suite.mean_tasks:
            by_method[unit.result.method].append(unit)
    means = []
    for method, group in by_method.items():
        for name in suite.mean_measures:
            scored = [x for x in group if name in x.result.measures]
            if scored:
                means.append(_mean(suite, method, name, scored))
    return means


def _mean(suite: QuestionSuite, method: str, name: str, units: Sequence[ScoredUnit]) -> MeanScore:
    values = [x.result.measures[name].value for x in units]
    compat = [x.result.compat.get(name) for x in units]
    count = min(len(x.replicates) for x in units)
    drawn = [float(np.mean([x.replicates[i][name] for x in units])) for i in range(count)]
    known = [value for value in values if value is not None]
    score = Score(value=None, note="a task has no value")
    if len(known) == len(values):
        score = score_with_interval(float(np.mean(known)), drawn, "")
    known_compat = [value for value in compat if value is not None]
    return MeanScore(
        method=method,
        measure=name,
        score=score,
        compat=float(np.mean(known_compat)) if len(known_compat) == len(compat) else None,
        n_tasks=len(units),
        n_tasks_of_suite=sum(
            name in {measure.name for measure in suite.tasks[task].measures}
            for task in suite.mean_tasks or suite.tasks
        ),
    )
