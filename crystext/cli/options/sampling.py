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
        help="0 takes the most probable token. If given, it is that of elements and coordinates as "
        "well, unless these are given too.",
        show_default="the model's own, else 1",
    ),
]
ElementTemperature: TypeAlias = Annotated[
    float | None,
    typer.Option(
        help="That of elements, and of whether a further atom follows.",
        show_default="the model's own, else --temperature, as where a formula is asked for",
    ),
]
CoordinateTemperature: TypeAlias = Annotated[
    float | None,
    typer.Option(help="That of coordinates.", show_default="the model's own, else --temperature"),
]
TopP: TypeAlias = Annotated[
    float,
    typer.Option(help="Sample from the most probable tokens that hold this much probability."),
]
MinDistanceRatio: TypeAlias = Annotated[
    float,
    typer.Option(
        "--min-distance-ratio",
        help="Least distance of atoms over the sum of their covalent radii; 0 is off.",
    ),
]
