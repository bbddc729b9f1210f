"""The words of a report: functions from its numbers to sentences.

No sentence is written by hand: a ranking is called a ranking only where the permutation test and
the bootstrap say so, and a correlation only where its interval excludes 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from crystext.runtime.wording import format_count
from crystext.study.readable_targets import IN_TEXT, NOT_IN_TEXT
from crystext.study.results import GroupingResult, Interval, LossCurveResult, TaskResult

SIGNIFICANT = 0.05
"""Level of the permutation test."""

CERTAIN = 0.95
"""P(best) from which a leader is called the best."""

_SMALL_RATIO = 1.1
"""Ratio of standard errors up to which rows and cells are said to agree."""


def ranking_sentence(grouping: GroupingResult) -> str:
    """Return whether the groups can be told apart, and which is best."""
    title, leader = grouping.title, grouping.leader
    if len(grouping.groups) == 1:
        return f"By {title}, there is one group, {leader.name}: nothing is compared."
    leads = f"{leader.name} has the lowest total error score, {_score(leader.tes)}"
    sampled = f"best in {leader.p_best:.0%} of bootstrap samples over cells and repeats"
    if grouping.p_spread is None or grouping.smallest_p is None:
        return (
            f"By {title}, {leads}; no permutation of the labels changes the groups (each has one "
            "pretraining, or another factor changes with them), so that nothing tells a difference "
            "from chance."
        )
    if grouping.smallest_p > SIGNIFICANT:
        return (
            f"By {title}, the groups are not distinguishable by this study: with "
            f"{format_count(grouping.n_permutations, 'permutation')} no result could have a p "
            f"below {grouping.smallest_p:.2g}. {leads}."
        )
    if grouping.p_spread >= SIGNIFICANT:
        return (
            f"By {title}, the groups are not distinguishable ({_p(grouping.p_spread)} for the "
            f"spread of their total error scores): {leads}, and is {sampled} "
            f"({leader.p_best_repeats:.0%} over repeats alone)."
        )
    others = sorted(
        (group for group in grouping.groups if group is not leader),
        key=lambda group: group.tes.value or 0.0,
    )
    if leader.p_best >= CERTAIN:
        rest = ", ".join(f"{group.name} {_score(group.tes)}" for group in others)
        return (
            f"By {title}, {leader.name} is best with {_p(grouping.p_spread)}: total error score "
            f"{_score(leader.tes)}, against {rest}; {sampled}."
        )
    chances = sorted(grouping.groups, key=lambda group: -group.p_best)
    listed = ", ".join(f"{group.name} {group.p_best:.0%}" for group in chances)
    return (
        f"By {title}, the groups differ ({_p(grouping.p_spread)}), but which is best is not "
        f"certain: best in bootstrap samples over cells and repeats are {listed}."
    )


def loss_sentence(task: TaskResult) -> str:
    """Return what a lower loss says about a task's metric, within runs and between them."""
    if task.between.value is None or task.within.value is None:
        return (
            f"{task.task}: loss and metric cannot be compared; a correlation needs three runs, and "
            "three checkpoints of a run, that differ."
        )
    within = (
        f"within a run (median Spearman {task.within.value:.2f}, "
        f"{task.n_lower_loss_helps} of {task.n_runs_within} runs)"
    )
    between = f"between the selected runs ({task.between.value:.2f}{_ends(task.between)})"
    helps_between = _helps(task.between, task.better)
    if _helps(task.within, task.better) != 1:
        if helps_between == 1:
            return f"{task.task}: a lower loss goes with a better metric {between}, not {within}."
        return f"{task.task}: the loss does not tell the metric, {within} or {between}."
    if helps_between == 1:
        return f"{task.task}: a lower loss goes with a better metric, {within} and {between}."
    shown = "even goes with a worse one" if helps_between == -1 else "does not show"
    return (
        f"{task.task}: a lower loss goes with a better metric {within}; {between} it {shown}, "
        f"{_reason_between(task)}."
    )


def _reason_between(task: TaskResult) -> str:
    """Return why a lower loss helps within runs and not between the selected ones."""
    between, within, ratio = task.between, task.within.value, task.range_ratio
    if between.low is None or between.high is None or within is None:
        return "of too few cells for an interval"
    if between.low <= within <= between.high:
        return "but the interval holds the correlation within a run as well"
    if ratio is None or ratio >= 1:
        return (
            "and not by a restriction of range, as their losses spread no less than those of a "
            "run's checkpoints: cells differ in another way"
        )
    return (
        f"by a restriction of range: the losses of selected runs spread {ratio:.2f} times as "
        "widely as those of a run's checkpoints"
    )


def losses_sentence(tasks: Sequence[TaskResult]) -> str:
    """Return on how many tasks a lower loss helps, within runs and between them."""
    within = sum(_helps(task.within, task.better) == 1 for task in tasks)
    between = sum(_helps(task.between, task.better) == 1 for task in tasks)
    return (
        f"A lower validation loss goes with a better metric within a run on {within} of "
        f"{format_count(len(tasks), 'task')}, and between the selected runs on {between}."
    )


