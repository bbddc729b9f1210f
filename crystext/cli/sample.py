"""`crystext sample`: crystals from a model, as they come, into a run directory."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Keep(StrEnum):
    """Which crystals of a run are exported."""

    all = "all"
    valid = "valid"
    unique = "unique"


def sample(
    n: Annotated[
        int, typer.Option("--n", "-n", help="How many attempts the run is to hold.")
    ] = 100,
    out: Annotated[Path, typer.Option(help="Run directory; made, or gone on with.")] = Path("run"),
    model: Annotated[
        str,
        typer.Option(
            help="`shipped`, a folder of a model or of an adapter, or OWNER/NAME on the Hub."
        ),
    ] = "shipped",
    seed: Annotated[
        int, typer.Option(help="Each crystal's random numbers follow from (seed, index).")
    ] = 0,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="0 takes the most probable token. If given, it is that of elements and "
            "coordinates as well, unless these are given too.",
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
    max_atoms: Annotated[int, typer.Option(help="Most atoms in a cell.")] = 20,
    min_distance: Annotated[
        float,
        typer.Option(
            help="Least distance of atoms over the sum of their covalent radii; 0 is off."
        ),
    ] = 0.65,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ELEMENT",
            help="An element that may not occur; may be repeated.",
            show_default=False,
        ),
    ] = None,
    constrained: Annotated[
        bool,
        typer.Option(
            "--constrained/--unconstrained",
            help="Whether only texts that are crystals can be drawn.",
        ),
    ] = True,
    batch_size: Annotated[int, typer.Option(help="Texts drawn together.")] = 250,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that draw, each with 0.8 GB and twice the model's weights.",
            show_default="one a processor, as far as memory and batches go",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="Also write the crystals into OUT: cif, poscar, extxyz or parquet.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        Keep,
        typer.Option(help="Which crystals --format writes: structurally valid, or unique ones."),
    ] = Keep.all,
) -> None:
    """Draw crystals into OUT/attempts.jsonl, one JSON object per attempt, faults included.

    Killed at any moment, the same command goes on where it was; the result is the same to the
    byte. A larger --n extends a run. Other settings need another --out.
    """
    from crystext.errors import SettingError
    from crystext.grammar.constraints import Constraints
    from crystext.models.folder import default_temperatures
    from crystext.sampling.attempt import DrawSettings
    from crystext.sampling.crew import default_workers
    from crystext.sampling.run import Campaign
    from crystext.sampling.run import sample as draw_missing
    from crystext.write import file_format

    if format is not None:
        file_format(format, out)
    elif keep is not Keep.all:
        raise SettingError(
            f"--keep {keep.value} says which crystals --format writes, and there is no --format; "
            "try --format cif"
        )
    if temperature is None:
        asked = default_temperatures(model)
        temperature = asked.text
        if element_temperature is None:
            element_temperature = asked.element
        if coordinate_temperature is None:
            coordinate_temperature = asked.coordinate
    settings = DrawSettings(
        seed=seed,
        temperature=temperature,
        element_temperature=element_temperature,
        coordinate_temperature=coordinate_temperature,
        top_p=top_p,
        constrained=constrained,
    )
    constraints = Constraints(
        max_atoms=max_atoms,
        distance_scale=min_distance,
        exclude=tuple(sorted(set(exclude or []))),
    )
    campaign = Campaign(n, model, settings, constraints, batch_size)
    if workers is None:
        workers = default_workers(model, batches=-(-n // batch_size))
    with _Bar(n) as bar:
        done = draw_missing(campaign, out, workers=workers, report=bar.show)
    typer.echo(f"{done} attempts, {bar.crystals} of them crystals, in {out / 'attempts.jsonl'}")
    if format is not None:
        _export(out, n, format, keep, workers)


class _Bar:
    """Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, whole: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.whole, self.crystals, self._start = whole, 0, (0, 0.0)
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("drawing"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}, {task.fields[note]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("drawing", total=whole, note="loading the model")
        self._said = 0.0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, done: int, crystals: int) -> None:
        import time

        self.crystals, now = crystals, time.monotonic()
        if not self._start[1]:
            self._start, self._said = (done, now), now
        rate = (done - self._start[0]) / max(now - self._start[1], 1e-9)
        note = f"{rate:.0f}/s, {crystals / max(done, 1):.2%} crystals"
        if done == self._start[0]:
            note = "loading the model"
        self._progress.update(self._task, completed=done, note=note)
        if not self._console.is_terminal and now - self._said > 10:
            self._said = now
            typer.echo(f"{done}/{self.whole}, {note}", err=True)


def _export(out: Path, n: int, format: str, keep: Keep, workers: int) -> None:
    """Write the kept crystals of the first n attempts beside them, named by their index."""
    from itertools import islice

    from crystext.codec import decode
    from crystext.metrics.structure_validity import is_structure_valid
    from crystext.metrics.uniqueness import duplicates_of
    from crystext.sampling.run import read_attempts
    from crystext.write import file_format, write_crystals

    named = [
        (f"{attempt['index']:06d}", crystal)
        for attempt in islice(read_attempts(out), n)
        if attempt["fault"] is None and (crystal := decode(attempt["text"]).crystal) is not None
    ]
    if keep is Keep.valid:
        named = [(name, crystal) for name, crystal in named if is_structure_valid(crystal)]
    elif keep is Keep.unique:
        twins = duplicates_of([crystal for _, crystal in named], workers=workers)
        named = [pair for pair, twin in zip(named, twins, strict=True) if twin is None]
    kind = file_format(format, out)
    place = out / (kind if kind in ("cif", "poscar") else f"crystals.{kind}")
    _clear(place)
    written = write_crystals(named, place, kind)
    typer.echo(f"{written} crystals in {place}")


def _clear(place: Path) -> None:
    """Remove a folder if it holds nothing but what an earlier export of the run wrote into it."""
    import re
    import shutil

    if place.is_dir() and all(re.fullmatch(r"\d{6,}\.(cif|vasp)", p.name) for p in place.iterdir()):
        shutil.rmtree(place)
