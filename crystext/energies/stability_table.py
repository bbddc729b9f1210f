"""The table of `crystext hull`: a row for each structure, the best candidates first.

    rank, index, name                   rank as described below, and index and name in the
                                        source
    formula, n_atoms                    of the crystal, also where it has no energy
    space_group, space_group_symbol     of the relaxed crystal, by spglib at 0.1 Å
    stability                           a word of `stability.Stability`
    e_above_hull_ev_per_atom, e_form_ev_per_atom, energy_ev_per_atom
                                        the last without corrections, from the potential
    decomposition                       the competing phases, with the proportion of atoms in each
    evidence, phases_in_system, phases_with_all_elements
                                        coverage of the system by the hull; see
                                        `hull.SystemPhases`
    hull, hull_date, hull_error_ev_per_atom, unknown_elements
    steps, converged, failure, message, potential

Rows are ranked by energy above the hull. Structures near or below the hull of a system with too few
phases come after all others: the lowest of them are those where the hull has the fewest phases.
Structures without an energy above the hull have no rank and come last, in the order of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crystext.energies.hull import Hull
from crystext.energies.stability import Stability, StabilityResult
from crystext.runtime.files import replace_atomically
from crystext.structures.crystal import Crystal
from crystext.structures.properties import space_group_symbols
from crystext.structures.space_groups import find_space_group

_TEXT_COLUMNS = (
    "name", "formula", "space_group_symbol", "stability", "decomposition", "evidence", "hull",
    "hull_date", "unknown_elements", "failure", "message", "potential",
)  # fmt: skip
_INTEGER_COLUMNS = (
    "rank", "index", "n_atoms", "space_group", "phases_in_system", "phases_with_all_elements",
    "steps",
)  # fmt: skip


def rank_results(results: Sequence[StabilityResult]) -> list[tuple[int, StabilityResult]]:
    """Return indices and results, the best first: with evidence, without evidence, without energy.

    What goes wrong otherwise: a system in which the hull has one phase fills the top of the list.
    """

    def key(item: tuple[int, StabilityResult]) -> tuple[bool, bool, float]:
        result = item[1]
        above = None if result.position is None else result.position.above_hull
        return above is None, result.stability is Stability.NO_EVIDENCE, above or 0.0

    return sorted(enumerate(results), key=key)


def file_name(index: int, result: StabilityResult) -> str:
    """Return the name of a structure in the source: that of its file, without the suffix.

    A sample is named by its index, and its file has six digits: 000009.cif.
    """
    name = result.relaxed.name
    return f"{index:06d}" if name == str(index) else name


def write_energy_table(
    results: Sequence[StabilityResult],
    hull: Hull,
    potential: str,
    out: Path,
    report: Callable[[int], object] = lambda _count: None,
) -> None:
    """Write the table, whole or not at all.

    Args:
        results: in the order of the source.
        hull: to which the results refer.
        potential: of the energies.
        out: a path that ends in `.csv` or `.parquet`.
        report: called with 1 after each row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    rows = []
    for rank, (index, result) in enumerate(rank_results(results), start=1):
        rows.append(_row(rank, index, result, hull, potential))
        report(1)
    kinds = dict.fromkeys(_TEXT_COLUMNS, pa.string()) | dict.fromkeys(_INTEGER_COLUMNS, pa.int64())
    kinds["converged"] = pa.bool_()
    if out.suffix == ".csv":
        for row in rows:
            row["formula"] = csv_formula(row["formula"])
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in rows[0]])
    table = pa.Table.from_pylist(rows, schema)
    with replace_atomically(out) as partial:
        (csv.write_csv if out.suffix == ".csv" else pq.write_table)(table, partial)


def _row(
    rank: int, index: int, result: StabilityResult, hull: Hull, potential: str
) -> dict[str, Any]:
    row, position = result.relaxed, result.position
    crystal = row.crystal
    above = position and position.above_hull
    phases = position and position.phases
    return {
        "rank": None if above is None else rank,
        "index": index,
        "name": file_name(index, result),
        "formula": row.formula,
        "n_atoms": row.n_atoms,
        **_space_group_columns(crystal),
        "stability": result.stability.label,
        "e_above_hull_ev_per_atom": above,
        "e_form_ev_per_atom": position and position.formation_energy,
        "energy_ev_per_atom": (
            None if crystal is None or row.energy is None else row.energy / len(crystal)
        ),
        "decomposition": str(phases.mixture) if phases else None,
        "evidence": phases.evidence.label if phases else None,
        "phases_in_system": phases.in_system if phases else None,
        "phases_with_all_elements": phases.with_all_elements if phases else None,
        "hull": hull.name,
        "hull_date": hull.date or None,
        "hull_error_ev_per_atom": hull.error,
        "unknown_elements": " ".join(position.unknown_elements)
        if position and position.unknown_elements
        else None,
        "steps": row.steps,
        "converged": row.converged,
        "failure": row.failure_kind,
        "message": row.message,
        "potential": potential,
    }


def _space_group_columns(crystal: Crystal | None) -> dict[str, Any]:
    group = None if crystal is None else find_space_group(crystal)
    return {
        "space_group": group,
        "space_group_symbol": None if group is None else space_group_symbols()[group],
    }


def csv_formula(formula: str | None) -> str | None:
    """Return a formula that readers of CSV files do not take for a missing number.

    The formula NaN, of sodium and nitrogen, is read as missing by pandas even between quotes.
    """
    return "Na1N1" if formula == "NaN" else formula
