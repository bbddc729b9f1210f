"""From a study to its report: numbers, words, a page and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crystext.errors import SettingError
from crystext.runtime.files import explain_os_errors, write_text
from crystext.runtime.provenance import collect_provenance
from crystext.runtime.run_folder import RunFolder
from crystext.study import summary
from crystext.study.finite_values import finite_mean
from crystext.study.loss_and_metric import LossAndMetric, loss_and_metric
from crystext.study.page import render_page
from crystext.study.pictures import draw_pictures
from crystext.study.results import (
    PAGE_FILE,
    REPORT_FILE,
    CheckpointCurve,
    GroupingResult,
    GroupResult,
    LossCurveResult,
    ScalingLevel,
    ScalingResult,
    StudyReport,
    TaskMean,
    TaskResult,
    interval,
    optional,
)
from crystext.study.scaling import ScalingCurve, scaling_curves
from crystext.study.significance import (
    BOOTSTRAP_SAMPLES,
    PERMUTATIONS,
    bootstrap_scores,
    permutation_test,
)
from crystext.study.study_data import Grouping, Study
from crystext.study.total_error_score import group_means, total_error_scores

_LIBRARIES = ("numpy", "scipy", "matplotlib")

PUBLISHED_NOTES = (
    "Architecture is confounded with dropout in the published study: 0.1 in RoBERTa and BART, 0 in "
    "LLaMA (the authors' repository of arXiv:2405.00949).",
)


class ReportOptions(NamedTuple):
    """What a report computes."""

    by: Sequence[Sequence[str]] = ()
    """Factors to compare by, alone or several at once; none is every factor with two levels."""
    bootstrap: int = BOOTSTRAP_SAMPLES
    permutations: int = PERMUTATIONS
    seed: int = 0


def write_report(study: Study, out: Path, options: ReportOptions) -> StudyReport:
    """Report a study and write `study.json`, `report.html` and the pictures.

    Raises:
        InputError: a group has no run of a task.
        RunError: the folder holds something else, or cannot be written.
        SettingError: the study has no such factor.
    """
    RunFolder(out, "a report of a study").check_contents()
    report = make_report(study, options)
    pictures = draw_pictures(study, report)
    page = render_page(report, pictures)
    with explain_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, content in pictures.items():
            (out / name).write_bytes(content)
    write_text(out / PAGE_FILE, page)
    write_text(out / REPORT_FILE, report.model_dump_json(indent=2) + "\n")
    return report


def make_report(study: Study, options: ReportOptions) -> StudyReport:
    """Return the numbers and sentences of a report; see `write_report`."""
    groupings = [
        _grouping_result(study, grouping, options) for grouping in _groupings(study, options.by)
    ]
    tasks = [_task_result(found, study) for found in loss_and_metric(study, seed=options.seed)]
    curves = [
        LossCurveResult(cell=x.cell, part=x.part, epochs=list(x.epochs), losses=list(x.losses))
        for x in study.pretraining_losses
    ]
    n_design = len(study.cells) * len(study.repeats) * len(study.tasks)
    n_combinations = len({tuple(cell.labels.values()) for cell in study.cells})
    sentences = [
        *(summary.ranking_sentence(grouping) for grouping in groupings),
        summary.losses_sentence(tasks),
        *(summary.loss_sentence(task) for task in tasks),
        summary.selection_sentence(tasks, len(study.checkpoints)),
        summary.pretraining_sentence(
            curves,
            is_one_text=all(len(study.factors.get(x, ())) < 2 for x in ("text", "tokenizer")),
        ),
        summary.readable_sentence(curves),
        summary.unit_sentence(len(study.cells), n_combinations, len(study.repeats)),
        summary.error_sentence(groupings),
        *summary.completeness_sentences(study.n_runs, n_design, study.n_rows, study.n_not_finite),
    ]
    return StudyReport(
        source=_source_name(Path(study.source)),
        layout=study.layout,
        factors={name: list(levels) for name, levels in study.factors.items()},
        n_cells=len(study.cells),
        n_repeats=len(study.repeats),
        n_checkpoints=len(study.checkpoints),
        n_rows=study.n_rows,
        n_not_finite=study.n_not_finite,
        n_runs=study.n_runs,
        n_runs_of_design=n_design,
        n_combinations=n_combinations,
        summary=[sentence for sentence in sentences if sentence],
        groupings=groupings,
        tasks=tasks,
        scaling=[_scaling_result(curve) for curve in scaling_curves(study)],
        pretraining_losses=curves,
        checkpoints=[(x.pretraining_epoch, x.epoch) for x in study.checkpoints],
        checkpoint_curves=_checkpoint_curves(study),
        notes=list(PUBLISHED_NOTES) if study.layout == "published" else [],
        options={
            "bootstrap": options.bootstrap,
            "permutations": options.permutations,
            "seed": options.seed,
        },
        provenance=collect_provenance(_LIBRARIES),
    )


def _groupings(study: Study, by: Sequence[Sequence[str]]) -> list[Grouping]:
    if not by:
        by = [(name,) for name, levels in study.factors.items() if len(levels) > 1]
    if not by:
        raise SettingError(
            f"{study.source} has one level of every factor; expected groups to compare"
        )
    return [study.group(names) for names in dict.fromkeys(map(tuple, by))]


def _grouping_result(study: Study, grouping: Grouping, options: ReportOptions) -> GroupingResult:
    means = group_means(study, grouping)
    scores = total_error_scores(means.mean_GT, study.sign_T)
    test = permutation_test(study, grouping, samples=options.permutations, seed=options.seed)
    over_cells, over_repeats = (
        bootstrap_scores(study, grouping, cells=cells, samples=options.bootstrap, seed=options.seed)
        for cells in (True, False)
    )
    best = (means.mean_GT * study.sign_T).argmin(axis=0)
    groups = [
        GroupResult(
            name=name,
            tes=interval(scores[g], over_cells.low_G[g], over_cells.high_G[g]),
            p_best=float(over_cells.p_best_G[g]),
            p_best_repeats=float(over_repeats.p_best_G[g]),
            n_cells=int((grouping.group_C == g).sum()),
            tasks=[
                TaskMean(
                    task=task.name,
                    mean=float(means.mean_GT[g, t]),
                    cell_error=optional(means.cell_error_GT[g, t]),
                    row_error=optional(means.row_error_GT[g, t]),
                    n_cells=int(means.n_cells_GT[g, t]),
                    n_runs=int(means.n_runs_GT[g, t]),
                    is_best=bool(best[t] == g),
                )
                for t, task in enumerate(study.tasks)
            ],
        )
        for g, name in enumerate(grouping.names)
    ]
    return GroupingResult(
        by=list(grouping.by),
        groups=groups,
        p_spread=None if test is None else test.p_spread,
        p_least=None if test is None else test.p_least,
        n_permutations=0 if test is None else test.n_permutations,
        is_exact=test is not None and test.is_exact,
        smallest_p=None if test is None else test.smallest_p,
    )


def _task_result(of_task: LossAndMetric, study: Study) -> TaskResult:
    metric = next(task.metric for task in study.tasks if task.name == of_task.task)
    return TaskResult(
        task=of_task.task,
        metric=metric,
        better="higher" if of_task.higher_is_better else "lower",
        between=interval(*of_task.between),
        within=interval(*of_task.within),
        n_runs=of_task.n_runs,
        n_runs_within=of_task.n_runs_within,
        n_lower_loss_helps=of_task.n_lower_loss_helps,
        range_ratio=optional(of_task.range_ratio),
        selected=interval(*of_task.selected),
        best=interval(*of_task.best),
        cost=interval(*of_task.cost),
    )


def _source_name(source: Path) -> str:
    """Return the name of a folder, or of a table with that of its folder."""
    return f"{source.parent.name}/{source.name}" if source.is_file() else source.name


def _checkpoint_curves(study: Study) -> list[CheckpointCurve]:
    loss_CTK, metric_CTK = (finite_mean(x, axis=1) for x in (study.loss_CRTK, study.metric_CRTK))
    return [
        CheckpointCurve(
            cell=cell.name,
            task=task.name,
            losses=[_rounded(x) for x in loss_CTK[c, t]],
            metrics=[_rounded(x) for x in metric_CTK[c, t]],
        )
        for c, cell in enumerate(study.cells)
        for t, task in enumerate(study.tasks)
    ]


def _rounded(value: float) -> float | None:
    found = optional(value)
    return None if found is None else float(f"{found:.6g}")


def _scaling_result(scaling: ScalingCurve) -> ScalingResult:
    return ScalingResult(
        factor=scaling.factor,
        task=scaling.task,
        group=scaling.group,
        points=[
            ScalingLevel(
                level=point.level,
                value=point.value,
                mean=interval(point.mean, point.low, point.high),
                n_cells=point.n_cells,
            )
            for point in scaling.points
        ],
    )