def selection_sentence(tasks: Sequence[TaskResult], n_checkpoints: int) -> str:
    """Return what selecting checkpoints by validation loss costs."""
    if n_checkpoints == 1:
        return "Every run has one checkpoint: nothing is selected by loss."
    if all(not task.cost.value for task in tasks):
        return (
            "Selecting by validation loss costs nothing: it finds the best checkpoint of each run."
        )
    worst = max(tasks, key=lambda task: (task.cost.value or 0.0) / abs(task.best.value or 1.0))
    return (
        f"Selecting by validation loss costs most on {worst.task}: {worst.metric} "
        f"{_score(worst.selected)}, where the best checkpoints have {_score(worst.best)}."
    )


def unit_sentence(n_cells: int, n_combinations: int, n_repeats: int) -> str:
    """Return what is a unit of the study, and whether pretraining was repeated."""
    counted = (
        f"The unit is a cell, one pretraining: there are {n_cells:,}, fine-tuned "
        f"{format_count(n_repeats, 'time')}"
    )
    if n_cells > n_combinations:
        return f"{counted}; {format_count(n_combinations, 'combination')} of factors were repeated."
    return (
        f"{counted}; no combination of factors was pretrained twice, so that the chance of a "
        "pretraining is seen only across the other factors."
    )


def error_sentence(groupings: Sequence[GroupingResult]) -> str:
    """Return how standard errors by cells compare with those by rows; empty without any."""
    ratios = [
        task.cell_error / task.row_error
        for grouping in groupings
        for group in grouping.groups
        for task in group.tasks
        if task.cell_error is not None and task.row_error
    ]
    if not ratios:
        return ""
    ratio = median(ratios)
    if ratio > _SMALL_RATIO:
        return (
            f"Standard errors by cells are {ratio:.2f} times those by rows in the median: repeats "
            "of a pretraining are alike, and rows count them too often."
        )
    return (
        f"Standard errors by cells are {ratio:.2f} times those by rows in the median: repeats vary "
        "as much as pretrainings do."
    )


def pretraining_sentence(curves: Sequence[LossCurveResult], *, is_one_text: bool = True) -> str:
    """Return which cell has the least final pretraining loss, if the study keeps losses.

    Args:
        curves: of the study.
        is_one_text: whether all cells read the same tokens, so that losses of tokens compare.
    """
    final = {curve.cell: curve.losses[-1] for curve in curves if curve.part == "validation"}
    if not final:
        return (
            "The study keeps no validation losses of pretraining: which model learned its "
            "pretraining best cannot be told."
        )
    is_of_targets = any(curve.part == NOT_IN_TEXT for curve in curves)
    if not (is_one_text or is_of_targets):
        return (
            "Pretraining losses of different texts and tokenizers are of different tokens, and are "
            "not compared."
        )
    best = min(final, key=lambda cell: final[cell])
    return (
        f"The least final pretraining loss of {format_count(len(final), 'cell')} is that of "
        f"{best}, {final[best]:.4g}."
    )


def readable_sentence(curves: Sequence[LossCurveResult]) -> str:
    """Return how well targets that stand in the text are learned, apart; empty without any."""
    means = {
        part: [curve.losses[-1] for curve in curves if curve.part == part]
        for part in (IN_TEXT, NOT_IN_TEXT)
    }
    if not all(means.values()):
        return ""
    known, others = (sum(x) / len(x) for x in means.values())
    return (
        f"Targets of pretraining that stand in the text, which a model only copies, have "
        f"{known:.2f} times the error of always saying the mean, in the mean over cells; the "
        f"others {others:.2f}."
    )


def completeness_sentences(
    n_runs: int, n_runs_of_design: int, n_rows: int, n_not_finite: int
) -> list[str]:
    """Return what is missing of the study; nothing if it is complete."""
    found = []
    if n_runs < n_runs_of_design:
        found.append(
            f"{n_runs_of_design - n_runs:,} of {format_count(n_runs_of_design, 'run')} are "
            "missing: means are over the others, and groups may not be comparable."
        )
    if n_not_finite:
        found.append(
            f"{n_not_finite:,} of {format_count(n_rows, 'row')} have no finite loss and metric; "
            "they were not selected."
        )
    return found


def _helps(correlation: Interval, better: str) -> int:
    """Return 1 where a lower loss goes with a better metric, -1 with a worse one, 0 if unclear."""
    if correlation.low is None or correlation.high is None:
        return 0
    sign = (correlation.low > 0) - (correlation.high < 0)
    return int(sign if better == "lower" else -sign)


def _score(value: Interval) -> str:
    return "none" if value.value is None else f"{value.value:.4g}"


def _ends(value: Interval) -> str:
    if value.low is None or value.high is None:
        return ""
    return f", 95% interval {value.low:.2f} to {value.high:.2f}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
