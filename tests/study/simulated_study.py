"""Studies drawn from a model in which it is known whether the architectures differ."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np

from crystext.study.study_data import Cell, Checkpoint, Study, StudyTask

ARCHITECTURES, SIZES, DATA = ("BART", "RoBERTa", "LLaMA"), ("S", "M"), ("5k", "20k")
TASKS = tuple(
    StudyTask(f"task {i}", "ROC AUC" if i % 2 else "RMSE", higher_is_better=bool(i % 2))
    for i in range(6)
)


def simulate(
    seed: int,
    *,
    effect: float = 0.0,
    cell_noise: float = 1.0,
    repeat_noise: float = 1.0,
    n_repeats: int = 5,
    n_seeds: int = 1,
    data: tuple[str, ...] = DATA,
) -> Study:
    """Return a study in which every cell and every repeat has its luck on every task.

    Args:
        seed: of the draw.
        effect: how much better the first architecture is, on all tasks.
        cell_noise: standard deviation of a pretraining's luck.
        repeat_noise: standard deviation of a fine-tuning's.
        n_repeats: fine-tunings of a cell.
        n_seeds: pretrainings of each combination.
        data: levels of the amount of data.
    """
    generator = np.random.default_rng(seed)
    levels = list(product(ARCHITECTURES, SIZES, data, range(n_seeds)))
    cells = [
        Cell(f"{a} {s} {d} {k}", {"architecture": a, "size": s, "data": d}, k, None)
        for a, s, d, k in levels
    ]
    scale = {level: generator.normal(size=6) for level in (*SIZES, *data)}
    means = np.stack(
        [scale[s] + scale[d] - effect * (a == ARCHITECTURES[0]) for a, s, d, _ in levels]
    )
    luck = cell_noise * generator.normal(size=means.shape)
    rows = repeat_noise * generator.normal(size=(len(cells), n_repeats, 6))
    sign = np.array([-1.0 if task.higher_is_better else 1.0 for task in TASKS])
    metric = sign * (means + luck)[:, None] + rows
    return Study(
        source="simulated",
        layout="crystext",
        factors={"architecture": ARCHITECTURES, "size": SIZES, "data": data},
        cells=cells,
        tasks=TASKS,
        repeats=tuple(range(n_repeats)),
        checkpoints=(Checkpoint(0.0, 0.0),),
        loss_CRTK=np.abs(metric[..., None]),
        metric_CRTK=metric[..., None],
        n_rows=metric.size,
        n_not_finite=0,
    )


def write_rows(folder: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as `runs.jsonl` of a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "runs.jsonl").write_text(lines, encoding="utf-8")
    return folder


def example_rows(n_epochs: int = 4) -> list[dict[str, object]]:
    """Return the rows of a small study whose metric follows the loss."""
    generator = np.random.default_rng(1)
    return [
        {
            "architecture": architecture,
            "size": size,
            "repeat": repeat,
            "task": task,
            "pretraining_epoch": 1,
            "epoch": epoch,
            "loss": 1 / (epoch + 1) + 0.01 * generator.random(),
            "metric": 2 / (epoch + 1) + 0.01 * generator.random(),
            "metric_name": "RMSE",
            "higher_is_better": False,
        }
        for architecture, size, repeat, task, epoch in product(
            ("BART", "LLaMA"), ("S", "M", "L"), range(2), ("esol", "lipo"), range(n_epochs)
        )
    ]
