"""Options that keep the best samples of those that were sampled."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from crystext.generation.sampling_run import SamplingRun
    from crystext.generation.selection import SelectionRule


class KeepBy(StrEnum):
    """By what the best samples are chosen."""

    energy = "energy"
    likelihood = "likelihood"


KeepBest: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Keep the K best of the samples of --of, no two of one formula and space group; for "
        "each row of --conditions and each crystal of --formulas-of. OUT has all samples, and "
        "beside them those that were kept, in selected.jsonl.",
        min=1,
        show_default="all",
    ),
]

Of: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Number of samples that --keep-best chooses from, in place of --n.",
        min=1,
        show_default=False,
    ),
]

By: TypeAlias = Annotated[
    KeepBy | None,
    typer.Option(
        help="What --keep-best orders crystals by: the energy above the hull that the shipped "
        "predictor expects, or the log-probability of the text per token.",
        show_default="energy",
    ),
]

MaxPerPrototype: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Maximum number of crystals of one prototype (space group and Wyckoff letters) that "
        "--keep-best keeps.",
        min=1,
        show_default="5% of those kept, or more if they would be too few",
    ),
]


def parse_selection(
    out: Path,
    n: int | None,
    keep_best: int | None,
    of: int | None,
    by: KeepBy | None,
    max_per_prototype: int | None,
) -> SelectionRule | None:
    """Return what is kept of the samples; None if all are.

    Args:
        out: the run directory, which must not hold chosen samples if all are kept.
        n: of --n, None if it is not given.
        keep_best, of, by, max_per_prototype: of the options of these names.

    Raises:
        SettingError: the options do not go together; the message has all reasons.
        RunError: all samples are kept, and the directory holds a run of which some were chosen.
    """
    from crystext.errors import SettingError
    from crystext.generation.selected_file import refuse_selection
    from crystext.generation.selection import SelectionRule

    faults = []
    if keep_best is None:
        given = {"--of": of, "--by": by, "--max-per-prototype": max_per_prototype}
        names = [name for name, value in given.items() if value is not None]
        if names:
            apply = "applies" if len(names) == 1 else "apply"
            faults.append(
                f"{' and '.join(names)} {apply} to --keep-best, which is missing; give --keep-best "
                "K, the number of samples to keep"
            )
    elif of is None and n is None:
        faults.append(
            f"--keep-best {keep_best} chooses among the samples of --of, which is missing; try "
            f"--of {3 * keep_best}"
        )
    elif of is not None and keep_best > of:
        faults.append(
            f"--keep-best {keep_best} is larger than --of {of}, the number of samples that it "
            f"chooses from; try --of {3 * keep_best}"
        )
    if n is not None and (keep_best is not None or of is not None):
        faults.append(
            f"--n {n} keeps all that it samples; give --of in place of it, the number of samples "
            "that --keep-best chooses from"
        )
    if faults:
        raise SettingError("; ".join(faults))
    if keep_best is None or of is None:
        refuse_selection(out)
        return None
    return SelectionRule(keep_best, of, (by or KeepBy.energy).value, max_per_prototype)


def print_selection(rule: SelectionRule, run: SamplingRun, out: Path, workers: int) -> None:
    """Choose the best samples of a run folder, and print what was kept and what was left out."""
    from crystext.io.read.crystext_outputs import SELECTED_FILE
    from crystext.predict.choose_samples import choose_in_run
    from crystext.runtime.progress import Progress

    with Progress() as bars:
        if rule.by == KeepBy.energy:
            bars.print_line("predicting energies")
        summary = choose_in_run(
            out,
            rule,
            run.total,
            workers=workers,
            report=lambda done, whole: bars.update("comparing", done, whole),
        )
    kept, *others = summary.lines()
    for line in (f"{kept}, in {out / SELECTED_FILE}", *others):
        typer.echo(line)
