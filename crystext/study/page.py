"""Writes `report.html` of a study: words first, then tables and pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files

from crystext.evaluate.html.template_rendering import render
from crystext.study.pictures import FINE_TUNING, LOSS_AND_METRIC, PRETRAINING, SCALING, SCORES
from crystext.study.results import StudyReport

_CAPTIONS = {
    SCORES: "Total error scores, with intervals of the cluster bootstrap over cells and repeats.",
    SCALING: "The metric against factors with a scale. The black line is the mean over all cells, "
    "with Student's interval over cells where there are three or more.",
    LOSS_AND_METRIC: "Metric against validation loss: all checkpoints, and those selected by loss. "
    "In the titles: Spearman's correlation within runs (median) and between the selected ones.",
    FINE_TUNING: "Validation loss against the fine-tuning epoch, the mean over all runs; the "
    "darkest line is of the last pretraining epoch.",
    PRETRAINING: "Losses of pretraining.",
}
"""Captions by the names of the pictures' files."""


def render_page(report: StudyReport, pictures: Mapping[str, bytes]) -> str:
    """Return the report as one page that needs no other file and no network.

    Args:
        report: of a study.
        pictures: PNG by the names of their files.
    """
    page = render(
        "study.html",
        package="crystext.study",
        report=report,
        headings=[
            f"{task.task}, {task.metric} {'↓' if task.better == 'lower' else '↑'}"
            for task in report.tasks
        ],
        pictures={
            name: (base64.b64encode(content).decode(), _CAPTIONS[name])
            for name, content in pictures.items()
        },
        style="".join(
            files("crystext.evaluate.html").joinpath(name).read_text(encoding="utf-8")
            for name in ("style.css", "charts.css", "print.css")
        )
        + files("crystext.study").joinpath("study.css").read_text(encoding="utf-8"),
    )
    return page.encode("utf-8", "replace").decode("utf-8")
