"""Options that say how a model is sampled, the same in all commands that sample."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Model: TypeAlias = Annotated[
    str,
    typer.Option(help="`shipped`, a folder of a model or of an adapter, or OWNER/NAME on the Hub."),
]
Temperature: TypeAlias = Annotated[
    float | None,
    typer.Option(
        help="Sampling temperature; 0 takes the most probable token. If given, it also applies "
        "to elements and coordinates, unless their own options are given.",
        show_default="the model's own, else 1",
    ),
]
ElementTemperature: TypeAlias = Annotated[
    float | None,
    typer.Option(
        help="Temperature of elements, and of whether another atom follows.",
        show_default="the model's own; --temperature if it has none or a formula is requested",
    ),
]
CoordinateTemperature: TypeAlias = Annotated[
    float | None,
    typer.Option(
        help="Temperature of coordinates.", show_default="the model's own, else --temperature"
    ),
]
CellTemperature: TypeAlias = Annotated[
    float | None,
    typer.Option(
        help="Temperature of the cell in the Wyckoff text, where it follows the atoms.",
        show_default="the model's own, else --temperature",
    ),
]
TopP: TypeAlias = Annotated[
    float,
    typer.Option(
        help="Nucleus sampling: sample from the most probable tokens with this total probability."
    ),
]
MinDistanceRatio: TypeAlias = Annotated[
    float,
    typer.Option(
        "--min-distance-ratio",
        help="Minimum distance between atoms, relative to the sum of their covalent radii; 0 is "
        "off.",
    ),
]
