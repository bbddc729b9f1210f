"""Figures of structure prediction with the shipped model."""

from __future__ import annotations

from crystext.runtime.wording import format_count
from evaluation.documents.sources import (
    Json,
    current,
    figure,
    interval,
    made_by,
    newest,
    percent,
    published,
    table,
)

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
    return table(["matched by", "both valid, as published rates are", "valid or not"], rows)


@figure("structure_prediction.measured")
def measured() -> str:
    """How many formulas the rates are of, beside published ones."""
    result = current("structure_prediction")
    theirs = [
        f"{system} {percent(published('csp_mp20.yaml', system)['match_rate'])} at 1"
        for system in ("DiffCSP", "CrystaLLM, large", "Crystalite")
    ]
    drawn = format_count(result["test"]["targets"], "formula")
    path = newest("structure_prediction")
    return (
        f"Of {drawn} of MP-20 test, drawn at random, with {result['draws']} texts each and 95% "
        f"intervals; energies of {result['potential']}; published: {', '.join(theirs)} "
        f"{made_by(path, 'measure.structure_prediction')}."
    )


def _rate(value: Json | float) -> str:
    if isinstance(value, dict):
        return f"{percent(value['share'])} ({interval(*value['interval_95'])})"
    return percent(value)
