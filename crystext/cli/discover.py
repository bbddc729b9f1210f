"""`crystext discover`: from conditions to relaxed, checked and ranked new crystals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.options import sampling
from crystext.cli.options.conditions import (
    AtomsOf,
    BandGap,
    ChemicalSystem,
    Composition,
    CrystalSystem,
    Density,
    EAboveHull,
    Elements,
    Exclude,
    FormationEnergy,
    NAtoms,
    Neutral,
    Only,
    Oxidation,
    SpaceGroup,
    Unit,
)
from crystext.cli.options.reference_crystals import Hull, KnownCrystals, Shipped
from crystext.cli.options.workers import Cluster

if TYPE_CHECKING:
    from crystext.discover.search import Search
    from crystext.discover.settings import Budget
    from crystext.runtime.processes import Workers


def discover(
    chemical_system: ChemicalSystem = None,
    composition: Composition = None,
    elements: Elements = None,
    only: Only = None,
    exclude: Exclude = None,
    n_atoms: NAtoms = None,
    atoms_of: AtomsOf = None,
    space_group: SpaceGroup = None,
    crystal_system: CrystalSystem = None,
    density: Density = None,
    formation_energy: FormationEnergy = None,
    band_gap: BandGap = None,
    e_above_hull: EAboveHull = None,
    neutral: Neutral = False,
    oxidation: Oxidation = None,
    unit: Unit = None,
    subsystems: Annotated[
        bool,
        typer.Option(
            "--subsystems",
            help="Also search crystals of some of the elements of --chemical-system, two or more.",
        ),
    ] = False,
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            "-n",
            min=1,
            help="Stop when so many candidates are found.",
            show_default="20, if no other limit is given",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Stop after this time, such as 20m or 1h30m; the time of earlier commands in OUT "
            "counts, and a round that has begun is finished.",
            show_default="20m, if no other limit is given",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop after so many rounds; those of earlier commands in OUT count.",
            show_default=False,
        ),
    ] = None,
    below: Annotated[
        float,
        typer.Option(help="Keep crystals less than this above the hull, in eV/atom."),
    ] = 0.1,
    potential: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Potentials, as in `crystext relax`. The first relaxes and decides; each other "
            "one gives its own energies of the candidates, never mixed. auto is m3gnet and chgnet, "
            "as available.",
        ),
    ] = "auto",
    hull: Hull = "mp2020",
    known_crystals: KnownCrystals = None,
    shipped: Shipped = True,
    out: Annotated[Path, typer.Option(help="Folder of the search; one in it is continued.")] = Path(
        "discovery"
    ),
    model: sampling.Model = "shipped",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same rounds.")] = 0,
    temperature: sampling.Temperature = None,
    element_temperature: sampling.ElementTemperature = None,
    coordinate_temperature: sampling.CoordinateTemperature = None,
    cell_temperature: sampling.CellTemperature = None,
    top_p: sampling.TopP = 1.0,
    guidance: Annotated[
        float, typer.Option(help="Classifier-free guidance, as in `crystext sample`.")
    ] = 1.0,
    max_atoms: Annotated[int, typer.Option(help="Maximum number of atoms in the cell.")] = 20,
    min_distance_ratio: sampling.MinDistanceRatio = 0.65,
    steps: Annotated[int, typer.Option(min=1, help="Maximum number of relaxation steps.")] = 300,
    texts_per_round: Annotated[
        int, typer.Option(min=1, help="Texts per round; the first has a quarter of it.")
    ] = 160,
    relaxed_per_round: Annotated[
        int, typer.Option(min=1, help="Crystals relaxed per round; the first has a third of it.")
    ] = 12,
    patience: Annotated[
        int,
        typer.Option(min=1, help="Stop after so many rounds in a row without a new candidate."),
    ] = 8,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that relax.", show_default="one a processor"),
    ] = None,
    cluster: Cluster = None,
) -> None:
    """Search new crystals: sample, check, relax, compare with the hull, and rank, in rounds.

    Writes OUT/candidates.csv, report.html, and two CIFs of each candidate. Later rounds draw where
    earlier ones found low energies. The same command continues a search that was killed, with the
    same candidates; so does a larger --n, --budget or --rounds.
    """
    from crystext.cli.options.workers import worker_pool
    from crystext.conditions import Conditions
    from crystext.discover.open import open_search
    from crystext.discover.settings import SearchSettings
    from crystext.energies.potentials import split_sources
    from crystext.models.layout import open_model

    settings = SearchSettings(
        Conditions.from_keywords(
            chemical_system=chemical_system,
            composition=composition,
            elements=elements,
            only=only,
            exclude=exclude,
            n_atoms=n_atoms,
            space_group=space_group,
            crystal_system=crystal_system,
            density=density,
            formation_energy=formation_energy,
            band_gap=band_gap,
            e_above_hull=e_above_hull,
            neutral=neutral or None,
            atoms_of=atoms_of,
            oxidation=oxidation,
            unit=unit,
        ),
        subsystems=subsystems,
        below=below,
        potentials=tuple(split_sources(potential)),
        hull=hull,
        known_crystals=tuple(known_crystals or ()),
        shipped_known=shipped,
        seed=seed,
        temperature=temperature,
        element_temperature=element_temperature,
        coordinate_temperature=coordinate_temperature,
        cell_temperature=cell_temperature,
        top_p=top_p,
        guidance=guidance,
        max_atoms=max_atoms,
        min_distance_ratio=min_distance_ratio,
        steps=steps,
        texts_per_round=texts_per_round,
        relaxed_per_round=relaxed_per_round,
        patience=patience,
    )
    limits = _budget(n, budget, rounds)
    with worker_pool(cluster, workers) as pool:
        _run(open_search(open_model(model), settings, out), limits, pool)


def _budget(n: int | None, budget: str | None, rounds: int | None) -> Budget:
    """Return the limits that are given; the default ones if none is."""
    from crystext.discover.settings import Budget, parse_duration

    if n is None and budget is None and rounds is None:
        return Budget()
    return Budget(n, None if budget is None else parse_duration(budget), rounds)


def _run(search: Search, budget: Budget, pool: Workers) -> None:
    """Run a search, print each candidate as it is found, and what came of it."""
    from crystext.discover.publish import rank_search
    from crystext.discover.summary import summarize
    from crystext.runtime.progress import Progress
    from crystext.runtime.wording import without_sign_of_zero

    with Progress(time_left=False) as bars:
        for candidate in search.run(budget, pool, bars.update):
            above = without_sign_of_zero(f"{candidate.above_hull:.3f}")
            novelty = (candidate.relaxed.novelty or "").replace("_", " ")
            bars.print_line(f"{candidate.name}: {above} eV/atom above the hull, {novelty}")
    ranked = rank_search(search)
    for row in ranked:
        candidate = row.candidate
        above = without_sign_of_zero(f"{candidate.above_hull:.3f}")
        typer.echo(f"{row.rank:>4}  {candidate.name:<30} {above:>7}  {row.agreement} judges")
    for sentence in summarize(search, ranked):
        typer.echo(sentence)
    typer.echo(f"written to {search.out}")


COMMAND = Command(discover, "Search new crystals, from conditions to a ranked list.")
