"""OPTIMADE, extended XYZ and CIF: structures with tags that say where each comes from.

Tags are properties `_crystext_NAME` of OPTIMADE's entries, keys of a frame in extended XYZ, and
data names `_crystext_NAME` of a CIF.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymatgen.io.optimade import OptimadeStructureAdapter

from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget
from crystext.io.calculations.materials_project import (
    PLANE_WAVE_CUTOFF_EV,
    k_point_grid,
    starting_moments,
)
from crystext.io.write import cif, extxyz
from crystext.runtime.files import write_json, write_text
from crystext.structures.record import Label

OPTIMADE_FILE, EXTXYZ_FILE = "structures.json", "candidates.extxyz"

TAG_PREFIX = "_crystext_"
"""Beginning of data names of a CIF and of OPTIMADE's properties: both keep such names for a
program."""

_API_VERSION = "1.2.0"
"""Version of the OPTIMADE specification."""


def estimate_settings(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    """Return the settings of MPRelaxSet, and write nothing: the file holds all candidates."""
    crystal = candidate.crystal
    grid = k_point_grid(crystal.structure)
    return CalculationSettings(grid, PLANE_WAVE_CUTOFF_EV, any(starting_moments(crystal)))


def write_cif(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    """Write `STEM.cif`: every atom in P 1, or with symmetry operations if that was requested."""
    text = candidate.wyckoff_cif or cif(candidate.crystal, candidate.stem, exact=True)
    block, _, rest = text.partition("\n")
    tags = "".join(f"{TAG_PREFIX}{key}   {_cif_value(x)}\n" for key, x in candidate.tags.items())
    write_text(folder / f"{candidate.stem}.cif", f"{block}\n{tags}{rest}")
    return estimate_settings(candidate, folder, input_set)


def _cif_value(value: Label) -> str:
    """Return a value in a CIF's notation: a number, or a text in quotes, of ASCII alone."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + value.encode("ascii", "replace").decode().replace("'", "?") + "'"


def write_extxyz(candidates: Sequence[Candidate], out: Path, input_set: str) -> None:
    """Write `candidates.extxyz`, a frame for each candidate."""
    frames = [extxyz(x.crystal, x.stem, {**x.tags, "place": x.place}) for x in candidates]
    write_text(out / EXTXYZ_FILE, "".join(frames))


def write_optimade(candidates: Sequence[Candidate], out: Path, input_set: str) -> None:
    """Write `structures.json`, a response of OPTIMADE with an entry for each candidate."""
    response = {
        "data": [_entry(candidate) for candidate in candidates],
        "meta": {
            "query": {"representation": "/structures"},
            "api_version": _API_VERSION,
            "more_data_available": False,
            "data_returned": len(candidates),
        },
    }
    write_json(out / OPTIMADE_FILE, response)


def _entry(candidate: Candidate) -> dict[str, Any]:
    # pymatgen takes species from a set, in an order that differs from one process to another.
    adapted = OptimadeStructureAdapter.get_optimade_structure(candidate.crystal.structure)
    attributes: dict[str, Any] = dict(json.loads(json.dumps(adapted["attributes"])))
    attributes["species"] = sorted(attributes["species"], key=lambda species: species["name"])
    tags = {f"{TAG_PREFIX}{key}": value for key, value in candidate.tags.items()}
    return {
        "id": candidate.stem,
        "type": "structures",
        "attributes": {**attributes, **tags, f"{TAG_PREFIX}place": candidate.place},
    }


OPTIMADE = ExportTarget(
    "OPTIMADE, a response of the endpoint /structures",
    estimate_settings,
    finish=write_optimade,
    path=OPTIMADE_FILE,
)

EXTXYZ = ExportTarget(
    "extended XYZ, a frame for each candidate",
    estimate_settings,
    finish=write_extxyz,
    path=EXTXYZ_FILE,
)

CIF = ExportTarget("CIF, a file for each candidate", write_cif, path="{stem}.cif")
