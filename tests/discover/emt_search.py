"""A search of copper and gold with ASE's own potential, which takes milliseconds a crystal."""

from __future__ import annotations

from pathlib import Path

from crystext.conditions import Conditions
from crystext.discover.open import open_search
from crystext.discover.search import Search
from crystext.discover.settings import SearchSettings
from crystext.energies.hull_sources import save_hull
from crystext.energies.potentials import load_potential_once
from crystext.energies.relax import relax
from crystext.models.layout import open_model
from crystext.structures.crystal import Crystal
from tests.process_tasks import COPPER, emt

POTENTIAL = "tests.process_tasks:emt"


def write_hull(path: Path) -> Path:
    """Write the hull of the elements copper and gold, by the potential itself."""
    potential = load_potential_once(POTENTIAL)
    phases = []
    for symbol, number, length in (("Cu", 29, 3.6), ("Au", 79, 4.06)):
        cell = Crystal(COPPER.lengths * length / 3.61, COPPER.angles,
                       COPPER.numbers * 0 + number, COPPER.positions)  # fmt: skip
        relaxed = relax(cell, potential)
        assert relaxed.energy is not None
        phases.append((symbol, relaxed.energy / 4))
    save_hull(phases, path, name="EMT's elements", date="", potential=emt().name)
    return path


def open_emt_search(hull: Path, out: Path | None, **changes: object) -> Search:
    """Return a search of Cu-Au with four atoms at most and small rounds."""
    conditions = {"chemical_system": "Cu-Au", "n_atoms": "2-5", **changes.pop("conditions", {})}
    settings = {"texts_per_round": 16, "relaxed_per_round": 4, "below": 0.3, "steps": 100}
    return open_search(
        open_model("shipped"),
        SearchSettings(
            Conditions.from_keywords(**conditions),
            potentials=(POTENTIAL,),
            hull=str(hull),
            **settings | changes,
        ),
        out,
    )


OPTIONS = (
    *("--chemical-system", "Cu-Au", "--n-atoms", "2-5", "--potential", POTENTIAL),
    *("--texts-per-round", 16, "--relaxed-per-round", 4, "--below", 0.3, "--steps", 100),
    *("--workers", 1),
)
"""The same search on the command line, without its hull, its folder and its limits."""
