"""The labels that a data set can carry, and how prompts write their numbers."""

from __future__ import annotations

LABELS = ("space_group", "formation_energy", "band_gap", "e_above_hull")
"""Properties that a data set carries as columns: space-group number, eV/atom, eV, eV/atom."""

PROPERTY_DECIMALS = {
    "space_group": 0,
    "density": 2,
    "formation_energy": 2,
    "band_gap": 2,
    "e_above_hull": 3,
}
"""How many decimals a prompt gives the properties that are numbers."""


def format_property_number(name: str, value: float) -> str:
    """Return a number of `PROPERTY_DECIMALS` as prompts write it; a zero has no sign."""
    text = f"{value:.{PROPERTY_DECIMALS[name]}f}"
    return text.lstrip("-") if float(text) == 0 else text
