"""`crystext hull`: formation energies and distances to the convex hull, of relaxed crystals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from crystext.energies.hull import Hull
    from crystext.energies.verdict import Judged

_SELF = "self"


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
            metavar="mp2020|m3gnet|self|FILE",
            help="mp2020 is that of Materials Project, downloaded once; m3gnet comes with crystext "
            "and holds that potential's own energies; self is that of SOURCE's; FILE a table of "
            "formula and energy_ev_per_atom, such as --make writes.",
            show_default="mp2020",
        ),
    ] = None,
    make: Annotated[
        bool,
        typer.Option("--make", help="Write the hull of SOURCE's energies, elements among them."),
    ] = False,
    potential: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What SOURCE's energies are of, where it does not say.",
            show_default=False,
        ),
    ] = None,
    energies: Annotated[
        str | None,
        typer.Option(
            metavar="uncorrected|corrected|own",
            help="What SOURCE's energies hold, where it does not say: PBE(+U) without or with "
            "MP2020 corrections, or another functional.",
            show_default=False,
        ),
    ] = None,
    hull_of: Annotated[
        str | None,
        typer.Option(
            metavar="mp2020|NAME",
            help="What the energies of --hull FILE are of, where it does not say: DFT with MP2020 "
            "corrections, or the potential of this name.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Place relaxed crystals: formation energy, and energy above the hull of known phases.

    Energies of PBE(+U) get the corrections of MP2020. A structure with an element that the hull
    lacks is unknown, never stable; energies of two potentials are never compared.
    """
    from crystext.energies.hulls import open_hull
    from crystext.energies.relaxed import read_relaxed, scale_of
    from crystext.energies.verdict import judge, make_hull, own_hull
    from crystext.errors import RunError, SettingError

    allowed = (".parquet",) if make else (".csv", ".parquet")
    if out.suffix not in allowed:
        raise SettingError(f"--out {out}: expected a path that ends in {' or '.join(allowed)}")
    if out.is_dir():
        raise RunError(f"{out} is a folder; expected the path of a table")
    if make and hull is not None:
        raise SettingError("--make writes a hull, and --hull names one to compare with; give one")
    scale = None if energies is None else scale_of(energies)
    found = read_relaxed(source, potential=potential, scale=scale)
    if make:
        made = make_hull(found, out)
        typer.echo(_about(made))
        typer.echo(f"written: {out}")
        return
    if hull == _SELF:
        known = own_hull(found)
    else:
        from crystext.data.progress import progress_bars

        with progress_bars(True) as begin:
            known = open_hull(hull or "mp2020", of=hull_of, begin=begin)
    judged = judge(found, known)
    _write(judged, known, found.potential, out)
    _tell(judged, known)
    typer.echo(f"written: {out}")


def _record(judged: Judged, hull: Hull, potential: str) -> dict[str, Any]:
    from crystext.properties import reduced_formula

    row, placed = judged.relaxed, judged.placed
    crystal = row.crystal
    return {
        "name": row.name,
        "formula": crystal and reduced_formula(crystal.numbers),
        "n_atoms": crystal and len(crystal),
        "energy_ev_per_atom": (
            None if crystal is None or row.energy is None else row.energy / len(crystal)
        ),
        "e_form_ev_per_atom": placed and placed.formation_energy,
        "e_above_hull_ev_per_atom": placed and placed.above_hull,
        "verdict": judged.verdict.name.lower(),
        "unknown_elements": " ".join(placed.unknown) if placed and placed.unknown else None,
        "steps": row.steps,
        "converged": row.converged,
        "fault": row.fault,
        "potential": potential,
        "hull": hull.name,
        "hull_date": hull.date or None,
    }


def _write(judged: list[Judged], hull: Hull, potential: str, out: Path) -> None:
    """Write the table, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    text = dict.fromkeys(
        ("name", "formula", "verdict", "unknown_elements", "fault", "potential", "hull",
         "hull_date"), pa.string()
    )  # fmt: skip
    rows = [_record(j, hull, potential) for j in judged]
    kinds = {**text, "n_atoms": pa.int64(), "steps": pa.int64(), "converged": pa.bool_()}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in rows[0]])
    table = pa.Table.from_pylist(rows, schema)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".partial")
    (csv.write_csv if out.suffix == ".csv" else pq.write_table)(table, unfinished)
    unfinished.replace(out)


def _tell(judged: list[Judged], hull: Hull) -> None:
    from collections import Counter

    from crystext.energies.verdict import Verdict

    counts = Counter(j.verdict for j in judged)
    n = len(judged)
    for verdict in Verdict:
        count = counts[verdict]
        typer.echo(f"{verdict.name.lower():<11}{count:>7,} {count / n:>7.1%}  {verdict.value}")
    lacking = Counter(x for j in judged if j.placed for x in j.placed.unknown)
    if lacking:
        elements = ", ".join(f"{symbol} ({count:,})" for symbol, count in lacking.most_common())
        typer.echo(f"elements that the hull lacks: {elements}")
    typer.echo(_about(hull))


def _about(hull: Hull) -> str:
    about = hull.about()
    return (
        f"hull: {about['name']}, of {about['date']}, energies of {about['energies']}; "
        f"{about['elements']} elements, {about['phases']:,} phases"
    )
