"""`crystext explain`: what speaks for a crystal, and against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.options import sampling
from crystext.cli.options.lenient import Lenient
from crystext.cli.options.reference_crystals import Hull, KnownCrystals, Shipped

if TYPE_CHECKING:
    from crystext.io.read.partial_structures import PartialStructure
    from crystext.structures.crystal import Crystal


def explain(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A CIF, POSCAR, extxyz, ... of one structure.",
            show_default=False,
        ),
    ],
    potential: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Also give the energy above the hull by these potentials, of the crystal as it "
            "is. auto is m3gnet and chgnet, as available.",
            show_default="none",
        ),
    ] = None,
    hull: Hull = "mp2020",
    known_crystals: KnownCrystals = None,
    shipped: Shipped = True,
    model: sampling.Model = "shipped",
    translations: Annotated[
        int,
        typer.Option(
            min=0,
            help="Average the likelihood over this many random translations of the crystal, on "
            "whose origin it depends; 0 takes the crystal as given.",
        ),
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    lenient: Lenient = False,
) -> None:
    """Explain a crystal: what the model, its charges, known crystals and potentials say of it.

    Likelihoods are in nats under the model; oxidation states and bond-valence sums by pymatgen's
    BVAnalyzer; neighbours by CrystalNN. An element exchange leads from each known crystal of the
    same prototype to this one.
    """
    import json as json_module

    from crystext.energies.potentials import split_sources
    from crystext.io.read.partial_structures import read_partial_structure
    from crystext.lm import CrystalLM

    sites = read_partial_structure(source, lenient=lenient)
    explanation = CrystalLM.open(model).explain(
        _complete_crystal(source, sites),
        labels=sites.labels,
        translations=translations,
        potentials=[] if potential is None else split_sources(potential),
        hull=hull,
        known_crystals=known_crystals or [],
        shipped_known=shipped,
    )
    if json:
        typer.echo(json_module.dumps(explanation.record(), ensure_ascii=False))
        return
    typer.echo(str(explanation))


def _complete_crystal(source: Path, sites: PartialStructure) -> Crystal:
    """Return the crystal of a file; raise an `InputError` if a value in it is unknown."""
    import numpy as np

    from crystext.errors import InputError
    from crystext.structures.crystal import Crystal

    numbers = (sites.lengths, sites.angles, sites.positions)
    unknown = sum(int(np.isnan(x).sum()) for x in numbers) + int((sites.numbers == 0).sum())
    if unknown:
        values = "1 unknown value" if unknown == 1 else f"{unknown} unknown values"
        raise InputError(
            f"{source} has {values}; expected a whole crystal. Complete it with `crystext infill` "
            "first"
        )
    return Crystal(sites.lengths, sites.angles, sites.numbers, sites.positions)


COMMAND = Command(explain, "Say what speaks for a crystal, and against it.")
