"""Figures of samples of which the best were kept."""

from __future__ import annotations

from evaluation.documents.sources import (
    Json,
    current,
    figure,
    interval,
    made_by,
    newest,
    percent,
    table,
)

_TITLES = {
    "as sampled": "as they come",
    "energy": "by energy",
    "likelihood": "by likelihood",
    "energy, repetition allowed": "by energy, repetition allowed",
}
_LIMIT = "below 0.1 eV/atom"


@figure("keep_best.table")
def compared() -> str:
    """What is kept in each way."""
    found = current("keep_best")
    header = [
        *("kept", _LIMIT, "valid", "novel", "unique", "contacts below 0.75", "prototypes"),
        *("the commonest prototype", "space groups, total variation"),
    ]
    return table(header, [_row(title, found[name]) for name, title in _TITLES.items()])


def _row(title: str, row: Json) -> list[str]:
    below = row[_LIMIT]
    return [
        title,
        f"{percent(below['share'])} ({interval(*below['interval_95'])})",
        *(percent(row[name]["share"]) for name in ("valid", "novel", "unique")),
        percent(row["contact below 0.75"]["share"]),
        str(row["prototypes"]),
        percent(row["most frequent prototype"]["share"]),
        f"{row['space_groups_total_variation']:.3f}",
    ]


@figure("keep_best.summary")
def summary() -> str:
    """Of how many samples, and which energies."""
    found = current("keep_best")
    counts = [found[name]["with_energy"] for name in _TITLES]
    path = newest("keep_best")
    return (
        f"{found['keep']:,} were kept of the same {found['of']:,} samples of the shipped model "
        f"{made_by(path, 'measure.keep_best')}. Energies above the hull are M3GNet's after "
        f"relaxation, of those kept among the first 1,000 samples: {min(counts):,} to "
        f"{max(counts):,} crystals. The predictor has learned from none of these."
    )
