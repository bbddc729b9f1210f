"""`crystext sample`: sample crystals from a model into a run directory."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.crystal_output import (
    FORMAT_NAMES,
    Conventional,
    CrystalFilter,
    Symmetrized,
    export_crystals,
)
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
from crystext.cli.options.keep_best import (
    By,
    KeepBest,
    MaxPerPrototype,
    Of,
    parse_selection,
    print_selection,
)
from crystext.cli.options.seed import RunSeed, parse_seed
from crystext.cli.progress import SamplingProgress
from crystext.runtime.threads import one_thread_for_numpy

if TYPE_CHECKING:
    from crystext.conditions import Conditions
    from crystext.generation.sampling_run import SamplingRun
    from crystext.generation.selection import SelectionRule
    from crystext.generation.shards import Shard
    from crystext.io.write import Layout

_DEFAULT_N = 100
_DEFAULT_MAX_ATTEMPTS = 20


class SampleUntil(StrEnum):
    """When sampling of a crystal stops."""

    satisfied = "satisfied"


def sample(
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            "-n",
            help="Number of samples in the run, or for each row of --conditions and each crystal "
            "of --formulas-of.",
            show_default=str(_DEFAULT_N),
        ),
    ] = None,
    keep_best: KeepBest = None,
    of: Of = None,
    by: By = None,
    max_per_prototype: MaxPerPrototype = None,
    composition: Composition = None,
    chemical_system: ChemicalSystem = None,
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
    conditions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A CSV file with conditions in each row: columns composition, space_group, ..., "
            "named like the options. Conditions given as options apply to rows without a value.",
            show_default="none",
        ),
    ] = None,
    formulas_of: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Request formula and number of atoms of each of these crystals, --n samples each, "
            "for structure prediction: mp20_test or mp20_val, which ship; a store; or any source "
            "of crystals.",
            show_default="none",
        ),
    ] = None,
    until: Annotated[
        SampleUntil | None,
        typer.Option(
            help="Sample a crystal again until it satisfies every condition that can be checked.",
            show_default="sampled once",
        ),
    ] = None,
    max_attempts_per_sample: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of texts sampled per crystal; if none satisfies all conditions, "
            "the one that satisfies most is written.",
            show_default=f"{_DEFAULT_MAX_ATTEMPTS} with --until; 100 with --oxidation or --unit; "
            "else 1",
        ),
    ] = None,
    guidance: Annotated[
        float,
        typer.Option(
            help="Classifier-free guidance: scale of what steering changes in the logits; 1 is "
            "off. Above 1, samples satisfy more, vary less and take twice the time."
        ),
    ] = 1.0,
    out: Annotated[Path, typer.Option(help="Run directory; a run in it is resumed.")] = Path("run"),
    model: sampling.Model = "shipped",
    seed: RunSeed = "0",
    temperature: sampling.Temperature = None,
    element_temperature: sampling.ElementTemperature = None,
    coordinate_temperature: sampling.CoordinateTemperature = None,
    cell_temperature: sampling.CellTemperature = None,
    top_p: sampling.TopP = 1.0,
    max_atoms: Annotated[int, typer.Option(help="Maximum number of atoms in the cell.")] = 20,
    min_distance_ratio: sampling.MinDistanceRatio = 0.65,
    constrained: Annotated[
        bool,
        typer.Option(
            "--constrained/--unconstrained",
            help="Restrict sampling to texts that are crystals, or not.",
        ),
    ] = True,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Number of texts sampled together; the first batch is split at 10, 100, 250 and "
            "500.",
            show_default="1000; 250 with a large model, 50 with --until, --oxidation or --unit",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of processes; each needs 0.8 GB and twice the size of the model's "
            "weights.",
            show_default="one per processor, limited by memory and batches",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Sample every Nth batch, the Kth first, into OUT/shards. The command without "
            "this option gathers the shards and samples missing batches; so does the last of N "
            "processes in one OUT.",
            show_default="the rank under `accelerate launch` or torchrun, else all",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text-format",
            metavar="FORMAT",
            help="Text format; `wyckoff`, if the model knows it, writes space group and orbits, "
            "and enforces the space group.",
            show_default="the model's own",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--to",
            help=f"Also write the crystals into OUT: {FORMAT_NAMES}.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        CrystalFilter | None,
        typer.Option(
            help="Which crystals --to writes: all, structurally valid, unique, or satisfied.",
            show_default="satisfied with --oxidation or --unit, else all",
        ),
    ] = None,
    symmetrized: Symmetrized = False,
    conventional: Conventional = False,
) -> None:
    """Sample crystals into OUT/attempts.jsonl, one JSON object per sample, failures included.

    A condition is enforced where possible: the grammar leaves the model no other tokens. Otherwise
    it is steered by a line in the prompt, which the model may ignore. Conditions are checked in
    each crystal, and each sample records the result.

    The same command resumes a run that was killed, with byte-identical results. A larger --n
    extends a run, except with --conditions or --formulas-of. Other settings need another --out.

    With --keep-best, samples are the same as those of --n, and the best of them are chosen
    afterwards. Other commands read the chosen ones of OUT, and evaluations say so. The same samples
    can be chosen from again, otherwise.
    """
    one_thread_for_numpy()
    from crystext.generation.sampling_run import make_sampling_run
    from crystext.generation.shards import parse_shard, shard_from_environment
    from crystext.io.write import Layout

    selection = parse_selection(out, n, keep_best, of, by, max_per_prototype)
    _check_crystal_files(format, out, keep, layout := Layout(symmetrized, conventional))
    keywords: dict[str, object] = {
        "composition": composition,
        "chemical_system": chemical_system,
        "elements": elements,
        "only": only,
        "exclude": exclude,
        "n_atoms": n_atoms,
        "space_group": space_group,
        "crystal_system": crystal_system,
        "density": density,
        "formation_energy": formation_energy,
        "band_gap": band_gap,
        "e_above_hull": e_above_hull,
        "neutral": neutral or None,
        "atoms_of": atoms_of,
        "oxidation": oxidation,
        "unit": unit,
    }
    requested = _requested(conditions, formulas_of, keywords, max_atoms)
    filtered = any(each.filters for each in requested)
    run = make_sampling_run(
        model,
        _number_of_samples(n, selection),
        requested,
        seed=parse_seed(seed, out, shard is not None or shard_from_environment() is not None),
        max_attempts_per_sample=_max_attempts(until, max_attempts_per_sample, filtered),
        guidance=guidance,
        temperature=temperature,
        element_temperature=element_temperature,
        coordinate_temperature=coordinate_temperature,
        cell_temperature=cell_temperature,
        top_p=top_p,
        max_atoms=max_atoms,
        min_distance_ratio=min_distance_ratio,
        constrained=constrained,
        batch_size=batch_size,
        format=text,
    )
    workers = _default_workers(run) if workers is None else workers
    part = shard_from_environment() if shard is None else parse_shard(shard)
    done = _sample_or_gather(run, out, part, workers)
    if done is None:
        return
    if done > run.total:
        option = "--n" if selection is None else "--of"
        typer.echo(f"no new samples: the run already has more than {option} {run.n}")
    if any(requested):
        _print_condition_summary(out, run.total)
    if selection is not None:
        print_selection(selection, run, out, workers)
    if format is not None:
        chosen = keep or (CrystalFilter.satisfied if filtered else CrystalFilter.all)
        export_crystals(out, run.total, format, chosen, workers, layout, selection is not None)


def _number_of_samples(n: int | None, selection: SelectionRule | None) -> int:
    """Return the number of samples of each request: of --n, or of --of."""
    if selection is not None:
        return selection.of
    return _DEFAULT_N if n is None else n


def _max_attempts(until: SampleUntil | None, given: int | None, filtered: bool) -> int | None:
    """Return the maximum number of texts per sample; None is the default of the run."""
    from crystext.errors import SettingError

    if given is not None and until is None and not filtered:
        raise SettingError("--max-attempts-per-sample limits --until; add --until satisfied")
    return _DEFAULT_MAX_ATTEMPTS if given is None and until and not filtered else given


def _check_crystal_files(
    format: str | None, out: Path, keep: CrystalFilter | None, layout: Layout
) -> None:
    """Check --to and the options that apply to it, before anything is sampled."""
    from crystext.errors import SettingError
    from crystext.io.write import Layout, file_format
    from crystext.text import FORMATS

    if format in FORMATS:
        raise SettingError(
            f"--to is the format of structure files, and {format} is a text format of models; give "
            f"--text-format {format}"
        )
    if format is not None:
        layout.check(file_format(format, out))
    elif layout != Layout():
        raise SettingError(
            "--symmetrized and --conventional apply to --to, which is missing; try --to cif"
        )
    elif keep is not None and keep is not CrystalFilter.all:
        raise SettingError(
            f"--keep {keep.value} selects the crystals that --to writes, and --to is missing; try "
            "--to cif"
        )


def _default_workers(run: SamplingRun) -> int:
    """Return the number of processes if none is given: those launched together share a machine."""
    from crystext.generation.shards import shard_from_environment
    from crystext.generation.worker_count import default_workers

    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if shard_from_environment() else 1
    return max(1, default_workers(run.files, parallel_units=run.parallel_units) // beside)


def _sample_or_gather(run: SamplingRun, out: Path, shard: Shard | None, workers: int) -> int | None:
    """Sample a run, or a shard of it; the last of the shards gathers all.

    Returns:
        The number of attempts in the run directory; None where another process gathers them.
    """
    from crystext.errors import InUseError
    from crystext.generation.run import run_sampling
    from crystext.runtime.wording import format_count

    if shard is not None and not _sample_shard(shard, run, out, workers):
        return None
    try:
        with SamplingProgress(run.total) as bar:
            done = run_sampling(run, out, workers=workers, report=bar.report)
    except InUseError:
        if shard is None:
            raise
        typer.echo(f"shard {shard} is sampled; another process gathers all")
        return None
    crystals = "1 of them a crystal" if bar.crystals == 1 else f"{bar.crystals:,} of them crystals"
    typer.echo(f"{format_count(done, 'attempt')}, {crystals}, in {out / 'attempts.jsonl'}")
    return done


def _sample_shard(shard: Shard, run: SamplingRun, out: Path, workers: int) -> bool:
    """Sample a shard; return whether it was the last, so that all are gathered here."""
    from crystext.generation.run import sample_shard

    with SamplingProgress(sum(batch.size for batch in shard.batches(run))) as bar:
        whole = sample_shard(run, out, shard, workers=workers, report=bar.report)
    if not whole:
        typer.echo(
            f"shard {shard} is sampled, in {out / 'shards'}; the last shard gathers all, and so "
            "does the command without --shard"
        )
    return whole


def _read_conditions(
    path: Path, common: dict[str, object], max_atoms: int
) -> tuple[Conditions, ...]:
    """Return the conditions of the valid rows of a table, and print the errors of the others."""
    from crystext.conditions import read_condition_table
    from crystext.errors import InputError
    from crystext.runtime.wording import format_count

    table = read_condition_table(path, common, max_atoms=max_atoms)
    for fault in table.errors:
        typer.echo(f"crystext: {path}, {fault}", err=True)
    if not table.rows:
        rows = format_count(len(table.errors), "row")
        raise InputError(f"{path} has {rows}, and none of them is valid; see above")
    if table.errors:
        typer.echo(
            f"{len(table.errors)} of {len(table.rows) + len(table.errors)} rows left out", err=True
        )
    return tuple(row.conditions for row in table.rows)


def _requested(
    table: Path | None, formulas_of: str | None, common: dict[str, object], max_atoms: int
) -> tuple[Conditions, ...]:
    """Return what to sample: the rows of a table, the formulas of crystals, or the options."""
    from crystext.conditions import Conditions
    from crystext.errors import SettingError

    if table is not None and formulas_of is not None:
        raise SettingError("--conditions and --formulas-of both say what to sample; give one")
    if formulas_of is not None:
        return _formulas_of(formulas_of, common, max_atoms)
    if table is not None:
        return _read_conditions(table, common, max_atoms)
    return (Conditions.from_keywords(**common),)


def _formulas_of(source: str, common: dict[str, object], max_atoms: int) -> tuple[Conditions, ...]:
    """Return the conditions that request the formula and size of each crystal of a source."""
    from crystext.conditions.formulas import formula_conditions
    from crystext.evaluate.reference_sets import open_reference_set, specify_reference_set

    known = open_reference_set(specify_reference_set(source, "test"))
    named = ((known.name(i), crystal) for i, crystal in enumerate(known.crystals))
    return formula_conditions(named, common, max_atoms=max_atoms)


def _print_condition_summary(out: Path, n: int) -> None:
    """Print for each condition how many of the first n samples satisfy it."""
    from itertools import islice

    from crystext.generation.condition_summary import summarize_conditions
    from crystext.generation.run import read_attempts

    for line in summarize_conditions(islice(read_attempts(out), n)).lines():
        typer.echo(line)


COMMAND = Command(sample, "Generate crystals with a model.")
