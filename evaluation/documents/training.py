"""Figures of training: fine-tunes of the shipped model, and the losses of its own training."""

from __future__ import annotations

import json
from typing import Any

from evaluation.documents.sources import (
    current,
    figure,
    losses,
    made_by,
    named,
    newest,
    percent,
    table,
)

PLAIN_STEPS = [(3, 500), (4, 250), (4, 500), (4, 1000), (4, 1400)]
"""Parts that knew the plain text alone, and steps whose losses are shown."""

BOTH_STEPS = [
    *((5, step) for step in (200, 600, 1000, 1250)),
    *((6, step) for step in (200, 600, 1000, 1550)),
    *((7, step) for step in (500, 1000)),
    *((8, step) for step in (250, 500, 950)),
    *((9, step) for step in (450, 900, 1350)),
    *((10, step) for step in (325, 650)),
    (11, 70),
    (12, 70),
    (13, 70),
]
"""Parts that learned both texts."""


def _losses(steps: list[tuple[int, int]], columns: dict[str, str]) -> str:
    rows = []
    for part, step in steps:
        found = losses(part, step)
        values = [f"{found[f'loss_{task}']:.3f}" for task in columns.values()]
        rows.append([f"{part}, {step:,}", *values])
    return table(["part, step", *columns], rows)


@figure("training.losses_plain")
def losses_plain() -> str:
    """Losses of parts three and four on MP-20 validation."""
    return _losses(
        PLAIN_STEPS,
        {
            "unconditional": "unconditional",
            "conditional": "conditional",
            "masked element": "infill_element",
            "sites": "infill_sites",
            "coordinates": "infill_coordinates",
            "cell": "infill_cell",
            "atoms": "infill_atoms",
            "unconditional, translated": "translated",
        },
    )


@figure("training.losses_both")
def losses_both() -> str:
    """Losses of parts five to thirteen on MP-20 validation."""
    return _losses(
        BOTH_STEPS,
        {
            "Wyckoff, unconditional": "wyckoff_unconditional",
            "with properties": "wyckoff_conditional",
            "masked element": "wyckoff_infill_element",
            "plain, unconditional": "unconditional",
            "with properties ": "conditional",
            "masked element ": "infill_element",
            "cell": "infill_cell",
        },
    )


@figure("training.smoke")
def smoke() -> str:
    """What the smoke recipe does to the validation loss."""
    path = newest("smoke_training", ".jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    means: list[Any] = [row["loss_mean"] for row in map(json.loads, lines) if "loss_mean" in row]
    return (
        f"The validation loss falls from {means[0]:.2f} to {means[-1]:.2f} ({named(path)}, by that "
        "command)."
    )


@figure("training.perovskites")
def perovskites() -> str:
    """What a fine-tune on Perov-5 changes."""
    found = current("perovskites")
    before, after, data = (found[x]["shares"] for x in ("before", "after", "training split"))
    (chosen,) = [name for name in found if name.startswith("after, least alike of ")]
    diverse, drawn = found[chosen]["shares"], int(chosen.split()[4])
    precision = "precision, of all attempts"

    def value(shares: Any, name: str) -> str:
        return percent(shares[name]["share"])

    valid = "composition valid, smact14"
    return (
        "Fine-tuned on the perovskites of Perov-5 (`crystext train finetune-shipped`, 280 steps on "
        f"two CPU cores), {value(after, 'five atoms')} of {found['after']['attempts']:,} samples "
        f"have five atoms and {value(after, valid)} valid compositions; before, "
        f"{value(before, 'five atoms')} and {value(before, valid)}. Coverage of the test split "
        f"rose from {value(before, 'recall')} to {value(after, 'recall')} recall, where "
        f"{found['training split']['attempts']:,} crystals of the training split reach "
        f"{value(data, 'recall')}, and from {value(before, precision)} to "
        f"{value(after, precision)} precision. The {found[chosen]['attempts']:,} most diverse of "
        f"{drawn:,} samples, as `--diverse` chooses them, have {value(diverse, 'recall')} recall "
        f"and {value(diverse, precision)} precision "
        f"{made_by(newest('perovskites'), 'measure.perovskites')}."
    )
