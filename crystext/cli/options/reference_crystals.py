"""Options for what is known: crystals and phases, the same where crystals are called new."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Hull: TypeAlias = Annotated[str, typer.Option(help="Hull of known phases, as in `crystext hull`.")]
KnownCrystals: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Known crystals, besides those that ship: any source of crystals. Repeat the option "
        "for several.",
        show_default="none",
    ),
]
Shipped: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--shipped/--no-shipped",
        help="Whether the crystals that ship (training set, MP-20 validation and test) count as "
        "known.",
    ),
]
