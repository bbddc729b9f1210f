"""Figures of the published study of architecture and scale."""

from __future__ import annotations

from evaluation.documents.sources import figure, independent, made_by, table
from evaluation.result_file import INDEPENDENT

_FILE = INDEPENDENT / "architecture_study.json"


@figure("study.scores")
def scores() -> str:
    """Total error scores of the published study, with what chance explains."""
    rows = []
    for grouping in independent("architecture_study")["groupings"]:
        groups = sorted(grouping["groups"], key=lambda group: group["tes"]["value"])
        rows.append(
            [
                " x ".join(grouping["by"]),
                ", ".join(f"{group['name']} {group['tes']['value']:.4f}" for group in groups),
                f"{grouping['p_spread']:.2f}",
                f"{grouping['p_least']:.2f}",
                f"{groups[0]['name']} {groups[0]['p_best']:.2f}",
            ]
        )
    header = ["by", "total error scores", "p, spread", "p, least", "P(best) of the leader"]
    return table(header, rows)


@figure("study.loss")
def loss() -> str:
    """Correlations of loss and metric, and the cost of selection, in the published study."""
    rows = [
        [
            f"{task['task']}, {task['metric']}",
            f"{task['between']['value']:.2f}",
            f"{task['within']['value']:.2f}",
            f"{task['selected']['value']:.3f}",
            f"{task['best']['value']:.3f}",
        ]
        for task in independent("architecture_study")["tasks"]
    ]
    header = ["task", "between selected runs", "within a run", "selected by loss", "best checkpoint"]
    return table(header, rows)


@figure("study.source")
def source() -> str:
    """The file of the published study's figures, and its command."""
    found = independent("architecture_study")
    return (
        f"Figures are of the {found['n_rows']:,} published rows "
        f"{made_by(_FILE, 'measure.architecture_study FOLDER')}."
    )
