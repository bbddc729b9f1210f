"""Options that say what a crystal is to be, the same in all commands that draw."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Composition: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FORMULA",
        help="Exactly this formula, such as LiFePO4; any number of formula units that fits.",
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
        help="An element that has to occur; may be repeated, or be a list such as Li-O.",
        show_default="none",
    ),
]
Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ELEMENT",
        help="An element beside which only those named so may occur; may be repeated, or a list.",
        show_default="all",
    ),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ELEMENT",
        help="An element that may not occur; may be repeated, or be a list.",
        show_default="none",
    ),
]
NAtoms: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="N|MIN-MAX", help="Atoms in the cell, such as 8 or 8-20.", show_default="any"
    ),
]
SpaceGroup: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|SYMBOL",
        help="In the prompt, and its crystal system's cell is seen to; in a text by symmetry, the "
        "group itself. Found by spglib at 0.1 Å.",
        show_default="any",
    ),
]
CrystalSystem: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Such as cubic: in the prompt, and its cell is seen to.",
        show_default="any",
    ),
]
Density: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="G/CM3", help="In the prompt; kept if within 5%.", show_default="any"),
]
FormationEnergy: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="EV/ATOM", help="In the prompt; not checked afterwards.", show_default="any"
    ),
]
BandGap: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="EV", help="In the prompt; not checked afterwards.", show_default="any"),
]
EAboveHull: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="EV/ATOM", help="In the prompt; not checked afterwards.", show_default="any"
    ),
]
Neutral: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--neutral",
        help="Oxidation states have to balance (SMACT, table of 2014): a formula for which they "
        "cannot is refused, and crystals are checked.",
    ),
]
