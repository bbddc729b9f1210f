"""A plot of a run's losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crystext.runtime.files import replace_atomically


def plot_losses(lines: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot the losses of a log against the step, as PNG.

    A PNG of some 40 kB opens anywhere, including file browsers and code reviews; a self-contained
    HTML page needs 4 MB of script for a few curves.

    Args:
        lines: of `log.jsonl`; those without a loss are skipped.
        path: written to a temporary file and renamed, so that it is complete or absent.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves: dict[str, tuple[list[int], list[float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name == "train_loss" or name.startswith("loss_"):
                steps, values = curves.setdefault(name, ([], []))
                steps.append(line["step"])
                values.append(value)
    if not curves:
        return
    # Without pyplot, which would look for a display and keep the figure.
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, (steps, values) in curves.items():
        if name == "train_loss":
            axes.plot(steps, values, color="0.7", label="training", zorder=0)
        else:
            label = name.removeprefix("loss_").replace("_", " ")
            axes.plot(steps, values, marker=".", label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per token)")
    axes.grid(alpha=0.3)
    axes.legend()
    with replace_atomically(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
