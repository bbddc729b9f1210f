"""A few well-known crystals, typed in by hand from textbook cell parameters."""

from __future__ import annotations

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.structures.crystal import Crystal


def crystal(
    lengths: list[float], angles: list[float], atoms: list[tuple[str, list[float]]]
) -> Crystal:
    """Return a crystal of (symbol, fractional coordinates) pairs."""
    return Crystal(
        np.array(lengths, dtype=np.float64),
        np.array(angles, dtype=np.float64),
        np.array([ATOMIC_NUMBERS[symbol] for symbol, _ in atoms]),
        np.array([position for _, position in atoms], dtype=np.float64),
    )


NACL = crystal([5.64] * 3, [90] * 3, [
    ("Na", [0, 0, 0]), ("Na", [0.5, 0.5, 0]), ("Na", [0.5, 0, 0.5]), ("Na", [0, 0.5, 0.5]),
    ("Cl", [0.5, 0.5, 0.5]), ("Cl", [0, 0, 0.5]), ("Cl", [0, 0.5, 0]), ("Cl", [0.5, 0, 0]),
])  # fmt: skip
SRTIO3 = crystal([3.905] * 3, [90] * 3, [
    ("O", [0.5, 0.5, 0]), ("O", [0.5, 0, 0.5]), ("O", [0, 0.5, 0.5]),
    ("Ti", [0.5, 0.5, 0.5]), ("Sr", [0, 0, 0]),
])  # fmt: skip
WURTZITE = crystal([3.823, 3.823, 6.261], [90, 90, 120], [
    ("Zn", [1 / 3, 2 / 3, 0]), ("Zn", [2 / 3, 1 / 3, 0.5]),
    ("S", [1 / 3, 2 / 3, 0.3748]), ("S", [2 / 3, 1 / 3, 0.8748]),
])  # fmt: skip
IRON = crystal([2.4826] * 3, [109.47122063449069] * 3, [("Fe", [0.9999, -0.25, 1.25])])
QUARTZ = crystal([4.913, 4.913, 5.405], [90, 90, 120], [
    ("Si", [0.4697, 0, 1 / 3]), ("Si", [0, 0.4697, 2 / 3]), ("Si", [0.5303, 0.5303, 0]),
    ("O", [0.4133, 0.2672, 0.4521]), ("O", [0.7328, 0.1461, 0.7854]),
    ("O", [0.8539, 0.5867, 0.1188]), ("O", [0.2672, 0.4133, 0.5479]),
    ("O", [0.1461, 0.7328, 0.2146]), ("O", [0.5867, 0.8539, 0.8812]),
])  # fmt: skip
"""Low quartz, right-handed screw: its space group is of an enantiomorphic pair, 152 and 154."""

EXAMPLE_CRYSTALS = {
    "nacl": NACL,
    "srtio3": SRTIO3,
    "wurtzite": WURTZITE,
    "iron": IRON,
    "quartz": QUARTZ,
}
