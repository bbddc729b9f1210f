"""Symbols and electronegativities of the 118 elements.

They are plain tuples, so that encoding and decoding need neither pymatgen nor its import time.
"""

from __future__ import annotations

import math

SYMBOLS: tuple[str, ...] = tuple(
    """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As
    Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd
    Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am
    Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
    """.split()
)
"""Element symbols by atomic number: `SYMBOLS[z - 1]` is the symbol of element `z`."""

ATOMIC_NUMBERS: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS, start=1)}
"""Atomic number by symbol."""

HYDROGEN_ISOTOPES: dict[str, int] = {"D": 1, "T": 1}
"""Atomic number by the symbols of deuterium and tritium, which files use like element symbols."""

ELECTRONEGATIVITIES: tuple[float, ...] = tuple(
    float(value)
    for value in """
    2.2 nan 0.98 1.57 2.04 2.55 3.04 3.44 3.98 nan 0.93 1.31 1.61 1.9 2.19 2.58 3.16 nan 0.82
    1 1.36 1.54 1.63 1.66 1.55 1.83 1.88 1.91 1.9 1.65 1.81 2.01 2.18 2.55 2.96 3 0.82 0.95
    1.22 1.33 1.6 2.16 1.9 2.2 2.28 2.2 1.93 1.69 1.78 1.96 2.05 2.1 2.66 2.6 0.79 0.89 1.1
    1.12 1.13 1.14 1.13 1.17 1.2 1.2 1.1 1.22 1.23 1.24 1.25 1.1 1.27 1.3 1.5 2.36 1.9 2.2 2.2
    2.28 2.54 2 1.62 2.33 2.02 2 2.2 2.2 0.7 0.9 1.1 1.3 1.5 1.38 1.36 1.28 1.3 1.3 1.3 1.3
    1.3 1.3 1.3 1.3 1.3 nan nan nan nan nan nan nan nan nan nan nan nan nan nan nan
    """.split()
)
"""Pauling electronegativities by atomic number minus one, from pymatgen; nan if unknown."""

_BY_ELECTRONEGATIVITY = sorted(
    range(1, 119),
    key=lambda z: (
        math.inf if math.isnan(ELECTRONEGATIVITIES[z - 1]) else ELECTRONEGATIVITIES[z - 1],
        SYMBOLS[z - 1],
    ),
)

ELECTRONEGATIVITY_RANK: tuple[int, ...] = tuple(
    {z: rank for rank, z in enumerate(_BY_ELECTRONEGATIVITY)}.get(z, -1) for z in range(119)
)
"""Place of element `z` in the order of increasing electronegativity, ties by symbol.

Atoms are written in this order. It equals the order of pymatgen's sorted structures; elements
without an electronegativity come last. Index 0 is unused and holds -1.
"""

ELEMENT_LISTS: dict[str, tuple[str, ...]] = {
    "noble-gas": ("He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og"),
    "radioactive": ("Tc", "Pm", *SYMBOLS[83:]),
    "lanthanide": SYMBOLS[56:71],
    "actinide": SYMBOLS[88:103],
}
"""Lists of elements by name. Radioactive are those without a stable isotope: Tc, Pm, and all from
Po on, as in pymatgen; bismuth's half-life of 2e19 years counts as stable."""
