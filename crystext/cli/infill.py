"""`crystext infill`: complete a crystal with unknown or replaced parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.crystal_output import (
    FORMAT_NAMES,
    Conventional,
    Symmetrized,
    crystals_path,
    print_note,
)
from crystext.cli.options import sampling
from crystext.cli.options.lenient import Lenient
from crystext.cli.options.seed import RANDOM, Seed, parse_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystext.generation.infilling.complete import InfillRun
    from crystext.generation.infilling.specify import SiteReference
    from crystext.io.write import Layout

_KEEP_CHOICES = ("space-group", "cell")
_MAX_CHANGES_SHOWN = 4
"""Number of changes of a result shown in the table."""
_TABLE_WIDTH = 140
"""Width of the table, in characters, if standard output is not a terminal."""


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
            help="Replace this element at all its sites by one other; may be repeated.",
            show_default="none",
        ),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INDEX|LABEL",
            help="Replace the element of this site, by index from 0 or by label, such as Fe1; "
            "may be repeated, each site independently.",
            show_default="none",
        ),
    ] = None,
    with_: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="ELEMENTS",
            help="Replacement at --replace and --site: ? for one of --candidates, an element, "
            "several such as Co,Ni, or similar.",
        ),
    ] = "?",
    candidates: Annotated[
        str | None,
        typer.Option(
            metavar="ELEMENTS",
            help="Elements allowed for a ?: several such as Co,Ni, or similar: those of its "
            "group, then those with the same charge, nearest on Pettifor's scale.",
            show_default="all",
        ),
    ] = None,
    coordinates: Annotated[
        str | None,
        typer.Option(
            metavar="SITES|all",
            help="Sites whose coordinates are unknown, such as 2,5 or O1,O2; or an element.",
            show_default="none",
        ),
    ] = None,
    cell: Annotated[
        bool, typer.Option("--cell", help="Treat lengths and angles of the cell as unknown.")
    ] = False,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ATOMS",
            help='Atoms to add: "2 O", "2 ?", or "..." to let the model choose the number; '
            "may be repeated.",
            show_default="none",
        ),
    ] = None,
    max_atoms: Annotated[
        int, typer.Option(help="Maximum number of atoms in a cell to which atoms are added.")
    ] = 20,
    n: Annotated[
        int,
        typer.Option(
            "--n",
            "-n",
            help="Number of completions to sample, or of ranked elements to list; with a space "
            "group, of different completions.",
        ),
    ] = 20,
    draw: Annotated[
        bool,
        typer.Option(
            "--draw",
            help="Sample even if only one element is unknown; by default, elements are then "
            "ranked by probability.",
        ),
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="space-group|cell",
            help="space-group: equivalent sites hold one element, and results in another space "
            "group (spglib, 0.1 Å) are left out.",
            show_default="what is given",
        ),
    ] = None,
    space_group: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|SYMBOL|file",
            help="Find missing atoms on Wyckoff positions of this space group, orbit by orbit; "
            "file: the group that the CIF declares, which is the default for one that lists an "
            "asymmetric unit with ?.",
            show_default="none",
        ),
    ] = None,
    relax: Annotated[
        bool,
        typer.Option(
            "--relax",
            help="Relax the completions, known parts included, and rank those of one formula by "
            "energy.",
        ),
    ] = False,
    potential: Annotated[
        str,
        typer.Option(
            metavar="auto|m3gnet|chgnet|FOLDER|MODULE:FUNCTION",
            help="Potential of --relax; see `crystext relax`.",
        ),
    ] = "auto",
    model: sampling.Model = "shipped",
    seed: Seed = "0",
    temperature: sampling.Temperature = None,
    element_temperature: sampling.ElementTemperature = None,
    coordinate_temperature: sampling.CoordinateTemperature = None,
    top_p: sampling.TopP = 1.0,
    min_distance_ratio: sampling.MinDistanceRatio = 0.65,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ELEMENT",
            help="Do not fill in this element; may be repeated.",
            show_default="none",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Number of completions sampled together.")] = 250,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for infill_results.jsonl and the crystals; empty or new.",
            show_default="none",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--to",
            help=f"Of the crystals in --out: {FORMAT_NAMES}.",
            show_default="cif, with --out",
        ),
    ] = None,
    lenient: Lenient = False,
    symmetrized: Symmetrized = False,
    conventional: Conventional = False,
) -> None:
    """Complete a crystal: the model fills in what is unknown, and everything else stays.

    Models know primitive, Niggli-reduced cells best; a conventional cell is completed as given.
    Site labels are kept. Oxidation states and magnetic moments in a file are dropped, as they
    belong to the original structure.
    """
    from crystext.chemistry.formulas import check_element
    from crystext.errors import SettingError
    from crystext.generation.infilling.specify import site_index
    from crystext.io.read.partial_structures import read_partial_structure
    from crystext.io.write import Layout, file_format
    from crystext.lm import CrystalLM

    # Known values stay as given, to the last digit.
    layout = Layout(symmetrized, conventional, exact=True)
    if out is not None:
        kind = file_format(format, Path("crystals"))
        layout.check(kind)
        _check_output_folder(out, kind)
    elif format is not None or symmetrized or conventional:
        given = "--to" if format is not None else "--symmetrized and --conventional"
        raise SettingError(
            f"{given} says what is written into --out, but --out is missing; give a folder"
        )
    sites = read_partial_structure(source, lenient=lenient)
    species: dict[SiteReference, str | Sequence[str]] = {}
    for symbol in replace or []:
        species[check_element(symbol)] = with_
    for reference in site or []:
        species[site_index(sites, reference)] = with_
    if potential != "auto" and not relax:
        raise SettingError(f"--potential {potential} needs --relax; add it")
    if with_ != "?" and not species:
        raise SettingError("--with needs --replace or --site; add one")
    results = CrystalLM.open(model).infill(
        sites,
        species=species,
        coordinates=coordinates or (),
        cell=cell,
        add=add or (),
        max_atoms=max_atoms,
        candidates=candidates,
        exclude=exclude or (),
        keep=_keep_names(keep or []),
        space_group=space_group,
        relax=relax,
        potential=potential,
        n=n,
        ranked=False if draw else None,
        seed=parse_seed(seed),
        temperature=temperature,
        element_temperature=element_temperature,
        coordinate_temperature=coordinate_temperature,
        top_p=top_p,
        min_distance_ratio=min_distance_ratio,
        batch_size=batch_size,
        progress=False,
    )
    result = results.infill_run
    _print_results(result)
    if seed == RANDOM and result.texts_drawn:
        typer.echo(f"sampled with --seed {results.seed}")
    if out is not None:
        _write_results(result, out, file_format(format, Path("crystals")), layout)


def _keep_names(names: Sequence[str]) -> list[str]:
    """Return what is to be kept, as Python names it."""
    from crystext.errors import SettingError, did_you_mean

    for name in names:
        if name.replace("_", "-") not in _KEEP_CHOICES:
            raise SettingError(
                f"--keep {name} cannot be kept; expected {' or '.join(_KEEP_CHOICES)}."
                + did_you_mean(name, _KEEP_CHOICES)
            )
    return [name.replace("-", "_") for name in names]


def _check_output_folder(out: Path, kind: str) -> None:
    """Reject a folder that cannot take the results, before sampling."""
    from crystext.errors import RunError

    if out.exists() and not out.is_dir():
        raise RunError(
            f"{out} is a file; expected a folder for infill_results.jsonl and {kind} files"
        )
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"the folder {out} holds files already; give another, or empty it")


def _print_results(result: InfillRun) -> None:
    """Print the results as a table, followed by the number of omitted results and the reasons."""
    from rich.console import Console
    from rich.table import Table

    from crystext.runtime.wording import format_count
    from crystext.structures.properties import reduced_formula, space_group_symbols

    symbols = space_group_symbols()

    def group(number: int | None) -> str:
        return "none found" if number is None else f"{symbols[number]} ({number})"

    has_orbits = any(completion.orbits for completion in result.results)
    relaxed = any(completion.energy is not None for completion in result.results)
    what = "orbits found" if has_orbits else "changes"
    columns = ["rank", "log p", "sampled", "formula", what, "space group", "problem"]
    table = Table(*columns, *(["eV/atom"] if relaxed else []), box=None)
    for completion in result.results:
        changes = list(completion.orbits if has_orbits else map(str, completion.changes))
        if len(changes) > _MAX_CHANGES_SHOWN:
            changes = [*changes[:_MAX_CHANGES_SHOWN], f"{len(changes) - _MAX_CHANGES_SHOWN} more"]
        table.add_row(
            str(completion.index + 1),
            f"{completion.log_probability:.2f}",
            str(completion.times_drawn or "ranked"),
            reduced_formula(completion.crystal.numbers),
            "\n".join(changes) or "as before",
            group(completion.space_group),
            completion.problem,
            *([] if completion.energy is None else [f"{completion.energy:.4f}"]),
        )
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _TABLE_WIDTH
    console.print(table)
    said = [format_count(len(result.results), "completion")]
    if result.texts_drawn:
        repeated = "a duplicate" if result.duplicates == 1 else "duplicates"
        said.append(f"{result.texts_drawn} sampled, {result.duplicates} of them {repeated}")
    if result.truncated:
        said.append(f"{result.truncated} truncated at the model's maximum length")
    if result.rejected and not result.only_space_group:
        said.append(f"{result.rejected} left out that do not agree with what is known")
    elif result.space_group is not None and result.only_space_group:
        said.append(f"{result.rejected} left out that are not in {group(result.space_group)}")
    if result.potential:
        said.append(f"relaxed with {result.potential}")
    typer.echo("; ".join(said))


def _write_results(result: InfillRun, out: Path, kind: str, layout: Layout) -> None:
    """Write the crystals, named by rank and formula, and then the table of results."""
    import json

    from crystext.io.write import write_crystals
    from crystext.runtime.files import write_text
    from crystext.runtime.wording import format_count
    from crystext.structures.properties import reduced_formula

    named = [
        (f"{p.index + 1:03d}-{reduced_formula(p.crystal.numbers)}", p.crystal)
        for p in result.results
    ]
    place = crystals_path(out, kind)
    if named:
        labels = [p.labels for p in result.results]
        write_crystals(named, place, kind, labels=labels, layout=layout, note=print_note)
    lines = [json.dumps(p.record(), ensure_ascii=False) for p in result.results]
    write_text(out / "infill_results.jsonl", "".join(f"{line}\n" for line in lines))
    typer.echo(
        f"written: {out / 'infill_results.jsonl'}, {format_count(len(named), 'crystal')} in {place}"
    )


COMMAND = Command(infill, "Complete or substitute in a given crystal.")
