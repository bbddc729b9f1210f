"""The pictures of a report, as PNG: scores, scaling, loss and metric, losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from crystext.study.finite_values import finite_mean
from crystext.study.results import ScalingResult, StudyReport, TaskResult
from crystext.study.scaling import ALL
from crystext.study.study_data import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES, SCALING, LOSS_AND_METRIC, FINE_TUNING, PRETRAINING = (
    "total_error_scores.png",
    "scaling.png",
    "loss_and_metric.png",
    "fine_tuning_losses.png",
    "pretraining_losses.png",
)

_COLUMNS = 3
_WIDTH, _HEIGHT, _DPI = 3.4, 2.7, 110
"""Size of a panel in inches, and pixels per inch."""


def draw_pictures(study: Study, report: StudyReport) -> dict[str, bytes]:
    """Return the pictures as PNG by the names of their files; those of what is there."""
    figures = {
        SCORES: _scores(report),
        SCALING: _scaling(report.scaling),
        LOSS_AND_METRIC: _loss_and_metric(study, report.tasks),
        FINE_TUNING: _fine_tuning(study),
        PRETRAINING: _pretraining(study, report),
    }
    return {name: _png(figure) for name, figure in figures.items() if figure is not None}


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    # Without pyplot, which would look for a display and keep the figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(n, _COLUMNS)
    rows = -(-n // columns)
    figure = Figure(figsize=(_WIDTH * max(columns, 2), _HEIGHT * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(n)]


def _png(drawing: Figure) -> bytes:
    buffer = BytesIO()
    drawing.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _scores(report: StudyReport) -> Figure:
    figure, panels = _panels(len(report.groupings))
    for axes, grouping in zip(panels, report.groupings, strict=True):
        for place, group in enumerate(grouping.groups):
            tes = group.tes
            axes.barh(place, tes.value or 0.0, color="tab:blue", alpha=0.75)
            if tes.low is not None and tes.high is not None:
                axes.plot([tes.low, tes.high], [place, place], color="0.2", linewidth=1.2)
        axes.set_yticks(range(len(grouping.groups)), [group.name for group in grouping.groups])
        axes.invert_yaxis()
        axes.set_xlabel("total error score, 95% interval")
        p = "no test" if grouping.p_spread is None else f"p = {grouping.p_spread:.2g}"
        axes.set_title(f"by {grouping.title} ({p})", fontsize=10)
    return figure


def _scaling(curves: Sequence[ScalingResult]) -> Figure | None:
    panels = list(dict.fromkeys((curve.factor, curve.task) for curve in curves))
    if not panels:
        return None
    figure, drawn = _panels(len(panels))
    for axes, (factor, task) in zip(drawn, panels, strict=True):
        for curve in curves:
            if (curve.factor, curve.task) == (factor, task):
                _scaling_line(axes, curve)
        values = {point.level: point.value for curve in curves if curve.factor == factor
                  for point in curve.points}  # fmt: skip
        if min(values.values()) > 0:
            axes.set_xscale("log")
        axes.set_xticks(list(values.values()), list(values), fontsize=8)
        axes.minorticks_off()
        axes.set_title(f"{task} by {factor}", fontsize=10)
        axes.grid(alpha=0.3)
    drawn[0].legend(fontsize=7)
    return figure


def _scaling_line(axes: Axes, line_of: ScalingResult) -> None:
    is_all = line_of.group == ALL
    x = [point.value for point in line_of.points]
    y = [point.mean.value for point in line_of.points]
    style = {"color": "black", "linewidth": 2.2} if is_all else {"linewidth": 1.0, "alpha": 0.8}
    (line,) = axes.plot(x, np.array(y, dtype=float), marker=".", label=line_of.group, **style)
    for point in line_of.points:
        if is_all and point.mean.low is not None and point.mean.high is not None:
            ends = [point.mean.low, point.mean.high]
            axes.plot([point.value] * 2, ends, color=line.get_color(), linewidth=1.2)


def _loss_and_metric(study: Study, tasks: Sequence[TaskResult]) -> Figure:
    figure, panels = _panels(len(tasks))
    for index, (axes, task) in enumerate(zip(panels, tasks, strict=True)):
        loss, metric = study.loss_CRTK[:, :, index].ravel(), study.metric_CRTK[:, :, index].ravel()
        axes.scatter(loss, metric, s=2, color="0.75", linewidths=0, label="checkpoints")
        loss, metric = (x[:, :, index].ravel() for x in study.selected[:2])
        axes.scatter(loss, metric, s=9, color="tab:red", linewidths=0, label="selected by loss")
        axes.set_xlabel("validation loss")
        axes.set_ylabel(task.metric)
        within, between = (_correlation(x.value) for x in (task.within, task.between))
        axes.set_title(f"{task.task}: within {within}, between {between}", fontsize=9)
    panels[0].legend(fontsize=7)
    return figure


def _correlation(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _fine_tuning(study: Study) -> Figure | None:
    """Draw the validation loss against the fine-tuning epoch, the mean over all runs."""
    epochs = sorted({point.epoch for point in study.checkpoints})
    stages = sorted({point.pretraining_epoch for point in study.checkpoints})
    if len(epochs) < 2:
        return None
    figure, panels = _panels(len(study.tasks))
    for index, (axes, task) in enumerate(zip(panels, study.tasks, strict=True)):
        loss = study.loss_CRTK[:, :, index].reshape(-1, len(study.checkpoints))
        means = finite_mean(loss, axis=0)
        by_point: Mapping[tuple[float, float], float] = dict(
            zip(study.checkpoints, means.tolist(), strict=True)
        )
        for stage in stages:
            y = [by_point.get((stage, epoch), np.nan) for epoch in epochs]
            shade = 0.8 - 0.7 * (stages.index(stage) + 1) / len(stages)
            label = f"pretraining epoch {stage:g}" if stage in (stages[0], stages[-1]) else None
            axes.plot(epochs, y, marker=".", color=str(round(shade, 3)), label=label)
        axes.set_title(task.name, fontsize=10)
        axes.set_xlabel("fine-tuning epoch")
        axes.set_ylabel("mean validation loss")
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    return figure


def _groups_of_cells(study: Study) -> dict[str, str]:
    """Return the level of each cell of the first factor that has several, which colours tell."""
    several = (name for name, levels in study.factors.items() if len(levels) > 1)
    factor = next(several, next(iter(study.factors)))
    return {cell.name: cell.labels[factor] for cell in study.cells}


def _pretraining(study: Study, report: StudyReport) -> Figure | None:
    if not report.pretraining_losses:
        return None
    parts = list(dict.fromkeys(curve.part for curve in report.pretraining_losses))
    groups = _groups_of_cells(study)
    names = list(dict.fromkeys(groups.values()))
    figure, panels = _panels(len(parts))
    for axes, part in zip(panels, parts, strict=True):
        unlabelled = set(names)
        for curve in report.pretraining_losses:
            if curve.part != part:
                continue
            name = groups.get(curve.cell, curve.cell)
            label = name if name in unlabelled else None
            unlabelled.discard(name)
            color = f"C{names.index(name)}" if name in names else "0.5"
            axes.plot(curve.epochs, curve.losses, marker=".", linewidth=1, color=color, label=label)
        axes.set_title(f"pretraining, {part}", fontsize=10)
        axes.set_xlabel("pretraining epoch")
        axes.set_ylabel("loss")
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=6)
    return figure
