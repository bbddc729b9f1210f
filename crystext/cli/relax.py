"""`crystext relax`: relax positions and cells with a checked potential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.crystal_output import Conventional, Symmetrized, print_note
from crystext.cli.options.lenient import Lenient, print_notes
from crystext.cli.options.workers import Cluster

if TYPE_CHECKING:
    from crystext.energies.relaxation_files import RelaxedSet, RelaxedStructure
    from crystext.io.write import Layout

_FORMATS = ("cif", "poscar")
"""Formats of relaxed crystals, one file each."""


def relax(
    source: Annotated[
        Path,
        typer.Argument(
            help="A run of `crystext sample`, or any file, folder, zip or table of structures.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the table, the crystals and the state to resume from.",
            show_default=False,
        ),
    ],
    potential: Annotated[
        str,
        typer.Option(
            metavar="auto|m3gnet|chgnet|FOLDER|MODULE:FUNCTION",
            help="m3gnet is M3GNet-MP-2021.2.8 from a cache or the Hub, FOLDER the same in "
            "matgl's layout; chgnet is CHGNet 0.3.0, which needs no network; auto is m3gnet if "
            "available, else chgnet. MODULE:FUNCTION is a Python function, such as "
            "my_potential.py:make, that returns a crystext Potential or an ASE calculator; its "
            "module is executed.",
        ),
    ] = "auto",
    fmax: Annotated[
        float,
        typer.Option(help="Relax until no force on an atom or the cell exceeds this, in eV/Å."),
    ] = 0.1,
    steps: Annotated[int, typer.Option(min=1, help="Maximum number of FIRE steps.")] = 500,
    timeout: Annotated[
        float,
        typer.Option(
            help="Maximum wall time per structure, in seconds. With more time, the same command "
            "relaxes only those again that were TOO_SLOW."
        ),
    ] = 120.0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of processes, of one thread each.", show_default="one a core"
        ),
    ] = None,
    cluster: Cluster = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", "-n", min=1, help="Relax the first n structures only.", show_default="all"
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="cif|poscar",
            help="Also write the relaxed crystals as files, into a folder of this name in OUT.",
            show_default=False,
        ),
    ] = None,
    symmetrized: Symmetrized = False,
    conventional: Conventional = False,
    lenient: Lenient = False,
) -> None:
    """Relax positions and cells with FIRE; `crystext hull` takes the energies.

    The potential is first checked against known energies of known compounds. Structures that cannot
    be read or relaxed stay in the table with their failure. The same command resumes a run that was
    killed.
    """
    from crystext.cli.options.workers import worker_pool
    from crystext.energies.potentials import choose_potential, load_potential_once
    from crystext.energies.relax import RelaxationLimits
    from crystext.energies.relaxation_files import (
        TABLE,
        RelaxedSet,
        relaxed_structure,
        write_relaxed,
    )
    from crystext.energies.relaxation_run import recorded_potential, relax_all
    from crystext.errors import InputError, SettingError
    from crystext.evaluate.samples import read_samples
    from crystext.io.write import Layout
    from crystext.runtime.progress import Progress

    for name, value in (("fmax", fmax), ("timeout", timeout)):
        if not 0 < value < float("inf"):
            raise SettingError(f"--{name} {value:g}: expected a number above 0")
    layout = Layout(symmetrized, conventional)
    _check_outputs(out, format, layout)
    attempts = read_samples(source, n, lenient=lenient).samples
    print_notes((attempt.name, attempt.notes) for attempt in attempts)
    chosen, reason = choose_potential(potential, recorded_potential(out))
    if reason:
        typer.echo(f"potential: {reason}", err=True)
    limits = RelaxationLimits(fmax=fmax, steps=steps, seconds=timeout)
    crystals = {i: a.crystal for i, a in enumerate(attempts) if a.crystal is not None}
    with worker_pool(cluster, workers) as pool, Progress() as bars:
        advance, reported = bars.begin("relaxing", len(crystals)), 0

        def report(done: int, _: int) -> None:
            nonlocal reported
            advance(done - reported)
            reported = done

        relaxations = relax_all(
            crystals,
            out,
            potential=chosen,
            limits=limits,
            workers=pool,
            report=report,
        )
    rows = tuple(
        relaxed_structure(attempt, relaxations.get(i)) for i, attempt in enumerate(attempts)
    )
    used = load_potential_once(chosen)
    relaxed = RelaxedSet(used.name, used.scale, rows, vars(limits))
    _handle_replaced_table(out, relaxed)
    write_relaxed(relaxed, out)
    _print_summary(relaxed, out / TABLE)
    if not any(row.energy is not None for row in rows):
        raise InputError(
            f"none of the {len(rows):,} structures in {source} could be relaxed; {out / TABLE} "
            "gives the reason for each"
        )
    if format is not None:
        _write_crystals(relaxed, out / format, format, layout)


def _check_outputs(out: Path, format: str | None, layout: Layout) -> None:
    """Check what is to be written and where, before anything is read."""
    from crystext.energies.relaxation_files import FRAMES, TABLE
    from crystext.errors import RunError, SettingError, did_you_mean
    from crystext.io.write import Layout

    if format not in (None, *_FORMATS):
        raise SettingError(
            f"--to {format}: expected {' or '.join(_FORMATS)}; {TABLE} and {FRAMES} are "
            f"written anyway.{did_you_mean(format, _FORMATS)}"
        )
    if format is not None:
        layout.check(format)
    elif layout != Layout():
        raise SettingError("--symmetrized and --conventional apply to --to; add --to")
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for {TABLE} and {FRAMES}")


def _handle_replaced_table(out: Path, relaxed: RelaxedSet) -> None:
    """Print a note that the table of other structures is replaced, and remove their files."""
    from crystext.cli.crystal_output import print_note, remove_exported
    from crystext.energies.relaxation_files import TABLE, read_relaxed
    from crystext.errors import CrystextError
    from crystext.runtime.wording import format_count

    try:
        earlier = read_relaxed(out).structures if (out / TABLE).exists() else ()
    except CrystextError:
        return
    if lost := {_structure_key(row) for row in earlier} - {
        _structure_key(row) for row in relaxed.structures
    }:
        print_note(
            f"{out / TABLE} held {format_count(len(lost), 'structure')} that this source does not "
            "have; the new table replaces it. Their relaxations are kept: give their source again "
            "to restore them"
        )
        for format in _FORMATS:
            remove_exported(out / format)


def _structure_key(row: RelaxedStructure) -> tuple[str, tuple[int, ...]]:
    """Return what identifies a structure among sources: its name and its elements."""
    return row.name, () if row.crystal is None else tuple(sorted(row.crystal.numbers.tolist()))


def _print_summary(relaxed: RelaxedSet, table: Path) -> None:
    """Print a summary, and name the structures without an energy."""
    from collections import Counter

    from crystext.energies.relaxation_files import describe_failures
    from crystext.runtime.wording import format_count

    for line in describe_failures(relaxed.structures):
        typer.echo(line, err=True)
    with_energy = [row for row in relaxed.structures if row.energy is not None]
    steps = [row.steps for row in with_energy if row.converged and row.steps is not None]
    mean = f"; {sum(steps) / len(steps):.1f} steps on average to converge" if steps else ""
    failures = Counter(row.failure_kind for row in relaxed.structures if row.energy is None)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in failures.most_common() if kind)
    typer.echo(
        f"{format_count(len(relaxed.structures), 'structure')}: "
        f"{sum(bool(r.converged) for r in with_energy):,} converged"
        f", {sum(not r.converged for r in with_energy):,} ran out of steps, "
        f"{len(relaxed.structures) - len(with_energy):,} without an energy"
        f"{f' ({kinds})' if kinds else ''}{mean}"
    )
    typer.echo(f"energies: {relaxed.potential}, {relaxed.correction.value}")
    typer.echo(f"written: {table}")


def _write_crystals(relaxed: RelaxedSet, folder: Path, format: str, layout: Layout) -> None:
    """Write the relaxed crystals to a folder, named by their index in the table and their names."""
    from crystext.cli.crystal_output import remove_exported
    from crystext.io.write import write_crystals
    from crystext.runtime.wording import format_count

    named = [
        (f"{i:06d}" if row.name == str(i) else f"{i:06d}-{row.name}", row.crystal)
        for i, row in enumerate(relaxed.structures)
        if row.crystal is not None and row.energy is not None
    ]
    remove_exported(folder)
    count = write_crystals(named, folder, format, layout=layout, note=print_note)
    typer.echo(f"{format_count(count, 'crystal')} in {folder}")


COMMAND = Command(relax, "Relax crystals with a machine-learned potential.")
