"""Pretraining targets that stand in the text, apart from those that do not.

To learn a cell length that the text states is to copy it, and a mean over all targets hides what a
model has understood. Each group has the mean error of its numbers, in units of the error of always
saying the mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from crystext.study.crystal_targets import CRYSTAL_TARGETS
from crystext.study.finite_values import finite_mean
from crystext.study.targets import TargetTable

IN_TEXT, NOT_IN_TEXT = "validation, in the text", "validation, not in the text"
"""Parts of the pretraining losses."""


def losses_apart(
    log: Iterable[Mapping[str, Any]], text: str, table: TargetTable, n_train: int
) -> Iterator[tuple[int, str, float]]:
    """Yield step, part and mean relative error for each evaluation of a training run.

    Args:
        log: lines of the run, with the mean absolute errors `mae_TARGET` of validation.
        text: representation that the run reads.
        table: targets of the training records, then of the validation records.
        n_train: how many are for training.
    """
    mean_T = finite_mean(table.values_NT[:n_train], axis=0)
    spread_T = finite_mean(np.abs(table.values_NT[n_train:] - mean_T), axis=0)
    spreads = dict(zip(table.names, spread_T.tolist(), strict=True))
    numbers = [x for x in CRYSTAL_TARGETS if not x.n_classes and spreads.get(x.name, 0.0) > 0]
    for line in log:
        for part, is_readable in ((IN_TEXT, True), (NOT_IN_TEXT, False)):
            errors = [
                line[f"mae_{x.name}"] / spreads[x.name]
                for x in numbers
                if (text in x.readable) == is_readable and f"mae_{x.name}" in line
            ]
            if errors:
                yield line["step"], part, float(np.mean(errors))
