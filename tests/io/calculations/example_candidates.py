"""Crystals whose inputs are known by heart: oxide, fluoride, sulfide, no metal, no symmetry."""

from __future__ import annotations

from tests.example_crystals import QUARTZ, crystal

FLUORIDE = crystal([4.70, 4.70, 3.31], [90, 90, 90], [
    ("F", [0.305, 0.305, 0]), ("F", [0.695, 0.695, 0]), ("Fe", [0, 0, 0]),
    ("F", [0.195, 0.805, 0.5]), ("F", [0.805, 0.195, 0.5]), ("Fe", [0.5, 0.5, 0.5]),
])  # fmt: skip
"""Rutile FeF2, iron between fluorine: writers that group atoms have to move them."""

SULFIDE = crystal([3.45, 3.45, 5.79], [90, 90, 120], [
    ("Fe", [0, 0, 0]), ("Fe", [0, 0, 0.5]),
    ("S", [1 / 3, 2 / 3, 0.25]), ("S", [2 / 3, 1 / 3, 0.75]),
])  # fmt: skip
"""FeS of the nickel arsenide type."""

TRICLINIC = crystal([4.1234567, 5.0345678, 6.2456789], [83.123456, 97.654321, 102.345678], [
    ("Mn", [0.0123456, 0.1234567, 0.2345678]), ("Co", [0.5345678, 0.6456789, 0.7567891]),
    ("O", [0.2678912, 0.3789123, 0.5891234]), ("O", [0.7912345, 0.9123456, 0.1023456]),
])  # fmt: skip
"""MnCoO2 without symmetry, with more digits than most formats are used to."""

CANDIDATES = {
    "fluoride": FLUORIDE,
    "sulfide": SULFIDE,
    "quartz": QUARTZ,
    "triclinic": TRICLINIC,
}
