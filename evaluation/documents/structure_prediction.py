"""Figures of structure prediction with the shipped model."""

from __future__ import annotations

from crystext.runtime.wording import format_count
from evaluation.documents.sources import (
    Json,
    current,
    figure,
    interval,
    made_by,
    percent,
    published,
    table,
)
from evaluation.result_file import current_results

_ROWS = (
    ("one text, on average", "one_draw"),
    ("the first proposal", "at_1"),
    ("the first proposal, ranked with the potential's energy as well", "by_energy"),
    ("one of 20 proposals", "at_20"),
    ("one of all texts", "any_draw"),
)


@figure("structure_prediction.table")
def rates() -> str:
    """Match rates on MP-20 test, by both rules of validity."""
    result = current("structure_prediction")
    tested = result["test"]
    rules = (tested["both valid"], tested["valid or not"])
    rows = [[title, *(_rate(rule[name]) for rule in rules)] for title, name in _ROWS]
    header = ["matched by", "both valid, as published rates are", "valid or not"]
    theirs = [
        f"{system} {percent(published('csp_mp20.yaml', system)['match_rate_1'])} at 1"
        for system in ("DiffCSP", "CrystaLLM, large", "Crystalite")
    ]
    drawn = format_count(tested["targets"], "formula")
    path = current_results() / "structure_prediction.json"
    return (
        f"{table(header, rows)}\n\n"
        f"{drawn} of MP-20 test, {result['draws']} texts each; published: {', '.join(theirs)} "
        f"{made_by(path, 'measure.structure_prediction')}."
    )


def _rate(value: Json | float) -> str:
    if isinstance(value, dict):
        return f"{percent(value['share'])} ({interval(*value['interval_95'])})"
    return percent(value)
