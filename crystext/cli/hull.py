"""`crystext hull`: formation energies and energies above the convex hull of relaxed crystals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command

if TYPE_CHECKING:
    from crystext.energies.hull import Hull
    from crystext.energies.stability import StabilityResult

_SELF_HULL = "self"

_MAX_ROWS_PRINTED = 10
"""Number of ranked structures printed on standard output; the table has all."""


def hull(
    source: Annotated[
        Path,
        typer.Argument(
            help="The folder of `crystext relax`, its table, or extxyz with energies.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Table to write: .csv or .parquet; with --make, .parquet.", show_default=False
        ),
    ],
    hull: Annotated[
        str | None,
        typer.Option(
            metavar="mp2020|m3gnet|mp2020-full|self|FILE",
            help="mp2020: Materials Project with MP2020 corrections, shipped with crystext. "
            "m3gnet: that potential's own energies, shipped with crystext. mp2020-full: the "
            "complete hull of Materials Project, downloaded once. self: the hull of SOURCE's own "
            "energies. FILE: a table of formula and energy_ev_per_atom, such as --make writes.",
            show_default="mp2020",
        ),
    ] = None,
    make: Annotated[
        bool,
        typer.Option(
            "--make", help="Write the hull of SOURCE's energies; SOURCE must include the elements."
        ),
    ] = False,
    potential: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Potential that SOURCE's energies are from, if SOURCE does not name it.",
            show_default=False,
        ),
    ] = None,
    energies: Annotated[
        str | None,
        typer.Option(
            metavar="uncorrected|corrected|own",
            help="Kind of SOURCE's energies, if SOURCE does not name it: PBE(+U) without or with "
            "MP2020 corrections, or another functional.",
            show_default=False,
        ),
    ] = None,
    hull_of: Annotated[
        str | None,
        typer.Option(
            metavar="mp2020|NAME",
            help="Origin of the energies of --hull FILE, if the file does not name it: DFT with "
            "MP2020 corrections, or the potential of this name.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare relaxed crystals with the hull: energies, competing phases, stability.

    PBE(+U) energies get MP2020 corrections. A crystal below the hull is a candidate; if the hull
    has too few phases of its elements to tell, it is no_evidence, and with an element that the hull
    lacks, unknown. Energies of different potentials are never compared.
    """
    from crystext.energies.hull_sources import DEFAULT_HULL, open_hull
    from crystext.energies.relaxation_files import correction_from_label, read_relaxed
    from crystext.energies.stability import assess_stability, hull_of_relaxed, make_hull
    from crystext.energies.stability_table import write_energy_table
    from crystext.errors import RunError, SettingError
    from crystext.runtime.progress import Progress

    allowed = (".parquet",) if make else (".csv", ".parquet")
    if out.suffix not in allowed:
        raise SettingError(f"--out {out}: expected a path that ends in {' or '.join(allowed)}")
    if out.is_dir():
        raise RunError(f"{out} is a folder; expected the path of a table")
    if make and hull is not None:
        raise SettingError("--make writes a hull, and --hull names one to compare with; give one")
    scale = None if energies is None else correction_from_label(energies)
    found = read_relaxed(source, potential=potential, scale=scale)
    if make:
        made = make_hull(found, out)
        typer.echo(_hull_line(made))
        typer.echo(f"written: {out}")
        return
    count = len(found.structures)
    with Progress() as bars:
        if hull == _SELF_HULL:
            known = hull_of_relaxed(found)
        else:
            known = open_hull(hull or DEFAULT_HULL, of=hull_of, begin=bars.begin)
        results = assess_stability(
            found, known, report=bars.begin("energies above the hull", count)
        )
        write_energy_table(results, known, found.potential, out, bars.begin("space groups", count))
    _print_results(results, known)
    typer.echo(f"written: {out}")


def _print_results(results: list[StabilityResult], hull: Hull) -> None:
    from collections import Counter

    from crystext.energies.stability import Stability
    from crystext.energies.stability_table import rank_results

    counts = Counter(result.stability for result in results)
    for verdict in Stability:
        if count := counts[verdict]:
            share = count / len(results)
            typer.echo(f"{verdict.label:<11}{count:>7,} {share:>7.1%}  {verdict.meaning()}")
    ranked = [
        (index, result)
        for index, result in rank_results(results)
        if result.position is not None and result.position.above_hull is not None
    ]
    if ranked:
        typer.echo("eV/atom above the hull, in the order of the table:")
        for line in _ranked_lines(ranked[:_MAX_ROWS_PRINTED]):
            typer.echo(line)
    if len(ranked) > _MAX_ROWS_PRINTED:
        typer.echo(f"  and {len(ranked) - _MAX_ROWS_PRINTED:,} more in the table")
    lacking = Counter(x for r in results if r.position for x in r.position.unknown_elements)
    if lacking:
        elements = ", ".join(f"{symbol} ({count:,})" for symbol, count in lacking.most_common())
        typer.echo(f"elements that the hull lacks: {elements}")
    typer.echo(_hull_line(hull))


def _ranked_lines(ranked: list[tuple[int, StabilityResult]]) -> list[str]:
    """Return lines of name, formula, energy above the hull and stability, in columns.

    A candidate has its competing phases as well.
    """
    from crystext.energies.stability import Stability
    from crystext.energies.stability_table import file_name
    from crystext.runtime.wording import without_sign_of_zero

    rows = []
    for index, result in ranked:
        position = result.position
        assert position is not None
        word = result.stability.label
        if result.stability is Stability.CANDIDATE and (phases := position.phases) is not None:
            word += (
                f"; competes with {phases.mixture}; the hull has {phases.with_all_elements:,} of "
                "exactly these elements"
            )
        formula = result.relaxed.formula or ""
        above = without_sign_of_zero(f"{position.above_hull:.3f}")
        rows.append((file_name(index, result), formula, above, word))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return [
        f"  {name:<{widths[0]}}  {formula:<{widths[1]}}  {above:>{widths[2]}}  {word}"
        for name, formula, above, word in rows
    ]


def _hull_line(hull: Hull) -> str:
    about = hull.summary()
    error = "not known" if hull.error is None else f"{hull.error:.3f} eV/atom"
    return (
        f"hull: {about['name']}, of {about['date']}, energies of {about['energies']}; "
        f"{about['elements']} elements, {about['phases']:,} compounds, error {error}"
    )


COMMAND = Command(hull, "Formation energies and energies above the hull.")
