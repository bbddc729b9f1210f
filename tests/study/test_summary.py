"""Every sentence of a report follows from its numbers: one test for each branch."""

from __future__ import annotations

import re

import pytest

from crystext.study import summary
from crystext.study.results import (
    GroupingResult,
    GroupResult,
    Interval,
    LossCurveResult,
    TaskMean,
    TaskResult,
)


def group(name: str, tes: float, p_best: float, ratio: float = 1.0) -> GroupResult:
    mean = TaskMean(
        task="esol", mean=tes, cell_error=0.1 * ratio, row_error=0.1, n_cells=3, n_runs=9,
        is_best=tes == 0,
    )  # fmt: skip
    return GroupResult(
        name=name, tes=Interval(value=tes), p_best=p_best, p_best_repeats=0.99, n_cells=3,
        tasks=[mean],
    )  # fmt: skip


def grouping(
    *groups: GroupResult, p: float | None = 0.5, smallest: float | None = 0.001
) -> GroupingResult:
    return GroupingResult(
        by=["architecture"], groups=list(groups), p_spread=p, p_least=p, n_permutations=36,
        is_exact=True, smallest_p=smallest,
    )  # fmt: skip


BART, LLAMA = group("BART", 0.1, 0.97), group("LLaMA", 0.3, 0.03)


@pytest.mark.parametrize(
    ("compared", "said", "unsaid"),
    [
        (grouping(BART), "one group, BART: nothing is compared", "best"),
        (grouping(BART, LLAMA, p=None, smallest=None), "nothing tells a difference", "best in"),
        (grouping(BART, LLAMA, p=0.17, smallest=0.17), "below 0.17", "best in"),
        (
            grouping(BART, LLAMA, p=0.05),
            r"not distinguishable \(p = 0.05 .*: BART has the lowest total error score, 0.1, and "
            r"is best in 97% .* \(99% over repeats alone\)",
            "BART is best with",
        ),
        (
            grouping(LLAMA, BART, p=0.004),
            r"BART is best with p = 0.004: total error score 0.1, against LLaMA 0.3; best in 97%",
            "distinguishable",
        ),
        (grouping(BART, LLAMA, p=0.0001), "best with p < 0.001", "distinguishable"),
        (
            grouping(group("BART", 0.1, 0.6), group("LLaMA", 0.12, 0.4), p=0.01),
            r"groups differ \(p = 0.01\), but which is best is not certain.*BART 60%, LLaMA 40%",
            "is best with",
        ),
    ],
)
def test_a_ranking_is_called_one_only_if_chance_does_not_explain_it(
    compared: GroupingResult, said: str, unsaid: str
) -> None:
    sentence = summary.ranking_sentence(compared)
    assert re.search(said, sentence), sentence
    assert unsaid not in sentence


def task(
    between: tuple[float, float, float] | None,
    within: tuple[float, float, float],
    *,
    better: str = "lower",
    ratio: float = 0.3,
    cost: float = 0.1,
) -> TaskResult:
    def interval(ends: tuple[float, float, float] | None) -> Interval:
        if ends is None:
            return Interval(value=None)
        return Interval(value=ends[0], low=ends[1], high=ends[2])

    return TaskResult(
        task="esol", metric="RMSE", better=better, between=interval(between),
        within=interval(within), n_runs=90, n_runs_within=90, n_lower_loss_helps=88,
        range_ratio=ratio, selected=Interval(value=0.5 + cost), best=Interval(value=0.5),
        cost=Interval(value=cost),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (task(None, (0.5, 0.4, 0.6)), "cannot be compared"),
        (
            task((0.1, -0.1, 0.3), (0.5, 0.4, 0.6)),
            "not show, by a restriction of range.* 0.30",
        ),
        (
            task((0.2, 0.1, 0.3), (-0.5, -0.6, -0.4), better="higher"),
            "even goes with a worse one, by a restriction of range",
        ),
        (
            task((0.1, -0.1, 0.3), (0.5, 0.4, 0.6), ratio=1.2),
            "not by a restriction of range, as their losses spread no less",
        ),
        (task((0.4, -0.1, 0.7), (0.5, 0.4, 0.6)), "the interval holds the correlation within"),
        (
            task((0.4, 0.1, 0.7), (0.5, 0.4, 0.6)),
            r"better metric, within a run \(median Spearman 0.50, 88 of 90 runs\) and between",
        ),
        (task((0.4, 0.1, 0.7), (0.1, -0.1, 0.2)), "better metric between .*, not within a run"),
        (task((0.1, -0.1, 0.3), (0.1, -0.1, 0.2)), "the loss does not tell the metric"),
        (task((0.4, 0.1, 0.7), (-0.5, -0.6, -0.4)), "better metric between .*, not within a run"),
    ],
)
def test_what_the_loss_tells_is_said_apart_within_runs_and_between(
    found: TaskResult, said: str
) -> None:
    sentence = summary.loss_sentence(found)
    assert re.search(said, sentence), sentence


