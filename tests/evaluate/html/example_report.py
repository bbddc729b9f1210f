"""A report of a few attempts, put together as stages put theirs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crystext.evaluate.funnel import funnel
from crystext.evaluate.report import InputSummary, ReferenceSetSummary, Report, StageStatus
from crystext.evaluate.stage_result import StageResult
from crystext.runtime.provenance import Provenance
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from tests.example_crystals import IRON, NACL, QUARTZ, SRTIO3, WURTZITE

CRYSTALS: tuple[Crystal | None, ...] = (NACL, SRTIO3, None, QUARTZ, IRON, None, WURTZITE, NACL)


def columns(crystals: Sequence[Crystal | None] = CRYSTALS, **more: Any) -> dict[str, Sequence[Any]]:
    """Columns of `structures.parquet`: energies of the first half only, one of them unknown."""
    n = len(crystals)
    seen: set[str] = set()
    formulas = [None if c is None else reduced_formula(c.numbers) for c in crystals]
    unique = []
    for formula in formulas:
        unique.append(None if formula is None else formula not in seen)
        seen.add(formula or "")
    above = [0.02 * i if c is not None and i < n // 2 else None for i, c in enumerate(crystals)]
    return {
        "name": [f"sample-{i}" for i in range(n)],
        "parsed": [c is not None for c in crystals],
        "failure": ["BAD_NUMBER" if c is None else None for c in crystals],
        "message": ["line 3: no number" if c is None else None for c in crystals],
        "formula": formulas,
        "structure_valid": [None if c is None else True for c in crystals],
        "structure_failure": [None] * n,
        "valid": [None if c is None else i != 4 for i, c in enumerate(crystals)],
        "unique": unique,
        "e_above_hull_ev_per_atom": above,
        **more,
    }


def report(given: dict[str, Sequence[Any]] | None = None, name: str = "samples.csv") -> Report:
    """A report with metrics, histograms and counts of every kind."""
    given = columns() if given is None else given
    n = len(given["parsed"])
    validity = StageResult("validity")
    validity.add_proportion(
        "structure_valid", "structurally valid", 6, n, better="higher", source="CDVAE"
    )
    validity.add_proportion(
        "composition_valid", "composition valid", 5, n, better="higher", note="SMACT"
    )
    spread = StageResult("distributions")
    spread.add_value("wasserstein_n_elements", "Wasserstein distance", 0.25, better="lower")
    spread.add_histogram("n_atoms", "atoms", [8, 5, 9, 1, 4, 8], [2, 4, 4, 8], edges=[0, 3, 6, 9])
    spread.add_histogram("density", "density", [2.2, 5.1, 2.6, 7.9, 4.1, 2.2], unit="g/cm³")
    elements = {"Na": 2, "Cl": 2, "O": 2, "Sr": 1, "Ti": 1, "Si": 1, "Fe": 1, "Zn": 1, "S": 1}
    spread.add_label_counts(
        "elements",
        "elements",
        elements,
        {"O": 3, "Fe": 1},
        total=6,
        reference_total=4,
        kind="element",
    )
    spread.add_label_counts(
        "space_groups",
        "space groups",
        {"225 Fm-3m": 2, "152 P3_121": 1},
        {"1 P1": 4},
        kind="space_group",
    )
    done = StageStatus(state="done", seconds=1.5)
    return Report(
        protocol="mp20",
        protocol_title="MP-20",
        input=InputSummary(path=name, kind="file", samples=n, parsed=6, sha256="0" * 64),
        provenance=Provenance(
            date="2026-11-20T12:00:00+00:00",
            crystext="0.1.0",
            commit="0123456789abcdef",
            python="3.11.7",
            versions={"numpy": "2.4.6"},
            machine="a processor, 2 cores",
        ),
        reference_sets={
            "reference": ReferenceSetSummary(title="MP-20 test", crystals=4, sha256="1" * 64)
        },
        funnel=funnel(given, n),
        metrics=[*validity.metrics, *spread.metrics],
        histograms=spread.histograms,
        counts=spread.label_counts,
        stages={
            "validity": done,
            "distributions": done,
            "ipt": StageStatus(state="unavailable", seconds=0, note="no model is named"),
        },
    )
