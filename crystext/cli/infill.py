"""`crystext infill`: completions of a crystal of which something is not known, or is to change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.export import FORMAT_NAMES, Conventional, Symmetrized, place_in, tell
from crystext.cli.options.lenient import Lenient
from crystext.cli.options.seed import RANDOM, Seed, given_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystext.generation.infilling.complete import Infilling
    from crystext.generation.infilling.specify import Reference
    from crystext.io.write import Layout

_KEEPABLE = ("space-group", "cell")
_CHANGES_SHOWN = 4
"""Changes of a proposal that the table names."""
_WIDTH = 140
"""Characters of a line of the table where it goes to no terminal."""


def infill(
    source: Annotated[
        Path,
        typer.Argument(
            help="A CIF, POSCAR, extxyz, ... of one structure; a CIF may have ? in place of "
            "elements, coordinates, lengths and angles.",
            show_default=False,
        ),
    ],
    replace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ELEMENT",
            help="An element to replace at all its sites, by one; may be repeated.",
            show_default="none",
        ),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INDEX|LABEL",
            help="A site whose element is to be another, from 0, or its label, such as Fe1; may be "
            "repeated, each site by itself.",
            show_default="none",
        ),
    ] = None,
    with_: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="ELEMENTS",
            help="What stands at --replace and --site: ? for one of --candidates, an element, "
            "several such as Co,Ni, or similar.",
        ),
    ] = "?",
    candidates: Annotated[
        str | None,
        typer.Option(
            metavar="ELEMENTS",
            help="Elements that may stand for a ?: several such as Co,Ni, or similar: those of its "
            "group, then those of like charge, nearest on Pettifor's scale.",
            show_default="all",
        ),
    ] = None,
    coordinates: Annotated[
        str | None,
        typer.Option(
            metavar="SITES|all",
            help="Sites whose coordinates are to be found, such as 2,5 or O1,O2; or an element.",
            show_default="none",
        ),
    ] = None,
    cell: Annotated[
        bool, typer.Option("--cell", help="Lengths and angles are to be found.")
    ] = False,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ATOMS",
            help='Atoms that are missing: "2 O", "2 ?", or "..." for as many as the model likes; '
            "may be repeated.",
            show_default="none",
        ),
    ] = None,
    n: Annotated[
        int,
        typer.Option(
            "--n", "-n", help="How many are drawn; of ranked elements, how many are listed."
        ),
    ] = 20,
    drawn: Annotated[
        bool,
        typer.Option(
            "--draw",
            help="Draw also where one element is all that is not known; else such elements are "
            "ranked by their probability.",
        ),
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="space-group|cell",
            help="space-group: sites that it makes equal hold one element, and proposals that "
            "spglib finds in another one at 0.1 Å are left out.",
            show_default="what is given",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="`shipped`, a folder of a model or of an adapter, or OWNER/NAME on the Hub."
        ),
    ] = "shipped",
    seed: Seed = "0",
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Of the drawing; 0 takes the most probable token. If given, it is that of "
            "elements and coordinates as well, unless these are given too.",
            show_default="the model's own, else 1",
        ),
    ] = None,
    element_temperature: Annotated[
        float | None,
        typer.Option(
            help="That of elements, and of whether a further atom follows.",
            show_default="the model's own, else --temperature",
        ),
    ] = None,
    coordinate_temperature: Annotated[
        float | None,
        typer.Option(
            help="That of coordinates.", show_default="the model's own, else --temperature"
        ),
    ] = None,
    top_p: Annotated[
        float, typer.Option(help="Draw from the most probable tokens that hold this share.")
    ] = 1.0,
    min_distance: Annotated[
        float,
        typer.Option(
            help="Least distance of what is filled in from any atom over the sum of their covalent "
            "radii; 0 is off."
        ),
    ] = 0.65,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ELEMENT",
            help="An element that nothing is filled with; may be repeated.",
            show_default="none",
        ),
    ] = None,
    max_atoms: Annotated[
        int, typer.Option(help="Most atoms in a cell to which atoms are added.")
    ] = 20,
    batch_size: Annotated[int, typer.Option(help="Completions drawn together.")] = 250,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for proposals.jsonl and the crystals; empty or new.", show_default="none"
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help=f"Of the crystals in --out: {FORMAT_NAMES}.",
            show_default="cif, with --out",
        ),
    ] = None,
    lenient: Lenient = False,
    symmetrized: Symmetrized = False,
    conventional: Conventional = False,
) -> None:
    """Complete a crystal: what is given stays as it is, the rest is proposed by the model.

    Models know primitive, Niggli-reduced cells best: `crystext view` shows what a structure's is. A
    conventional cell is completed as it stands. Labels of sites are kept; oxidation states and
    magnetic moments in a file are not, as they belong to the structure before.
    """
    from crystext.chemistry.formulas import known_element
    from crystext.errors import SettingError, did_you_mean
    from crystext.generation.infilling.complete import Filler
    from crystext.generation.infilling.specify import Blanks, blank, place_of
    from crystext.generation.requests import settled_settings
    from crystext.io.read.partial_structures import read_sites
    from crystext.io.write import Layout, file_format
    from crystext.models.load import load_model

    # What is given stays as it is, to the last digit.
    layout = Layout(symmetrized, conventional, exact=True)
    if out is not None:
        kind = file_format(format, Path("crystals"))
        layout.check(kind)
        _check_place(out, kind)
    elif format is not None or symmetrized or conventional:
        given = "--format" if format is not None else "--symmetrized and --conventional"
        raise SettingError(
            f"{given} says what is written into --out, and there is no --out; name a folder"
        )
    sites = read_sites(source, lenient=lenient)
    species: dict[Reference, str | Sequence[str]] = {}
    for symbol in replace or []:
        species[known_element(symbol)] = with_
    for reference in site or []:
        species[place_of(sites, reference)] = with_
    if with_ != "?" and not species:
        raise SettingError("--with says what stands at --replace or --site, and there is neither")
    blanks = Blanks(species, coordinates or (), cell, add or (), candidates)
    for name in keep or []:
        if name.replace("_", "-") not in _KEEPABLE:
            raise SettingError(
                f"--keep {name} cannot be kept; expected {' or '.join(_KEEPABLE)}."
                + did_you_mean(name, _KEEPABLE)
            )
    kept = [name.replace("-", "_") for name in keep or []]
    # What cannot be asked is refused before a model is loaded.
    blank(sites, blanks, max_atoms)
    settings = settled_settings(
        model,
        seed=given_seed(seed),
        temperature=temperature,
        element_temperature=element_temperature,
        coordinate_temperature=coordinate_temperature,
        top_p=top_p,
    )
    filler = Filler(
        load_model(model),
        settings,
        distance_scale=min_distance,
        max_atoms=max_atoms,
        exclude=exclude or (),
        batch_size=batch_size,
    )
    found = filler.fill(sites, blanks, n, keep=kept, ranked=False if drawn else None)
    _show(found)
    if seed == RANDOM and found.drawn:
        typer.echo(f"drawn with --seed {settings.seed}")
    if out is not None:
        _write(found, out, file_format(format, Path("crystals")), layout)


def _check_place(out: Path, kind: str) -> None:
    """Refuse a folder that cannot take the results, before anything is drawn."""
    from crystext.errors import RunError

    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for proposals.jsonl and {kind} files")
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"the folder {out} holds files already; name another, or empty it")


def _show(found: Infilling) -> None:
    """Print the proposals as a table, and beneath it what became of the others."""
    from rich.console import Console
    from rich.table import Table

    from crystext.runtime.wording import counted
    from crystext.structures.properties import reduced_formula, space_group_symbols

    symbols = space_group_symbols()

    def group(number: int | None) -> str:
        return "none found" if number is None else f"{symbols[number]} ({number})"

    table = Table("rank", "log p", "drawn", "formula", "changes", "space group", box=None)
    for proposal in found.proposals:
        changes = list(map(str, proposal.changes))
        if len(changes) > _CHANGES_SHOWN:
            changes = [*changes[:_CHANGES_SHOWN], f"{len(changes) - _CHANGES_SHOWN} more"]
        table.add_row(
            str(proposal.index + 1),
            f"{proposal.log_probability:.2f}",
            str(proposal.drawn or "ranked"),
            reduced_formula(proposal.crystal.numbers) + (" (crowded)" if proposal.crowded else ""),
            "\n".join(changes) or "none",
            group(proposal.space_group),
        )
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)
    said = [counted(len(found.proposals), "proposal")]
    if found.drawn:
        repeated = "repetition" if found.repeated == 1 else "repetitions"
        said.append(f"{found.drawn} drawn, {found.repeated} of them {repeated}")
    if found.cut_off:
        said.append(f"{found.cut_off} cut off where the model knows no further position")
    if found.space_group is not None:
        said.append(f"{found.dropped} left out that are not of {group(found.space_group)}")
    typer.echo("; ".join(said))


def _write(found: Infilling, out: Path, kind: str, layout: Layout) -> None:
    """Write the crystals, named by rank and formula, and then the proposals."""
    import json

    from crystext.io.write import write_crystals, write_text
    from crystext.runtime.wording import counted
    from crystext.structures.properties import reduced_formula

    named = [
        (f"{p.index + 1:03d}-{reduced_formula(p.crystal.numbers)}", p.crystal)
        for p in found.proposals
    ]
    place = place_in(out, kind)
    if named:
        labels = [p.labels for p in found.proposals]
        write_crystals(named, place, kind, labels=labels, layout=layout, note=tell)
    lines = [json.dumps(p.record(), ensure_ascii=False) for p in found.proposals]
    write_text("".join(f"{line}\n" for line in lines), out / "proposals.jsonl")
    typer.echo(f"written: {out / 'proposals.jsonl'}, {counted(len(named), 'crystal')} in {place}")
