"""Writes the crystals of a run beside its attempts, in the formats of other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer


class Keep(StrEnum):
    """Which crystals of a run are exported."""

    all = "all"
    valid = "valid"
    unique = "unique"
    matched = "matched"


def export(out: Path, n: int, format: str, keep: Keep, workers: int) -> None:
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
        if keep is not Keep.matched or attempt.get("matched")
    ]
    if keep is Keep.valid:
        named = [(name, crystal) for name, crystal in named if is_structure_valid(crystal)]
    elif keep is Keep.unique:
        twins = duplicates_of([crystal for _, crystal in named], workers=workers)
        named = [pair for pair, twin in zip(named, twins, strict=True) if twin is None]
    kind = file_format(format, out)
    place = out / (kind if kind in ("cif", "poscar") else f"crystals.{kind}")
    clear(place)
    written = write_crystals(named, place, kind)
    typer.echo(f"{written} crystals in {place}")


def clear(place: Path) -> None:
    """Remove a folder if it holds nothing but what an earlier export wrote into it."""
    import re
    import shutil

    ours = re.compile(r"\d{6,}(-.*)?\.(cif|vasp)")
    if place.is_dir() and all(ours.fullmatch(path.name) for path in place.iterdir()):
        shutil.rmtree(place)