def test_an_interval_that_is_missing_is_no_evidence() -> None:
    found = task((0.1, -0.1, 0.3), (0.5, 0.4, 0.6))
    lonely = found.model_copy(update={"between": Interval(value=0.1)})
    assert "of too few cells for an interval" in summary.loss_sentence(lonely)


def test_tasks_on_which_a_lower_loss_helps_are_counted_by_their_better_end() -> None:
    tasks = [
        task((0.1, -0.1, 0.3), (0.5, 0.4, 0.6)),
        task((-0.4, -0.5, -0.3), (-0.5, -0.6, -0.4), better="higher"),
        task((0.4, 0.3, 0.5), (0.5, 0.4, 0.6), better="higher"),
    ]
    assert "within a run on 2 of 3 tasks, and between the selected runs on 1" in (
        summary.losses_sentence(tasks)
    )


def test_the_cost_of_selection_is_that_of_the_worst_task() -> None:
    cheap = task((0, -1, 1), (0, -1, 1), cost=0.01).model_copy(update={"task": "lipo"})
    dear = task((0, -1, 1), (0, -1, 1), cost=0.2)
    sentence = summary.selection_sentence([cheap, dear], 49)
    assert "costs most on esol: RMSE 0.7, where the best checkpoints have 0.5" in sentence
    free = task((0, -1, 1), (0, -1, 1), cost=0.0)
    assert "costs nothing" in summary.selection_sentence([free], 49)
    assert "one checkpoint" in summary.selection_sentence([dear], 1)


def test_pretraining_is_said_to_be_repeated_only_if_it_was() -> None:
    assert "no combination of factors was pretrained twice" in summary.unit_sentence(18, 18, 5)
    assert "12 combinations of factors were repeated" in summary.unit_sentence(18, 12, 5)


def test_errors_by_cells_are_compared_with_those_by_rows() -> None:
    alike = grouping(group("BART", 0.1, 0.9, ratio=2.0), LLAMA, group("C", 0.2, 0, ratio=2.0))
    assert "2.00 times" in summary.error_sentence([alike])
    assert "rows count them too often" in summary.error_sentence([alike])
    assert "repeats vary as much" in summary.error_sentence([grouping(BART, LLAMA)])
    assert summary.error_sentence([]) == ""


def test_pretraining_losses_are_compared_if_the_study_keeps_them() -> None:
    assert "keeps no validation losses" in summary.pretraining_sentence([])
    curves = [
        LossCurveResult(cell=name, part=part, epochs=[1, 2], losses=[1, last])
        for name, part, last in (
            ("a", "validation", 0.5),
            ("b", "validation", 0.4),
            ("c", "train", 0),
        )
    ]
    assert "of 2 cells is that of b, 0.4" in summary.pretraining_sentence(curves)


def test_what_is_missing_is_said() -> None:
    assert summary.completeness_sentences(540, 540, 26_460, 0) == []
    missing, broken = summary.completeness_sentences(530, 540, 26_460, 12)
    assert "10 of 540 runs are missing" in missing
    assert "12 of 26,460 rows have no finite loss and metric" in broken
