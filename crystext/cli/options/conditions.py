"""Options for the conditions on a crystal, the same in all commands that sample."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Composition: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FORMULA",
        help="Exactly this formula, such as LiFePO4, with any number of formula units that fits.",
        show_default="any",
    ),
]
ChemicalSystem: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="A-B-...",
        help="Exactly these elements, each at least once.",
        show_default="any",
    ),
]
Elements: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ELEMENT",
        help="Require this element, beside any others; repeat the option, or give a list such as "
        "Li-O.",
        show_default="none",
    ),
]
Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ELEMENT",
        help="Allow only these elements; repeat the option, or give a list.",
        show_default="all",
    ),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ELEMENT|LIST",
        help="Forbid this element; repeat the option, or give a list. Lists by name: radioactive, "
        "noble-gas, lanthanide, actinide.",
        show_default="none",
    ),
]
AtomsOf: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ELEMENT=N|MIN-MAX",
        help="Number of atoms of an element in the cell, such as Li=2-4; repeat the option for "
        "others.",
        show_default="any",
    ),
]
Oxidation: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ELEMENT=STATE,...",
        help="Charges balance with this element only in these oxidation states, such as P=5 or "
        "Fe=2,3, and others in their usual ones; repeat the option. A filter: crystals that fail "
        "are drawn again, as with --until satisfied.",
        show_default="any",
    ),
]
Unit: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORMULA",
        help="Every atom of the first element has exactly these nearest neighbours (CrystalNN), "
        "such as PO4; repeat the option. A filter, like --oxidation.",
        show_default="any",
    ),
]
NAtoms: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="N|MIN-MAX",
        help="Number of atoms in the cell, such as 8 or 8-20.",
        show_default="any",
    ),
]
SpaceGroup: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|SYMBOL",
        help="Steered; the cell of its crystal system is enforced, and in the Wyckoff format the "
        "group itself. Checked with spglib at 0.1 Å.",
        show_default="any",
    ),
]
CrystalSystem: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Such as cubic. Steered; its cell is enforced.",
        show_default="any",
    ),
]
Density: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="G/CM3", help="Steered; satisfied if within 5%.", show_default="any"),
]
FormationEnergy: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="EV/ATOM", help="Steered; cannot be checked.", show_default="any"),
]
BandGap: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="EV", help="Steered; cannot be checked.", show_default="any"),
]
EAboveHull: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="EV/ATOM", help="Steered; cannot be checked.", show_default="any"),
]
Neutral: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--neutral",
        help="Require balanced oxidation states (SMACT, table of 2014): formulas that cannot "
        "balance are rejected, and crystals are checked.",
    ),
]
