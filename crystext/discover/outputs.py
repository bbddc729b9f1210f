"""The candidates as files: `candidates.csv`, and two CIFs of each.

candidates.csv      a row for each candidate, the best first; see `_row`
cif/NAME.cif        the conventional cell with the operations of its space group
primitive/NAME.cif  the primitive cell with every atom, for a DFT calculation
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crystext.discover.candidates import RankedCandidate
from crystext.energies.judges import judge_slug
from crystext.energies.stability_table import csv_formula
from crystext.errors import InputError
from crystext.io.write import cif, symmetrized_cif
from crystext.runtime.files import write_text
from crystext.structures.crystal import Crystal
from crystext.structures.properties import density, space_group_symbols
from crystext.structures.standardize import standardize
from crystext.structures.wyckoff.orbits import to_wyckoff_or_none

TABLE, SYMMETRIZED_FOLDER, PRIMITIVE_FOLDER = "candidates.csv", "cif", "primitive"

_DECIMALS = 6


def write_candidates(ranked: Sequence[RankedCandidate], out: Path) -> None:
    """Write the table and the CIFs that are not there yet.

    Raises:
        RunError: the folder cannot be written.
    """
    for row in ranked:
        name, crystal = row.candidate.name, row.candidate.crystal
        symmetrized, primitive = (
            out / folder / f"{name}.cif" for folder in (SYMMETRIZED_FOLDER, PRIMITIVE_FOLDER)
        )
        if not symmetrized.exists():
            write_text(symmetrized, _symmetrized(crystal, name))
        if not primitive.exists():
            write_text(primitive, cif(primitive_cell(crystal), name))
    rows = [candidate_row(row) for row in ranked]
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(COLUMNS)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / TABLE, buffer.getvalue())


def candidate_row(ranked: RankedCandidate) -> dict[str, Any]:
    """Return the row of a candidate in the table."""
    candidate = ranked.candidate
    sample, relaxed = candidate.sample, candidate.relaxed
    first, *others = relaxed.judges
    group = relaxed.space_group
    values = {
        "rank": ranked.rank,
        "name": candidate.name,
        "formula": csv_formula(sample.formula),
        "n_atoms": len(candidate.crystal),
        "space_group": group,
        "space_group_symbol": None if group is None else space_group_symbols()[group],
        "stability": first.stability,
        "e_above_hull_ev_per_atom": first.e_above_hull,
        "e_form_ev_per_atom": first.e_form,
        "energy_ev_per_atom": first.energy,
        "decomposition": first.decomposition,
        "evidence": first.evidence,
        "e_above_hull_with_candidates_ev_per_atom": ranked.above_with_candidates,
        "decomposition_with_candidates": ranked.decomposition_with_candidates,
        "novelty": relaxed.novelty,
        "nearest_known": relaxed.nearest_known,
        "potential": first.judge,
        "judges_below": str(ranked.agreement),
    }
    for judge in others:
        slug = judge_slug(judge.judge)
        values[f"{slug}_e_above_hull_ev_per_atom"] = judge.e_above_hull
        values[f"{slug}_stability"] = judge.stability
    values |= {
        "log_probability": sample.log_probability,
        "space_group_sampled": sample.space_group,
        "space_group_same": sample.space_group == group,
        "min_distance_angstrom": relaxed.min_distance,
        "volume_ratio": relaxed.volume_ratio,
        "density_g_per_cm3": density(candidate.crystal),
        "steps": first.steps,
        "round": candidate.round,
        "arm": sample.arm,
        "origin": sample.origin,
        "file": f"{PRIMITIVE_FOLDER}/{candidate.name}.cif",
    }
    return {
        name: round(value, _DECIMALS) if isinstance(value, float) else value
        for name, value in values.items()
    }


COLUMNS = (
    *("rank", "name", "formula", "n_atoms", "space_group", "space_group_symbol", "stability"),
    *("e_above_hull_ev_per_atom", "e_form_ev_per_atom", "energy_ev_per_atom", "decomposition"),
    *("evidence", "e_above_hull_with_candidates_ev_per_atom", "decomposition_with_candidates"),
    *("novelty", "nearest_known", "potential", "judges_below"),
    *("log_probability", "space_group_sampled"),
    *("space_group_same", "min_distance_angstrom", "volume_ratio", "density_g_per_cm3"),
    *("steps", "round", "arm", "origin", "file"),
)
"""The columns of the table; each judge after the first adds two after `judges_below`."""


def primitive_cell(crystal: Crystal) -> Crystal:
    """Return the primitive cell; the crystal itself where spglib finds none."""
    try:
        return standardize(crystal)[0]
    except InputError:
        return crystal


def _symmetrized(crystal: Crystal, name: str) -> str:
    orbits = to_wyckoff_or_none(crystal)
    return cif(crystal, name) if orbits is None else symmetrized_cif(orbits, name)
