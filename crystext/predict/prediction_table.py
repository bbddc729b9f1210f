"""The table of predictions: a row for each record, with values, intervals and problems.

Its columns:

    name, formula
    PROPERTY_UNIT               such as band_gap_ev or formation_energy_ev_per_atom
    PROPERTY_mean_UNIT          the expected value, by which `--rank-by` sorts
    PROPERTY_low90_UNIT, PROPERTY_high90_UNIT
                                the interval that should hold the true value in 90% of cases
    PROPERTY_probability        of a boolean, the probability of yes
    PROPERTY_answer             what a model that answers in words wrote; it has no mean, interval
                                or distance, so that those columns are empty
    distance_percentile         how far the composition is from those of training: the percentage of
                                training compositions that have a nearer neighbour
                                (`inference.applicability`)
    nearest_composition         of training
    problem                     why there is no prediction; empty if there is one. Where properties
                                differ in it, each with its name
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystext.errors import CrystextError
from crystext.inference.applicability import Applicability
from crystext.predict.base import Predictions
from crystext.runtime.files import replace_atomically
from crystext.structures.properties import reduced_formula
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.tasks.representations import formula_text

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = 0.9
"""Level of the interval in tables."""

_DIGITS = 4


def prediction_table(
    records: Sequence[Record],
    predictions: Mapping[str, Predictions],
    applicability: Applicability | None = None,
) -> pd.DataFrame:
    """Return predictions as a table, in the order of the records.

    Args:
        records: what was predicted for.
        predictions: by property.
        applicability: distances of the records to the training compositions.
    """
    import pandas as pd

    columns: dict[str, Any] = {
        "name": [record.name or record.id for record in records],
        "formula": [_formula(record) for record in records],
    }
    for found in predictions.values():
        columns[value_column(found.target)] = [_rounded(x) for x in found.values]
        mean_column = f"{found.target.name}_mean{_unit_suffix(found.target)}"
        if found.means is not None:
            columns[mean_column] = [_rounded(x) for x in found.means]
        bounds = found.intervals.get(INTERVAL)
        if bounds is not None:
            for i, bound in enumerate(("low", "high")):
                columns[_bound_column(found.target, bound)] = [_rounded(x) for x in bounds[:, i]]
        if found.answers:
            if found.target.kind != "boolean":
                columns[mean_column] = None
                columns |= {_bound_column(found.target, bound): None for bound in ("low", "high")}
            columns[f"{found.target.name}_answer"] = list(found.answers)
    if any(found.answers for found in predictions.values()):
        columns |= {"distance_percentile": None, "nearest_composition": None}
    if applicability is not None:
        columns["distance_percentile"] = [_rounded(x) for x in applicability.percentiles]
        columns["nearest_composition"] = list(applicability.nearest)
    columns["problem"] = _problems(predictions)
    return pd.DataFrame(columns)


def _problems(predictions: Mapping[str, Predictions]) -> list[str]:
    """Return the problem of each record: that of all properties, or each one's with its name."""
    rows = []
    for problems in zip(*(x.problems for x in predictions.values()), strict=True):
        named = [f"{name}: {x}" for name, x in zip(predictions, problems, strict=True) if x]
        rows.append(problems[0] if len(set(problems)) == 1 else "; ".join(named))
    return rows


def value_column(target: Property) -> str:
    """Return the name of the column that holds a property's predictions."""
    if target.kind == "boolean":
        return f"{target.name}_probability"
    unit = _unit_suffix(target)
    return target.name if target.name.lower().endswith(unit or "_") else target.name + unit


def _unit_suffix(target: Property) -> str:
    """Return the unit as part of a column name: eV/atom is _ev_per_atom."""
    words = target.unit.lower().replace("/", " per ").replace("^", "")
    slug = "_".join(re.findall(r"[a-z0-9]+", words))
    return f"_{slug}" if slug else ""


def _rounded(value: float) -> float | None:
    return None if value != value else float(f"{value:.{_DIGITS}g}")


def _formula(record: Record) -> str:
    if record.crystal is not None:
        return reduced_formula(record.crystal)
    try:
        return formula_text(record) or record.texts.get("smiles", "")
    except CrystextError:
        return ""


def describe_row(
    row: Mapping[str, Any], predictions: Mapping[str, Predictions], *, with_intervals: bool = True
) -> list[str]:
    """Return a row for people: the name or formula, and each value, with its interval if asked."""
    name, formula = str(row["name"]), str(row["formula"])
    cells = [name if not formula or formula == name else f"{name} {formula}".strip()]
    for found in predictions.values():
        target = found.target
        value = row[value_column(target)]
        if value is None or value != value:
            cells.append("")
            continue
        if target.kind == "boolean":
            cells.append(f"{'yes' if value >= 0.5 else 'no'} ({max(value, 1 - value):.0%})")
            continue
        low = row.get(_bound_column(target, "low")) if with_intervals else None
        text = target.format(value)
        if low is not None:
            high = row[_bound_column(target, "high")]
            text += f" ({target.format(low)} to {target.format(high)})"
        cells.append(text)
    return cells


def write_table(table: pd.DataFrame, out: Path) -> None:
    """Write a table, whole or not at all."""
    with replace_atomically(out) as partial:
        if out.suffix == ".parquet":
            table.to_parquet(partial, index=False)
        else:
            table.to_csv(partial, index=False)


def _bound_column(target: Property, bound: str) -> str:
    return f"{target.name}_{bound}{100 * INTERVAL:.0f}{_unit_suffix(target)}"
