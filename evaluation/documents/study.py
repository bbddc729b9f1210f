"""Figures of studies of architecture and scale: the published one, and those of this package."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean

from evaluation.documents.sources import Json, figure, independent, made_by, read, table
from evaluation.result_file import INDEPENDENT, ROOT

_FILE = INDEPENDENT / "architecture_study.json"

STUDIES = ROOT / "evaluation" / "studies"
"""Reports of `crystext study report`, one folder each."""


@figure("study.scores")
def scores() -> str:
    """Total error scores of the published study, with what chance explains."""
    return _scores(independent("architecture_study"))


@figure("study.loss")
def loss() -> str:
    """Correlations of loss and metric, and the cost of selection, in the published study."""
    return _loss(independent("architecture_study"))


@figure("study.source")
def source() -> str:
    """The file of the published study's figures, and its command."""
    found = independent("architecture_study")
    return (
        f"Figures are of the {found['n_rows']:,} published rows "
        f"{made_by(_FILE, 'measure.architecture_study FOLDER')}."
    )


@figure("study.small.scores")
def small_scores() -> str:
    """Total error scores of architectures, sizes and data on two cores."""
    return _scores(_report("arch-scale-small"))


@figure("study.small.summary")
def small_summary() -> str:
    """What that report says of its groups."""
    return _summary(_report("arch-scale-small"))


@figure("study.texts.prediction")
def texts_prediction() -> str:
    """Which text of crystals predicts best."""
    return _scores(_report("crystal-texts"))


@figure("study.texts.generation")
def texts_generation() -> str:
    """Which text of crystals generates best."""
    return _scores(_report("crystal-texts-generation"))


@figure("study.texts.bits")
def texts_bits() -> str:
    """Bits per atom, and what was sampled, of each text and tokenizer, at the last checkpoint."""
    report = _report("crystal-texts-generation")
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for curve in report["checkpoint_curves"]:
        text, tokenizer = curve["cell"].split("-seed")[0].split("-")[4:]
        found[text, tokenizer][curve["task"]].append(curve["metrics"][-1])
        found[text, tokenizer]["bits"].append(curve["losses"][-1])
    tasks = [task["task"] for task in report["tasks"]]
    rows = [
        [text, tokenizer, f"{mean(x['bits']):.1f}", *(f"{mean(x[task]):.1%}" for task in tasks)]
        for (text, tokenizer), x in found.items()
    ]
    return table(["text", "tokenizer", "bits per atom", *tasks], rows)


@figure("study.texts.prediction.summary")
def texts_prediction_summary() -> str:
    """What the report says of the groups that predict."""
    return _summary(_report("crystal-texts"))


@figure("study.texts.generation.summary")
def texts_generation_summary() -> str:
    """What the report says of the groups that generate."""
    return _summary(_report("crystal-texts-generation"))


def _report(name: str) -> Json:
    return read(STUDIES / name / "study.json")


def _scores(report: Json) -> str:
    rows = []
    for grouping in report["groupings"]:
        groups = sorted(grouping["groups"], key=lambda group: group["tes"]["value"])
        rows.append(
            [
                " x ".join(grouping["by"]),
                ", ".join(f"{group['name']} {group['tes']['value']:.4f}" for group in groups),
                *(_p(grouping[name]) for name in ("p_spread", "p_least")),
                f"{groups[0]['name']} {groups[0]['p_best']:.2f}",
            ]
        )
    header = ["by", "total error scores", "p, spread", "p, least", "P(best) of the leader"]
    return table(header, rows)


def _loss(report: Json) -> str:
    rows = [
        [
            f"{task['task']}, {task['metric']}",
            f"{task['between']['value']:.2f}",
            f"{task['within']['value']:.2f}",
            f"{task['selected']['value']:.3f}",
            f"{task['best']['value']:.3f}",
        ]
        for task in report["tasks"]
    ]
    header = [
        "task",
        "between selected runs",
        "within a run",
        "selected by loss",
        "best checkpoint",
    ]
    return table(header, rows)


def _summary(report: Json) -> str:
    """Return the sentences on the groups, and the one on losses, which follow first."""
    return " ".join(report["summary"][: len(report["groupings"]) + 1])


def _p(value: float | None) -> str:
    if value is None:
        return "none"
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.01 else f"{value:.2f}"
