"""`crystext evaluate`: measure the crystals of any generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.crystal_output import Conventional, Symmetrized, print_note
from crystext.cli.listing import ProtocolCommand
from crystext.cli.options.workers import Cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crystext.evaluate.export_crystals import Rank
    from crystext.evaluate.report import MetricValue, Report
    from crystext.io.write import Layout


def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A run directory, or any source of crystals: a folder or zip of CIFs, extxyz, csv "
            "or parquet with a column cif, ...",
            show_default=False,
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="A shipped protocol (mp20, perov5, carbon24, gruver2024, csp-mp20), or a YAML "
            "file.",
        ),
    ] = "mp20",
    out: Annotated[
        Path, typer.Option(help="Folder of the report; an evaluation in it is resumed.")
    ] = Path("report"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STAGE",
            help="Run only this stage, and those whose results it needs: validity, geometry, "
            "novelty, coverage, distributions, conditioning, prediction, proposals, ipt, "
            "stability, relaxation_change, novelty_energies, judges, metrics, or one of a plugin. "
            "A protocol has some of them. Repeat the option, or give a list a,b.",
            show_default="all of the protocol",
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", "-n", help="Evaluate only the first n samples.", min=1, show_default="all"
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Crystals to compare with, instead of the protocol's: mp20_test or mp20_val, "
            "which ship; a data set's name, to be downloaded; a store; or any source of crystals.",
            show_default="the protocol's",
        ),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|STORE",
            help="Training set of the generator, for novelty: as for --reference, or shipped, "
            "the training set of the shipped model.",
            show_default="shipped for samples of the shipped model, else the protocol's",
        ),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The true structure of each sample, in the same order, for structure prediction; "
            "with the protocol csp-mp20, the crystals that samples are proposals for.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model whose perplexity under translation is measured.",
            show_default="that of the run",
        ),
    ] = None,
    potential: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Potentials for relaxation, as in `crystext relax`. The first relaxes; each other "
            "one relaxes further by itself and gives its own energies, never mixed: m3gnet,chgnet.",
            show_default="the protocol's, or chgnet if m3gnet is unavailable",
        ),
    ] = None,
    hull: Annotated[
        str | None,
        typer.Option(
            help="Hull of known phases, as in `crystext hull`.", show_default="the protocol's"
        ),
    ] = None,
    relax: Annotated[
        int | None,
        typer.Option(
            help="Relax only the first samples, this many.", min=1, show_default="the protocol's"
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Also write crystals, relaxed if a relaxation ran: to a .cif, .extxyz or "
            ".parquet, or to a folder of CIFs.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="STEP",
            help="Which crystals --write writes: those that pass a step of the funnel, such as "
            "valid, novel, metastable, msun (metastable, unique and novel) or sun.",
            show_default="msun",
        ),
    ] = None,
    diverse: Annotated[
        int | None,
        typer.Option(
            help="Write at most this many crystals, chosen to differ in composition and structure.",
            min=1,
            show_default="all",
        ),
    ] = None,
    rank_by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Order of what --write writes: by this property as the shipped predictor predicts "
            "it, such as e_above_hull, the lowest first; -NAME: the highest first.",
            show_default="the order of the samples",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes.", min=1, show_default="one a processor"),
    ] = None,
    cluster: Cluster = None,
    symmetrized: Symmetrized = False,
    conventional: Conventional = False,
    all_attempts: Annotated[
        bool,
        typer.Option(
            "--all-attempts",
            help="Evaluate all samples of a run of `crystext sample --keep-best`, not only those "
            "that were kept.",
        ),
    ] = False,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Read files that contradict themselves if one interpretation exists, instead of "
            "rejecting them; also those of --reference, --train and --targets. Notes are in the "
            "report's structures.parquet.",
        ),
    ] = False,
) -> None:
    """Measure crystals by a protocol and write OUT/report.html, report.json, structures.parquet.

    Invalid samples count as failures: every rate is over all samples; of a run whose best samples
    were kept, over these, and the report says so. A stage that lacks something, such as a training
    set, is noted, and the others run. The same command resumes an evaluation
    that was killed, without repeating measurements. With --write, crystals are also written to
    files.
    """
    from crystext.cli.options.workers import worker_pool
    from crystext.energies.potentials import split_sources
    from crystext.evaluate.export_crystals import export_crystals
    from crystext.evaluate.funnel import check_step
    from crystext.evaluate.run import evaluate_samples
    from crystext.evaluate.stages.base import EvaluationOptions
    from crystext.io.write import Layout
    from crystext.runtime.progress import Progress
    from crystext.runtime.wording import format_count

    step = keep or "msun"
    check_step(step)
    layout = Layout(symmetrized, conventional)
    _check_write(write, out, keep, diverse, layout, rank_by)
    rank = _ranking(rank_by)
    stages = [name for item in only or [] for name in item.replace(",", " ").split()]
    potentials = [] if potential is None else split_sources(potential)
    options = EvaluationOptions(
        reference=reference,
        training=train,
        targets=targets,
        model=model,
        potential=potentials[0] if potentials else None,
        judges=tuple(potentials[1:]),
        hull=hull,
        relax=relax,
    )
    with worker_pool(cluster, workers) as pool:
        with Progress(transient=False) as bars:
            report = evaluate_samples(
                source,
                protocol,
                out,
                only=stages,
                n=n,
                options=options,
                workers=pool,
                lenient=lenient,
                all_attempts=all_attempts,
                progress=bars.update,
            )
        _print_report(report, out, stages)
        typer.echo(f"written to {out}")
        if write is not None:
            count = export_crystals(
                step,
                source,
                out,
                write,
                n,
                diverse=diverse,
                rank=rank,
                workers=pool,
                lenient=lenient,
                all_attempts=all_attempts,
                layout=layout,
                note=print_note,
            )
            were = "is" if count == 1 else "are"
            typer.echo(f"{format_count(count, 'crystal')} that {were} {step} written to {write}")


def _ranking(by: str | None) -> Rank | None:
    """Return what ranks crystals by a property; None if nothing is to be ranked."""
    from crystext.predict.rank_by_property import shipped_ranking

    return None if by is None else shipped_ranking(by)


def _check_write(
    write: Path | None,
    out: Path,
    keep: str | None,
    diverse: int | None,
    layout: Layout,
    rank_by: str | None,
) -> None:
    """Check --write and the options that apply to it, before hours of measuring."""
    from crystext.errors import SettingError
    from crystext.io.write import Layout, check_output_path, file_format

    if write is not None:
        layout.check(file_format(None, write))
        check_output_path(write)
        if write.resolve() == out.resolve():
            raise SettingError(f"--write {write} is the folder of the report; give another path")
        return
    if keep is not None:
        raise SettingError(f"--keep {keep} selects the crystals that --write writes; add --write")
    if diverse is not None:
        raise SettingError(
            f"--diverse {diverse} limits the crystals that --write writes; add --write"
        )
    if rank_by is not None:
        raise SettingError(f"--rank-by {rank_by} orders what --write writes; add --write")
    if layout != Layout():
        raise SettingError("--symmetrized and --conventional apply to --write; add --write")


def _print_report(report: Report, out: Path, stages: Sequence[str]) -> None:
    """Print the funnel, the metrics of some stages, and what has to be known about them.

    Args:
        report: of all stages that were measured, now or before.
        out: its folder.
        stages: those that were named; empty prints all.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console()
    steps = Table(
        "funnel", "count", "proportion", "95% interval", "formulas", title=report.input.title
    )
    for step in report.funnel:
        steps.add_row(
            step.title,
            f"{step.count:,} of {step.total:,}",
            f"{step.proportion:.2%}",
            f"{step.low:.2%} to {step.high:.2%}",
            f"{step.unique_formulas:,}",
        )
    console.print(steps)
    metrics = Table("stage", "metric", "value", "95% interval", "of")
    for metric in report.metrics:
        if stages and metric.stage not in stages:
            continue
        metrics.add_row(metric.stage, metric.title, *_metric_cells(metric))
    console.print(metrics)
    for line in _selection_lines(report):
        typer.echo(line)
    for deviation in report.protocol_deviations:
        typer.echo(f"deviation from the protocol: {deviation.text}", err=True)
    for name, note in report.stages.items():
        if note.note:
            typer.echo(f"{name}: {note.state}: {note.note}" if note.state != "done" else
                       f"{name}: {note.note}", err=True)  # fmt: skip
    if noted := report.input.with_notes:
        typer.echo(
            f"{noted:,} of {report.input.parsed:,} crystals were read with a note; see the "
            f"column notes of {out / 'structures.parquet'}",
            err=True,
        )


def _selection_lines(report: Report) -> Sequence[str]:
    """Return what has to be known of chosen samples; nothing of samples as they came."""
    selection = report.input.selection
    if selection is None:
        return []
    return [
        f"every rate is over {report.input.selection_title}, and not over all; --all-attempts "
        "evaluates all",
        *selection.lines()[1:],
    ]


def _metric_cells(metric: MetricValue) -> Sequence[str]:
    from crystext.runtime.wording import without_sign_of_zero

    def number(x: float) -> str:
        return without_sign_of_zero(f"{x:.4f}")

    unit = f" {metric.unit}" if metric.unit else ""
    value = "none" if metric.value is None else number(metric.value) + unit
    interval = ""
    if metric.low is not None and metric.high is not None:
        interval = f"{number(metric.low)} to {number(metric.high)}"
    return value, interval, "" if metric.total is None else f"{metric.total:,}"


COMMAND = Command(evaluate, "Measure generated crystals by a protocol.", cls=ProtocolCommand)
